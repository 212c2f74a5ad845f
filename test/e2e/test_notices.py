"""What senders are told: on failure, delay and success, in their language, and never in circles."""
import email
import email.policy

from hikyaku import Server, until
from relay import queue_is_empty, sender_settings, submit
from sink import Sink

HOUR = 3_600_000
MX_A = ('elsewhere.example 60 MX 10 mx.elsewhere.example',
        'mx.elsewhere.example 60 A 127.0.0.1')
REFUSE = {'RCPT': '550 5.1.1 No such user here'}


def inbox(server, address='taro@example.jp', count=1):
    """The account's messages, once there are so many."""
    mails = until(lambda: len(server.export(address)) >= count and server.export(address), 15,
                  f'{count} messages for {address}')
    return [email.message_from_bytes(m, policy=email.policy.default) for m in mails]


def parts(mail):
    """The human text and the delivery status of a notice."""
    human, status, *_ = mail.iter_parts()
    return human.get_content(), status.as_string()


def test_success_is_told_when_asked():
    sink = Sink()
    with Server(sender_settings(sink.port, *MX_A)) as server:
        server.add_account('taro@example.jp')
        server.add_account('hanako@example.jp')
        submit(server, ['a@elsewhere.example', 'hanako@example.jp'],
               rcpt=' NOTIFY=SUCCESS ORCPT=rfc822;Orig+2Binal@example.org', mail=' ENVID=abc+2B1')
        until(lambda: len(sink.messages) == 1, 10, 'the letter to arrive')
        statuses = ''
        count = 1
        while not ('Action: relayed' in statuses and 'Action: delivered' in statuses):
            mails = inbox(server, count=count)
            statuses = ''.join(parts(m)[1] for m in mails)
            count += 1
        assert 'Original-Envelope-Id: abc+1' in statuses
        assert 'Orig+inal@example.org' in statuses
        assert all(m['Auto-Submitted'].startswith('auto-') for m in mails)
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')


def test_a_server_with_dsn_is_asked_to_tell_itself():
    sink = Sink(extensions=('PIPELINING', '8BITMIME', 'DSN'))
    with Server(sender_settings(sink.port, *MX_A)) as server:
        server.add_account('taro@example.jp')
        submit(server, 'a@elsewhere.example', rcpt=' NOTIFY=SUCCESS,FAILURE', mail=' RET=HDRS')
        until(lambda: sink.messages, 10, 'the letter to arrive')
        assert any('NOTIFY=SUCCESS,FAILURE' in c for c in sink.commands)
        assert any('RET=HDRS' in c for c in sink.commands)
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')
        assert not server.export('taro@example.jp')


def test_never_means_never():
    sink = Sink(replies=REFUSE)
    with Server(sender_settings(sink.port, *MX_A)) as server:
        server.add_account('taro@example.jp')
        submit(server, 'a@elsewhere.example', rcpt=' NOTIFY=NEVER')
        submit(server, 'a@elsewhere.example', sender='')
        until(lambda: sum(c.startswith('RCPT') for c in sink.commands) == 2, 10, 'both refusals')
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')
        assert not server.export('taro@example.jp')


def test_the_language_of_the_account():
    sink = Sink(replies=REFUSE)
    with Server(sender_settings(sink.port, *MX_A)) as server:
        server.add_account('taro@example.jp')
        for number, language in enumerate(('ja', 'en'), 1):
            server.cli('account', 'language', 'taro@example.jp', language)
            submit(server, f'a{number}@elsewhere.example')
            text, _ = parts(inbox(server, count=number)[-1])
            assert ('お送りいただいた' in text) == (language == 'ja')
            assert ('could not be delivered' in text) == (language == 'en')


def test_a_bounce_that_bounces_goes_to_postmaster():
    """The sender's own server refuses the notice."""
    sink = Sink(replies=REFUSE)
    records = MX_A + ('sender.example 60 MX 10 mx.elsewhere.example',)
    with Server(sender_settings(sink.port, *records)) as server:
        submit(server, 'a@elsewhere.example', sender='gone@sender.example')
        mail = inbox(server, 'postmaster@example.jp')[0]
        text, status = parts(mail)
        assert 'gone@sender.example' in text and 'Action: failed' in status
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')
        refused = [c for c in sink.commands if c.startswith('RCPT')]
        assert len(refused) == 2, 'the letter and its notice, and nothing after that'


def test_one_warning_for_a_delay():
    with Server(sender_settings(9, *MX_A)) as server:
        server.add_account('taro@example.jp')
        message = submit(server, ['a@elsewhere.example', 'b@elsewhere.example'])
        until(lambda: 'refused' in server.trace(message), 10, 'the first attempt')
        server.advance(4 * HOUR + 60_000)
        text, status = parts(inbox(server)[0])
        assert status.count('Action: delayed') == 2 and message in text
        server.advance(20 * HOUR)
        until(lambda: server.trace(message).count('refused') > 1, 10, 'another attempt')
        assert len(server.export('taro@example.jp')) == 1


def test_a_suppressed_address_is_refused_at_once():
    sink = Sink(replies=REFUSE)
    with Server(sender_settings(sink.port, *MX_A, queue__suppress_after=2)) as server:
        server.add_account('taro@example.jp')
        for number in (1, 2):
            submit(server, 'a@elsewhere.example')
            inbox(server, count=number)
        try:
            submit(server, 'a@elsewhere.example')
        except AssertionError as refusal:
            assert 'a@elsewhere.example' in str(refusal)
        else:
            raise AssertionError('it was accepted')
        assert 'a@elsewhere.example' in server.cli('suppression', 'list')
        server.cli('suppression', 'remove', 'a@elsewhere.example')
        submit(server, 'a@elsewhere.example')


def test_a_postmaster_elsewhere_who_refuses_ends_the_chain():
    sink = Sink(replies=REFUSE)
    records = MX_A + ('sender.example 60 MX 10 mx.elsewhere.example',)
    with Server(sender_settings(sink.port, *records)) as server:
        server.add_alias('postmaster@example.jp', 'boss@elsewhere.example')
        submit(server, 'a@elsewhere.example', sender='gone@sender.example')
        until(lambda: sum('boss@' in c for c in sink.commands) == 1, 15, 'the last notice')
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')
        assert sum(c.startswith('RCPT') for c in sink.commands) == 3
