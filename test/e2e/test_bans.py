"""Who may not come in: bans by hand, kept, lifted; who connects or sends too often."""
import base64
import contextlib
import os
import pathlib
import signal
import smtplib
import socket
import ssl
import time

import pytest

from hikyaku import Server, children, until

HOUR_MS = 3600 * 1000


@pytest.fixture(name='server')
def make_server():
    """A server to which loopback is an address like any other."""
    with Server({'brakes.exempt_networks': '[]', 'brakes.connections': '20'}) as server:
        yield server


def greeting(server, source):
    """The first line that a client at this address gets."""
    with socket.create_connection(('127.0.0.1', server.port), 10, (source, 0)) as peer:
        return peer.makefile('rb').readline().decode()


def bans(server):
    """The list as programs see it."""
    return server.cli_json('ban', 'list')


def test_a_ban_bars_and_is_lifted(server):
    assert greeting(server, '127.0.0.2').startswith('220 ')
    said = server.cli('ban', 'add', '127.0.0.2', '--reason', 'it shouts')
    assert '127.0.0.2 may not connect' in said
    assert greeting(server, '127.0.0.2').startswith('421 4.7.0 Your address is banned')
    assert greeting(server, '127.0.0.3').startswith('220 ')
    assert [(b['network'], b['what'], b['until'], b['reason'], b['is_over'])
            for b in bans(server)] == [('127.0.0.2', 'everything', None, 'it shouts', False)]
    assert 'it shouts' in server.cli('ban', 'list')
    server.cli('ban', 'remove', '127.0.0.2')
    assert greeting(server, '127.0.0.2').startswith('220 ')
    assert bans(server) == []


def test_a_ban_reaches_who_is_connected(server):
    """His next message is his last; who has logged in may go on."""
    server.add_account('taro@example.jp', 'right-password')
    with smtplib.SMTP('127.0.0.1', server.port, 'there.example', 10, ('127.0.0.2', 0)) as client:
        client.sendmail('a@there.example', 'taro@example.jp', 'Subject: before\r\n\r\nx\r\n')
        said = server.cli('ban', 'add', '127.0.0.2')
        assert 'no further mail' in said and 'exempt' not in said
        assert client.docmd('MAIL FROM:<a@there.example>')[0] == 250
        code, text = client.docmd('RCPT TO:<taro@example.jp>')
        assert code == 421 and b'banned' in text
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.noop()
    assert len(server.export('taro@example.jp')) == 1


def test_a_ban_of_whom_no_brake_holds_says_so():
    with Server() as server:
        assert 'brakes.exempt_networks' in server.cli('ban', 'add', '127.0.0.2')
        assert 'brakes.exempt_networks' in server.cli('ban', 'add', '0.0.0.0/0')
        assert 'brakes.exempt_networks' not in server.cli('ban', 'add', '192.0.2.0/24')
        assert 'brakes.exempt_networks に' in server.japanese('ban', 'add', '127.0.0.2')
        assert '手動' in server.japanese('ban', 'list')
        assert 'by hand' in server.cli('ban', 'list')
        assert greeting(server, '127.0.0.2').startswith('220 ')


def test_who_expects_tls_is_refused_within(server):
    server.cli('ban', 'add', '127.0.0.2')
    context = ssl.create_default_context(cafile=server.dir / 'tls' / 'fullchain.pem')
    port = 465 + server.offset
    with socket.create_connection(('127.0.0.1', port), 10, ('127.0.0.2', 0)) as bare, \
            context.wrap_socket(bare, server_hostname='mx.example.jp') as peer:
        assert peer.recv(1000).startswith(b'421 4.7.0 Your address is banned')
    with socket.create_connection(('127.0.0.1', port), 10, ('127.0.0.2', 0)) as peer:
        peer.sendall(b'EHLO there.example\r\n')
        assert b'421' not in peer.recv(1000)


def test_a_network_for_a_time(server):
    server.cli('ban', 'add', '127.0.2.7/23', '--for', '2h')
    assert bans(server)[0]['network'] == '127.0.2.0/23'
    assert greeting(server, '127.0.3.9').startswith('421 ')
    assert greeting(server, '127.0.4.9').startswith('220 ')
    server.clock.advance(2 * HOUR_MS + 1000)
    assert greeting(server, '127.0.3.9').startswith('220 ')
    assert bans(server)[0]['is_over']


def test_bans_outlive_a_restart_and_a_crash(server):
    server.cli('ban', 'add', '127.0.0.2')
    server.cli('ban', 'add', '127.0.9.0/24', '--for', '1d')
    server.stop()
    server.start()
    until(lambda: greeting(server, '127.0.0.2').startswith('421 4.7.0 Your'), 10, 'the bans')
    assert greeting(server, '127.0.9.200').startswith('421 ')
    assert greeting(server, '127.0.0.3').startswith('220 ')


@pytest.mark.parametrize('words,status,said', [
    (['add', 'mx.example.net'], 2, 'say an address or a network'),
    (['add', '127.0.0.2', '--for', 'ever'], 2, '--for takes a time'),
    (['remove', '127.0.0.2'], 1, 'is not banned'),
])
def test_mistakes_say_what_to_do(server, words, status, said):
    run = server.cli('ban', *words, check=False)
    assert run.returncode == status
    assert said in run.stderr.decode()


def test_who_connects_too_often_waits(server):
    first = [greeting(server, '127.0.0.5')[:3] for _ in range(25)]
    assert first[:20] == ['220'] * 20
    assert first[-1] == '421'
    assert 'Too many connections from your address lately' in greeting(server, '127.0.0.5')
    assert greeting(server, '127.0.0.6').startswith('220 ')
    server.clock.advance(61 * 1000)
    assert greeting(server, '127.0.0.5').startswith('220 ')
    # Nothing else has happened to anybody.
    with smtplib.SMTP('127.0.0.1', server.port, source_address=('127.0.0.7', 0)) as client:
        assert client.noop()[0] == 250


@contextlib.contextmanager
def from_address(server, source):
    """A session from this address that has said EHLO."""
    with smtplib.SMTP('127.0.0.1', server.port, timeout=10, source_address=(source, 0)) as client:
        client.ehlo()
        yield client


def begin(client, count=1, to='taro@example.jp'):
    """The codes of the first recipients of so many messages, each given up again."""
    codes = []
    for _ in range(count):
        assert client.mail('hanako@example.net')[0] == 250
        codes.append(client.rcpt(to)[0])
        assert client.rset()[0] == 250
    return codes


@pytest.fixture(name='sparing', scope='module')
def make_sparing_server():
    """A server that takes 10 messages a minute from an address, but for one and a relay."""
    settings = {'brakes.exempt_networks': '[ 127.0.0.20/32 ]', 'brakes.messages': '10',
                'smtp.relay_networks': '[ 127.0.0.30/32 ]', 'smtp.max_errors': '10'}
    with Server(settings) as server:
        server.add_account('taro@example.jp')
        yield server


def test_who_sends_too_much_is_put_off_and_others_are_served(sparing):
    with from_address(sparing, '127.0.0.5') as client, from_address(sparing, '127.0.0.6') as other:
        for _ in range(10):
            client.sendmail('hanako@example.net', ['taro@example.jp'], b'Subject: a\r\n\r\nb\r\n')
        client.mail('hanako@example.net')
        code, said = client.rcpt('taro@example.jp')
        assert code == 450
        assert said.startswith(b'4.7.1 Too many messages from your address lately; try again in')
        # The other recipients of the message are neither taken nor mistakes.
        assert [client.rcpt('taro@example.jp')[0] for _ in range(20)] == [450] * 20
        assert client.docmd('DATA')[0] == 554
        other.sendmail('hanako@example.net', ['taro@example.jp'], b'Subject: c\r\n\r\nd\r\n')
    line = until(lambda: [row for row in sparing.log().splitlines()
                          if 'smtp.too-many-messages' in row], 10, 'the event')
    assert len(line) == 1
    assert 'session=' in line[0] and '127.0.0.5' in line[0] and 'raise brakes.messages' in line[0]
    sparing.clock.advance(61 * 1000)
    with from_address(sparing, '127.0.0.5') as client:
        assert begin(client, 10) == [250] * 10


def test_a_message_counts_once_however_many_recipients(sparing):
    with from_address(sparing, '127.0.0.7') as client:
        client.mail('hanako@example.net')
        assert [client.rcpt('taro@example.jp')[0] for _ in range(30)] == [250] * 30
        client.rset()
        # One who is not here counts like any other.
        assert begin(client, 5, 'nobody@example.jp') == [550] * 5
        assert begin(client, 5) == [250] * 4 + [450]


@pytest.mark.parametrize('source', ['127.0.0.20', '127.0.0.30'])
def test_whom_one_knows_is_not_limited(sparing, source):
    with from_address(sparing, source) as client:
        assert begin(client, 40) == [250] * 40


def inbound_workers(server):
    """The process ids of those that speak SMTP with strangers."""
    return [pid for pid in children(server.process.pid)
            if pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().startswith(b'hikyaku: inbound')]


def is_stopped(pid):
    """Whether each thread of the process stands still: the signal takes its time."""
    states = [stat.read_text().rpartition(')')[2].split()[0]
              for stat in pathlib.Path(f'/proc/{pid}/task').glob('*/stat')]
    return all(state == 'T' for state in states)


def test_workers_share_the_count(sparing):
    workers = until(lambda: len(inbound_workers(sparing)) == 2 and inbound_workers(sparing), 10,
                    'both workers')
    codes = []
    for idle in workers:
        # Only the other one can take the connection.
        os.kill(idle, signal.SIGSTOP)
        try:
            until(lambda pid=idle: is_stopped(pid), 10, 'the worker to stand still')
            with from_address(sparing, '127.0.0.8') as client:
                codes.append(begin(client, 7))
        finally:
            os.kill(idle, signal.SIGCONT)
    assert codes == [[250] * 7, [250] * 3 + [450] * 4]


def encrypted(server, source):
    """A session from this address, ready for AUTH."""
    client = smtplib.SMTP('127.0.0.1', server.submission_port, timeout=10,
                          source_address=(source, 0))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client.starttls(context=context)
    client.ehlo()
    return client


def plain(password, name='taro@example.jp'):
    """The command that logs in."""
    return 'AUTH PLAIN ' + base64.b64encode(f'\0{name}\0{password}'.encode()).decode()


def login(server, source, password, name='taro@example.jp'):
    """The reply code to a login from this address; 421 when there is not even a greeting."""
    try:
        client = encrypted(server, source)
    except smtplib.SMTPConnectError as refusal:
        return refusal.smtp_code
    with client:
        return client.docmd(plain(password, name))[0]


def test_who_guesses_is_banned_and_others_are_served():
    settings = {'brakes.exempt_networks': '[]', 'brakes.failures': '4',
                'brakes.account_failures': '0'}
    with Server(settings) as server:
        server.add_account('taro@example.jp', 'right-password')
        assert login(server, '127.0.0.2', 'right-password') == 235
        assert [login(server, '127.0.0.9', f'guess-{i}') for i in range(5)] == [535] * 5
        until(lambda: server.cli_json('ban', 'list'), 10, 'the ban')
        ban = server.cli_json('ban', 'list')[0]
        assert (ban['network'], ban['what']) == ('127.0.0.9', 'logins')
        assert login(server, '127.0.0.9', 'right-password') == 421
        assert login(server, '127.0.0.2', 'right-password') == 235
        # Mail servers at the same address are not meant.
        assert greeting(server, '127.0.0.9').startswith('220 ')
        server.restart()
        until(lambda: login(server, '127.0.0.9', 'right-password') == 421, 10, 'the ban again')
        server.cli('ban', 'remove', '127.0.0.9')
        assert login(server, '127.0.0.9', 'right-password') == 235


def test_who_guesses_waits_longer_and_longer():
    """Nothing for two, then a quarter of a second, a half, a whole: by any mechanism."""
    with Server({'brakes.exempt_networks': '[]'}) as server:
        server.add_account('taro@example.jp', 'right-password')
        times = []
        for i in range(4):
            began = time.monotonic()
            assert login(server, '127.0.0.9', f'guess-{i}') == 535
            times.append(time.monotonic() - began)
        assert times[2] >= 0.25 and times[3] >= 0.5, times
        with encrypted(server, '127.0.0.9') as client:
            first = base64.b64encode(b'n,,n=taro@example.jp,r=abc').decode()
            _, challenge = client.docmd(f'AUTH SCRAM-SHA-256 {first}')
            nonce = base64.b64decode(challenge).split(b',')[0]
            proof = base64.b64encode(b'x' * 32)
            began = time.monotonic()
            final = base64.b64encode(b'c=biws,' + nonce + b',p=' + proof).decode()
            assert client.docmd(final)[0] == 535
            assert time.monotonic() - began >= 1
        assert login(server, '127.0.0.9', 'right-password') == 235


def test_no_hash_is_so_slow_that_its_account_is_seen():
    """One of bcrypt takes ten times as long as ours: then every wrong password does, by steps."""
    hash_of_rounds = '$2b$10$a0hGcejeUVsdJIjuLnra4.GWT8aw5.Ya0fx2ZMBKFs7iPpw6e9Ecu'
    with Server() as server:
        server.add_account('taro@example.jp', 'right-password')
        server.cli('account', 'add', 'jiro@example.jp', '--hash-stdin', stdin=hash_of_rounds)
        for who in ('taro', 'jiro', 'nobody'):
            with encrypted(server, '127.0.0.1') as client:
                began = time.monotonic()
                message = base64.b64encode(f'\0{who}@example.jp\0wrong'.encode()).decode()
                assert client.docmd(f'AUTH PLAIN {message}')[0] == 535
                assert time.monotonic() - began >= 0.5, who


def test_strangers_wait_and_the_owner_does_not():
    settings = {'brakes.exempt_networks': '[]', 'brakes.failures': '0',
                'brakes.network_failures': '0', 'brakes.account_failures': '6'}
    with Server(settings) as server:
        server.add_account('taro@example.jp', 'right-password')
        assert login(server, '127.0.0.2', 'right-password') == 235
        codes = [login(server, f'127.0.1.{i}', 'wrong-password') for i in range(1, 9)]
        assert codes == [535] * 6 + [454] * 2
        assert login(server, '127.0.1.99', 'right-password') == 454
        assert login(server, '127.0.0.2', 'right-password') == 235
        # The owner is known after a restart, too.
        server.restart()
        for i in range(1, 9):
            login(server, f'127.0.1.{i}', 'wrong-password')
        assert login(server, '127.0.1.99', 'right-password') == 454
        assert login(server, '127.0.0.2', 'right-password') == 235


def test_guesses_that_come_at_once_are_no_more():
    settings = {'brakes.exempt_networks': '[]', 'brakes.failures': '0',
                'brakes.network_failures': '0', 'brakes.account_failures': '6'}
    with Server(settings) as server, contextlib.ExitStack() as stack:
        server.add_account('taro@example.jp', 'right-password')
        clients = [stack.enter_context(encrypted(server, f'127.0.1.{i}')) for i in range(1, 31)]
        for client in clients:
            client.send(plain('a guess') + '\r\n')
        codes = [client.getreply()[0] for client in clients]
        assert sorted(codes) == [454] * 24 + [535] * 6
        # One that is right at the first try takes no place: as many of them as there may be.
        server.cli('account', 'add', 'hanako@example.jp', '--password-stdin', stdin=b'her-password')
        codes = [login(server, f'127.0.2.{i}', 'her-password', 'hanako@example.jp')
                 for i in range(1, 11)]
        assert codes == [235] * 10


def test_a_guesser_who_takes_his_time_is_told_of():
    settings = {'brakes.exempt_networks': '[]', 'brakes.failures': '0',
                'brakes.network_failures': '0', 'brakes.account_failures': '6'}
    with Server(settings) as server:
        server.add_account('taro@example.jp', 'right-password')
        for i in range(6):
            assert login(server, '127.0.1.1', f'guess {i}') == 535
            server.advance(4 * 60 * 1000)
        until(lambda: len(server.export('postmaster@example.jp')) == 1, 10, 'the letter')
        assert 'account.guessed-at' in server.log()


def test_names_of_one_account_are_counted_as_one():
    settings = {'brakes.exempt_networks': '[]', 'brakes.failures': '0',
                'brakes.network_failures': '0', 'brakes.account_failures': '6'}
    with Server(settings) as server:
        server.add_account('taro@example.jp', 'right-password')
        for names in (['taro', 'Taro@example.jp', 'TARO'],
                      ['nobody', 'nobody@example.jp', 'NOBODY']):
            codes = [login(server, f'127.0.1.{i}', 'wrong-password', names[i % 3])
                     for i in range(1, 9)]
            assert codes == [535] * 6 + [454] * 2
