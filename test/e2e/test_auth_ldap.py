"""Passwords that a directory checks (OpenLDAP's slapd): by name and by search, encrypted and not,
with servers that are down, mute or not who they say; names and passwords of any kind."""
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

from directory import BASE, PEOPLE, SERVICE, SERVICE_PASSWORD, Directory
from hikyaku import BINARY, PASSWORD, Server, free_port, until
from peers import PeerMissing
from submission import TARO, Submission, encode, plain

OUTSIDE = 'outside 秘密'
JIRO, HANAKO = 'jiro@example.jp', 'hanako@example.jp'
NO_BRAKES = {'brakes.connections': '0', 'brakes.failures': '0', 'brakes.network_failures': '0',
             'brakes.account_failures': '0', 'auth.cache': '0s', 'auth.outside_timeout': '3s'}


@pytest.fixture(scope='module', name='directory')
def fixture_directory():
    folder = pathlib.Path(tempfile.mkdtemp(prefix='hikyaku-slapd-'))
    folder.chmod(0o755)
    try:
        directory = Directory(folder / 'slapd')
    except PeerMissing as reason:
        pytest.skip(str(reason))
    directory.start()
    directory.add('jiro', OUTSIDE, mails=[JIRO])
    directory.add('hanako', OUTSIDE, mails=[HANAKO])
    yield directory
    directory.remove()
    shutil.rmtree(folder)


def running(directory, settings=None, **more):
    """A server whose accounts jiro and hanako have no password here; taro has."""
    return Server(settings=NO_BRAKES | directory.settings(**more) | (settings or {}))


def with_accounts(server):
    server.add_account(TARO)
    for address in (JIRO, HANAKO):
        server.cli('account', 'add', address, '--no-password')
    return server


@pytest.fixture(scope='module', name='server')
def fixture_server(directory):
    with running(directory) as server:
        yield with_accounts(server)


def log_in(server, name, password, code=235):
    with Submission(server) as session:
        return session.log_in(name, password, code)


def test_right_and_wrong(server, directory):
    before = directory.binds(f'uid=jiro,{PEOPLE}')
    log_in(server, JIRO, OUTSIDE)
    log_in(server, 'JIRO@Example.jp', OUTSIDE)
    log_in(server, 'jiro', OUTSIDE)
    log_in(server, JIRO, OUTSIDE + 'x', '535 5.7.8')
    assert directory.binds(f'uid=jiro,{PEOPLE}') == before + 4
    with Submission(server, is_implicit=True) as session:
        session.log_in(JIRO, OUTSIDE)
        session.mail('Subject: x\n\nx', JIRO, [TARO])


def test_nobody_tells_who_exists(server, directory):
    directory.add('stranger', OUTSIDE)
    replies, times = set(), []
    for name, password in ((JIRO, 'wrong'), ('nobody@example.jp', 'wrong'), (TARO, 'wrong'),
                           ('stranger@example.jp', OUTSIDE), ('x@elsewhere.example', 'wrong')):
        with Submission(server) as session:
            began = time.monotonic()
            replies.add(session.log_in(name, password, 535))
            times.append(time.monotonic() - began)
    assert len(replies) == 1
    assert min(times) >= 0.49 and max(times) - min(times) < 0.25, times


def test_empty_passwords_bind_nobody(server, directory):
    """A bind with a name and no password succeeds, as nobody (RFC 4513 section 5.1.2)."""
    before = directory.binds(f'uid=jiro,{PEOPLE}')
    with Submission(server) as session:
        reply = session.command(f'AUTH PLAIN {encode(chr(0) + JIRO + chr(0))}')
        assert reply[:3] in ('535', '501'), reply
    assert directory.binds(f'uid=jiro,{PEOPLE}') == before


@pytest.mark.parametrize('way', ['by name', 'by search'])
def test_names_and_passwords_of_any_kind(directory, way):
    """None of them is anything but a name; nobody is let in as somebody else."""
    people = (("o'brien", 'it\'s "quoted" $HOME; %n\\'), ('花子', 'パスワード'), ('a*b=c', 'star'),
              ('p+q', '(|(uid=*))'), ('#x', 'y' * 500))
    settings = NO_BRAKES | (directory.settings() if way == 'by name'
                            else directory.searching(filter='"(uid=%u)"'))
    with Server(settings=settings) as server:
        with_accounts(server)
        for user, password in people:
            address = f'{user}@example.jp'
            server.cli('account', 'add', address, '--no-password')
            dn = 'uid=' + ''.join(f'\\{ord(c):02x}' if c in '+#*=\'' else c for c in user)
            directory.put(dn.removeprefix('uid='), password)
            log_in(server, address, password, 235)
            log_in(server, address, password + ' ', 535)
        for name in ('*@example.jp', '"jiro,ou=people"@example.jp', '"*)(uid=jiro"@example.jp',
                     'j*@example.jp'):
            server.cli('account', 'add', name, '--no-password', check=False)
            log_in(server, name, OUTSIDE, '535 5.7.8')


def test_own_and_app_passwords_stay_here(server, directory):
    binds = directory.binds(f'uid=hanako,{PEOPLE}')
    log_in(server, TARO, PASSWORD)
    app_password = server.cli_json('account', 'app-password', 'add', HANAKO, 'phone')['password']
    log_in(server, HANAKO, app_password)
    assert directory.binds(f'uid=hanako,{PEOPLE}') == binds


def test_what_was_right_is_remembered(directory):
    with running(directory, {'auth.cache': '5min'}) as server:
        with_accounts(server)
        log_in(server, HANAKO, OUTSIDE)
        binds = directory.binds(f'uid=hanako,{PEOPLE}')
        for _ in range(5):
            log_in(server, HANAKO, OUTSIDE)
        assert directory.binds(f'uid=hanako,{PEOPLE}') == binds


def test_entries_are_searched_for(directory):
    """By another name than the account's; one must fit, and no other."""
    directory.add('emp4711', OUTSIDE, mails=['saburo@example.jp'], name='Saburo S')
    directory.add('twin1', OUTSIDE, mails=['twin@example.jp'])
    directory.add('twin2', OUTSIDE, mails=['twin@example.jp'])
    with Server(settings=NO_BRAKES | directory.searching()) as server:
        with_accounts(server)
        for address in ('saburo@example.jp', 'twin@example.jp'):
            server.cli('account', 'add', address, '--no-password')
        log_in(server, 'saburo@example.jp', OUTSIDE)
        log_in(server, 'saburo@example.jp', 'wrong', 535)
        log_in(server, 'twin@example.jp', OUTSIDE, 535)
        assert 'auth.ldap-ambiguous' in server.log()
        log_in(server, 'nobody@example.jp', OUTSIDE, 535)


def test_our_own_password_may_change(directory):
    """A wrong one is the operator's matter, and nobody's failed login; a new file is taken up."""
    with Server(settings=NO_BRAKES | directory.searching()) as server:
        with_accounts(server)
        log_in(server, JIRO, OUTSIDE)
        directory.set_password(SERVICE, 'another')
        try:
            log_in(server, JIRO, OUTSIDE, '454 4.7.0')
            assert 'step="service bind"' in server.log()
            directory.password_file.write_text('another\n')
            server.cli('reload')
            until(lambda: logs_in(server), 20, 'the new password to be taken up')
        finally:
            directory.set_password(SERVICE, SERVICE_PASSWORD)
            directory.password_file.write_text(SERVICE_PASSWORD + '\n')


def logs_in(server):
    """Whether jiro can log in now."""
    with Submission(server) as session:
        return session.command(f'AUTH PLAIN {plain(JIRO, OUTSIDE)}').startswith('235')


@pytest.mark.parametrize('way', ['ldaps', 'starttls', 'ldapi'])
def test_encrypted_or_local(directory, way):
    urls = {'ldaps': f'ldaps://127.0.0.1:{directory.tls_port}',
            'starttls': f'ldap://127.0.0.1:{directory.port}', 'ldapi': directory.socket_url}
    with running(directory, urls=f'["{urls[way]}"]', starttls='always') as server:
        with_accounts(server)
        log_in(server, JIRO, OUTSIDE)
        log_in(server, JIRO, 'wrong', 535)


@pytest.mark.parametrize('way', ['other name', 'unknown authority', 'starttls, other name'])
def test_who_is_not_the_server_gets_no_password(directory, way):
    url = f'ldaps://127.0.0.1:{directory.tls_port}'
    settings = {}
    if way == 'other name':
        url = f'ldaps://localhost:{directory.tls_port}'
    elif way == 'unknown authority':
        settings = {'tls.ca_file': '"/etc/ssl/certs/ca-certificates.crt"'}
    else:
        url = f'ldap://localhost:{directory.port}'
    before = directory.binds(f'uid=jiro,{PEOPLE}')
    with running(directory, settings, urls=f'["{url}"]', starttls='always') as server:
        with_accounts(server)
        log_in(server, JIRO, OUTSIDE, '454 4.7.0')
        assert 'auth.ldap-failed' in server.log() and 'tls.ca_file' in server.log()
    assert directory.binds(f'uid=jiro,{PEOPLE}') == before


def test_another_server_is_asked(directory):
    """One that is down, and one that never answers."""
    with socket.create_server(('127.0.0.1', 0)) as mute:
        urls = (f'["ldap://127.0.0.1:{free_port()}", "ldap://127.0.0.1:{mute.getsockname()[1]}", '
                f'"ldap://127.0.0.1:{directory.port}"]')
        with running(directory, {'auth.outside_timeout': '6s'}, urls=urls) as server:
            with_accounts(server)
            log_in(server, JIRO, OUTSIDE)
            log_in(server, JIRO, 'wrong', 535)


def test_a_directory_that_is_down_is_nobodys_fault(directory):
    settings = {'brakes.failures': '3', 'brakes.exempt_networks': '[]'}
    with running(directory, settings) as server:
        with_accounts(server)
        directory.stop()
        try:
            for _ in range(5):
                log_in(server, JIRO, OUTSIDE, '454 4.7.0')
            log_in(server, TARO, PASSWORD)
            assert server.cli_json('ban', 'list') == []
            # Nor does it tell which accounts have a password here.
            for name in (TARO, JIRO, 'nobody@example.jp'):
                log_in(server, name, 'wrong', '454 4.7.0')
        finally:
            directory.start()
        log_in(server, JIRO, OUTSIDE)


def test_mute_directories_hold_nobody_up(directory):
    with socket.create_server(('127.0.0.1', 0)) as mute:
        urls = f'["ldap://127.0.0.1:{mute.getsockname()[1]}"]'
        with running(directory, urls=urls) as server:
            with_accounts(server)
            with Submission(server) as slow:
                slow.send(f'AUTH PLAIN {plain(JIRO, OUTSIDE)}\r\n'.encode())
                began = time.monotonic()
                log_in(server, TARO, PASSWORD)
                assert time.monotonic() - began < 2
                assert slow.reply(20).startswith('454 4.7.0')


def test_clients_log_in(server):
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
    until(lambda: sum(b'swaks' in text or b'Subject: curl' in text
                      for text in server.export(TARO)) == 2, 10, 'both mails')


def test_settings_that_cannot_be():
    for lines, words in (('backend = ldap', 'auth.ldap_urls'),
                         ('backend = ldap; ldap_urls = [ "ldaps://x" ]', 'auth.ldap_base'),
                         ('ldap_urls = [ "http://x" ]', 'ldaps://HOST'),
                         ('ldap_bind_dn = "uid=x"', '%u'), ('ldap_filter = "(uid=x)"', '%u'),
                         ('ldap_filter = "(uid=%u)(a=b)"', 'parentheses'),
                         (f'ldap_service_dn = "{BASE}"', 'auth.ldap_service_password_file')):
        with tempfile.NamedTemporaryFile('w', suffix='.conf') as file:
            file.write('server { hostname = mx.example.jp; }\nauth {\n'
                       + lines.replace('; ', '\n') + '\n}\n')
            file.flush()
            run = subprocess.run([BINARY, 'config', 'check', '-c', file.name],
                                 capture_output=True, text=True, check=False)
            assert run.returncode != 0 and words in run.stderr, run.stderr
