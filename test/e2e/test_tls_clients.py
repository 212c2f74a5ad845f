"""Other mail servers as clients over TLS: they deliver to port 25 and verify whom they reach, and
have this server as their smarthost, with a login at 587 and 465. Postfix (OpenSSL, Cyrus SASL)."""
import re

import pytest

from authority import self_signed
from hikyaku import HOSTNAME, PASSWORD, Server, until
from peers import PeerMissing
from submission import TARO, chain_file
from tls_clients import EximClient, OpenSmtpdClient
from tls_peers import TlsPostfix

LOGIN = (TARO, PASSWORD)
WAYS = ('smtp', 'submission', 'submissions')
MECHANISMS = ('PLAIN', 'LOGIN', 'SCRAM-SHA-1', 'SCRAM-SHA-256')


@pytest.fixture(scope='module', name='server')
def fixture_server():
    with Server() as server:
        server.add_account(TARO)
        server.add_alias('@example.jp', TARO)
        yield server


def letter(to):
    return (f'From: {TARO}\nTo: {to}\nSubject: to {to}\n'
            'Content-Type: text/plain; charset=utf-8\n\n日本語\n.dot\n').encode()


def wait_for(server, to, words='', seconds=30):
    """Waits until the letter to this address is there; it has come as its Received field says."""
    found = []

    def arrived():
        found[:] = [m.decode() for m in server.export(TARO) if f'\nTo: {to}\n'.encode() in m]
        return found
    until(arrived, seconds, f'the letter to {to}')
    assert len(found) == 1
    assert '日本語\n.dot\n' in found[0]
    ours = found[0][found[0].index('Received:'):].split('\nReceived:')[0]
    assert words in ours, ours


# --- Postfix ---

def postfix_routes(server):
    """What a Postfix does to reach us, by recipient."""
    verify = {'smtp_tls_security_level': 'verify', 'smtp_tls_CAfile': chain_file(server),
              'smtp_tls_verify_cert_match': HOSTNAME}
    wrong = {**verify, 'smtp_tls_verify_cert_match': 'mx.elsewhere.example'}
    routes = {'encrypt@example.jp': (server.port, {'smtp_tls_security_level': 'encrypt'}),
              'verify@example.jp': (server.port, verify),
              'wrong@example.jp': (server.port, wrong),
              'nobody@example.net': (server.port, verify)}
    for mechanism in MECHANISMS:
        login = {**verify, 'smtp_sasl_auth_enable': 'yes',
                 'smtp_sasl_security_options': 'noanonymous',
                 'smtp_sasl_mechanism_filter': mechanism}
        routes[f'starttls-{mechanism.lower()}@example.jp'] = (server.submission_port, login)
        routes[f'tls-{mechanism.lower()}@example.jp'] = (
            server.submissions_port, {**login, 'smtp_tls_wrappermode': 'yes'})
    return routes


@pytest.fixture(scope='module', name='postfix')
def fixture_postfix(server):
    try:
        with TlsPostfix(login=LOGIN, routes=postfix_routes(server)) as postfix:
            yield postfix
    except PeerMissing as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize('level, trust', [('encrypt', 'Untrusted'), ('verify', 'Verified')])
def test_postfix_delivers_encrypted(server, postfix, level, trust):
    to = f'{level}@example.jp'
    postfix.sendmail(letter(to), TARO, to)
    wait_for(server, to, 'with ESMTPS')
    assert f'{trust} TLS connection established to 127.0.0.1' in postfix.log()


def test_postfix_does_not_deliver_to_whom_it_does_not_know(server, postfix):
    postfix.sendmail(letter('wrong@example.jp'), TARO, 'wrong@example.jp')
    until(lambda: 'certificate not verified' in postfix.log(), 20, 'a refusal')
    assert not [m for m in server.export(TARO) if b'\nTo: wrong@' in m]


@pytest.mark.parametrize('mechanism', MECHANISMS)
def test_postfix_has_us_as_its_smarthost(server, postfix, mechanism):
    for how in ('starttls', 'tls'):
        to = f'{how}-{mechanism.lower()}@example.jp'
        logins = server.log().count(f'mechanism={mechanism} ')
        postfix.sendmail(letter(to), TARO, to)
        wait_for(server, to, 'with ESMTPSA')
        assert server.log().count(f'mechanism={mechanism}') > logins


# --- Exim ---

@pytest.fixture(scope='module', name='exim')
def fixture_exim(server):
    try:
        with EximClient(server, LOGIN, {f'exim-{way}': way for way in WAYS}) as exim:
            yield exim
    except PeerMissing as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize('way', WAYS)
def test_exim_delivers_encrypted(server, exim, way):
    to = f'exim-{way}@example.jp'
    exim.send(letter(to), TARO, to)
    wait_for(server, to, 'with ESMTPS' + ('' if way == 'smtp' else 'A'))
    assert 'CV=yes' in exim.log().splitlines()[-2]


def test_exim_does_not_deliver_to_whom_it_does_not_know(server, tmp_path):
    own = self_signed(tmp_path, HOSTNAME)
    try:
        with EximClient(server, LOGIN, {'wrong': 'smtp'}, authorities=own.chain) as exim:
            exim.send(letter('wrong@example.jp'), TARO, 'wrong@example.jp')
            assert 'certificate verification failed' in exim.log(), exim.log()
    except PeerMissing as reason:
        pytest.skip(str(reason))
    assert not [m for m in server.export(TARO) if b'\nTo: wrong@' in m]


# --- OpenSMTPD ---

def test_opensmtpd_delivers_encrypted(server):
    """All at once, since it takes its time; it verifies certificates where TLS is demanded."""
    ways = {f'smtpd-{way}@example.jp': way for way in WAYS}
    try:
        with OpenSmtpdClient(server, LOGIN, ways) as client:
            for to in ways:
                client.send(letter(to), TARO, to)
            for to, way in ways.items():
                wait_for(server, to, 'with ESMTPS' + ('' if way == 'smtp' else 'A'))
            log = client.log()
    except PeerMissing as reason:
        pytest.skip(str(reason))
    assert log.count('ciphers=TLSv1.3') == len(ways), log
    assert log.count('server-cert-check result="success"') == len(ways), log
