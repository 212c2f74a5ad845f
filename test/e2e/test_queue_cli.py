"""The command line of the queue: seeing what waits, why, and deciding about it."""
import os
import pty
import socket
import subprocess

import pytest

from hikyaku import Server, Session, until
from sink import Sink

MINUTE, HOUR = 60_000, 3_600_000
TARO = 'taro@example.jp'
ROUTE = 'route "parked" {\n    to = [ "held.example" ];\n    via = hold;\n}\n'
RECORDS = ('held.example 60 MX 10 mx.held.example', 'mx.held.example 60 A 127.0.0.1',
           'osaka.example 60 MX 10 mx.osaka.example', 'mx.osaka.example 60 A 127.0.0.1',
           'sakai.example 60 MX 10 mx.osaka.example')
GREYLISTED = '451 4.7.1 Greylisted, come \x1bback later'
CLOSED_PORT = 9


def settings(port, **more):
    """A server that relays for loopback and finds every host of RECORDS at this port."""
    found = {
        'smtp.relay_networks': '[ "127.0.0.0/8" ]',
        'outbound.port': port,
        'outbound.private_networks': '[ "127.0.0.0/8" ]',
        'resolver.local_records': '[ ' + ', '.join(f'"{line}"' for line in RECORDS) + ' ]',
        'resolver.forwarders': '[ "127.0.0.1@9" ]',
        'resolver.trust_anchor_file': '""',
        'resolver.timeout': '3s',
        'queue.jitter': 0,
    }
    found.update({name.replace('__', '.'): value for name, value in more.items()})
    return found


def submit(server, *recipients, sender=TARO):
    """Puts a letter into the queue; the id it was accepted as."""
    with Session(server.port) as session:
        session.reply()
        session.command('EHLO client.example', 250)
        session.command(f'MAIL FROM:<{sender}>', 250)
        for recipient in recipients:
            session.command(f'RCPT TO:<{recipient}>', 250)
        session.command('DATA', 354)
        session.send(b'Subject: queued\r\n\r\nbody\r\n.\r\n')
        reply = session.reply()
        assert reply.startswith('250'), reply
        return reply.split()[-1]


def arrived(sink):
    """The messages that came for somebody."""
    return [message for message in sink.messages if message[1]]


def rows(server, *args):
    """The queue as it is listed for programs."""
    return server.cli_json('queue', 'list', *args)


def fails(server, *args):
    """The error line of a command that must fail."""
    done = server.cli(*args, check=False)
    assert done.returncode in (1, 2), done
    return done.stderr.decode()


def at_terminal(server, answer, *args):
    """(status, what it printed) of a command on a terminal where somebody types an answer."""
    master, slave = pty.openpty()
    command = [server.binary, *args, '-c', str(server.config_path)]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave,
                          env=server.env) as process:
        os.close(slave)
        os.write(master, answer.encode() + b'\n')
        shown = b''
        while True:
            try:
                piece = os.read(master, 4096)
            except OSError:
                break
            if not piece:
                break
            shown += piece
    os.close(master)
    return process.returncode, shown.decode()


@pytest.fixture(name='held')
def held_server():
    """A server where mail for held.example waits until it is released to a sink."""
    sink = Sink()
    with Server(settings(sink.port), config=ROUTE) as server:
        server.sink = sink
        yield server


def test_an_empty_queue_says_so(held):
    assert held.cli('queue', 'list') == 'the queue is empty\n'
    assert held.cli('queue', 'stats') == 'the queue is empty\n'
    assert held.cli('queue', 'why', 'held.example') == 'nothing waits for held.example\n'
    assert held.cli('suppression', 'list') == 'no address is suppressed\n'
    assert rows(held) == [] and held.cli_json('suppression', 'list') == []
    assert held.cli_json('queue', 'why', 'held.example')['recipients'] == 0
    assert held.cli_json('queue', 'stats')['messages'] == 0
    assert 'oldest queued' not in held.cli('status')
    assert held.japanese('queue', 'list') == '送信待ちのメールはありません\n'
    missing = '0sa3hmfk80201'
    assert 'hikyaku trace' in fails(held, 'queue', 'show', missing)
    assert 'is not in the queue' in fails(held, 'queue', 'retry', missing)
    assert 'not on the list' in fails(held, 'suppression', 'remove', 'a@held.example')


def test_held_mail_is_listed_and_shown(held):
    first = submit(held, 'hana@held.example', 'jiro@held.example')
    second = submit(held, 'hana@held.example', sender='')
    table = held.cli('queue', 'list').splitlines()
    assert table[0].split()[:6] == ['id', 'age', 'size', 'from', 'to', 'state']
    assert [line.split()[0] for line in table[1:]] == [first, first, second]
    assert 'hana@held.example' in table[1] and table[1].rstrip().endswith('held')
    assert ' <> ' in table[3]
    listed = rows(held)
    assert [row['id'] for row in listed] == [first, first, second]
    assert listed[0]['sender'] == TARO and listed[0]['state'] == 'held'
    assert listed[0]['next'] is None and listed[0]['bytes'] > 0
    status = held.cli_json('status')
    assert status['queued_held'] == 3 and status['queued_ready'] == 0
    assert '  held             3\n' in held.cli('status')
    shown = held.cli('queue', 'show', first)
    assert 'hana@held.example' in shown and 'jiro@held.example' in shown
    assert f'accepted from <{TARO}>' in shown
    assert 'held: hana@held.example waits until it is released' in shown
    told = held.cli_json('queue', 'show', first)
    assert told['id'] == first and told['recipients'] == listed[:2]
    assert told['trace'] == held.cli_json('trace', first)
    assert [event['event'] for event in told['trace']] == ['accepted', 'held', 'held']
    shown = held.japanese('queue', 'show', first)
    assert '保留' in shown and 'hana@held.example 宛は解除されるまで保留します' in shown


def test_lists_are_narrowed(held):
    first = submit(held, 'hana@held.example', 'jiro@held.example')
    second = submit(held, 'hana@held.example', sender='')
    for args, expected in [
            (['--id', first], [first, first]),
            (['--sender', 'taro@EXAMPLE.jp'], [first, first]),
            (['--sender', TARO], [first, first]),
            (['--sender', '<>'], [second]),
            (['--recipient', 'hana@held.example'], [first, second]),
            (['--recipient', 'hana@held.example', '--sender', '<>'], [second]),
            (['--domain', 'HELD.example'], [first, first, second]),
            (['--domain', 'osaka.example'], []),
            (['--state', 'held'], [first, first, second]),
            (['--state', 'ready'], []),
            (['--limit', '2'], [first, first]),
    ]:
        assert [row['id'] for row in rows(held, *args)] == expected, args
    assert '--limit' in held.cli('queue', 'list', '--limit', '1')
    for args in (['--state', 'leased'], ['--limit', '0'], ['--limit', 'x'], ['--id', 'x'],
                 ['--sender', ''], ['--domain', '']):
        assert held.cli('queue', 'list', *args, check=False).returncode == 2, args


def test_long_queues_come_in_pages(held):
    messages = [submit(held, *(f'u{n}@held.example' for n in range(90))) for _ in range(7)]
    listed = rows(held)
    assert len(listed) == 630
    assert [row['id'] for row in listed] == [m for m in messages for _ in range(90)]
    assert len({(row['id'], row['recipient']) for row in listed}) == 630
    assert held.cli('queue', 'drop', '--all', '--yes') == '630 recipients dropped, nobody is told\n'
    assert rows(held) == []


def test_what_is_held_is_released(held):
    message = submit(held, 'hana@held.example', 'jiro@held.example')
    why = held.cli('queue', 'why', 'held.example')
    assert '2 held' in why and 'hikyaku queue release --domain held.example' in why
    assert '保留 2 件' in held.japanese('queue', 'why', 'held.example')
    assert 'nothing was changed' in held.cli('queue', 'retry', '--all')
    assert 'does not apply' in fails(held, 'queue', 'retry', message)
    assert held.cli('queue', 'release', message, '--recipient', 'hana@held.example') == \
        '1 recipient released\n'
    until(lambda: arrived(held.sink), 15, 'the released copy')
    assert arrived(held.sink)[0][1] == ['hana@held.example']
    until(lambda: len(rows(held)) == 1, 10, 'the other one alone')
    trace = held.trace(message)
    assert 'released, for hana@held.example; by the administrator' in trace
    assert 'relayed to hana@held.example by mx.held.example [127.0.0.1], not encrypted: 250' \
        in trace
    assert held.japanese('queue', 'release', '--all') == '宛先 1 件を送信に回しました\n'
    until(lambda: rows(held) == [], 15, 'an empty queue')


def test_acting_needs_a_choice_and_a_yes(held):
    for action in ('retry', 'hold', 'release', 'drop', 'bounce'):
        assert 'say an id' in fails(held, 'queue', action)
        assert 'either --all' in fails(held, 'queue', action, '--all', '--sender', TARO)
    first = submit(held, 'hana@held.example', 'jiro@held.example')
    submit(held, 'hana@held.example')
    for action in ('drop', 'bounce'):
        said = fails(held, 'queue', action, '--domain', 'held.example')
        assert '2 messages' in said and '--yes' in said
        status, shown = at_terminal(held, 'no', 'queue', action, '--all')
        assert status == 1 and f'{action} 2 messages to 3 recipients?' in shown
    assert len(rows(held)) == 3
    # One message needs none, however many recipients it has.
    assert held.cli('queue', 'drop', first) == '2 recipients dropped, nobody is told\n'
    assert 'dropped without a word, for hana@held.example' in held.trace(first)
    submit(held, 'jiro@held.example')
    status, shown = at_terminal(held, 'yes', 'queue', 'drop', '--all')
    assert status == 0 and '2 recipients dropped' in shown
    assert rows(held) == []


def test_bounced_mail_comes_back_in_the_language_of_its_sender(held):
    held.add_account(TARO)
    assert held.cli('account', 'language', TARO, 'en') == 'holds for the next notice\n'
    assert 'en, ja or both' in fails(held, 'account', 'language', TARO, 'fr')
    assert 'there is no account' in fails(held, 'account', 'language', 'x@example.jp', 'ja')
    message = submit(held, 'hana@held.example')
    assert held.cli_json('queue', 'bounce', message) == {'action': 'bounce', 'changed': 1,
                                                           'untold': 0}
    notice = until(lambda: held.export(TARO), 15, 'the notice')[0].decode()
    assert 'hana@held.example' in notice and 'returned by the administrator' in notice
    english = notice[:notice.index('message/delivery-status')]
    assert not any('\u3040' <= c <= '\u30ff' for c in english)
    trace = until(lambda: 'told' in held.trace(message) and held.trace(message), 10, 'the trace')
    assert 'returned to its sender, for hana@held.example; by the administrator' in trace
    assert f'told {TARO} in the notice ' in trace
    held.cli('account', 'language', TARO, 'both')


def test_mail_of_nobody_is_dropped_when_it_is_bounced(held):
    message = submit(held, 'hana@held.example', sender='')
    said = held.cli('queue', 'bounce', '--sender', '<>')
    assert said == ('1 recipient dropped, nobody is told\n'
                    '(the sender is empty, or wants no notices)\n')
    assert 'dropped without a word, for hana@held.example' in held.trace(message)
    assert held.cli('queue', 'hold', '--domain', 'nowhere.example') == (
        'nothing was changed: no recipient fits (those that are held stay so)\n')


def test_states_are_taken_as_they_are_shown(held):
    message = submit(held, 'hana@held.example')
    until(lambda: 'held' in held.trace(message), 10, 'the hold')
    for state in ('held', 'HELD', '保留'):
        assert message in held.cli('queue', 'list', '--state', state)
    assert message not in held.cli('queue', 'list', '--state', 'put off')
    assert 'is no state' in fails(held, 'queue', 'list', '--state', 'waiting')
    held.cli('queue', 'drop', message)


def test_what_was_put_off_is_explained_and_tried_again():
    sink = Sink(replies={'RCPT': GREYLISTED})
    with Server(settings(sink.port)) as server:
        message = submit(server, 'hana@osaka.example')
        until(lambda: rows(server, '--state', 'deferred'), 15, 'the deferral')
        row = rows(server)[0]
        assert row['attempts'] == 1 and row['status'] == '4.7.1' and row['next'] is not None
        line = server.cli('queue', 'list', '--domain', 'osaka.example').splitlines()[1]
        assert 'put off until ' in line and 'mx.osaka.example: 451 4.7.1 Greylisted' in line
        for shown in (line, server.cli('queue', 'show', message),
                      server.cli('queue', 'why', 'osaka.example'), server.trace(message)):
            assert 'Greylisted' in shown and '\x1b' not in shown
        why = server.cli('queue', 'why', 'Osaka.EXAMPLE')
        assert '1 put off' in why and '1 x mx.osaka.example: 451 4.7.1' in why
        assert '-> ' in why and 'next attempt: ' in why
        assert '延期中 1 件' in server.japanese('queue', 'why', 'osaka.example')
        told = server.cli_json('queue', 'why', 'osaka.example')
        assert told['destinations'][0]['recipients']['deferred'] == 1
        assert told['destinations'][0]['replies'][0]['remote'] == 'mx.osaka.example'
        stats = server.cli_json('queue', 'stats')
        assert stats['messages'] == 1 and stats['destinations'][0]['name'] == 'osaka.example'
        assert '1 message to 1 recipient (1 put off)' in server.cli('queue', 'stats')
        assert 'put off for hana@osaka.example: mx.osaka.example [127.0.0.1] at RCPT: 451 ' \
            in server.trace(message)
        # Not tried while it is held; then at once, without waiting for its time.
        assert server.cli('queue', 'hold', message) == \
            '1 recipient held until hikyaku queue release\n'
        sink.replies.pop('RCPT')
        server.advance(2 * HOUR)
        assert rows(server)[0]['state'] == 'held' and not arrived(sink)
        server.cli('queue', 'release', '--sender', TARO)
        until(lambda: arrived(sink), 15, 'the letter')


def test_retry_does_not_wait_for_the_time():
    sink = Sink(replies={'RCPT': GREYLISTED})
    with Server(settings(sink.port)) as server:
        submit(server, 'hana@osaka.example')
        until(lambda: rows(server, '--state', 'deferred'), 15, 'the deferral')
        sink.replies.pop('RCPT')
        assert server.cli('queue', 'retry', '--domain', 'osaka.example') == \
            '1 recipient will be tried again at once\n'
        until(lambda: arrived(sink), 15, 'the letter')
        until(lambda: rows(server) == [], 10, 'an empty queue')


def test_a_destination_that_is_down_is_explained():
    with Server(settings(CLOSED_PORT)) as server:
        message = submit(server, 'hana@osaka.example')
        until(lambda: 'unreachable' in server.cli('queue', 'why', 'osaka.example'), 15,
              'the reason')
        why = server.cli('queue', 'why', 'osaka.example')
        assert 'osaka.example: 1 waiting' in why and '1 attempt failed' in why
        assert 'mx.osaka.example [127.0.0.1]: connection refused' in why and 'port 25' in why
        assert 'hikyaku dns osaka.example' in why
        assert 'next attempt: ' in why and '(in ' in why
        assert 'つながりません' in server.japanese('queue', 'why', 'osaka.example')
        line = server.cli('queue', 'list').splitlines()[1]
        assert 'ready, due ' in line and 'connection refused' in line
        row = rows(server)[0]
        assert row['destination_state'] == 'waiting' and row['next'] is not None
        shown = server.cli('queue', 'show', message)
        assert 'osaka.example, unreachable: mx.osaka.example [127.0.0.1]' in shown
        assert 'none, because its destination cannot be reached' in shown
        assert 'put off for hana@osaka.example: mx.osaka.example [127.0.0.1]: connection refused' \
            in server.trace(message)
        told = server.cli_json('queue', 'why', 'osaka.example')['destinations'][0]
        assert told['failures'] == 1 and told['since'] and told['status'] == '4.4.1'
        assert 'connection refused' in server.cli('queue', 'stats')


def closed_port():
    """A port where nobody listens, and one can listen later."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def events(server, message, event):
    """How often this event is in the trace of the message."""
    told = server.cli_json('trace', message)
    return sum(entry['event'] == event for entry in told)


def test_retry_asks_a_host_that_was_down():
    port = closed_port()
    with Server(settings(port)) as server:
        message = submit(server, 'hana@osaka.example')
        until(lambda: events(server, message, 'deferred') == 1, 15, 'the first attempt')
        # Nobody listens yet: that is an attempt, and the host stays down.
        server.cli('queue', 'retry', message)
        until(lambda: events(server, message, 'deferred') == 2, 15, 'the second attempt')
        assert '2 attempts failed' in server.cli('queue', 'why', 'osaka.example')
        sink = Sink(port=port)
        server.cli('queue', 'retry', message)
        until(lambda: arrived(sink), 15, 'the letter')


def test_release_asks_a_host_that_was_down():
    port = closed_port()
    with Server(settings(port)) as server:
        message = submit(server, 'hana@osaka.example')
        until(lambda: events(server, message, 'deferred') == 1, 15, 'the first attempt')
        server.cli('queue', 'hold', message)
        sink = Sink(port=port)
        server.cli('queue', 'release', message)
        until(lambda: arrived(sink), 15, 'the letter')


def test_an_attempt_for_other_mail_is_not_counted_as_its_own():
    port = closed_port()
    with Server(settings(port)) as server:
        first = submit(server, 'hana@osaka.example')
        until(lambda: events(server, first, 'deferred') == 1, 15, 'the attempt')
        second = submit(server, 'hana@sakai.example')
        until(lambda: events(server, second, 'waits') == 1, 15, 'the reason')
        assert events(server, second, 'deferred') == 0
        assert 'could not be reached for other mail' in server.trace(second)
        why = server.cli('queue', 'why', 'sakai.example')
        assert 'as other mail for the same server has shown' in why and 'attempts failed' not in why
        assert 'ほかのメール' in server.japanese('queue', 'why', 'sakai.example')
        sink = Sink(port=port)
        server.cli('queue', 'retry', '--domain', 'sakai.example')
        until(lambda: arrived(sink), 15, 'the letter')


SAID_AT_ONCE = [
    ({'CONNECT': '421 4.3.2 Too many connections'}, '4.3.2', 'More mail was sent'),
    ({'CONNECT': '554 5.7.1 Your address is on our block list'}, '4.7.1', 'is on a block list'),
    ({'CONNECT': '554 No'}, '4.7.0', 'a block list'),
    ({'EHLO': '554 5.7.1 Go away', 'HELO': '554 5.7.1 Go away'}, '4.7.1', 'reverse name'),
    ({'CONNECT': 'SSH-2.0-OpenSSH_9.2'}, '4.5.0', 'no mail server'),
]


@pytest.mark.parametrize('replies, status, meaning', SAID_AT_ONCE)
def test_what_a_host_says_before_any_mail_is_explained(replies, status, meaning):
    sink = Sink(replies=replies)
    with Server(settings(sink.port)) as server:
        message = submit(server, 'hana@osaka.example')
        until(lambda: events(server, message, 'deferred'), 15, 'the deferral')
        why = server.cli('queue', 'why', 'osaka.example')
        said = next(iter(replies.values()))
        assert meaning in why and f'({status})' in why and 'this machine' not in why
        assert said in why and said in server.trace(message)
        assert 'このマシン' not in server.japanese('queue', 'why', 'osaka.example')
        told = server.cli_json('queue', 'why', 'osaka.example')['destinations'][0]
        assert told['status'] == status
        assert told['code'] == (int(said[:3]) if said[:3].isdigit() else None)


@pytest.mark.parametrize('tls', ['require', 'verify'])
def test_a_missing_encryption_is_not_mistaken_for_greylisting(tls):
    sink = Sink()
    route = f'route "safe" {{\n    to = [ "osaka.example" ];\n    tls = {tls};\n}}\n'
    with Server(settings(sink.port), config=route) as server:
        submit(server, 'hana@osaka.example')
        until(lambda: 'unreachable' in server.cli('queue', 'why', 'osaka.example'), 15,
              'the reason')
        why = server.cli('queue', 'why', 'osaka.example')
        assert 'tls setting of the route' in why and '(4.7.4)' in why and 'Greylisting' not in why


def test_dead_name_servers_are_not_mistaken_for_a_slow_mail_server():
    with Server(settings(CLOSED_PORT)) as server:
        submit(server, 'hana@nowhere.example')
        until(lambda: 'unreachable' in server.cli('queue', 'why', 'nowhere.example'), 30,
              'the reason')
        why = server.cli('queue', 'why', 'nowhere.example')
        assert '(4.4.3)' in why and 'name service' in why and 'recipient\'s server did' not in why
        assert 'ネームサーバー' in server.japanese('queue', 'why', 'nowhere.example')


def test_what_is_held_has_no_next_attempt():
    with Server(settings(CLOSED_PORT)) as server:
        message = submit(server, 'hana@osaka.example')
        until(lambda: 'next attempt' in server.cli('queue', 'why', 'osaka.example'), 15,
              'the reason')
        server.cli('queue', 'hold', message)
        why = server.cli('queue', 'why', 'osaka.example')
        assert 'next attempt' not in why and 'hikyaku queue release' in why
        assert '次の試行' not in server.japanese('queue', 'why', 'osaka.example')
        told = server.cli_json('queue', 'why', 'osaka.example')['destinations'][0]
        assert told['next'] is None
        stats = server.cli_json('queue', 'stats')['destinations'][0]
        assert stats['next'] is None and stats['recipients'] == 1


def test_suppressed_addresses_are_listed_and_forgiven():
    sink = Sink(replies={'RCPT': '550 5.1.1 No such user'})
    with Server(settings(sink.port)) as server:
        for n in range(10):
            with Session(server.port) as session:
                session.reply()
                session.command('EHLO client.example', 250)
                session.command(f'MAIL FROM:<{TARO}>', 250)
                if not session.command('RCPT TO:<gone@osaka.example>').startswith('250'):
                    break
            message = submit(server, 'gone@osaka.example')
            until(lambda: 'could not be delivered' in server.trace(message), 15, 'the refusal')
            server.advance(24 * HOUR)
        assert 0 < n < 10
        listed = server.cli_json('suppression', 'list')
        assert [(row['address'], row['is_active']) for row in listed] == \
            [('gone@osaka.example', True)]
        assert 'No such user' in listed[0]['reply'] and listed[0]['failures'] == n
        assert 'suppressed' in server.cli('suppression', 'list')
        assert 'gone@osaka.example' in server.cli('queue', 'why', 'osaka.example')
        assert server.cli_json('queue', 'why', 'osaka.example')['suppressed'] == 1
        assert '停止中' in server.japanese('suppression', 'list')
        assert 'add --yes' in fails(server, 'suppression', 'clear')
        server.cli('suppression', 'remove', 'gone@osaka.example')
        assert server.cli_json('suppression', 'list') == []
        submit(server, 'gone@osaka.example')
        until(lambda: server.cli_json('suppression', 'list'), 15, 'the next refusal to be counted')
        assert server.cli('suppression', 'clear', '--yes') == '1 address removed\n'
        assert server.cli_json('suppression', 'list') == []
