"""Logging in at the submission ports: every mechanism, with and without channel binding, and all
that may go wrong; app passwords and the second factor; TLS from which nobody strips anything."""
import base64
import hmac
import re
import shutil
import socket
import subprocess

import pytest

from hikyaku import HOSTNAME, PASSWORD, Server, Session, until, with_settings
from submission import TARO, Scram, Submission, encode, plain

SCRAMS = ('SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-1-PLUS', 'SCRAM-SHA-256-PLUS')
HANAKO = 'hanako@example.jp'
TLS_1_2 = 'NORMAL:-VERS-TLS1.3'  # as GnuTLS calls it
LINE_MAX_BYTES = 12288  # RFC 4954 section 4


@pytest.fixture(scope='module', name='server')
def fixture_server():
    with Server(settings={'brakes.connections': '0'}) as server:
        server.add_account(TARO)
        server.add_account(HANAKO)
        yield server


# --- what is offered ---

def test_each_port_offers_what_it_should(server):
    with Submission(server, port=server.port, is_encrypted=False) as session:
        assert session.offer('STARTTLS') is not None and session.offer('AUTH') is None
        session.command(f'AUTH PLAIN {plain()}', 502)
    with Submission(server, port=server.port) as session:
        assert session.offer('STARTTLS') is None and session.offer('AUTH') is None
        session.command(f'AUTH PLAIN {plain()}', 502)
    with Submission(server, is_encrypted=False) as session:
        assert session.offer('STARTTLS') is not None
        assert session.offer('AUTH') is None
        session.command(f'AUTH PLAIN {plain()}', '538 5.7.11')
        session.command('AUTH LOGIN', '538 5.7.11')
        assert Scram(session, 'SCRAM-SHA-256').run().startswith('538 5.7.11')
        assert 'STARTTLS' in session.command(f'MAIL FROM:<{TARO}>', '530 5.7.0')
    for is_implicit in (False, True):
        with Submission(server, is_implicit) as session:
            assert session.offer('STARTTLS') is None
            assert {'PLAIN', 'LOGIN', *SCRAMS} == set(session.offer('AUTH'))
            session.command('STARTTLS', '503 5.5.1')


def test_who_has_not_logged_in_may_not_send(server):
    for is_encrypted in (False, True):
        with Submission(server, is_encrypted=is_encrypted) as session:
            session.command(f'MAIL FROM:<{TARO}>', '530 5.7.0')
            session.command(f'RCPT TO:<{TARO}>', 503)


def test_a_password_in_the_clear_needs_a_setting():
    with Server(settings={'submission.plaintext_on_loopback': 'yes'}) as server:
        server.add_account(TARO)
        with Submission(server, is_encrypted=False) as session:
            session.log_in()
            session.mail('Subject: in the clear')


def test_mail_in_the_clear_needs_a_setting():
    """And then whoever proves the password without showing it."""
    with Server(settings={'submission.require_tls': 'no'}) as server:
        server.add_account(TARO)
        with Submission(server, is_encrypted=False) as session:
            assert set(SCRAMS[:2]) == set(session.offer('AUTH'))
            session.command(f'AUTH PLAIN {plain()}', '538 5.7.11')
            assert 'AUTH' in session.command(f'MAIL FROM:<{TARO}>', '530 5.7.0')
            assert Scram(session, 'SCRAM-SHA-256').run().startswith('235 2.7.0')
            session.mail('Subject: in the clear')


# --- STARTTLS ---

def test_nothing_is_slipped_in_behind_starttls(server):
    for port in (server.port, server.submission_port):
        with Submission(server, port=port, is_encrypted=False) as session:
            session.send(f'STARTTLS\r\nMAIL FROM:<{TARO}>\r\n'.encode())
            assert session.reply().startswith('554 5.5.1')
            session.expect_close()


def test_the_session_starts_anew_after_starttls(server):
    with Submission(server, port=server.port, is_encrypted=False) as session:
        session.command(f'MAIL FROM:<{HANAKO}>', 250)
        session.command('STARTTLS', 503)
        session.command('RSET', 250)
        session.command('STARTTLS', 220)
        session.shake_hands()
        session.command(f'MAIL FROM:<{HANAKO}>', 503)
        session.hello()
        session.command(f'RCPT TO:<{TARO}>', 503)
    with Submission(server, is_encrypted=False) as session:
        session.command('STARTTLS', 220)
        session.shake_hands()
        session.command(f'AUTH PLAIN {plain()}', 503)


def test_starttls_may_come_first(server):
    """As gsasl does it."""
    for port in (server.port, server.submission_port):
        with Session(port) as session:
            session.reply()
            session.command('STARTTLS', '220 2.0.0')


def test_plain_text_where_tls_was_begun_ends_the_connection(server):
    failures = server.log().count('smtp.tls-failed')
    with Submission(server, is_encrypted=False) as session:
        session.command('STARTTLS', 220)
        session.send(b'EHLO client.example\r\n')
        assert b'250' not in drain(session.socket)
    until(lambda: server.log().count('smtp.tls-failed') > failures, 10, 'the failure in the log')


def test_plain_text_within_tls_ends_the_connection(server):
    with Submission(server) as session:
        session.log_in()
        with socket.socket(fileno=session.socket.detach()) as bare:
            bare.settimeout(10)
            bare.sendall(f'MAIL FROM:<{TARO}>\r\n'.encode())
            assert b'250' not in drain(bare)


def drain(connection):
    """Everything until the other end closes, which it must."""
    got = b''
    while True:
        try:
            data = connection.recv(4096)
        except ConnectionResetError:
            return got
        if not data:
            return got
        got += data


# --- the dialogue ---

def test_login_asks_twice(server):
    with Submission(server) as session:
        assert session.command('AUTH LOGIN') == '334 ' + encode('User Name')
        session.command(encode(TARO), 334)
        session.command(encode(PASSWORD), '235 2.7.0')
    with Submission(server, is_implicit=True) as session:
        session.command(f'AUTH LOGIN {encode(TARO)}', 334)
        session.command(encode('wrong'), '535 5.7.8')


def test_wrong_names_and_passwords_sound_alike(server):
    with Submission(server) as session:
        wrong = session.log_in(password='wrong', code='535 5.7.8')
        assert session.log_in('nobody@example.jp', code='535 5.7.8') == wrong
        assert session.log_in('nobody@elsewhere.example', code='535 5.7.8') == wrong
        session.log_in()


def test_nobody_acts_for_another(server):
    with Submission(server) as session:
        session.command('AUTH PLAIN ' + encode(f'{HANAKO}\0{TARO}\0{PASSWORD}'), '535 5.7.8')
        session.command('AUTH PLAIN ' + encode(f'{TARO}\0{TARO}\0{PASSWORD}'), 235)


def test_a_dialogue_is_cancelled(server):
    for start in ('AUTH PLAIN', 'AUTH LOGIN', f'AUTH LOGIN {encode(TARO)}',
                  f'AUTH SCRAM-SHA-256 {encode(f"n,,n={TARO},r=abcdefgh")}'):
        with Submission(server) as session:
            session.command(start, 334)
            session.command('*', '501 5.7.0')
            session.command(f'MAIL FROM:<{TARO}>', 530)
            session.log_in()


@pytest.mark.parametrize('line,code', [
    ('AUTH', '501 5.5.4'),
    ('AUTH NOSUCH', '504 5.5.4'),
    ('AUTH CRAM-MD5', '504 5.5.4'),
    ('AUTH EXTERNAL =', '504 5.5.4'),
    ('AUTH PLAIN not-base64!', '501 5.5.2'),
    ('AUTH PLAIN =', '501 5.5.2'),
    (f'AUTH PLAIN {encode("no nul in it")}', '501 5.5.2'),
    (f'AUTH SCRAM-SHA-256 {encode("nothing of the kind")}', '501 5.5.2'),
])
def test_nonsense_is_refused_and_harms_nobody(server, line, code):
    with Submission(server) as session:
        session.command(line, code)
        session.log_in()


def test_a_line_that_is_too_long(server):
    with Submission(server) as session:
        session.command('AUTH PLAIN', 334)
        session.send(b'A' * (LINE_MAX_BYTES + 4) + b'\r\n')
        assert session.reply().startswith('500 5.5.6')
        session.command('NOOP', 250)
        # The longest that is allowed is read as what it is.
        session.command('AUTH PLAIN', 334)
        session.command('A' * LINE_MAX_BYTES, '5')
        session.log_in()


def test_once_is_enough_and_not_within_a_transaction(server):
    with Submission(server) as session:
        session.log_in()
        session.command(f'AUTH PLAIN {plain()}', '503 5.5.1')
        session.hello()
        assert session.offer('AUTH') is None
        session.command(f'MAIL FROM:<{TARO}>', 250)
        session.command(f'AUTH PLAIN {plain()}', '503 5.5.1')
        session.command(f'RCPT TO:<{TARO}>', 250)


# --- SCRAM ---

@pytest.mark.parametrize('mechanism', SCRAMS)
def test_scram(server, mechanism):
    for is_implicit in (False, True):
        with Submission(server, is_implicit) as session:
            assert Scram(session, mechanism, password='wrong').run().startswith('535 5.7.8')
            assert Scram(session, mechanism, 'nobody@example.jp').run().startswith('535 5.7.8')
            assert Scram(session, mechanism).run().startswith('235 2.7.0')
            session.command(f'MAIL FROM:<{TARO}>', 250)


def test_a_spoiled_proof_is_refused(server):
    with Submission(server) as session:
        scram = Scram(session, 'SCRAM-SHA-256')
        final = scram.final(scram.start())
        head, proof = final.split(',p=')
        spoiled = ('A' if proof[0] != 'A' else 'B') + proof[1:]
        assert scram.end(f'{head},p={spoiled}').startswith('535 5.7.8')
        session.command(f'MAIL FROM:<{TARO}>', 530)


def test_a_replayed_proof_is_refused(server):
    with Submission(server) as session:
        scram = Scram(session, 'SCRAM-SHA-256')
        final = scram.final(scram.start())
        assert scram.end(final).startswith('235')
    with Submission(server) as session:
        scram.session = session
        first = scram.start()
        assert first.startswith('r=') and first.split(',')[0] not in final
        assert scram.end(final).startswith('5')
        session.command(f'MAIL FROM:<{TARO}>', 530)


def test_another_connections_binding_is_refused(server):
    for mechanism in SCRAMS[2:]:
        with Submission(server) as session:
            scram = Scram(session, mechanism)
            scram.binding = bytes(32)
            reply = scram.run()
            assert reply.startswith('535 5.7.8') and 'another TLS connection' in reply
            # A client that could bind, and was not offered it: somebody has cut the offer short.
            stripped = Scram(session, mechanism.removesuffix('-PLUS'), header='y,,').run()
            assert stripped.startswith('535 5.7.8') and 'another TLS connection' in stripped


@pytest.mark.parametrize('mechanism', SCRAMS[2:])
def test_a_binding_that_is_not_known_is_named(server, mechanism):
    with Submission(server) as session:
        reply = Scram(session, mechanism, header='p=tls-unique,,').run()
        assert reply.startswith('535 5.7.8') and 'tls-server-end-point' in reply
        assert 'without -PLUS' in reply
        assert Scram(session, mechanism.removesuffix('-PLUS')).run().startswith('235')


def run_gsasl(server, mechanism, priority, password=PASSWORD):
    """(the exit status, what was said on both sides)."""
    if shutil.which('gsasl') is None:
        pytest.skip('gsasl is not installed')
    # A client that could bind takes an offer without binding for a stripped one.
    options = [] if mechanism.endswith('-PLUS') else ['--no-cb']
    done = subprocess.run(
        # It compares the certificate's name with the address, and cannot be told another.
        ['gsasl', '--smtp', '--starttls', '--verbose', '--x509-ca-file=',
         f'--priority={priority}', f'--hostname={HOSTNAME}', f'--mechanism={mechanism}',
         f'--authentication-id={TARO}', f'--authorization-id={TARO}', f'--password={password}',
         f'--connect=127.0.0.1:{server.submission_port}', *options],
        input=b'', capture_output=True, timeout=60)
    return done.returncode, (done.stdout + done.stderr).decode(errors='replace')


@pytest.mark.parametrize('mechanism,priority', [
    *((mechanism, 'NORMAL') for mechanism in ('PLAIN', 'LOGIN', *SCRAMS)),
    *((mechanism, TLS_1_2) for mechanism in ('PLAIN', 'LOGIN', *SCRAMS[:2]))])
def test_gsasl(server, mechanism, priority):
    status, said = run_gsasl(server, mechanism, priority)
    assert status == 0 and '235 2.7.0' in said, said
    assert ('TLS1.2' if priority == TLS_1_2 else 'TLS1.3') in said
    status, said = run_gsasl(server, mechanism, priority, 'wrong')
    assert status != 0 and '535 5.7.8' in said, said


@pytest.mark.parametrize('mechanism', SCRAMS[2:])
def test_tls_unique_is_no_binding(server, mechanism):
    """In TLS 1.2 it is all that gsasl has; the server binds by other means alone."""
    status, said = run_gsasl(server, mechanism, TLS_1_2)
    assert encode('p=tls-unique')[:-1] in said, said
    assert status != 0 and '535 5.7.8' in said and '235' not in said, said


# --- app passwords and the second factor ---

def add_app_password(server, name, *options):
    return server.cli_json('account', 'app-password', 'add', HANAKO, name, *options)['password']


def outcomes(server, password):
    """The codes that PLAIN and the SCRAMs end with."""
    codes = []
    with Submission(server) as session:
        codes.append(session.log_in(HANAKO, password, code='')[:9])
    for mechanism in SCRAMS:
        with Submission(server) as session:
            codes.append(Scram(session, mechanism, HANAKO, password).run()[:9])
    return set(codes)


def test_app_passwords_log_in_until_they_are_removed(server):
    first, second = add_app_password(server, 'phone'), add_app_password(server, 'laptop')
    for password in (first, second, PASSWORD):
        assert outcomes(server, password) == {'235 2.7.0'}
    used = server.cli_json('account', 'app-password', 'list', HANAKO)
    assert len(used) == 2
    server.cli('account', 'app-password', 'remove', HANAKO, 'phone')
    assert outcomes(server, first) == {'535 5.7.8'}
    assert outcomes(server, second) == {'235 2.7.0'}
    server.cli('account', 'app-password', 'remove', HANAKO, 'laptop')


def test_with_a_second_factor_the_main_password_is_not_for_programs(server):
    if shutil.which('oathtool') is None:
        pytest.skip('oathtool is not installed')
    secret = server.cli_json('account', 'totp', HANAKO, 'enable')['secret'].replace(' ', '')
    code = subprocess.run(['oathtool', '--totp', '-b', secret], capture_output=True, text=True,
                          check=True).stdout.strip()
    server.cli('account', 'totp', HANAKO, 'confirm', code)
    app = add_app_password(server, 'tablet')
    assert outcomes(server, PASSWORD) == {'534 5.7.9'}
    assert outcomes(server, 'wrong') == {'535 5.7.8'}
    assert outcomes(server, app) == {'235 2.7.0'}
    with Submission(server) as session:
        assert 'app password' in session.log_in(HANAKO, code=534)
    server.cli('account', 'totp', HANAKO, 'disable')
    server.cli('account', 'app-password', 'remove', HANAKO, 'tablet')
    assert outcomes(server, PASSWORD) == {'235 2.7.0'}


def test_an_app_password_for_reading_does_not_send(server):
    reading = add_app_password(server, 'reader', '--scope', 'read')
    assert not outcomes(server, reading) & {'235 2.7.0'}
    with Submission(server) as session:
        reply = session.log_in(HANAKO, reading, '534 5.7.9')
        assert 'make an app password that may send' in reply and 'second factor' not in reply
    server.cli('account', 'app-password', 'remove', HANAKO, 'reader')


def test_a_disabled_account_stays_outside(server):
    server.cli('account', 'disable', HANAKO)
    assert outcomes(server, PASSWORD) == {'535 5.7.8'}
    server.cli('account', 'enable', HANAKO)
    assert outcomes(server, PASSWORD) == {'235 2.7.0'}


@pytest.mark.parametrize('undo,change,uses_app', [
    (['enable', HANAKO], ['disable', HANAKO], False),
    (['enable', HANAKO], ['disable', HANAKO], True),
    (['show', HANAKO], ['password', HANAKO, '--password-stdin'], False),
    (['show', HANAKO], ['app-password', 'remove', HANAKO, 'phone'], True),
], ids=['disabled', 'disabled-app', 'new-password', 'app-removed'])
def test_an_open_login_ends_with_what_it_came_by(server, undo, change, uses_app):
    password = add_app_password(server, 'phone') if uses_app else PASSWORD
    with Submission(server) as session, Submission(server) as other:
        session.log_in(HANAKO, password)
        other.log_in(TARO)
        assert session.mail('Subject: before\n\nx', HANAKO)[:3] == '250'
        server.cli('account', *change, stdin=PASSWORD.encode())
        said = session.mail('Subject: after\n\nx', HANAKO)
        assert said.startswith('421 4.7.0') and 'log in again' in said
        session.expect_close()
        assert other.mail('Subject: by another\n\nx')[:3] == '250'
        assert 'smtp.login-over' in server.log()
    server.cli('account', *undo)
    if uses_app and 'app-password' not in change:
        server.cli('account', 'app-password', 'remove', HANAKO, 'phone')
    with Submission(server) as session:
        session.log_in(HANAKO)
        assert session.mail('Subject: afterwards\n\nx', HANAKO)[:3] == '250'


def test_an_app_password_outlives_a_new_main_password(server):
    with Submission(server) as session:
        session.log_in(HANAKO, add_app_password(server, 'phone'))
        server.cli('account', 'password', HANAKO, '--password-stdin', stdin=PASSWORD.encode())
        assert session.mail('Subject: after\n\nx', HANAKO)[:3] == '250'
    server.cli('account', 'app-password', 'remove', HANAKO, 'phone')


def test_no_password_is_logged(server):
    with Submission(server) as session:
        session.log_in(password=PASSWORD + 'x', code=535)
        session.log_in()
    text = server.log()
    assert 'smtp.login' in text and 'smtp.login-failed' in text
    assert PASSWORD not in text and plain() not in text
    assert not re.search(re.escape(encode(PASSWORD)), text)


# --- CRAM-MD5, which needs a setting and a password that can be recovered ---

def cram_response(challenge, name=TARO, password=PASSWORD):
    """RFC 2195 section 2, encoded; of the reply with the challenge."""
    text = base64.b64decode(challenge.split()[1])
    return encode(f'{name} {hmac.digest(password.encode(), text, "md5").hex()}')


@pytest.fixture(scope='module', name='cram')
def fixture_cram():
    """Hanako's password is older than the setting."""
    server = Server(settings={'brakes.connections': '0'})
    with server:
        server.add_account(HANAKO)
        text = server.config_path.read_text()
        server.config_path.write_text(with_settings(text, {'auth.cram_md5': 'yes'}))
        server.cli('reload')
        server.add_account(TARO)
        yield server


@pytest.mark.parametrize('is_implicit', [False, True])
def test_cram_md5(cram, is_implicit):
    with Submission(cram, is_implicit) as session:
        assert 'CRAM-MD5' in session.offer('AUTH')
        challenge = session.command('AUTH CRAM-MD5', 334)
        session.command(cram_response(challenge, password='wrong'), '535 5.7.8')
        second = session.command('AUTH CRAM-MD5', 334)
        assert second != challenge
        # What was right a moment ago
        session.command(cram_response(challenge), '535 5.7.8')
        session.command(cram_response(session.command('AUTH CRAM-MD5', 334)), '235 2.7.0')
        session.command(f'MAIL FROM:<{TARO}>', 250)


def test_cram_md5_takes_no_initial_response_and_no_nonsense(cram):
    with Submission(cram) as session:
        session.command(f'AUTH CRAM-MD5 {encode(TARO)}', '501 5.7.0')
        for text in ('no digest', f'{TARO} ', f'{TARO} {"0" * 31}', '', f'{TARO} {"g" * 32}'):
            session.command('AUTH CRAM-MD5', 334)
            session.command(encode(text), '5')
        session.command('AUTH CRAM-MD5', 334)
        session.command('*', '501 5.7.0')
        session.log_in()


def test_cram_md5_needs_a_password_that_was_set_since(cram):
    for name in (HANAKO, 'nobody@example.jp'):
        with Submission(cram) as session:
            challenge = session.command('AUTH CRAM-MD5', 334)
            session.command(cram_response(challenge, name), '535 5.7.8')
    with Submission(cram) as session:
        session.log_in(HANAKO)
    cram.cli('account', 'password', HANAKO, '--password-stdin', stdin=PASSWORD + '\n')
    with Submission(cram) as session:
        session.command(cram_response(session.command('AUTH CRAM-MD5', 334), HANAKO), '235 2.7.0')


@pytest.mark.parametrize('port,way', [(587, '--tls'), (465, '--tlsc')])
def test_swaks_by_cram_md5(cram, port, way):
    if shutil.which('swaks') is None:
        pytest.skip('swaks is not installed')
    command = ['swaks', '--server', f'127.0.0.1:{port + cram.offset}', way, '--auth', 'CRAM-MD5',
               '--auth-user', TARO, '--from', TARO, '--to', TARO, '--auth-password']
    for password, code in ((PASSWORD, '235 2.7.0'), ('wrong', '535 5.7.8')):
        done = subprocess.run([*command, password], capture_output=True, timeout=60)
        assert code in done.stdout.decode(errors='replace'), done.stdout + done.stderr
        assert (done.returncode == 0) == (password == PASSWORD)


def test_gsasl_by_cram_md5(cram):
    status, said = run_gsasl(cram, 'CRAM-MD5', 'NORMAL')
    assert status == 0 and '235 2.7.0' in said, said
    status, said = run_gsasl(cram, 'CRAM-MD5', 'NORMAL', 'wrong')
    assert status != 0 and '535 5.7.8' in said, said
