"""Many, slow, large and rude clients: the server holds, and others do not notice.

HIKYAKU_RELEASE, a release build, makes the figures true: then 10,000 idle connections are held and
memory has limits. Otherwise 1,000, with the sanitized build, whose memory says nothing.
"""
import os
import pathlib
import resource
import socket
import threading
import time

import pytest

from hikyaku import Server, Session, until

RELEASE = os.environ.get('HIKYAKU_RELEASE')
IDLE = 10000 if RELEASE else 1000
SLOW = 500
PER_ADDRESS = 50
ADDRESSES = 250
TARGET = 'taro@example.jp'
MIB = 1024 * 1024
BIG_GROWTH_KIB = 5 * 1024
IDLE_PSS_KIB = 60 * 1024
PER_CONNECTION_KIB = 40


@pytest.fixture(scope='module', autouse=True)
def many_files():
    """Lets this process have as many sockets as the tests hold."""
    wanted = IDLE + 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
        except (ValueError, OSError):
            pytest.skip(f'needs {wanted} open files; the limit is {hard}')
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def make_server(**settings):
    """A server with one account, of the release build if there is one."""
    settings = {'smtp.max_connections': '20000', **{f'smtp.{k}': v for k, v in settings.items()}}
    return Server(settings=settings, binary=RELEASE)


def source(number):
    """A loopback address for the n-th connection: no more of them than one address may have."""
    block = number // (PER_ADDRESS - 10)
    return f'127.0.{1 + block // ADDRESSES}.{1 + block % ADDRESSES}'


def memory_kib(server, key='Pss'):
    """Proportional memory of all processes together."""
    total = 0
    for pid in server.pids():
        try:
            text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
        except PermissionError:
            pytest.skip("another user's memory can be seen only by root")
        total += next(int(line.split()[1]) for line in text.splitlines()
                      if line.startswith(f'{key}:'))
    return total


def peaks_kib(server):
    """The largest resident size each process has had {pid: (name, KiB)}."""
    peaks = {}
    for pid in server.pids():
        fields = dict(line.split(':', 1) for line in
                      pathlib.Path(f'/proc/{pid}/status').read_text().splitlines() if ':' in line)
        peaks[pid] = (fields['Name'].strip(), int(fields['VmHWM'].split()[0]))
    return peaks


def reset_peaks(server):
    """From now on VmHWM counts afresh."""
    for pid in server.pids():
        try:
            pathlib.Path(f'/proc/{pid}/clear_refs').write_text('5')
        except PermissionError:
            pytest.skip("another user's memory can be seen only by root")


def deliver(server, text=b'Subject: x\r\n\r\nhello\r\n', from_address=None, seconds=20):
    """One mail from beginning to end; how long it took."""
    start = time.monotonic()
    with Session(server.port, source=from_address, timeout=seconds) as session:
        session.reply()
        session.command('EHLO client.example.net', 250)
        session.command('MAIL FROM:<jiro@example.net>', 250)
        session.command(f'RCPT TO:<{TARGET}>', 250)
        session.command('DATA', 354)
        session.send(text)
        session.command('.', 250)
        session.command('QUIT', 221)
    return time.monotonic() - start


def connect_idle(server, count):
    """Connections that have been greeted and say nothing more."""
    idle = []
    for number in range(count):
        peer = socket.create_connection(('127.0.0.1', server.port), 30, (source(number), 0))
        idle.append(peer)
        if len(idle) % 200 == 0:
            assert idle[-1].recv(512).startswith(b'220')
    for number, peer in enumerate(idle, 1):
        assert number % 200 == 0 or peer.recv(512).startswith(b'220'), f'connection {number}'
    return idle


def test_idle_connections():
    with make_server() as server:
        server.add_account(TARGET)
        deliver(server)
        before = memory_kib(server)
        idle = connect_idle(server, IDLE)
        held = memory_kib(server)
        each = (held - before) / IDLE
        print(f'idle PSS {before} KiB; {IDLE} connections: {held} KiB, {each:.2f} KiB each')
        assert deliver(server, from_address='127.0.200.1') < 5
        for peer in idle[::97]:
            peer.sendall(b'NOOP\r\n')
            assert peer.recv(512).startswith(b'250')
        for peer in idle:
            peer.close()
        until(lambda: server.cli_json('status').get('sessions', 0) == 0, 30, 'sessions to end')
        after = memory_kib(server)
        print(f'after they left: {after} KiB')
        if RELEASE:
            assert before < IDLE_PSS_KIB
            assert each < PER_CONNECTION_KIB


class Slow:
    """Peers that send one byte a second, of a command or of a message, all from one thread."""

    def __init__(self, server, count):
        self.peers = []
        self.count = count
        for number in range(count):
            peer = socket.create_connection(('127.0.0.1', server.port), 30, (source(number), 0))
            assert peer.recv(512).startswith(b'220')
            if number % 2:
                peer.sendall(f'EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<{TARGET}>\r\nDATA\r\n'
                             .encode())
            peer.setblocking(False)
            self.peers.append(peer)
        self._stop = threading.Event()
        self.bytes = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(1):
            for peer in self.peers:
                try:
                    self.bytes += peer.send(b'x')
                except OSError:
                    pass

    def close(self):
        self._stop.set()
        self._thread.join(20)
        for peer in self.peers:
            peer.close()


def test_slow_peers():
    with make_server() as server:
        server.add_account(TARGET)
        slow = Slow(server, SLOW)
        until(lambda: slow.bytes >= 2 * SLOW, 20, 'the slow peers to be slow')
        times = [deliver(server, from_address='127.0.200.1') for _ in range(20)]
        slow.close()
        print(f'beside {SLOW} slow peers: {max(times) * 1000:.0f} ms at most')
        assert max(times) < 5
        assert len(server.export(TARGET)) == 20


def test_large_message():
    """50 MiB on the wire take no memory to speak of: pieces go through."""
    line = b'x' * 998 + b'\r\n'
    size = 49 * MIB
    with make_server() as server:
        server.add_account(TARGET)
        for _ in range(3):
            deliver(server)
        reset_peaks(server)
        before = peaks_kib(server)
        text = b'Subject: large\r\n\r\n' + line * (size // len(line))
        seconds = deliver(server, text, seconds=120)
        growth = {f'{name} {pid}': peak - before[pid][1]
                  for pid, (name, peak) in peaks_kib(server).items()}
        print(f'{size // MIB} MiB in {seconds:.1f} s; peaks grew by {growth} KiB, from '
              f'{sorted(before.values())}')
        if RELEASE:
            assert max(growth.values()) < BIG_GROWTH_KIB, growth
        messages = server.export(TARGET)
        assert len(messages) == 4
        assert messages[-1].replace(b'\r\n', b'\n').endswith(text.replace(b'\r\n', b'\n'))


def test_flood_from_one_address():
    with make_server(max_connections_per_address='20') as server:
        server.add_account(TARGET)
        peers = [socket.create_connection(('127.0.0.1', server.port), 20, ('127.0.0.9', 0))
                 for _ in range(100)]
        greetings = [peer.recv(512)[:9] for peer in peers]
        assert sum(g.startswith(b'220') for g in greetings) == 20, greetings
        assert sum(g.startswith(b'421 4.7.0') for g in greetings) == 80, greetings
        assert deliver(server, from_address='127.0.0.10') < 5
        for peer in peers:
            peer.close()
        until(lambda: is_welcome(server), 10, 'the address to be welcome again')


def is_welcome(server):
    """Whether a new connection from the address of the flood is greeted."""
    with Session(server.port, source='127.0.0.9') as session:
        return session.reply().startswith('220')


def test_whoever_sees_the_end_of_a_session_may_begin_the_next():
    """With one connection an address, one after the other, whichever worker takes it."""
    settings = {'smtp.max_connections_per_address': '1', 'brakes.connections': '0'}
    with Server(settings=settings, binary=RELEASE) as server:
        for number in range(400):
            session = Session(server.port)
            said = session.reply()
            assert said.startswith('220 '), f'connection {number} got {said!r}'
            session.send(b'QUIT\r\n')
            session.last_reply()
            session.close()
