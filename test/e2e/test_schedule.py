"""Mail for later and mail that must be there in time: hikyaku send, the queue, the far end."""
import email
import email.policy
import re

import pytest

from hikyaku import DOMAIN, PASSWORD, Server, until
from sink import Sink

MINUTE, HOUR, DAY = 60_000, 3_600_000, 24 * 3_600_000
TARO, HANAKO = 'taro@example.jp', 'hanako@example.jp'
FAR = 'jiro@elsewhere.example'


def settings(port, **more):
    """A server whose only place elsewhere is elsewhere.example, at this port."""
    given = {
        'submit.domain': DOMAIN,
        'submit.trusted_users': '[ "root" ]',
        'outbound.port': port,
        'outbound.private_networks': '[ "127.0.0.0/8" ]',
        'resolver.local_records': '[ "elsewhere.example 60 MX 10 mx.elsewhere.example", '
                                  '"mx.elsewhere.example 60 A 127.0.0.1" ]',
        'resolver.forwarders': '[ "127.0.0.1@9" ]',
        'resolver.trust_anchor_file': '""',
        'resolver.timeout': '3s',
        'queue.jitter': 0,
    }
    given.update({name.replace('__', '.'): value for name, value in more.items()})
    return given


@pytest.fixture(name='sink')
def fixture_sink():
    with Sink(extensions=('PIPELINING', 'DELIVERBY 30', 'MT-PRIORITY MIXER', 'DSN')) as sink:
        yield sink


@pytest.fixture(name='server')
def fixture_server(sink):
    with Server(settings(sink.port)) as server:
        server.add_account(TARO)
        server.add_account(HANAKO)
        yield server


def send(server, *args, sender=TARO):
    """Sends a mail as that user of the server; what the command says."""
    return server.cli('send', '-f', sender, '-s', 'later', *args, stdin=b'the text\n')


def rows(server, *args):
    return server.cli_json('queue', 'list', *args)


def scheduled(server, count):
    """The scheduled recipients once there are `count`."""
    return until(lambda: len(found := rows(server, '--scheduled')) == count and found, 20,
                 f'{count} scheduled recipients')


def arrived(sink):
    return [message for message in sink.messages if message[1]]


def notices(server, address, count):
    """The notices that came for somebody, parsed."""
    found = until(lambda: len(mails := server.export(address)) >= count and mails, 30,
                  f'{count} notices')
    return [email.message_from_bytes(mail, policy=email.policy.default) for mail in found]


def status_part(notice):
    return str(notice.get_payload()[1])


def refused(server, *args):
    """The error line of a mail that is not taken."""
    done = server.cli('send', '-f', TARO, *args, stdin=b'x\n', check=False)
    assert done.returncode in (1, 2), done
    return done.stderr.decode()


def test_mail_waits_for_its_time_here_and_elsewhere(server, sink):
    said = send(server, '--in', '2h', HANAKO, FAR)
    assert 'It goes out at ' in said and 'hikyaku queue cancel' in said
    listed = scheduled(server, 2)
    message = listed[0]['id']
    assert {row['recipient'] for row in listed} == {HANAKO, FAR}
    assert listed[0]['state'] == 'scheduled' and listed[0]['release'] == listed[0]['next']
    assert rows(server, '--state', 'scheduled') == listed and rows(server, '--state', 'ready') == []
    assert 'scheduled for ' in server.cli('queue', 'list', '--scheduled')
    shown = server.cli('queue', 'show', message)
    assert re.search(r'^ +to be sent +.*\(in [12] h', shown, re.M), shown
    assert f'scheduled for {FAR}: to be sent at ' in shown
    assert server.cli_json('status')['queued_scheduled'] == 2
    assert '2 scheduled' in server.cli('queue', 'stats')
    server.advance(HOUR)
    server.restart()
    assert len(scheduled(server, 2)) == 2
    assert server.export(HANAKO) == [] and arrived(sink) == []
    server.advance(HOUR + MINUTE)
    until(lambda: server.export(HANAKO), 30, 'the mail in the mailbox')
    until(lambda: arrived(sink), 30, 'the mail elsewhere')
    until(lambda: rows(server) == [], 15, 'an empty queue')
    assert len(server.export(HANAKO)) == 1 and len(arrived(sink)) == 1
    trace = server.trace(message)
    assert f'released, for {HANAKO}; by its schedule' in trace
    assert f'delivered to {HANAKO}' in trace


def test_administrators_send_now_or_cancel(server, sink):
    send(server, '--in', '20d', FAR)
    send(server, '--in', '21d', HANAKO)
    send(server, '--in', '22d', HANAKO)
    first, second, third = [row['id'] for row in scheduled(server, 3)]
    assert server.cli('queue', 'release', first) == '1 recipient released\n'
    until(lambda: arrived(sink), 20, 'the released mail')
    assert server.cli('queue', 'cancel', second) == '1 recipient cancelled, nobody is told\n'
    assert f'cancelled, for {HANAKO}; by the administrator' in server.trace(second)
    assert server.cli('queue', 'hold', third).startswith('1 recipient held')
    assert rows(server)[0]['state'] == 'held'
    server.advance(23 * DAY)
    assert server.export(HANAKO) == []
    assert server.cli('queue', 'release', '--all') == '1 recipient released\n'
    until(lambda: len(server.export(HANAKO)) == 1, 20, 'the mail that was held')
    assert 'does not apply' in server.cli('queue', 'cancel', first, check=False).stderr.decode()


def test_what_waits_of_an_account_that_ends_is_told(server):
    server.cli('account', 'add', 'jiro@example.jp', '--password-stdin', stdin=PASSWORD)
    assert server.cli('account', 'disable', 'jiro@example.jp').count('\n') == 1
    send(server, '-f', 'jiro@example.jp', '--in', '1d', FAR, HANAKO)
    scheduled(server, 2)
    for words in (['disable'], ['remove', '--with-mail']):
        said = server.cli('account', words[0], 'jiro@example.jp', *words[1:])
        assert '(recipients: 2, scheduled: 2)' in said
        assert 'hikyaku queue list --sender jiro@example.jp\n' in said
    assert len(rows(server, '--sender', 'jiro@example.jp')) == 2
    server.cli('queue', 'drop', '--sender', 'jiro@example.jp')
    assert rows(server) == []


def test_several_are_cancelled_only_with_a_yes(server):
    send(server, '--in', '1d', FAR)
    send(server, '--in', '1d', HANAKO)
    scheduled(server, 2)
    done = server.cli('queue', 'cancel', '--all', check=False)
    assert done.returncode == 1 and b'2 messages' in done.stderr and b'--yes' in done.stderr
    assert server.cli('queue', 'cancel', '--all', '--yes').startswith('2 recipients cancelled')
    assert rows(server) == []


def test_urgency_travels_to_whom_it_says_something(server, sink):
    send(server, '--by', '1h', '--return', '--priority', '5', FAR)
    until(lambda: arrived(sink), 20, 'the mail')
    mail = next(line for line in sink.commands if line.startswith('MAIL'))
    seconds, priority = re.search(r' BY=(\d+);R MT-PRIORITY=(\d)$', mail).groups()
    assert 3500 <= int(seconds) <= 3600 and priority == '5'
    assert 'HOLD' not in mail


def test_late_mail_comes_back_if_that_was_asked_for(server, sink):
    sink.replies['RCPT'] = '450 4.2.1 later'
    send(server, '--by', '10min', '--return', FAR)
    row = until(lambda: rows(server, '--state', 'deferred'), 20, 'the deferral')[0]
    assert row['if_late'] == 'return' and row['deliver_by'] is not None
    assert 'else it is returned' in server.cli('queue', 'show', row['id'])
    server.advance(11 * MINUTE)
    notice = notices(server, TARO, 1)[0]
    assert 'Action: failed' in status_part(notice) and 'Status: 5.4.7' in status_part(notice)
    assert 'Deliver-By-Date: ' in status_part(notice)
    text = notice.get_payload()[0].get_content()
    assert 'by the time' in text and 'ご指定の時刻までに' in text
    until(lambda: rows(server) == [], 15, 'an empty queue')
    assert 'the time that its sender set is over' in server.trace(row['id'])


def test_late_mail_goes_on_if_its_sender_is_told(server, sink):
    sink.replies['RCPT'] = '450 4.2.1 later'
    send(server, '--by', '10min', FAR)
    until(lambda: rows(server, '--state', 'deferred'), 20, 'the deferral')
    server.advance(11 * MINUTE)
    notice = notices(server, TARO, 1)[0]
    assert 'Action: delayed' in status_part(notice) and 'Status: 4.4.7' in status_part(notice)
    # The second attempt must be over: the third counts from it.
    until(lambda: [row for row in rows(server, '--state', 'deferred') if row['attempts'] == 2], 20,
          'the second deferral')
    sink.replies.pop('RCPT')
    server.advance(HOUR)
    until(lambda: arrived(sink), 30, 'the mail all the same')
    mail = [line for line in sink.commands if line.startswith('MAIL')][-1]
    assert re.search(r' BY=-\d+;N$', mail), mail


def test_servers_that_keep_no_time_are_not_given_what_must_not_be_late():
    with Sink() as sink, Server(settings(sink.port)) as server:
        server.add_account(TARO)
        send(server, '--by', '1h', '--return', FAR)
        notice = notices(server, TARO, 1)[0]
        assert 'Status: 5.4.7' in status_part(notice)
        assert 'does not offer deliver-by' in ' '.join(status_part(notice).split())
        assert arrived(sink) == []
        send(server, '--by', '1h', FAR)
        until(lambda: arrived(sink), 20, 'the mail of mode N')
        notice = notices(server, TARO, 2)[1]
        assert 'Action: relayed' in status_part(notice)
        assert all(' BY=' not in line for line in sink.commands)


def test_notices_say_that_it_was_scheduled(server, sink):
    sink.replies['RCPT'] = '550 5.1.1 nobody'
    send(server, '--in', '1h', FAR)
    scheduled(server, 1)
    server.advance(HOUR + MINUTE)
    assert re.search(r'^Future-Release-Request: until;20\d\d-', status_part(
        notices(server, TARO, 1)[0]), re.M)


def test_what_makes_no_sense_is_said_at_once(server):
    for args, words in [
            (['--at', '18:30', '--in', '1h'], 'either --at or --in'),
            (['--at', 'tomorrow'], '--at wants a time'),
            (['--at', '2001-01-01 10:00'], 'that time is over'),
            (['--in', '0'], '--in wants a time'),
            (['--in', '100d'], 'submit.max_hold'),
            (['--by', 'soon'], '--by wants a time'),
            (['--return'], '--return goes with --by'),
            (['--by', '5s', '--return'], 'submit.min_deliver_by'),
            (['--priority', '10'], '--priority is a number'),
            (['--priority', '+1'], '--priority is a number'),
    ]:
        assert words in refused(server, *args, HANAKO), args
    assert 'either --state or --scheduled' in server.cli(
        'queue', 'list', '--scheduled', '--state', 'held', check=False).stderr.decode()


def test_what_the_server_does_not_offer_is_not_simply_sent(sink):
    """The configuration that the command reads may be older than that of the server."""
    with Server(settings(sink.port)) as server:
        server.add_account(TARO)
        server.stop()
        send(server, '--in', '20d', FAR)
        text = server.config_path.read_text()
        server.config_path.write_text(text + '\nsubmit { max_hold = 1d; }\n')
        server.start()
        until(lambda: 'pickup.notice' in server.log(), 20, 'the notice to who left it')
        assert 'it can be held until ' in server.log()
        assert rows(server) == [] and arrived(sink) == []
