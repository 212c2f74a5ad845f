"""Mail comes in from the programs people have: swaks, curl, msmtp, s-nail, Postfix, smtp-source."""
import hashlib
import random
import re
import shutil
import subprocess

import pytest

from hikyaku import Server, Session, until
from peers import PeerMissing, Postfix, smtp_source

TARO = 'taro@example.jp'
HANAKO = 'hanako@example.jp'


@pytest.fixture(scope='module')
def server():
    with Server(settings={'smtp.max_connections_per_address': '200'}) as running:
        running.add_account(TARO)
        running.add_account(HANAKO)
        yield running


def run(command, stdin=b'', timeout=30):
    if shutil.which(command[0]) is None:
        pytest.skip(f'{command[0]} is not installed')
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout)
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout.decode(errors='replace')


def find(server, address, needle):
    """The one message of the address that contains the bytes."""
    found = [m for m in server.export(address) if needle in m]
    assert len(found) == 1, (address, needle, len(found))
    return found[0]


def test_swaks(server):
    run(['swaks', '--server', f'127.0.0.1:{server.port}', '--from', 'jiro@example.net',
         '--to', f'{TARO},{HANAKO}', '--header', 'Subject: by swaks', '--body', 'swaks body'])
    for address in (TARO, HANAKO):
        assert b'swaks body' in find(server, address, b'Subject: by swaks')


def test_swaks_is_told_about_an_unknown_user(server):
    if shutil.which('swaks') is None:
        pytest.skip('swaks is not installed')
    done = subprocess.run(['swaks', '--server', f'127.0.0.1:{server.port}', '--to',
                           'nobody@example.jp'], capture_output=True, timeout=30)
    assert done.returncode != 0
    assert b'550 5.1.1' in done.stdout


def test_curl(server, tmp_path):
    letter = tmp_path / 'letter.eml'
    letter.write_bytes(b'From: jiro@example.net\r\nSubject: by curl\r\n\r\ncurl body\r\n.dot\r\n')
    run(['curl', '-sS', f'smtp://127.0.0.1:{server.port}/client.example', '--mail-from',
         'jiro@example.net', '--mail-rcpt', TARO, '-T', str(letter)])
    assert b'curl body\n.dot\n' in find(server, TARO, b'Subject: by curl')


def test_msmtp(server):
    run(['msmtp', '--host=127.0.0.1', f'--port={server.port}', '--from=jiro@example.net', TARO],
        b'From: jiro@example.net\nSubject: by msmtp\n\nmsmtp body\n')
    find(server, TARO, b'Subject: by msmtp')


def test_s_nail(server):
    if shutil.which('s-nail') is None:
        pytest.skip('s-nail is not installed')
    run(['s-nail', '-n', '-S', 'v15-compat', '-S', f'mta=smtp://127.0.0.1:{server.port}',
         '-S', 'smtp-config=-all', '-S', 'smtp-auth=none', '-S', 'from=jiro@example.net',
         '-S', 'hostname=client.example', '-s', 'by s-nail 件名', '-S', 'ttycharset=UTF-8',
         '-S', 'sendcharsets=utf-8', TARO], '本文です\n'.encode())
    find(server, TARO, b's-nail')


def test_postfix_relays_to_us(server):
    letter = 'From: jiro@example.net\nTo: taro@example.jp\nSubject: by postfix\n\n日本語\n.dot\n'
    try:
        with Postfix(server.port) as postfix:
            postfix.sendmail(letter.encode(), 'jiro@example.net', TARO, HANAKO)
            until(postfix.is_empty, 30, 'an empty queue; ' + postfix.log()[-500:])
    except PeerMissing as reason:
        pytest.skip(str(reason))
    for address in (TARO, HANAKO):
        message = find(server, address, b'Subject: by postfix')
        assert '日本語\n.dot\n'.encode() in message
        assert message.count(b'Return-Path:') == 1


def test_smtp_source_in_parallel(server):
    try:
        done = smtp_source(server.port, '-m', '300', '-s', '30', '-l', '5000', '-f',
                           'source@example.net', '-t', HANAKO)
    except PeerMissing as reason:
        pytest.skip(str(reason))
    assert done.returncode == 0, done.stderr
    received = [m for m in server.export(HANAKO) if b'source@example.net' in m]
    assert len(received) == 300


def make_body(megabytes):
    rng = random.Random(megabytes)
    line = bytes(rng.randrange(33, 126) for _ in range(76)).replace(b'.', b'x') + b'\r\n'
    return line * (megabytes * 1024 * 1024 // len(line))


@pytest.mark.parametrize('is_chunked', [False, True])
def test_a_large_message_arrives_byte_by_byte(server, is_chunked):
    subject = f'large-{is_chunked}'
    message = f'Subject: {subject}\r\n\r\n'.encode() + make_body(12)
    with Session(server.port, timeout=120) as session:
        session.reply()
        session.command('EHLO client.example', 250)
        session.command(f'MAIL FROM:<jiro@example.net> SIZE={len(message)}', 250)
        session.command(f'RCPT TO:<{TARO}>', 250)
        if is_chunked:
            session.send(b'BDAT %d LAST\r\n' % len(message) + message)
        else:
            session.command('DATA', 354)
            session.send(message + b'.\r\n')
        assert session.reply(120).startswith('250 2.0.0')
    stored = find(server, TARO, subject.encode())
    body = stored[stored.index(b'\n\n') + 2:]
    expected = message[message.index(b'\r\n\r\n') + 4:].replace(b'\r\n', b'\n')
    assert hashlib.sha256(body).hexdigest() == hashlib.sha256(expected).hexdigest()


def test_each_message_can_be_traced(server):
    out = run(['swaks', '--server', f'127.0.0.1:{server.port}', '--from', 'saburo@example.net',
               '--to', TARO, '--header', 'Subject: traced'])
    message_id = re.search(r'Accepted as ([0-9a-z]{13})', out).group(1)
    told = server.trace(message_id)
    assert 'accepted from <saburo@example.net>' in told and f'delivered to {TARO}' in told
    assert message_id in server.trace('saburo@example.net')
    stored = find(server, TARO, b'Subject: traced')
    assert f'id {message_id}'.encode() in stored
