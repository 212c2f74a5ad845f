"""Passwords that PAM checks, in a process of its own: right, wrong, unknown, slow, broken; and what
the store makes of that: brakes, bans, app passwords, the second factor, what it remembers."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from hikyaku import BINARY, PASSWORD, Server, until
from pam import PamFolder
from submission import TARO, Submission, encode, plain

OUTSIDE = 'outside 秘密'
JIRO, HANAKO, SABURO = 'jiro@example.jp', 'hanako@example.jp', 'saburo@example.jp'
NO_BRAKES = {'brakes.connections': '0', 'brakes.failures': '0', 'brakes.network_failures': '0',
             'brakes.account_failures': '0'}


@pytest.fixture(scope='module', name='pam')
def fixture_pam():
    path = pathlib.Path(tempfile.mkdtemp(prefix='hikyaku-pam-'))
    path.chmod(0o755)
    yield PamFolder(path / 'pam')
    shutil.rmtree(path)


def with_accounts(server):
    """taro has a password here, the others do not."""
    server.add_account(TARO)
    for address in (JIRO, HANAKO, SABURO):
        server.cli('account', 'add', address, '--no-password')
    return server


@pytest.fixture(scope='module', name='server')
def fixture_server(pam):
    with Server(settings=NO_BRAKES | pam.settings() | {'auth.outside_threads': '4'}) as server:
        yield with_accounts(server)


def log_in(server, name, password, code=235):
    with Submission(server) as session:
        return session.log_in(name, password, code)


def asked(pam, user):
    """How often PAM was asked about a user."""
    return pam.log().count(f"ask '{user}'")


def test_right_and_wrong(server, pam):
    pam.set('jiro', OUTSIDE)
    log_in(server, JIRO, OUTSIDE)
    log_in(server, 'JIRO@Example.jp', OUTSIDE)
    log_in(server, 'jiro', OUTSIDE)
    log_in(server, JIRO, OUTSIDE + 'x', '535 5.7.8')
    log_in(server, JIRO, PASSWORD, '535 5.7.8')
    assert "ask 'jiro' 127.0.0.1 hikyaku" in pam.log()


def test_login_in_two_steps(server, pam):
    pam.set('jiro', OUTSIDE)
    with Submission(server) as session:
        session.command('AUTH LOGIN', 334)
        session.command(encode(JIRO), 334)
        session.command(encode(OUTSIDE), 235)
        session.mail('Subject: x\n\nx', JIRO, [TARO])


def test_nobody_tells_who_exists(server, pam):
    """Unknown, wrong, disabled, and right outside without an account here: one answer, one time."""
    pam.set('stranger', OUTSIDE)
    pam.set('saburo', OUTSIDE)
    server.cli('account', 'disable', SABURO)
    replies, times = set(), []
    for name, password in ((JIRO, 'wrong'), ('nobody@example.jp', 'wrong'), (SABURO, OUTSIDE),
                           ('stranger@example.jp', OUTSIDE), (TARO, 'wrong'), ('a b', 'wrong'),
                           ('x@elsewhere.example', 'wrong')):
        with Submission(server) as session:
            began = time.monotonic()
            replies.add(session.log_in(name, password, 535))
            times.append(time.monotonic() - began)
    assert len(replies) == 1
    assert min(times) >= 0.49 and max(times) - min(times) < 0.25, times
    assert asked(pam, 'nobody') == 1 and asked(pam, 'stranger') == 1
    server.cli('account', 'enable', SABURO)
    log_in(server, SABURO, OUTSIDE)


def test_empty_passwords_are_not_even_tried(server, pam):
    pam.set('hanako', '')
    before = asked(pam, 'hanako')
    with Submission(server) as session:
        reply = session.command(f'AUTH PLAIN {encode(chr(0) + HANAKO + chr(0))}')
        assert reply[:3] in ('535', '501'), reply
    assert asked(pam, 'hanako') == before


def test_names_and_passwords_of_any_kind(server, pam):
    for user, password in (("o'brien", 'it\'s "quoted" $HOME `id`; %n\\'), ('花子', 'パスワード'),
                           ('a*b=c', '(|(uid=*))'), ('x' * 64, 'y' * 500)):
        address = f'{user}@example.jp'
        server.cli('account', 'add', address, '--no-password')
        pam.set(user, password)
        log_in(server, address, password)
        log_in(server, address, password + ' ', 535)
    for name in ('"../jiro"@example.jp', '"a/b"@example.jp', '-x@example.jp', '"x:y"@example.jp'):
        log_in(server, name, OUTSIDE, '535 5.7.8')
    assert '../' not in pam.log() and "'-x'" not in pam.log() and 'x:y' not in pam.log()


def test_own_and_app_passwords_stay_here(server, pam):
    before = pam.log()
    log_in(server, TARO, PASSWORD)
    app_password = server.cli_json('account', 'app-password', 'add', HANAKO, 'phone')['password']
    log_in(server, HANAKO, app_password)
    assert pam.log() == before
    pam.set('taro', OUTSIDE)
    log_in(server, TARO, OUTSIDE, 535)
    assert asked(pam, 'taro') == 0


def test_what_was_right_is_remembered(server, pam):
    pam.set('hanako', OUTSIDE)
    log_in(server, HANAKO, OUTSIDE)
    before = asked(pam, 'hanako')
    for _ in range(5):
        log_in(server, HANAKO, OUTSIDE)
    assert asked(pam, 'hanako') == before
    server.cli('account', 'language', HANAKO, 'ja')
    server.cli('account', 'disable', HANAKO)
    log_in(server, HANAKO, OUTSIDE, 535)
    server.cli('account', 'enable', HANAKO)
    log_in(server, HANAKO, OUTSIDE)
    assert asked(pam, 'hanako') > before


def test_only_mechanisms_that_can_work_are_offered(server):
    with Submission(server) as session:
        assert set(session.offer('AUTH')) == {'PLAIN', 'LOGIN'}
        session.command(f'AUTH SCRAM-SHA-256 {encode("n,,n=jiro,r=abc")}', '504 5.5.4')


def test_the_second_factor_holds(server, pam):
    address = 'totp@example.jp'
    server.cli('account', 'add', address, '--no-password')
    pam.set('totp', OUTSIDE)
    log_in(server, address, OUTSIDE)
    secret = server.cli_json('account', 'totp', address, 'enable')['secret'].replace(' ', '')
    code = subprocess.run(['oathtool', '--totp', '-b', secret], capture_output=True, text=True,
                          check=True).stdout.strip()
    server.cli('account', 'totp', address, 'confirm', code)
    log_in(server, address, OUTSIDE, '534 5.7.9')
    log_in(server, address, 'wrong', '535 5.7.8')


def test_the_cli_says_where_the_password_is(server):
    run = server.cli('account', 'check', JIRO, '--password-stdin', stdin='wrong\n',
                     check=False)
    assert run.returncode == 1 and b'auth.backend' in run.stderr


def test_slow_checks_block_nobody_else(server, pam):
    """Neither others who are checked outside, nor those who are not, nor mail."""
    pam.set('slow', OUTSIDE)
    pam.slow('slow')
    pam.set('jiro', OUTSIDE)
    server.cli('account', 'disable', JIRO)
    server.cli('account', 'enable', JIRO)
    sessions = [Submission(server) for _ in range(6)]
    try:
        for session in sessions:
            session.send(f'AUTH PLAIN {plain("slow@example.jp", OUTSIDE)}\r\n'.encode())
        until(lambda: asked(pam, 'slow') >= 2, 10, 'checks under way')
        began = time.monotonic()
        log_in(server, JIRO, OUTSIDE)
        log_in(server, TARO, PASSWORD)
        assert time.monotonic() - began < 5
        assert asked(pam, 'slow') == 2
        for session in sessions:
            assert session.reply(20).startswith('454 4.7.0')
        assert 'auth.too-slow' in server.log()
    finally:
        pam.slow('slow', False)
        for session in sessions:
            session.socket.close()


def test_the_process_is_started_again(server, pam):
    pam.set('saburo', OUTSIDE)
    process = next(pid for pid in server.pids()
                   if b'hikyaku: auth' in pathlib.Path(f'/proc/{pid}/cmdline').read_bytes())
    os.kill(process, signal.SIGKILL)

    def try_wrong():
        with Submission(server) as session:
            reply = session.command(f'AUTH PLAIN {plain(SABURO, "wrong")}')
            assert reply[:3] in ('454', '535'), reply
            return reply.startswith('535')
    until(try_wrong, 20, 'the process')
    server.cli('account', 'disable', SABURO)
    server.cli('account', 'enable', SABURO)
    log_in(server, SABURO, OUTSIDE)


def test_broken_modules_are_nobodys_fault(server, pam):
    service = (pam.path / 'hikyaku').read_text()
    failed = server.log().count('auth.pam-failed')
    try:
        pam.serve('auth required pam_nothing_of_that_name.so', 'account required pam_permit.so')
        log_in(server, 'hanako2@example.jp', OUTSIDE, '454 4.7.0')
        assert server.log().count('auth.pam-failed') == failed + 1
        pam.serve(service, 'account required pam_deny.so')
        pam.set('jiro', OUTSIDE)
        server.cli('account', 'disable', JIRO)
        server.cli('account', 'enable', JIRO)
        log_in(server, JIRO, OUTSIDE, '535 5.7.8')
        assert 'auth.pam-account-refused' in server.log()
    finally:
        (pam.path / 'hikyaku').write_text(service)
    log_in(server, JIRO, OUTSIDE)


def test_failures_outside_bring_bans(pam):
    pam.set('jiro', OUTSIDE)
    settings = {'brakes.failures': '3', 'brakes.exempt_networks': '[]'}
    with Server(settings=pam.settings() | settings) as server:
        with_accounts(server)
        log_in(server, JIRO, OUTSIDE)
        with Submission(server) as session:
            for number in range(8):
                reply = session.command(f'AUTH PLAIN {plain("nobody@example.jp", str(number))}')
                if reply.startswith('454'):
                    break
            assert reply.startswith('454 4.7.0 Too many'), reply
        assert '127.0.0.1' in server.cli('ban', 'list')


def test_clients_log_in(server, pam):
    pam.set('jiro', OUTSIDE)
    chain = server.dir / 'tls' / 'fullchain.pem'
    subprocess.run(['swaks', '--server', f'127.0.0.1:{server.submission_port}', '--tls',
                    '--auth', 'PLAIN', '--auth-user', JIRO, '--auth-password', OUTSIDE,
                    '--from', JIRO, '--to', TARO, '--header', 'Subject: swaks'],
                   check=True, capture_output=True)
    mail = server.dir / 'mail.txt'
    mail.write_text(f'From: {JIRO}\nTo: {TARO}\nSubject: curl\n\nx\n')
    subprocess.run(['curl', '-sS', f'smtps://mx.example.jp:{server.submissions_port}/a.example',
                    '--crlf', '--resolve',
                    f'mx.example.jp:{server.submissions_port}:127.0.0.1', '--cacert', chain,
                    '--user', f'{JIRO}:{OUTSIDE}', '--mail-from', JIRO, '--mail-rcpt', TARO,
                    '--upload-file', mail], check=True, capture_output=True)
    texts = until(lambda: len(server.export(TARO)) >= 2 and server.export(TARO), 10, 'both mails')
    assert any(b'swaks' in text for text in texts) and any(b'Subject: curl' in t for t in texts)


def test_settings_that_cannot_be():
    for settings, words in (({'auth.backend': 'pam', 'auth.cram_md5': 'yes'}, 'CRAM-MD5'),
                            ({'auth.backend': 'imap'}, 'internal'),
                            ({'auth.pam_service': '"../x"'}, 'PAM service')):
        with tempfile.NamedTemporaryFile('w', suffix='.conf') as file:
            sections = ''.join(f'{name.split(".")[1]} = {value};\n'
                               for name, value in settings.items())
            file.write('server { hostname = mx.example.jp; }\nauth {\n' + sections + '}\n')
            file.flush()
            run = subprocess.run([BINARY, 'config', 'check', '-c', file.name],
                                 capture_output=True, text=True, check=False)
            assert run.returncode != 0 and words in run.stderr, run.stderr

