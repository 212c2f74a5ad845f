"""What an operator can see and do when an account sends too much or its password is guessed at:
its limits, the trace, one letter to postmaster. Mail is sent by swaks."""
import email
import email.policy
import subprocess

import pytest

from hikyaku import PASSWORD, Server, until
from submission import Submission

TARO, HANAKO = 'taro@example.jp', 'hanako@example.jp'
FAR = 'elsewhere.example'
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 24 * 3_600_000
JAPANESE = {'LC_ALL': 'ja_JP.UTF-8'}


def make_server(**more):
    """A server with two accounts to be; nothing leaves it, loopback is an address like others.
    A section and a name make a setting: submission__recipients_per_day."""
    settings = {'brakes.exempt_networks': '[]', 'brakes.connections': '0', 'outbound.port': '9',
                'outbound.private_networks': '[ "127.0.0.0/8" ]',
                'resolver.local_records': f'[ "{FAR} 60 MX 10 mx.{FAR}", "mx.{FAR} 60 A '
                                          '127.0.0.1" ]',
                'resolver.forwarders': '[ "127.0.0.1@9" ]', 'resolver.trust_anchor_file': '""'}
    settings.update({name.replace('__', '.'): str(value) for name, value in more.items()})
    return Server(settings)


@pytest.fixture(name='server')
def running_server():
    """Three recipients a day, two of them new."""
    with make_server(submission__recipients_per_day=3,
                     submission__new_recipients_per_day=2) as server:
        server.add_account(TARO)
        server.add_account(HANAKO)
        yield server


def swaks(server, to, user=TARO, password=PASSWORD, source='127.0.0.2', more=()):
    """Sends a letter by swaks; (whether it was taken, the dialogue)."""
    run = subprocess.run(
        ['swaks', '--server', f'127.0.0.1:{server.submission_port}', '--tls',
         '--local-interface', source, '--auth', 'PLAIN', '--auth-user', user, '--auth-password',
         password, '--from', TARO, '--to', ','.join(to), '--header', 'Subject: by swaks', *more],
        capture_output=True, timeout=60, check=False)
    return run.returncode == 0, run.stdout.decode() + run.stderr.decode()


def limits(server, address=TARO):
    return server.cli_json('account', 'limits', address)


# --- limits ---

def test_limits_are_shown_set_and_cleared(server):
    assert swaks(server, [HANAKO, f'a@{FAR}'])[0]
    seen = limits(server)
    assert seen['address'] == TARO
    assert seen['recipients_per_day'] == {'limit': 3, 'is_own': False, 'setting': 3,
                                          'used_today': 2}
    assert seen['new_recipients_per_day']['used_today'] == 1
    assert seen['messages_per_minute'] == {'limit': 60, 'is_own': False, 'setting': 60,
                                           'used_today': None}
    assert seen['day_ends'].endswith('T00:00:00.000Z')
    is_sent, said = swaks(server, [HANAKO, TARO])
    assert not is_sent and '452 4.7.0' in said
    shown = server.cli('account', 'limits', TARO, '--recipients-per-day', '5')
    assert 'this account' in shown and 'submission.new_recipients_per_day' in shown
    assert 'begins anew at' in shown
    assert swaks(server, [HANAKO, TARO])[0]
    server.cli('account', 'limits', TARO, '--new-recipients-per-day', 'none')
    server.restart()
    seen = limits(server)
    assert seen['recipients_per_day'] == {'limit': 5, 'is_own': True, 'setting': 3, 'used_today': 4}
    assert seen['new_recipients_per_day']['limit'] is None
    assert not limits(server, HANAKO)['recipients_per_day']['is_own']
    server.cli('account', 'limits', TARO, '--recipients-per-day', 'default')
    assert limits(server)['recipients_per_day']['limit'] == 3
    assert not swaks(server, [HANAKO])[0]
    server.advance(DAY_MS)
    assert limits(server)['recipients_per_day']['used_today'] == 0
    assert swaks(server, [HANAKO])[0]
    assert '上限' in server.japanese('account', 'limits', TARO)


@pytest.mark.parametrize('words,status,said', [
    ([TARO, '--recipients-per-day', '0'], 2, 'a number from 1 to 10000000, none or default'),
    ([TARO, '--recipients-per-day', 'many'], 2, 'none or default'),
    (['nobody@example.jp'], 1, 'there is no account'),
    (['nobody@example.jp', '--messages-per-minute', '3'], 1, 'there is no account'),
    ([], 2, 'something is missing'),
])
def test_mistakes_with_limits_say_what_to_do(server, words, status, said):
    run = server.cli('account', 'limits', *words, check=False)
    assert run.returncode == status
    assert said in run.stderr.decode()


# --- sessions ---

def logins(server, *words):
    return server.cli_json('account', 'sessions', *words)


def test_logins_are_listed_while_and_after(server):
    server.add_account('jiro@example.jp')
    app = server.cli_json('account', 'app-password', 'add', TARO, 'phone')['password']
    assert logins(server) == {'open': [], 'logins': []}
    assert 'nobody is logged in now' in server.cli('account', 'sessions')
    for source in ('127.0.0.2', '127.0.0.2', '127.0.0.3'):
        assert swaks(server, [TARO], source=source)[0]
    assert swaks(server, [HANAKO], HANAKO, more=['--from', HANAKO])[0]
    with Submission(server, is_implicit=True) as session:
        session.log_in(TARO, app)
        seen = logins(server, TARO)
        assert [(one['address'], one['protocol'], one['mechanism'], one['by_app_password'])
                for one in seen['open']] == [(TARO, 'submissions', 'PLAIN', True)]
        assert [(one['from'], one['protocol'], one['logins'], one['app_password'])
                for one in seen['logins']] == [
                    ('127.0.0.1', 'submissions', 1, 'phone'),
                    ('127.0.0.3', 'submission', 1, None), ('127.0.0.2', 'submission', 2, None)]
        assert len(logins(server)['open']) == 1 and len(logins(server)['logins']) == 4
        assert logins(server, HANAKO)['open'] == []
        assert logins(server, 'jiro@example.jp')['logins'] == []
        shown = server.cli('account', 'sessions', TARO)
        assert 'submissions, PLAIN, app password phone' in shown
        assert seen['open'][0]['session'] in shown
        assert 'アプリパスワード phone' in server.japanese('account', 'sessions')
    until(lambda: logins(server)['open'] == [], 10, 'the end of the session')
    server.cli('account', 'app-password', 'remove', TARO, 'phone')
    assert 'a removed app password' in server.cli('account', 'sessions', TARO)
    server.restart()
    assert len(logins(server, TARO)['logins']) == 3
    server.cli('account', 'remove', 'hanako@example.jp', '--with-mail')
    assert len(logins(server)['logins']) == 3
    server.advance(91 * DAY_MS)
    until(lambda: logins(server)['logins'] == [], 30, 'that it is forgotten')
    run = server.cli('account', 'sessions', 'nobody@example.jp', check=False)
    assert run.returncode == 1 and 'there is no account' in run.stderr.decode()


# --- what postmaster is told ---

def letters(server, address='postmaster@example.jp'):
    """The alarms in a mailbox, parsed."""
    found = [email.message_from_bytes(raw, policy=email.policy.default)
             for raw in server.export(address)]
    return [one for one in found if one['Auto-Submitted'] == 'auto-generated']


def one_letter(server, count=1, address='postmaster@example.jp'):
    """The newest alarm, once there are so many."""
    return until(lambda: len(letters(server, address)) == count and letters(server, address),
                 10, f'{count} alarms')[-1]


def test_a_limit_of_the_day_is_told_once_a_day(server):
    to = [f'{name}@{FAR}' for name in 'abc']
    for _ in range(3):
        is_sent, said = swaks(server, to)
        assert not is_sent and '452 4.7.0' in said
    letter = one_letter(server)
    assert letter['From'].addresses[0].username == 'MAILER-DAEMON'
    assert 'Return-Path: <>' in letter.as_string()
    assert '上限' in letter['Subject'] and 'too many' in letter['Subject']
    text = letter.get_content()
    for word in (TARO, f'hikyaku account limits {TARO}', f'hikyaku account password {TARO}',
                 f'hikyaku trace {TARO}', 'hikyaku ban list', 'パスワードが盗まれて',
                 'somebody\nelse knows the password', 'The limit: 2'):
        assert word in text.replace('\r\n', '\n')
    # It counts at nobody's limit, and a restart forgets nothing.
    assert limits(server, 'postmaster@example.jp')['recipients_per_day']['used_today'] == 0
    server.restart()
    assert not swaks(server, to)[0]
    assert not swaks(server, [HANAKO, TARO, HANAKO, 'postmaster@example.jp'])[0]
    # Another account is another matter, and so is another day.
    assert not swaks(server, to, HANAKO, more=['--from', HANAKO])[0]
    assert HANAKO in one_letter(server, 2).get_content()
    server.advance(DAY_MS)
    assert not swaks(server, to)[0]
    one_letter(server, 3)
    server.kill()
    server.start()
    assert not swaks(server, to)[0]
    assert len(letters(server)) == 3


def test_messages_a_minute_are_told_in_the_trace_alone():
    with make_server(submission__messages_per_minute=1) as server:
        server.add_account(TARO)
        assert swaks(server, [TARO])[0]
        assert not swaks(server, [TARO])[0]
        assert not swaks(server, [TARO])[0]
        said = server.trace(TARO)
        assert f'the limit of 1 messages a minute of {TARO} is reached: 2 messages refused' in said
        assert not letters(server)
        assert 'account.over-limit' in server.log()


def test_postmaster_may_be_an_alias_or_elsewhere(server):
    server.cli('account', 'remove', 'postmaster@example.jp')
    server.add_alias('postmaster@example.jp', HANAKO, f'root@{FAR}')
    assert not swaks(server, [f'{name}@{FAR}' for name in 'abc'])[0]
    one_letter(server, address=HANAKO)
    waiting = server.cli_json('queue', 'list')
    assert [(row['sender'], row['recipient']) for row in waiting] == [('', f'root@{FAR}')]


def test_without_a_postmaster_the_log_says_it(server):
    server.cli('account', 'remove', 'postmaster@example.jp')
    for _ in range(2):
        assert not swaks(server, [f'{name}@{FAR}' for name in 'abc'])[0]
    line = until(lambda: [row for row in server.log().splitlines()
                          if 'store.alarm-undeliverable' in row], 10, 'the event')
    assert len(line) == 1 and TARO in line[0] and 'postmaster@' in line[0]


# --- guessing ---

def test_guessing_is_traced_and_told():
    with make_server(brakes__failures=3, brakes__network_failures=0,
                     brakes__account_failures=6) as server:
        server.add_account(TARO)
        assert swaks(server, [TARO], source='127.0.0.2')[0]
        for i in range(4):
            assert not swaks(server, [TARO], password=f'guess {i}', source='127.0.0.9')[0]
        until(lambda: server.cli_json('ban', 'list'), 10, 'the ban')
        for user in ('taro', 'TARO@example.jp', 'nobody'):
            assert not swaks(server, [TARO], user, 'a guess', '127.0.0.11')[0]
        for i in range(12, 16):
            assert not swaks(server, [TARO], password='a guess', source=f'127.0.0.{i}')[0]
        said = until(lambda: 'turned away' in server.trace(TARO) and server.trace(TARO),
                     10, 'the trace')
        assert f'6 logins failed for {TARO}, from 127.0.0.9 (4), 127.0.0.11 (2)' in said
        assert '127.0.0.9 is banned from logins until' in said
        assert '4 logins turned away, from 127.0.0.12 (1)' in said
        said = server.japanese('trace', TARO)
        assert 'へのログインに 6 回失敗しました' in said
        assert '127.0.0.9 を拒否しています' in said
        assert '理由: ログインの失敗が多すぎます' in said
        assert 'for names that nobody has, from 127.0.0.11' in server.cli('trace', '--since', '1h')
        letter = one_letter(server)
        assert TARO in letter.get_content() and '127.0.0.9 (4)' in letter.get_content()
        assert 'guesses' in letter['Subject']
        # Its owner goes on.
        assert swaks(server, [TARO], source='127.0.0.2')[0]
        server.restart()
        assert f'6 logins failed for {TARO}' in server.trace(TARO)
        for i in range(20, 28):
            assert not swaks(server, [TARO], password='a guess', source=f'127.0.0.{i}')[0]
        assert 'turned away' in server.trace(TARO)
        assert len(letters(server)) == 1


def test_bans_by_hand_are_traced(server):
    server.cli('ban', 'add', '127.0.9.0/24', '--for', '2h', '--reason', 'it shouts')
    said = server.cli('trace', '--since', '1h')
    assert '127.0.9.0/24 is banned from everything until' in said and 'it shouts' in said
    server.cli('ban', 'add', '127.0.10.0/24')
    assert '理由: 手動' in server.japanese('trace', '--since', '1h')
