"""Mail on its way out: delivered, put off, returned, by one server to scripted and real others."""
import base64
import email
import email.policy
import socket

import pytest

from hikyaku import Server, free_port, until
from relay import LETTER, attempts, queue_is_empty, sender_settings, submit
from sink import Sink

MINUTE = 60_000

MX_A = ('elsewhere.example 60 MX 10 mx.elsewhere.example',
        'mx.elsewhere.example 60 A 127.0.0.1')


def test_a_letter_goes_out_as_it_came():
    sink = Sink()
    with Server(sender_settings(sink.port, *MX_A)) as server:
        submit(server, ['hanako@elsewhere.example', 'jiro@elsewhere.example'])
        until(lambda: sink.messages, 10, 'the letter to arrive')
        sender, recipients, data = sink.messages[0]
        assert sender == 'taro@example.jp'
        assert sorted(recipients) == ['hanako@elsewhere.example', 'jiro@elsewhere.example']
        assert data.endswith(LETTER.encode())
        assert b'Return-Path' not in data and data.count(b'Received:') == 1
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')
        assert 'mx.elsewhere.example' in server.trace('hanako@elsewhere.example')


def test_a_stop_does_not_wait_for_name_servers():
    """A question to one that never answers takes ten seconds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(('127.0.0.1', 0))
        silent.settimeout(10)
        settings = {**sender_settings(9),
                    'resolver.forwarders': f'[ "127.0.0.1@{silent.getsockname()[1]}" ]'}
        with Server(settings) as server:
            message = submit(server, 'hanako@elsewhere.example')
            assert silent.recv(512)
            assert server.stop(8) == 0
            server.start()
            assert server.cli_json('status')['queued_messages'] == 1
            assert 'put off' not in server.trace(message)


def test_a_deferral_is_tried_again_and_delivered():
    sink = Sink(replies={'RCPT': '451 4.7.1 Greylisted, come back later'})
    with Server(sender_settings(sink.port, *MX_A)) as server:
        message = submit(server, 'hanako@elsewhere.example')
        until(lambda: 'Greylisted' in server.trace(message), 10, 'the deferral')
        del sink.replies['RCPT']
        server.advance(5 * MINUTE)
        until(lambda: sink.messages, 10, 'the second attempt')
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')


def test_a_refusal_comes_back_in_both_languages():
    sink = Sink(replies={'RCPT': '550 5.1.1 No such user here'})
    with Server(sender_settings(sink.port, *MX_A)) as server:
        server.add_account('taro@example.jp')
        message = submit(server, 'nobody@elsewhere.example')
        bounce = until(lambda: server.export('taro@example.jp'), 10, 'the bounce')[0]
        mail = email.message_from_bytes(bounce, policy=email.policy.default)
        assert mail.get_content_type() == 'multipart/report'
        human, status, original = mail.iter_parts()
        text = human.get_content()
        assert 'No such user here' in text and message in text
        assert '届' in text and 'nobody@elsewhere.example' in text
        fields = status.as_string()
        assert 'Action: failed' in fields and 'Status: 5.1.1' in fields
        assert 'Remote-MTA: dns; mx.elsewhere.example' in fields
        assert original.get_content_type() == 'text/rfc822-headers'
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')


@pytest.mark.parametrize('lines, status', [
    (('null.example 60 MX 0 .',), '5.1.10'),
    (('self.example 60 MX 10 mx.example.jp', 'mx.example.jp 60 A 127.0.0.1'), '5.4.6'),
    (('void.example 60 MX 10 gone.void.example', 'gone.void.example 60 TXT x'), '5.4.4'),
])
def test_domains_that_cannot_take_mail(lines, status):
    domain = lines[0].split()[0]
    with Server(sender_settings(9, *lines)) as server:
        server.add_account('taro@example.jp')
        submit(server, f'hanako@{domain}')
        bounce = until(lambda: server.export('taro@example.jp'), 15, 'the bounce')[0]
        assert f'Status: {status}'.encode() in bounce


def test_a_dead_host_and_a_dead_resolver_mean_later():
    with Server(sender_settings(9, *MX_A)) as server:
        message = submit(server, 'hanako@elsewhere.example')
        other = submit(server, 'hanako@unknown.example')
        until(lambda: 'refused' in server.trace(message), 15, 'connection refused')
        until(lambda: '4.4.3' in server.trace(other), 30, 'the DNS failure')
        assert server.cli_json('status')['queued_messages'] == 2


def test_five_days():
    """Attempts at their times, one warning, the end."""
    sink = Sink(replies={'RCPT': '450 4.2.0 Mailbox busy'})
    with Server(sender_settings(sink.port, *MX_A)) as server:
        server.add_account('taro@example.jp')
        message = submit(server, 'hanako@elsewhere.example')
        until(lambda: attempts(server, message) == 1, 10, 'the first attempt')
        ages, age = [], 0
        for pause in [5, 10, 15, 30, 60, 120] + [240] * 29:
            server.advance(pause * MINUTE - 20_000)
            assert attempts(server, message) == len(ages) + 1
            server.advance(20_500)
            age += pause
            if age >= 5 * 24 * 60:
                break
            ages.append(age)
            until(lambda: attempts(server, message) == len(ages) + 1, 10, f'the attempt at {age}')
        assert ages[:6] == [5, 15, 30, 60, 120, 240]
        until(lambda: len(server.export('taro@example.jp')) == 2, 20, 'warning and bounce')
        warning, bounce = server.export('taro@example.jp')
        assert b'Action: delayed' in warning and b'Will-Retry-Until' in warning
        assert b'Action: failed' in bounce and b'Mailbox busy' in bounce
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')


def test_a_peer_of_seven_bits():
    """Bodies are encoded; a header that nobody encoded goes as it is, as with other relays."""
    text = ('From: taro@example.jp\r\nSubject: 手紙\r\nMIME-Version: 1.0\r\n'
            'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'
            'お元気ですか。\r\n')
    sink = Sink(extensions=('PIPELINING',))
    with Server(sender_settings(sink.port, *MX_A)) as server:
        submit(server, 'hanako@elsewhere.example', letter=text)
        until(lambda: sink.messages, 15, 'the letter')
        header, _, body = sink.messages[0][2].partition(b'\r\n\r\n')
        assert '\r\nSubject: 手紙\r\n'.encode() in header
        assert b'Content-Transfer-Encoding: base64' in header
        assert base64.b64decode(body).decode() == 'お元気ですか。\r\n'
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')


class Closer(Sink):
    """Closes each connection after its first message, without a word."""

    def _take(self, stream, sender, recipients):
        super()._take(stream, sender, recipients)
        raise OSError('closes')


def test_a_connection_that_was_closed_meanwhile_costs_no_attempt():
    sink = Closer()
    with Server(sender_settings(sink.port, *MX_A)) as server:
        for number in range(10):
            submit(server, f'a{number}@elsewhere.example')
        until(lambda: len(sink.messages) == 10, 10, 'all letters')
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')
        assert sorted(r[0] for _, r, _ in sink.messages) == [f'a{n}@elsewhere.example'
                                                            for n in range(10)]


class Few(Sink):
    """Takes two connections at a time."""
    now = 0

    def _serve(self, connection):
        Few.now += 1
        if Few.now > 2:
            connection.sendall(b'421 4.7.0 Too many connections\r\n')
            connection.close()
        else:
            super()._serve(connection)
        Few.now -= 1


def test_a_refused_further_connection_does_not_stop_the_others():
    sink = Few()
    with Server(sender_settings(sink.port, *MX_A)) as server:
        for number in range(60):
            submit(server, f'a{number}@elsewhere.example')
        until(lambda: len(sink.messages) == 60, 20, 'all letters')
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')


def test_a_short_pause_is_kept_in_real_time():
    """The worker sleeps no longer than until the next attempt that it has just caused."""
    port = free_port()
    retry = '[ "1s" ]'
    with Server(sender_settings(port, *MX_A, queue__retry=retry)) as server:
        message = submit(server, 'hanako@elsewhere.example')
        until(lambda: attempts(server, message) >= 3, 10, 'three attempts')
