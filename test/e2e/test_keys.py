"""Certificates and keys: made at init, checked at start and reload, renewed without a word, shown.

What certbot does is done here with openssl: files in an archive folder, links to them in a live
one.
"""
import json
import os
import pathlib
import shutil
import ssl
import subprocess

import pytest

from hikyaku import Server, Session, until

MINUTE = 60 * 1000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
PASSWORD = 'correct-horse-飛脚-battery'


def make_pair(folder, name, days=90, key='P-256'):
    """A self-signed certificate and its key in PEM, as bytes, for a host name."""
    folder.mkdir(exist_ok=True)
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                    f'ec_paramgen_curve:{key}', '-nodes', '-days', str(days), '-subj',
                    f'/CN={name}', '-addext', f'subjectAltName=DNS:{name}', '-keyout',
                    folder / 'key.pem', '-out', folder / 'chain.pem'],
                   check=True, capture_output=True, timeout=60)
    return (folder / 'chain.pem').read_bytes(), (folder / 'key.pem').read_bytes()


class Live:
    """A folder as certbot keeps it: live/NAME has links into archive/NAME."""

    def __init__(self, root, name):
        self.folder = root / 'live' / name
        self.archive = root / 'archive' / name
        self.folder.mkdir(parents=True)
        self.archive.mkdir(parents=True)
        self.number = 0

    def _link(self, leaf):
        new = self.folder / 'new'
        new.symlink_to(os.path.relpath(self.archive / f'{leaf}{self.number}.pem', self.folder))
        new.rename(self.folder / f'{leaf}.pem')

    def renew(self, chain=None, key=None):
        """Puts new files there, or one of the two, and lets the links lead to them."""
        self.number += 1
        for leaf, data, mode in (('fullchain', chain, 0o644), ('privkey', key, 0o600)):
            if data is None:
                continue
            path = self.archive / f'{leaf}{self.number}.pem'
            path.write_bytes(data)
            path.chmod(mode)
            self._link(leaf)


def with_folder(folder):
    """For Server(config=...): the first certificate comes from this folder."""
    def change(text):
        start = text.index('certificate "own" {')
        end = text.index('}', start)
        return text[:start] + f'certificate "own" {{\n    folder = "{folder}"\n' + text[end:]
    return change


def open_tls(server, name=None):
    """A connection after STARTTLS; it verifies nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    session = Session(server.port)
    assert session.reply().startswith('220')
    session.command('EHLO client.example.net', 250)
    session.command('STARTTLS', 220)
    session.socket = context.wrap_socket(session.socket, server_hostname=name)
    return session


def shown(server, name=None):
    """The certificate that a client is shown, as PEM without blanks at its ends."""
    session = open_tls(server, name)
    try:
        return ssl.DER_cert_to_PEM_cert(session.socket.getpeercert(binary_form=True)).strip()
    finally:
        session.socket.close()


def pem(chain):
    return chain.decode().strip()


def serve(server):
    """Starts the server, which is expected to refuse: status and standard error."""
    done = subprocess.run([server.binary, 'serve', '-c', str(server.config_path)], env=server.env,
                          capture_output=True, timeout=60)
    return done.returncode, done.stderr.decode()


def settle(server, event, count=1):
    """Lets time pass until the event is in the log so many times."""
    def look():
        if server.log().count(event) >= count:
            return True
        server.advance(MINUTE)
        return False
    until(look, 30, f'{event} in the log')


def certificates(server):
    return server.cli_json('status')['certificates']


def everything_said(server):
    """All that a secret could have leaked to: logs, answers, command lines, environments."""
    said = [server.log(), server.cli('config', 'show'), server.cli('config', 'show', '--json'),
            server.cli('status'), server.cli('status', '--json')]
    for pid in server.pids():
        for leaf in ('cmdline', 'environ'):
            try:
                said.append(pathlib.Path(f'/proc/{pid}/{leaf}').read_bytes().decode('latin-1'))
            except OSError:
                pass
    return '\n'.join(said)


def test_init_makes_a_certificate_that_is_used_and_shown():
    with Server() as server:
        key = server.dir / 'tls' / 'privkey.pem'
        chain = server.dir / 'tls' / 'fullchain.pem'
        assert key.stat().st_mode & 0o777 == 0o600
        assert shown(server) == chain.read_text().strip()
        [certificate] = certificates(server)
        assert certificate['title'] == 'certificate "own"'
        assert certificate['file'] == str(chain)
        assert certificate['names'] == ['mx.example.jp']
        assert certificate['is_self_signed'] and not certificate['has_expired']
        assert certificate['days_left'] > 3600 and certificate['problem'] is None
        text = server.cli('status')
        assert 'self-signed' in text and str(chain) in text and 'mx.example.jp' in text
        assert 'warning' not in text


@pytest.mark.parametrize('damage, said', [
    (lambda tls: (tls / 'fullchain.pem').unlink(),
     ['fullchain.pem cannot be read: No such file or directory; name the file']),
    (lambda tls: shutil.rmtree(tls),
     ['fullchain.pem cannot be read: No such file or directory; name the file']),
    (lambda tls: (tls / 'privkey.pem').chmod(0o604),
     ['privkey.pem is open to others (mode 0604); type: chmod o= ']),
    (lambda tls: (tls / 'privkey.pem').write_bytes(make_pair(tls / 'x', 'mx.example.jp')[1]),
     ['the key does not belong to the certificate']),
    (lambda tls: (tls / 'fullchain.pem').write_text('nothing\n'),
     ['there is no certificate in PEM form']),
])
def test_a_start_without_usable_keys_is_refused_with_the_cure(damage, said):
    server = Server().init()
    try:
        damage(server.dir / 'tls')
        status, text = serve(server)
        assert status == 1
        for line in said:
            assert 'hikyaku: certificate "own": ' in text and line in text
        # It can be known before.
        check = server.cli('config', 'check', check=False)
        assert check.returncode == 1 and not check.stdout
        for line in ['certificate "own": ', *said]:
            assert line in check.stderr.decode()
        assert not (server.dir / 'run' / 'control.sock').exists()
    finally:
        server.remove()


def test_expired_and_for_another_name_are_warned_of(tmp_path):
    live = Live(tmp_path, 'other.example')
    live.renew(*make_pair(tmp_path / 'a', 'other.example', days=10))
    with Server(config=with_folder(live.folder)) as server:
        assert 'tls.other-name' in server.log() and 'tls.expires-soon' in server.log()
        for text in (server.cli('status'), server.cli('config', 'check')):
            assert 'warning: it expires soon' in text and 'it is not for server.hostname' in text
        soon = server.log().count('tls.expires-soon')
        server.advance(DAY)
        until(lambda: server.log().count('tls.expires-soon') == soon + 1, 10, 'one line a day')
        server.advance(10 * DAY)
        until(lambda: 'tls.not-valid' in server.log(), 10, 'the end in the log')
        assert 'warning: it has expired' in server.cli('status')
        assert certificates(server)[0]['has_expired']
        # Still better than none for those who verify nothing.
        assert shown(server) == pem((live.archive / 'fullchain1.pem').read_bytes())


def test_a_renewal_is_picked_up_and_sessions_stay(tmp_path):
    old, new = (make_pair(tmp_path / leaf, 'mx.example.jp') for leaf in ('a', 'b'))
    live = Live(tmp_path, 'mx.example.jp')
    live.renew(*old)
    settings = {'smtp.command_timeout': '1h'}  # time is moved by minutes
    with Server(config=with_folder(live.folder), settings=settings) as server:
        assert shown(server) == pem(old[0])
        session = open_tls(server)
        live.renew(*new)
        settle(server, 'tls.renewed')
        until(lambda: shown(server) == pem(new[0]), 10, 'the new certificate')
        session.command('NOOP', 250)
        session.command('QUIT', 221)
        assert server.log().count('tls.renewed') == 1
        assert 'tls.not-renewed' not in server.log()


def test_half_a_renewal_keeps_the_old_and_says_so(tmp_path):
    old, new = (make_pair(tmp_path / leaf, 'mx.example.jp') for leaf in ('a', 'b'))
    live = Live(tmp_path, 'mx.example.jp')
    live.renew(*old)
    with Server(config=with_folder(live.folder)) as server:
        live.renew(chain=new[0])
        settle(server, 'tls.not-renewed')
        assert shown(server) == pem(old[0])
        [certificate] = until(lambda: [c for c in certificates(server) if c['problem']], 10,
                              'the problem in the status')
        assert 'the key does not belong to the certificate' in certificate['problem']
        assert 'the old one is' in server.cli('status')
        # A worker that starts now gets the old one as well.
        for pid in server.pids()[1:]:
            if 'inbound' in pathlib.Path(f'/proc/{pid}/cmdline').read_text():
                os.kill(pid, 9)
        until(lambda: server.log().count('master.child-died') == 2, 10, 'the deaths')
        until(lambda: can_connect(server), 10, 'new workers')
        assert shown(server) == pem(old[0])
        live.renew(key=new[1])
        settle(server, 'tls.renewed')
        until(lambda: shown(server) == pem(new[0]), 10, 'the new certificate')
        until(lambda: certificates(server)[0]['problem'] is None, 10, 'no problem any more')
        assert server.log().count('tls.not-renewed') == 1


def can_connect(server):
    try:
        with Session(server.port) as session:
            return session.reply().startswith('220')
    except (OSError, EOFError, AssertionError):
        return False


def test_a_reload_with_bad_files_keeps_the_old_ones(tmp_path):
    old = make_pair(tmp_path / 'a', 'mx.example.jp')
    other = make_pair(tmp_path / 'b', 'mx.example.jp')
    live = Live(tmp_path, 'mx.example.jp')
    live.renew(*old)
    with Server(config=with_folder(live.folder)) as server:
        live.renew(key=other[1])
        done = server.cli('reload', check=False)
        assert done.returncode == 1
        assert b'the key does not belong to the certificate' in done.stderr
        assert shown(server) == pem(old[0])
        live.renew(key=old[1])
        text = server.config_path.read_text()
        server.config_path.write_text(text + '\ncertificate "more" { folder = /nowhere }\n')
        done = server.cli('reload', check=False)
        assert done.returncode == 1 and b'certificate "more": /nowhere/fullchain.pem' in done.stderr
        server.config_path.write_text(text)
        live.renew(*other)
        server.cli('reload')
        until(lambda: shown(server) == pem(other[0]), 10, 'the new certificate at once')


def test_a_client_gets_the_certificate_it_asks_for(tmp_path):
    first, second = Live(tmp_path, 'mx.example.jp'), Live(tmp_path, 'mail.example.org')
    pairs = {name: make_pair(tmp_path / name, name) for name in ('mx.example.jp',
                                                                 'mail.example.org')}
    first.renew(*pairs['mx.example.jp'])
    second.renew(*pairs['mail.example.org'])

    def change(text):
        text = with_folder(first.folder)(text)
        return text + (f'\ncertificate "second" {{ chain_file = "{second.folder}/fullchain.pem"\n'
                       f'    key_file = "{second.folder}/privkey.pem" }}\n')

    with Server(config=change) as server:
        assert shown(server) == pem(pairs['mx.example.jp'][0])
        assert shown(server, 'MAIL.example.org') == pem(pairs['mail.example.org'][0])
        assert shown(server, 'other.example') == pem(pairs['mx.example.jp'][0])
        assert [c['title'] for c in certificates(server)] == ['certificate "own"',
                                                              'certificate "second"']


def resumes(server, context, session_of):
    """Whether a client with an earlier session is known again by whichever worker takes it."""
    session = Session(server.port)
    session.reply()
    session.command('EHLO client.example.net', 250)
    session.command('STARTTLS', 220)
    with context.wrap_socket(session.socket, session=session_of) as wrapped:
        return wrapped.session_reused, wrapped.session


def test_workers_share_the_keys_of_tickets_and_change_them():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Server(settings={'server.inbound_workers': '3', 'log.level': 'debug'}) as server:
        def change(count):
            server.advance(12 * HOUR + MINUTE)
            until(lambda: server.log().count('tls.ticket-keys-changed') == count, 10, 'new keys')

        was_reused, ticket = resumes(server, context, None)
        assert not was_reused
        assert all(resumes(server, context, ticket)[0] for _ in range(12))
        change(1)
        # The keys before those in use are still taken.
        assert all(resumes(server, context, ticket)[0] for _ in range(12))
        change(2)
        until(lambda: not any(resumes(server, context, ticket)[0] for _ in range(6)), 10,
              'the keys to be forgotten')


def test_the_oldest_version_is_a_setting():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Server() as server:
        resumes(server, context, None)
        text = server.config_path.read_text()
        server.config_path.write_text(text + '\ntls.min_version = 1.3\n')
        server.cli('reload')
        until(lambda: not can_shake_hands(server, context), 10, 'the old version to be refused')
        assert shown(server)


def can_shake_hands(server, context):
    try:
        resumes(server, context, None)
        return True
    except ssl.SSLError:
        return False


def test_without_a_certificate_nothing_is_offered():
    def change(text):
        start = text.index('certificate "own" {')
        text = text[:start] + text[text.index('}', start) + 1:]
        return '\n'.join(line for line in text.splitlines() if 'submissions =' not in line)

    # Where users must encrypt, such a configuration is refused.
    with Server(config=change, settings={'submission.require_tls': 'no'}) as server:
        assert 'tls.no-certificate' in server.log()
        assert certificates(server) == []
        with Session(server.port) as session:
            session.reply()
            assert 'STARTTLS' not in session.command('EHLO client.example.net', 250)


def test_secrets_are_said_nowhere(tmp_path):
    password = tmp_path / 'password'
    password.write_text(PASSWORD + '\n')
    password.chmod(0o600)
    route = ('route "smarthost" { to = "far.example"; via = hosts; hosts = "127.0.0.1:9"\n'
             f'    tls = require; username = user; password_file = "{password}" }}\n')
    with Server(config=route, settings={'log.level': 'debug'}) as server:
        key_lines = (server.dir / 'tls' / 'privkey.pem').read_text().splitlines()[1:-1]
        password.chmod(0o644)
        done = server.cli('reload', check=False)
        assert done.returncode == 1 and b'chmod go=' in done.stderr
        password.chmod(0o600)
        server.cli('reload')
        said = everything_said(server)
        assert str(password) in said
        assert PASSWORD not in said and json.dumps(PASSWORD)[1:-1] not in said
        assert PASSWORD.encode().decode('latin-1') not in said
        assert not any(line in said for line in key_lines)
        bundle = tmp_path / 'backup'
        server.cli('backup', str(bundle))
        names = subprocess.run(['tar', '-tf', bundle], capture_output=True, check=False).stdout
        assert b'mail.db' in names and b'pem' not in names
        server.stop()
        # On another machine, the server's own certificate is made anew; the rest must be brought.
        shutil.rmtree(server.dir / 'tls')
        shutil.rmtree(server.dir / 'data')
        server.config_path.unlink()
        password.unlink()
        text = server.cli('restore', str(bundle))
        assert f'{server.dir}/tls has a new self-signed certificate' in text
        assert f'note: route "smarthost" needs {password}, which is not here' in text
        password.write_text(PASSWORD)
        password.chmod(0o600)
        server.start()
        assert certificates(server)[0]['is_self_signed']


def test_smarthost_passwords_must_be_there_and_private(tmp_path):
    route = ('route "smarthost" { to = "far.example"; via = hosts; hosts = "127.0.0.1:9"\n'
             f'    tls = require; username = user; password_file = "{tmp_path}/password" }}\n')
    server = Server(config=route).init()
    try:
        status, text = serve(server)
        assert status == 1
        assert f'route "smarthost": {tmp_path}/password cannot be read' in text
        (tmp_path / 'password').write_text('\n')
        (tmp_path / 'password').chmod(0o600)
        status, text = serve(server)
        assert status == 1 and 'has no password in its first line' in text
    finally:
        server.remove()
