"""Logging in by tokens of an identity provider (OAUTHBEARER, XOAUTH2), by its keys and by asking
it: what is good, what is not, and what happens while it is away."""
import base64
import contextlib
import json
import subprocess
import time

import pytest

from hikyaku import HOSTNAME, PASSWORD, Server, until
from issuer import Issuer, Key, encode as encode_url
from submission import TARO, Submission, chain_file, encode

HANAKO = 'hanako@example.jp'
SCOPE = 'openid mail'
MINUTE_MS = 60 * 1000


@contextlib.contextmanager
def make_server(issuer, how='keys', **settings):
    """A server that believes this issuer, with accounts for Taro and Hanako."""
    settings = {'brakes.connections': '0', **issuer.settings(how),
                **{name.replace('__', '.'): value for name, value in settings.items()}}
    with Server(settings=settings) as server:
        server.add_account(TARO)
        server.add_account(HANAKO)
        yield server


@pytest.fixture(scope='module', name='issuer')
def fixture_issuer(tmp_path_factory):
    with Issuer(tmp_path_factory.mktemp('issuer')) as issuer:
        yield issuer


@pytest.fixture(scope='module', name='server')
def fixture_server(issuer):
    with make_server(issuer) as server:
        yield server


def bearer(token, name=''):
    """OAUTHBEARER's message (RFC 7628 section 3.1)."""
    claim = f'a={name}' if name else ''
    return encode(f'n,{claim},\x01auth=Bearer {token}\x01\x01')


def xoauth2(token, name=TARO):
    """XOAUTH2's."""
    return encode(f'user={name}\x01auth=Bearer {token}\x01\x01')


def log_in(session, token, name=''):
    """The last reply; on the way to a refusal comes a challenge that says what would be good."""
    reply = session.command(f'AUTH OAUTHBEARER {bearer(token, name)}')
    if not reply.startswith('334'):
        return reply
    said = json.loads(base64.b64decode(reply[4:]))
    assert said['status'] == 'invalid_token' and said['scope'] == 'mail', said
    assert said['openid-configuration'].endswith('/.well-known/openid-configuration')
    return session.command('AQ==')


def outcome(server, token, name=''):
    """The code of a login on a connection of its own."""
    with Submission(server) as session:
        return log_in(session, token, name)[:9]


GOOD, BAD, LATER = '235 2.7.0', '535 5.7.8', '454 4.7.0'


def good(issuer, **claims):
    """A token of Taro's."""
    return issuer.token(**{'email': TARO, 'scope': SCOPE, **claims})


# --- by keys ---

def test_a_token_opens_the_account_that_it_names(server, issuer):
    with Submission(server) as session:
        assert {'OAUTHBEARER', 'XOAUTH2'} < set(session.offer('AUTH'))
        assert log_in(session, good(issuer)) == f'235 2.7.0 Welcome, {TARO}'
        assert session.mail('Subject: by token\n\nHello').startswith('250')
    with Submission(server, is_implicit=True) as session:
        assert log_in(session, good(issuer), TARO).startswith(GOOD)
    with Submission(server) as session:
        session.command(f'AUTH XOAUTH2 {xoauth2(good(issuer))}', GOOD)
    with Submission(server, is_encrypted=False) as session:
        session.command(f'AUTH OAUTHBEARER {bearer(good(issuer))}', '538 5.7.11')
    assert issuer.requests.count('/keys') == 1


@pytest.mark.parametrize('alg', ['RS256', 'PS256', 'EdDSA'])
def test_each_kind_of_key_will_do(issuer, alg, tmp_path):
    key = Key(alg, alg)
    keys = tmp_path / 'keys.json'
    keys.write_text(json.dumps({'keys': [key.jwk()]}))
    with make_server(issuer, auth__oauth_keys_file=f'"{keys}"', tls__ca_file='""') as server:
        assert outcome(server, good(issuer, key=key)) == GOOD
        assert outcome(server, good(issuer)) == BAD


def test_a_file_with_keys_is_read_again(issuer, tmp_path):
    old, new = Key('old'), Key('new')
    keys = tmp_path / 'keys.json'
    keys.write_text(json.dumps({'keys': [old.jwk()]}))
    with make_server(issuer, auth__oauth_keys_file=f'"{keys}"') as server:
        assert outcome(server, good(issuer, key=new)) == BAD
        keys.write_text('{"keys": []}')
        done = server.cli('reload', check=False)
        assert done.returncode == 1 and b'is no set of keys (JWKS)' in done.stderr
        assert outcome(server, good(issuer, key=old)) == GOOD
        keys.write_text(json.dumps({'keys': [new.jwk()]}))
        server.cli('reload')
        until(lambda: outcome(server, good(issuer, key=new)) == GOOD, 10, 'the new key')
        assert outcome(server, good(issuer, key=old)) == BAD


@pytest.mark.parametrize('claims', [
    {'aud': 'web'}, {'aud': None}, {'aud': []}, {'iss': 'https://other.example'}, {'iss': None},
    {'exp': 1000}, {'exp': None}, {'nbf': 4000000000}, {'scope': 'openid'}, {'scope': None},
    {'email': None}, {'email': 'nobody@example.jp'}, {'email_verified': False},
    {'email': f'{TARO} '}, {'cnf': {'jkt': 'x'}}, {'email': 'taro'}, {'email': [TARO]},
])
def test_a_token_for_others_or_without_what_is_needed_is_bad(server, issuer, claims):
    assert outcome(server, good(issuer, **claims)) == BAD
    assert outcome(server, good(issuer, aud=['web', 'mail'], email_verified=True)) == GOOD


def test_forged_tokens_are_bad(server, issuer):
    mine = Key('one')
    head, claims, signature = good(issuer).split('.')
    other = good(issuer, email=HANAKO).split('.')
    forged = [
        good(issuer, key=mine), f'{head}.{other[1]}.{signature}', f'{head}.{claims}.{other[2]}',
        f'{encode_url({"alg": "none"})}.{claims}.', f'{encode_url({"alg": "none"})}.{claims}.AAAA',
        f'{encode_url({"alg": "HS256", "kid": "one"})}.{claims}.{signature}',
        good(issuer, header={'alg': 'RS256'}), good(issuer, header={'crit': ['exp']}),
        good(issuer, header={'typ': 'logout+jwt'}), f'{head}.{claims}.', f'{head}.{claims}',
        good(issuer, key=mine, header={'jwk': mine.jwk()}),
        good(issuer, key=mine, header={'jku': f'{issuer.url}/mine', 'kid': 'x'}), 'opaque',
        'A' * 8000,
    ]
    for token in forged:
        assert outcome(server, token) == BAD, token
    assert '/mine' not in issuer.requests
    assert outcome(server, good(issuer)) == GOOD


def test_who_it_is_says_the_token_and_not_the_client(server, issuer):
    with Submission(server) as session:
        reply = log_in(session, good(issuer), HANAKO)
        assert reply.startswith(BAD), reply
        reply = session.command(f'AUTH XOAUTH2 {xoauth2(good(issuer), HANAKO)}')
        said = json.loads(base64.b64decode(reply[4:]))
        assert said == {'status': '401', 'schemes': 'bearer', 'scope': 'mail'}
        assert session.command('').startswith(BAD)
        session.log_in()


def test_the_account_may_be_named_otherwise(issuer):
    with make_server(issuer, auth__oauth_account_claim='uid') as server:
        assert outcome(server, good(issuer, email=None, uid='taro')) == GOOD
        assert outcome(server, good(issuer, uid=HANAKO.upper()), HANAKO) == GOOD
        assert outcome(server, good(issuer)) == BAD


def test_it_ends_when_it_says(issuer):
    with make_server(issuer) as server:
        token = good(issuer)
        assert outcome(server, token) == GOOD
        server.advance(10 * MINUTE_MS)
        assert outcome(server, token) == GOOD  # clocks may differ by a minute
        server.advance(1 * MINUTE_MS)
        assert outcome(server, token) == BAD


def test_disabled_accounts_stay_closed_and_a_second_factor_is_the_issuers(server, issuer):
    server.cli('account', 'disable', HANAKO)
    assert outcome(server, good(issuer, email=HANAKO)) == BAD
    server.cli('account', 'enable', HANAKO)
    assert outcome(server, good(issuer, email=HANAKO)) == GOOD
    secret = server.cli_json('account', 'totp', HANAKO, 'enable')['secret'].replace(' ', '')
    code = subprocess.run(['oathtool', '--totp', '-b', secret], check=True, capture_output=True,
                          text=True).stdout.strip()
    server.cli('account', 'totp', HANAKO, 'confirm', code)
    assert outcome(server, good(issuer, email=HANAKO)) == GOOD
    server.cli('account', 'totp', HANAKO, 'disable')


def test_an_issuer_changes_its_keys(tmp_path):
    with Issuer(tmp_path) as issuer, make_server(issuer) as server:
        old = good(issuer)
        assert outcome(server, old) == GOOD
        issuer.keys = [Key('two'), *issuer.keys]
        for _ in range(3):
            assert outcome(server, good(issuer)) == BAD  # asked a moment ago
        assert issuer.requests.count('/keys') == 1
        server.advance(MINUTE_MS / 2)
        assert outcome(server, good(issuer)) == GOOD
        assert outcome(server, old) == GOOD
        issuer.keys.pop()
        server.advance(60 * MINUTE_MS)
        assert outcome(server, good(issuer, now=time.time() + 3600)) == GOOD
        assert outcome(server, good(issuer, now=time.time() + 3600, key=Key('one'))) == BAD
        assert issuer.requests.count('/keys') == 3


def test_an_issuer_that_is_away_is_nobodys_fault(tmp_path):
    brakes = {'brakes__exempt_networks': '[]', 'brakes__failures': '3'}
    with Issuer(tmp_path) as issuer, make_server(issuer, **brakes) as server:
        token = good(issuer)
        issuer.down()
        for _ in range(6):
            assert outcome(server, token) == LATER
        assert not server.cli_json('ban', 'list')
        assert 'auth.token-not-checked' in server.log()
        with Submission(server) as session:
            session.log_in()
        issuer.up()
        server.advance(5001)
        assert outcome(server, token) == GOOD
        issuer.down()
        server.advance(60 * MINUTE_MS)
        assert outcome(server, good(issuer, now=time.time() + 3600)) == GOOD  # by the old keys


def test_an_issuer_that_is_slow_holds_up_nobody_else(tmp_path):
    with Issuer(tmp_path) as issuer, make_server(issuer) as server:
        issuer.delay = 30
        began = time.monotonic()
        with Submission(server) as slow, Submission(server) as other:
            slow.send(f'AUTH OAUTHBEARER {bearer(good(issuer))}\r\n'.encode())
            until(lambda: issuer.requests, 10, 'the question')
            other.log_in()
            assert time.monotonic() - began < 2
            assert slow.reply().startswith(LATER)
        issuer.delay = 0
        server.advance(5001)
        assert outcome(server, good(issuer)) == GOOD


def test_an_issuer_with_a_foreign_certificate_is_not_believed(tmp_path):
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
    with Issuer(tmp_path / 'one') as issuer, Issuer(tmp_path / 'two') as other:
        with make_server(issuer, tls__ca_file=f'"{other.ca_path}"') as server:
            assert outcome(server, good(issuer)) == LATER
            assert not issuer.requests and 'certificate' in server.log()


def test_an_issuer_has_a_name(tmp_path):
    """Which the auth process looks up in its sandbox."""
    with Issuer(tmp_path, 'localhost') as issuer, make_server(issuer) as server:
        assert outcome(server, good(issuer)) == GOOD
    with Issuer(tmp_path, 'id.invalid') as issuer, make_server(issuer) as server:
        assert outcome(server, good(issuer)) == LATER
        assert 'Could not resolve host: id.invalid' in server.log()
        assert 'master.child-died' not in server.log()


def test_who_tries_tokens_is_banned(tmp_path):
    brakes = {'brakes__exempt_networks': '[]', 'brakes__failures': '4'}
    with Issuer(tmp_path) as issuer, make_server(issuer, **brakes) as server:
        for _ in range(5):
            assert outcome(server, 'guess') == BAD
        until(lambda: server.cli_json('ban', 'list'), 10, 'the ban')
        with pytest.raises(AssertionError, match='421'):
            outcome(server, good(issuer))
        server.cli('ban', 'remove', '127.0.0.1')
        assert outcome(server, good(issuer)) == GOOD


def test_tokens_are_said_nowhere(server, issuer):
    token, wrong = good(issuer), good(issuer, aud='web')
    outcome(server, token)
    outcome(server, wrong)
    until(lambda: 'it is for another audience' in server.log(), 5, 'the reason')
    for secret in (token, wrong, token.split('.')[2], wrong.split('.')[1]):
        assert secret not in server.log()


def test_settings_can_change_while_it_runs(tmp_path):
    with Issuer(tmp_path) as issuer, make_server(issuer) as server:
        assert outcome(server, good(issuer)) == GOOD
        text = server.config_path.read_text()
        changed = text.replace('oauth_audience = mail', 'oauth_audience = post')
        server.config_path.write_text(changed)
        server.cli('reload')
        until(lambda: outcome(server, good(issuer)) == BAD, 10, 'the new audience')
        assert outcome(server, good(issuer, aud='post')) == GOOD
        server.config_path.write_text(text.replace('oauth = keys', 'oauth = off'))
        done = server.cli('reload', check=False)
        assert done.returncode == 1
        assert b'auth.oauth was changed, which needs a restart' in done.stderr


# --- by asking ---

def test_the_issuer_is_asked_what_a_token_is_worth(tmp_path):
    with Issuer(tmp_path) as issuer, make_server(issuer, 'introspection') as server:
        worth = {'active': True, 'username': TARO, 'aud': 'mail', 'scope': SCOPE}
        issuer.tokens = {
            'good': worth, 'dead': {'active': False}, 'web': {**worth, 'aud': 'web'},
            'late': {**worth, 'exp': 1000}, 'narrow': {**worth, 'scope': 'openid'},
            'nobody': {**worth, 'username': 'nobody@example.jp'},
            'text': {**worth, 'active': 'yes'}, 'bound': {**worth, 'token_type': 'DPoP'},
            'foreign': {**worth, 'iss': 'https://x.example'},
        }
        for token in issuer.tokens:
            assert outcome(server, token) == (GOOD if token == 'good' else BAD), token
        assert outcome(server, 'unknown') == BAD
        assert outcome(server, 'good', HANAKO) == BAD
        with Submission(server) as session:
            session.command(f'AUTH XOAUTH2 {xoauth2("good")}', GOOD)


def test_a_good_token_is_remembered_for_a_while(tmp_path):
    with Issuer(tmp_path) as issuer, make_server(issuer, 'introspection') as server:
        issuer.tokens = {'good': {'active': True, 'email': TARO, 'aud': 'mail', 'scope': SCOPE}}
        for _ in range(3):
            assert outcome(server, 'good') == GOOD
        assert len(issuer.requests) == 1
        issuer.tokens = {}
        assert outcome(server, 'good') == GOOD
        server.advance(MINUTE_MS)
        assert outcome(server, 'good') == BAD


def test_an_issuer_that_cannot_be_asked_is_nobodys_fault(tmp_path):
    with Issuer(tmp_path) as issuer, make_server(issuer, 'introspection') as server:
        issuer.tokens = {'good': {'active': True, 'email': TARO, 'aud': 'mail', 'scope': SCOPE}}
        issuer.status = 503
        assert outcome(server, 'good') == LATER
        issuer.status = None
        issuer.down()
        assert outcome(server, 'good') == LATER
        issuer.up()
        assert outcome(server, 'good') == GOOD


# --- other people's programs ---

@pytest.mark.parametrize('mechanism', ['OAUTHBEARER', 'XOAUTH2'])
def test_curl_logs_in(server, issuer, mechanism, tmp_path):
    letter = tmp_path / 'letter'
    letter.write_text(f'From: {TARO}\r\nSubject: curl {mechanism}\r\n\r\nHello\r\n')
    port = server.submission_port
    command = ['curl', '-sS', '--ssl-reqd', f'smtp://{HOSTNAME}:{port}/client.example',
               '--resolve', f'{HOSTNAME}:{port}:127.0.0.1', '--cacert', chain_file(server),
               '--login-options', f'AUTH={mechanism}', '--mail-from', TARO, '--mail-rcpt', TARO,
               '-T', letter, '--user', TARO, '--oauth2-bearer']
    subprocess.run([*command, good(issuer)], check=True, timeout=30)
    subject = f'curl {mechanism}'.encode()
    until(lambda: any(subject in message for message in server.export(TARO)), 10, 'the letter')
    run = subprocess.run([*command, good(issuer, aud='web')], capture_output=True, timeout=30,
                         check=False)
    assert run.returncode == 67, run.stderr  # CURLE_LOGIN_DENIED


@pytest.mark.parametrize('mechanism', ['oauthbearer', 'xoauth2'])
def test_msmtp_logs_in(server, issuer, mechanism, tmp_path):
    version = subprocess.run(['msmtp', '--version'], capture_output=True, text=True, check=True)
    if mechanism not in version.stdout:
        pytest.skip(f'this msmtp has no {mechanism}')
    secret = tmp_path / 'token'
    secret.write_text(good(issuer) + '\n')
    command = ['msmtp', '--host=127.0.0.1', f'--port={server.submission_port}', '--tls=on',
               f'--tls-host-override={HOSTNAME}', f'--tls-trust-file={chain_file(server)}',
               f'--auth={mechanism}', f'--user={TARO}', f'--passwordeval=cat {secret}',
               f'--from={TARO}', TARO]
    text = f'From: {TARO}\nSubject: msmtp {mechanism}\n\nHello\n'
    subprocess.run(command, input=text, text=True, check=True, timeout=30)
    subject = f'msmtp {mechanism}'.encode()
    until(lambda: any(subject in message for message in server.export(TARO)), 10, 'the letter')
    assert PASSWORD not in server.log()
