"""What a client cannot see of a session: the processes behind it, their limits, their traces."""
import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import stat

import pytest

from hikyaku import Server, Session, children, until

TARGET = 'taro@example.jp'
LIBC = ctypes.CDLL(None, use_errno=True)
SYS_PIDFD_GETFD = 438
CHANNELS = range(4, 64)
RECIPIENTS = 1000
SMALL_ENVIRONMENT = ('PATH', 'TZ', 'LANG', 'LC_', 'HIKYAKU_TEST_CLOCK', 'ASAN_OPTIONS',
                     'UBSAN_OPTIONS', 'LSAN_OPTIONS', 'LD_PRELOAD', 'LD_LIBRARY_PATH',
                     'LOSTWRITES_', 'SLOWSYNC_')


def processes(server, kind):
    """The process ids of a kind of children: "inbound", "store"."""
    found = []
    for pid in children(server.process.pid):
        try:
            title = pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().decode(errors='replace')
        except OSError:
            continue  # it has ended meanwhile
        if title.startswith(f'hikyaku: {kind}'):
            found.append(pid)
    return found


def sockets_of(pid):
    """Duplicates of all unix stream sockets of a process."""
    handle = os.pidfd_open(pid)
    found = []
    for number in CHANNELS:
        fd = LIBC.syscall(SYS_PIDFD_GETFD, handle, number, 0)
        if fd < 0:
            if ctypes.get_errno() in (1, 13):
                pytest.skip('looking into another process is not allowed here')
            continue
        try:
            peer = socket.socket(fileno=fd)
            if (peer.family, peer.type) == (socket.AF_UNIX, socket.SOCK_STREAM):
                found.append(peer)
            else:
                peer.close()
        except OSError:
            os.close(fd)
    os.close(handle)
    return found


def wait_for_all(server):
    """A server greets as soon as one worker does: waits for the others as well."""
    until(lambda: 'master.ready' in server.log(), 10, 'all processes')


def losses(server):
    """How often the receiving worker has told that it lost its channel to the store."""
    return sum(' inbound[' in line and 'child.channel-lost to=store' in line
               for line in server.log().splitlines())


def begin(session, sender='jiro@example.net'):
    session.reply()
    session.command('EHLO client.example.net', 250)
    session.command(f'MAIL FROM:<{sender}>', 250)


def test_a_channel_that_is_cut_is_replaced():
    """The store cuts a worker off; sessions that are open fail for the moment, then all is well."""
    settings = {'server.inbound_workers': '1', 'smtp.max_errors': '1000'}
    with Server(settings=settings) as server:
        server.add_account(TARGET)
        worker, = processes(server, 'inbound')
        with Session(server.port) as session:
            begin(session)
            for round_number in range(3):
                for channel in sockets_of(worker):
                    channel.shutdown(socket.SHUT_RDWR)
                    channel.close()
                until(lambda: session.command(f'RCPT TO:<{TARGET}>').startswith('250'), 5,
                      'a channel')
                assert losses(server) == round_number + 1
            session.command('DATA', 354)
            session.command('Subject: hello\r\n\r\nhello\r\n.', 250)
        assert processes(server, 'inbound') == [worker]
        assert len(server.export(TARGET)) == 1


def test_a_worker_gets_one_new_channel_when_the_store_dies():
    """The start of the store brings the channels; what workers tell of the old ones is old news."""
    with Server(settings={'server.inbound_workers': '1'}) as server:
        server.add_account(TARGET)
        worker, = processes(server, 'inbound')
        os.kill(processes(server, 'store')[0], signal.SIGKILL)
        with Session(server.port) as session:
            if session.reply().startswith('220'):
                session.command('QUIT', 221)
        until(lambda: _is_taken(server), 10, 'a session')
        assert len(sockets_of(worker)) == 2, 'one to the store, one to the resolver'
        assert losses(server) == 1


def _is_taken(server):
    with Session(server.port) as session:
        return session.reply().startswith('220')


def test_the_largest_envelope_is_taken():
    """A thousand recipients, each as long as it can be with an ORCPT as long as it can be."""
    settings = {'smtp.relay_networks': '[ "127.0.0.1" ]', 'smtp.max_recipients': str(RECIPIENTS)}
    domain = '.'.join(['d' * 60] * 3) + '.jp'
    with Server(settings=settings) as server:
        with Session(server.port) as session:
            begin(session)
            lines = []
            for number in range(RECIPIENTS):
                local = f'{number:04}'.ljust(254 - 1 - len(domain), 'u')[:64]
                orcpt = 'rfc822;' + 'o' * (500 - len('rfc822;'))
                lines.append(f'RCPT TO:<{local}@{domain}> NOTIFY=FAILURE ORCPT={orcpt}')
            session.send('\r\n'.join(lines).encode() + b'\r\n')
            for number in range(RECIPIENTS):
                reply = session.reply()
                assert reply.startswith('250'), f'{number}: {reply}'
            session.command('DATA', 354)
            session.send(b'Subject: many\r\n\r\n' + b'0123456789012345678901234567890\r\n' * 3900)
            session.command('.', 250)


def test_too_large_a_limit_is_refused():
    server = Server(settings={'smtp.max_recipients': '1001'}).init()
    try:
        server.start(wait=False)
        assert server.process.wait(10) == 1
        assert 'max_recipients' in server.log()
    finally:
        server.remove()


def test_padding_is_not_kept():
    """Spaces behind the path are forgiven, but a client cannot make the server keep them."""
    with Server(settings={'smtp.recipient_separators': '"+"'}) as server:
        server.add_account(TARGET)
        with Session(server.port) as session:
            begin(session)
            padding = ' ' * 4000
            session.send(''.join(f'RCPT TO:<taro+{n}@example.jp>{padding}\r\n'
                                 for n in range(RECIPIENTS)).encode())
            for _ in range(RECIPIENTS):
                assert session.reply().startswith('250')
            session.command('DATA', 354)
            session.command('Subject: padded\r\n\r\nhello\r\n.', 250)
        assert len(server.export(TARGET)) == 1


def test_refusals_do_not_fill_the_trace():
    settings = {'smtp.max_errors': '200'}
    with Server(settings=settings) as server:
        with Session(server.port) as session:
            session.reply()
            session.command('EHLO ' + 'h' * 250, 250)
            session.command(f'MAIL FROM:<{"s" * 60}@{"d" * 60}.example.net>', 250)
            for _ in range(120):
                session.command('RCPT TO:<nobody@example.jp>', 550)
        refused = [event for event in server.cli_json('trace', 'nobody@example.jp')
                   if event['event'] == 'refused']
        text = server.trace('nobody@example.jp')
        assert len(refused) == 50
        assert 'h' * 100 in text and 'h' * 101 not in text
        assert 's' * 60 + '@' + 'd' * 39 in text and 'd' * 40 not in text


def test_who_speaks_before_the_greeting_is_sent_away():
    with Server(settings={'server.inbound_workers': '1'}) as server:
        store, = processes(server, 'store')
        os.kill(store, signal.SIGSTOP)
        try:
            early = Session(server.port)
            early.send(b'EHLO client.example.net\r\n')
            patient = Session(server.port)
            assert early.silence(0.2) == ''
        finally:
            os.kill(store, signal.SIGCONT)
        assert early.reply().startswith('554 5.5.1')
        early.expect_close()
        assert patient.reply().startswith('220')
        early.close()
        patient.close()


def test_the_service_manager_is_told_in_order(tmp_path):
    path = str(tmp_path / 'notify')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(10)
        with Server(env={'NOTIFY_SOCKET': path}) as server:
            assert manager.recv(200) == b'READY=1'
            server.process.send_signal(signal.SIGHUP)
            state = manager.recv(200).decode().split('\n')
            assert state[0] == 'RELOADING=1'
            assert state[1].startswith('MONOTONIC_USEC=') and state[1][15:].isdigit()
            assert manager.recv(200) == b'READY=1'
            with Session(server.port) as session:
                begin(session)
                server.process.send_signal(signal.SIGTERM)
                assert manager.recv(200) == b'STOPPING=1'
                server.process.send_signal(signal.SIGHUP)
                until(lambda: 'master.reload-refused' in server.log(), 5, 'a refusal')
                session.command('RSET', 250)
            assert server.stop() == 0
            manager.setblocking(False)
            with pytest.raises(BlockingIOError):
                manager.recv(200)


def test_folders_and_files_are_the_owners_only():
    """Whatever the umask that the server was started with, and the mode of an older folder."""
    server = Server()
    old_mask = os.umask(0o077)
    try:
        server.init()
        data, run = _folders(server)
        server.dir.chmod(0o755)
        data.chmod(0o755)
        shutil.rmtree(run, ignore_errors=True)
        os.umask(0)
        server.start()
        os.umask(0o077)
        server.add_account(TARGET)
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert stat.S_IMODE(run.stat().st_mode) == 0o755
        for path in [*data.rglob('*'), *run.rglob('*')]:
            assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path
        server.check_end()
    finally:
        os.umask(old_mask)
        server.stop()
        server.remove()


def _folders(server):
    text = server.config_path.read_text()
    return [pathlib.Path(re.search(rf'{key}\s*=\s*"([^"]+)"', text).group(1))
            for key in ('data_dir', 'run_dir')]


def test_children_inherit_little():
    """A short environment, nothing to read, no capabilities, not even ambient ones."""
    env = {'AWS_SECRET_ACCESS_KEY': 'x', 'NOTIFY_SOCKET': '/nowhere', 'LC_TIME': 'C', 'TZ': 'UTC'}
    with Server(env=env) as server:
        wait_for_all(server)
        for pid in children(server.process.pid):
            folder = pathlib.Path(f'/proc/{pid}')
            text = (folder / 'environ').read_bytes().decode(errors='replace')
            names = [pair.partition('=')[0] for pair in text.split('\0') if pair]
            assert 'TZ' in names and 'LC_TIME' in names
            assert all(name.startswith(SMALL_ENVIRONMENT) for name in names), names
            assert os.readlink(folder / 'fd' / '0') == '/dev/null'
            lines = dict(line.split(':\t', 1)
                         for line in (folder / 'status').read_text().splitlines())
            for key in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
                assert int(lines[key], 16) == 0, key
            assert lines['Groups'].strip() in ('', '0') or os.geteuid() != 0


def test_root_as_the_user_is_warned_about():
    if os.geteuid() != 0:
        pytest.skip('only root can become another user')
    for user, is_warned in (('root', True), ('nobody', False)):
        server = Server(settings={'server.user': f'"{user}"'}).init()
        try:
            data, _ = _folders(server)
            for path in [data, *data.rglob('*')]:
                shutil.chown(path, user)
            server.start()
            wait_for_all(server)
            assert ('master.user-is-root' in server.log()) == is_warned
            for pid in children(server.process.pid):
                assert (pathlib.Path(f'/proc/{pid}').stat().st_uid == 0) == is_warned
            server.check_end()
        finally:
            server.stop()
            server.remove()
