"""Nodemailer, what programs in JavaScript send mail with, at 587 (STARTTLS) and 465 (TLS).

npm fetches it once, as nodemailer/package-lock.json says, into build-check/peers/nodemailer.
Without Node.js, npm or a registry these tests are skipped; they say which it was.
"""
import base64
import email
import email.policy
import fcntl
import hashlib
import json
import pathlib
import random
import shutil
import subprocess

import pytest

from authority import self_signed
from hikyaku import HOSTNAME, PASSWORD, Server, until
from peers import PEERS
from submission import TARO, chain_file

HANAKO = 'hanako@example.jp'
SOURCE = pathlib.Path(__file__).parent / 'nodemailer'
PORTS = {'starttls': 587, 'tls': 465}
WAYS = pytest.mark.parametrize('way', PORTS)
FETCH_SECONDS = 120


@pytest.fixture(scope='module', name='folder')
def fixture_folder():
    """Where Nodemailer is installed, beside the program that uses it."""
    for program in ('node', 'npm'):
        if shutil.which(program) is None:
            pytest.skip(f'{program} is not installed')
    folder = PEERS / 'nodemailer'
    folder.mkdir(parents=True, exist_ok=True)
    with open(PEERS / 'nodemailer.lock', 'w', encoding='utf-8') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (SOURCE / 'package-lock.json').read_text()
        stamp = folder / 'installed'
        for path in SOURCE.iterdir():
            shutil.copy(path, folder)
        if not stamp.exists() or stamp.read_text() != wanted:
            fetch(folder)
            stamp.write_text(wanted)
    return folder


def fetch(folder):
    """npm ci; skips when there is no registry."""
    try:
        run = subprocess.run(['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'],
                             cwd=folder, capture_output=True, text=True, timeout=FETCH_SECONDS,
                             check=False)
    except subprocess.TimeoutExpired:
        pytest.skip('npm has not got Nodemailer in time')
    if run.returncode != 0:
        pytest.skip(f'npm cannot get Nodemailer: {run.stderr.strip()[-300:]}')


@pytest.fixture(scope='module', name='server')
def fixture_server():
    with Server(settings={'submission.messages_per_minute': '0'}) as server:
        server.add_account(TARO)
        server.add_account(HANAKO)
        yield server


def send(folder, server, way, *messages, login=(TARO, PASSWORD), trusts=None, **more):
    """What became of the messages, one result each."""
    transport = {'host': '127.0.0.1', 'port': PORTS[way] + server.offset, 'secure': way == 'tls',
                 'requireTLS': True, 'name': 'client.example',
                 'auth': {'user': login[0], 'pass': login[1]},
                 'tls': {'servername': HOSTNAME, 'ca': (trusts or chain_file(server)).read_text()},
                 **more}
    job = {'transport': transport,
           'messages': [{'from': f'太郎 <{TARO}>', 'to': f'花子 <{HANAKO}>', **message}
                        for message in messages]}
    run = subprocess.run(['node', 'send.js'], cwd=folder, input=json.dumps(job).encode(),
                         capture_output=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr.decode(errors='replace')
    return json.loads(run.stdout)


def arrived(server, address, subject):
    """The messages of this subject, parsed."""
    parsed = [email.message_from_bytes(m, policy=email.policy.default)
              for m in server.export(address)]
    return [m for m in parsed if m['subject'] == subject]


@WAYS
@pytest.mark.parametrize('method', ['PLAIN', 'LOGIN'])
def test_a_japanese_letter_with_an_attachment(folder, server, way, method):
    subject = f'件名、とても長い件名、飛脚が運ぶ手紙の件名 {way} {method}'
    data = random.Random(way + method).randbytes(300_000)
    result, = send(folder, server, way, {
        'subject': subject, 'text': 'いろはにほへと\n.\n..dot\nちりぬるを\n',
        'html': '<p>いろはにほへと</p>', 'bcc': TARO,
        'attachments': [{'filename': '見積書（最終）.pdf', 'encoding': 'base64',
                         'content': base64.b64encode(data).decode()}]}, authMethod=method)
    assert result.get('response', '').startswith('250 2.0.0 Accepted as '), result
    assert f'mechanism={method}' in server.log()
    mail, = arrived(server, HANAKO, subject)
    assert mail['to'].addresses[0].display_name == '花子' and mail['bcc'] is None
    assert 'with ESMTPSA' in mail['received']
    text = mail.get_body(('plain',)).get_content().replace('\r\n', '\n')
    assert text.startswith('いろはにほへと\n.\n..dot\nちりぬるを\n')
    attachment, = mail.iter_attachments()
    assert attachment.get_filename() == '見積書（最終）.pdf'
    assert hashlib.sha256(attachment.get_content()).digest() == hashlib.sha256(data).digest()
    assert len(arrived(server, TARO, subject)) == 1


@WAYS
def test_it_asks_for_a_report(folder, server, way):
    subject = f'dsn {way}'
    result, = send(folder, server, way, {
        'subject': subject, 'text': 'x',
        'dsn': {'id': f'QQ-{way}', 'return': 'headers', 'notify': 'success', 'recipient': TARO}})
    assert 'response' in result, result

    def reports():
        return [m for m in server.export(TARO) if f'Original-Envelope-Id: QQ-{way}'.encode() in m]
    report, = until(reports, 20, 'the report')
    assert b'Action: delivered' in report and f'rfc822; {HANAKO}'.encode() in report
    assert f'Subject: {subject}'.encode() in report


@WAYS
def test_a_pool_sends_many_over_few_connections(folder, server, way):
    logins = server.log().count('smtp.login ')
    letters = [{'subject': f'pool {way}', 'text': f'number {n}\n'} for n in range(40)]
    results = send(folder, server, way, *letters, pool=True, maxConnections=3, maxMessages=100)
    assert all('response' in r for r in results), results
    found = arrived(server, HANAKO, f'pool {way}')
    assert {m.get_content().strip() for m in found} == {f'number {n}' for n in range(40)}
    assert len(found) == 40
    assert 1 <= server.log().count('smtp.login ') - logins <= 3


@WAYS
def test_a_wrong_password(folder, server, way):
    result, = send(folder, server, way, {'subject': 'never', 'text': 'x'}, login=(TARO, 'wrong'))
    assert result['code'] == 'EAUTH' and result['responseCode'] == 535, result
    assert 'Wrong user name or password' in result['error']


@WAYS
def test_a_certificate_it_does_not_know(folder, server, way, tmp_path):
    result, = send(folder, server, way, {'subject': 'never', 'text': 'x'},
                   trusts=self_signed(tmp_path, HOSTNAME).chain)
    assert 'self-signed certificate' in result['error'], result


def test_a_sender_that_is_not_his(folder, server):
    result, = send(folder, server, 'starttls', {'subject': 'never', 'from': HANAKO, 'text': 'x'})
    assert result['responseCode'] == 553 and TARO in result['error'], result
    assert not arrived(server, HANAKO, 'never')


def test_a_japanese_address(folder, server):
    """SMTPUTF8, which it asks for by itself."""
    server.add_alias('花子@example.jp', HANAKO)
    result, = send(folder, server, 'tls', {'subject': 'utf8', 'to': '花子@example.jp', 'text': 'x'})
    assert 'response' in result, result
    assert len(arrived(server, HANAKO, 'utf8')) == 1
