"""Logging in by a client certificate (SASL EXTERNAL): who is let in, and what the others hear."""
import contextlib
import subprocess

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from hikyaku import HOSTNAME, PASSWORD, Server, until
from pki import Authority
from submission import TARO, Submission, chain_file, encode

HANAKO = 'hanako@example.jp'
DAY_MS = 24 * 3600 * 1000
EMPTY = '='


class WithCertificate(Submission):
    """A mail program that shows a certificate if it is asked for one."""
    certificate = None

    def shake_hands(self):
        if self.certificate:
            self.context.load_cert_chain(self.certificate.chain, self.certificate.key)
        super().shake_hands()


def meet(server, certificate, **how):
    """A connection with a certificate, or without."""
    kind = type('WithThis', (WithCertificate,), {'certificate': certificate})
    return kind(server, **how)


@contextlib.contextmanager
def make_server(authority, **settings):
    """A server that asks for certificates of this authority, with an account for Taro."""
    settings = {'brakes.connections': '0', 'tls.client_ca_file': f'"{authority.path}"',
                **{name.replace('__', '.'): value for name, value in settings.items()}}
    with Server(settings=settings) as server:
        server.add_account(TARO)
        yield server


@pytest.fixture(scope='module', name='authority')
def fixture_authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('pki'))


@pytest.fixture(scope='module', name='server')
def fixture_server(authority):
    with make_server(authority) as server:
        server.add_account(HANAKO)
        server.add_alias('postbox@example.jp', TARO)
        yield server


@pytest.fixture(scope='module', name='taro')
def fixture_taro(authority):
    return authority.issue('taro', emails=[TARO])


# --- good ones ---

def test_a_certificate_opens_the_account_of_its_address(server, taro):
    for is_implicit in (False, True):
        with meet(server, taro, is_implicit=is_implicit) as session:
            assert session.offer('AUTH')[0] == 'EXTERNAL'
            assert session.command(f'AUTH EXTERNAL {EMPTY}') == f'235 2.7.0 Welcome, {TARO}'
            assert session.mail('Subject: by certificate\n\nHello').startswith('250')
    with meet(server, taro) as session:
        session.command('AUTH EXTERNAL', '334 ')
        session.command('', 235)
        session.command(f'MAIL FROM:<{HANAKO}>', '553 5.7.1')
    assert until(lambda: 'mechanism=EXTERNAL' in server.log(), 5)


def test_it_may_be_named_whom_it_stands_for(server, taro):
    with meet(server, taro) as session:
        session.command(f'AUTH EXTERNAL {encode(HANAKO)}', '535 5.7.8')
        session.command(f'AUTH EXTERNAL {encode(TARO.upper())}', 235)


def test_of_several_addresses_the_first_counts_or_the_one_that_is_named(server, authority):
    both = authority.issue('both', emails=[HANAKO, TARO])
    with meet(server, both) as session:
        assert HANAKO in session.command(f'AUTH EXTERNAL {EMPTY}', 235)
    with meet(server, both) as session:
        assert TARO in session.command(f'AUTH EXTERNAL {encode(TARO)}', 235)


def test_an_address_in_the_subject_will_do(server, authority):
    old = authority.issue('old', subject_email=TARO)
    with meet(server, old) as session:
        session.command(f'AUTH EXTERNAL {EMPTY}', 235)
    other = authority.issue('other', subject_email=TARO, emails=[HANAKO])
    with meet(server, other) as session:
        assert HANAKO in session.command(f'AUTH EXTERNAL {EMPTY}', 235)


def test_it_is_enough_with_a_second_factor(server, authority):
    secret = server.cli_json('account', 'totp', HANAKO, 'enable')['secret'].replace(' ', '')
    code = subprocess.run(['oathtool', '--totp', '-b', secret], check=True, capture_output=True,
                          text=True).stdout.strip()
    server.cli('account', 'totp', HANAKO, 'confirm', code)
    with meet(server, authority.issue('second', emails=[HANAKO])) as session:
        session.log_in(HANAKO, code='534 5.7.9')
        session.command(f'AUTH EXTERNAL {EMPTY}', 235)
    server.cli('account', 'totp', HANAKO, 'disable')


# --- what is not ---

def refused(server, certificate, why, is_listed=False):
    """The session goes on, EXTERNAL does not, and a password opens the account all the same."""
    with meet(server, certificate) as session:
        assert ('EXTERNAL' in session.offer('AUTH')) == is_listed
        reply = session.command(f'AUTH EXTERNAL {EMPTY}')
        assert reply.startswith('535 5.7.8') and why in reply, reply
        session.log_in()


def test_who_shows_none_is_asked_for_a_password(server):
    refused(server, None, 'this connection has shown none')
    with Submission(server, is_encrypted=False) as session:
        assert 'EXTERNAL' not in (session.offer('AUTH') or [])
        session.command(f'AUTH EXTERNAL {EMPTY}', '538 5.7.11')


def test_bad_certificates_end_no_session_and_open_nothing(server, authority, tmp_path):
    stranger = Authority(tmp_path, 'Stranger')
    refused(server, authority.issue('late', emails=[TARO], from_days=-20, to_days=-10),
            'cannot be used: certificate has expired')
    refused(server, authority.issue('early', emails=[TARO], from_days=5),
            'cannot be used: certificate is not yet valid')
    refused(server, stranger.issue('eve', emails=[TARO]), 'cannot be used: unable to ')
    refused(server, stranger.own, 'cannot be used: self')
    web = authority.issue('web', emails=[TARO], usage=ExtendedKeyUsageOID.SERVER_AUTH)
    refused(server, web, 'cannot be used: unsuitable')
    refused(server, authority.issue('host', hosts=['taro.example.jp']), 'has no mail address')
    assert not server.cli_json('ban', 'list')


def test_names_that_no_account_has_open_nothing(server, authority):
    names = ['nobody@example.jp', 'postbox@example.jp', 'taro+x@example.jp', 'taro@other.example']
    for name in names:
        nobody = authority.issue('nobody', emails=[name])
        refused(server, nobody, 'opens no account here', is_listed=True)


def test_a_disabled_account_stays_closed(server, authority):
    server.cli('account', 'disable', HANAKO)
    hanako = authority.issue('hanako', emails=[HANAKO])
    refused(server, hanako, 'opens no account here', is_listed=True)
    server.cli('account', 'enable', HANAKO)
    with meet(server, hanako) as session:
        session.command(f'AUTH EXTERNAL {EMPTY}', 235)


def test_who_tries_one_name_after_another_is_banned(authority, taro):
    """And good certificates with him."""
    with make_server(authority, brakes__exempt_networks='[]', brakes__failures='4') as server:
        for i in range(5):
            guess = authority.issue('guess', emails=[f'guess{i}@example.jp'])
            with meet(server, guess) as session:
                session.command(f'AUTH EXTERNAL {EMPTY}', '535 5.7.8')
        until(lambda: server.cli_json('ban', 'list'), 10, 'the ban')
        with pytest.raises(AssertionError, match='421'):
            meet(server, taro)
        server.cli('ban', 'remove', '127.0.0.1')
        with meet(server, taro) as session:
            session.command(f'AUTH EXTERNAL {EMPTY}', 235)


def test_an_account_that_strangers_try_waits_with_a_certificate_too(authority, taro):
    with make_server(authority, brakes__exempt_networks='[]', brakes__failures='0',
                     brakes__network_failures='0', brakes__account_failures='3') as server:
        with Submission(server) as session:
            for _ in range(3):
                session.log_in(password='wrong', code=535)
        with meet(server, taro) as session:
            session.command(f'AUTH EXTERNAL {EMPTY}', '454 4.7.0')


def test_one_that_has_expired_since_its_ticket_opens_nothing(authority):
    with make_server(authority) as server:
        short = authority.issue('short', emails=[TARO], to_days=1)
        with meet(server, short) as session:
            session.command(f'AUTH EXTERNAL {EMPTY}', 235)
        server.advance(2 * DAY_MS)
        refused(server, short, 'certificate has expired')


def test_what_is_called_back_opens_nothing_from_then_on(tmp_path):
    authority = Authority(tmp_path)
    with make_server(authority, tls__client_crl_file=f'"{authority.crl_path}"') as server:
        taro = authority.issue('taro', emails=[TARO])
        with meet(server, taro) as session:
            session.command(f'AUTH EXTERNAL {EMPTY}', 235)
        authority.call_back(taro)
        server.cli('reload')
        until(lambda: is_refused(server, taro, 'certificate revoked'), 20, 'the new list')
        authority.revoked.clear()
        authority.write_crl(from_days=-20, to_days=-10)
        server.cli('reload')
        until(lambda: is_refused(server, taro, 'CRL has expired'), 20, 'the old list')
        assert 'tls.list-ended' in server.log()


def is_refused(server, certificate, why):
    """Whether EXTERNAL is refused now, for this reason."""
    with meet(server, certificate) as session:
        return why in session.command(f'AUTH EXTERNAL {EMPTY}')


def test_port_25_asks_nobody(server, taro):
    with meet(server, taro, port=server.port) as session:
        assert session.offer('AUTH') is None
        session.command(f'AUTH EXTERNAL {EMPTY}', 502)


def test_a_file_that_is_none_is_refused(authority, tmp_path):
    (tmp_path / 'crl').write_text('nothing\n')
    with make_server(authority) as server:
        text = server.config_path.read_text()
        server.config_path.write_text(text + f'\ntls.client_crl_file = "{tmp_path}/crl"\n')
        done = server.cli('reload', check=False)
        assert done.returncode == 1 and b'tls.client_crl_file: ' in done.stderr
        assert b'there is no list in PEM form' in done.stderr
        server.config_path.write_text(text)


# --- other people's programs ---

def test_swaks_shows_it_and_logs_in_by_password(server, taro):
    """It knows no EXTERNAL: a certificate that is shown is no hindrance."""
    run = subprocess.run(
        ['swaks', '--server', f'127.0.0.1:{server.submission_port}', '--tls', '--tls-cert',
         taro.chain, '--tls-key', taro.key, '--auth', 'PLAIN', '--auth-user', TARO,
         '--auth-password', PASSWORD, '--from', TARO, '--to', TARO], capture_output=True, text=True,
        timeout=30, check=True)
    assert '250-AUTH EXTERNAL SCRAM' in run.stdout, run.stdout


def test_openssl_logs_in(server, taro):
    command = ['openssl', 's_client', '-quiet', '-crlf', '-CAfile', chain_file(server), '-cert',
               taro.chain, '-key', taro.key, '-connect', f'127.0.0.1:{server.submissions_port}']
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as client:
        assert client.stdout.readline().startswith('220 ')
        print(f'AUTH EXTERNAL {EMPTY}', file=client.stdin, flush=True)
        assert client.stdout.readline().startswith('503 ')
        print('EHLO client.example', file=client.stdin, flush=True)
        while client.stdout.readline().startswith('250-'):
            pass
        print(f'AUTH EXTERNAL {EMPTY}', file=client.stdin, flush=True)
        assert client.stdout.readline() == f'235 2.7.0 Welcome, {TARO}\n'
        print('QUIT', file=client.stdin, flush=True)
        client.wait(20)


def test_curl_logs_in(server, taro, tmp_path):
    letter = tmp_path / 'letter'
    letter.write_text(f'From: {TARO}\r\nSubject: by curl\r\n\r\nHello\r\n')
    port = server.submissions_port
    subprocess.run(
        ['curl', '-sS', f'smtps://{HOSTNAME}:{port}/client.example', '--cacert', chain_file(server),
         '--resolve', f'{HOSTNAME}:{port}:127.0.0.1', '--cert', taro.chain, '--key', taro.key,
         '--user', f'{TARO}:', '--login-options', 'AUTH=EXTERNAL', '--mail-from', TARO,
         '--mail-rcpt', TARO, '-T', letter], check=True, timeout=30)
    assert any(b'by curl' in message for message in server.export(TARO))


def test_msmtp_logs_in(server, taro):
    subprocess.run(
        ['msmtp', '--host=127.0.0.1', f'--port={server.submission_port}', '--tls=on',
         f'--tls-host-override={HOSTNAME}', f'--tls-trust-file={chain_file(server)}',
         f'--tls-cert-file={taro.chain}', f'--tls-key-file={taro.key}', '--auth=external',
         f'--user={TARO}', f'--from={TARO}', TARO],
        input=f'From: {TARO}\nSubject: by msmtp\n\nHello\n', text=True, check=True, timeout=30)
    assert any(b'by msmtp' in message for message in server.export(TARO))
