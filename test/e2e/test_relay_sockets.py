"""outbound.max_connections bounds dialling, working and idle connections; who has mail gets on."""
import contextlib
import os
import socket
import threading
import time

from hikyaku import Server, until, with_settings
from relay import sender_settings, submit
from sink import Sink
from test_relay_faults import process_of
from test_relay_scale import submit_all

LIMIT = 20
OWN_SOCKETS = 3  # to the master, the store, the resolver
HOSTS = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4']
MUTE = '127.0.0.7'
DOMAINS = 120
MUTE_DOMAINS = 10
LETTERS = 4  # to a part of the domains each
BULK_MESSAGES = 300
BULK_SECONDS = 0.1  # for each message
SECONDS = 60
PERSON_SECONDS = 10
MINUTE = 60_000


class SlowSink(Sink):
    """Takes `seconds` for a message to a recipient named bulk; answers no QUIT if it is deaf."""

    def __init__(self, *args, seconds=0.0, is_deaf=False, **more):
        self.seconds, self.is_deaf = seconds, is_deaf
        super().__init__(*args, **more)
        self.listener.listen(1024)

    def _take(self, stream, sender, recipients):
        if recipients[0].startswith('bulk'):
            time.sleep(self.seconds)
        super()._take(stream, sender, recipients)

    def _say(self, stream, text):
        if not (self.is_deaf and text.startswith('221')):
            return super()._say(stream, text)
        return stream.read(1)  # until the other end closes


class ShySink(Sink):
    """Greets nobody before `gate` is open."""

    def __init__(self, *args, **more):
        self.is_asked, self.gate = threading.Event(), threading.Event()
        super().__init__(*args, **more)

    def _serve(self, connection):
        self.is_asked.set()
        self.gate.wait(SECONDS)
        super()._serve(connection)


class SocketWatch:
    """Samples how many sockets the outbound process has, beside those to the server's others."""

    def __init__(self, server):
        self.folder = f'/proc/{process_of(server, "outbound")}/fd'
        self.most, self.lock = 0, threading.Lock()
        until(lambda: self._all() == OWN_SOCKETS, 15, 'the channels of the outbound process')
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _all(self):
        found = set()
        for name in os.listdir(self.folder):
            with contextlib.suppress(OSError):  # closed meanwhile
                found.add(os.readlink(f'{self.folder}/{name}'))
        return sum(link.startswith('socket:') for link in found)

    def now(self):
        """How many there are."""
        return self._all() - OWN_SOCKETS

    def _run(self):
        while not self.ended.wait(0.001):
            with self.lock:  # a sample is never older than forget()
                self.most = max(self.most, self.now())

    def forget(self):
        """Begins anew to see how many there are at most."""
        with self.lock:
            self.most = 0

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join(10)


def dns_records():
    """Domains d0, d1, ... with a host of their own each, which are few machines; silent ones."""
    for i in range(DOMAINS):
        yield f'd{i}.example 60 MX 10 h{i}.example'
        yield f'h{i}.example 60 A {HOSTS[i % len(HOSTS)]}'
    for i in range(MUTE_DOMAINS):
        yield f'mute{i}.example 60 MX 10 mute-host{i}.example'
        yield f'mute-host{i}.example 60 A {MUTE}'


@contextlib.contextmanager
def servers(limit=LIMIT, is_deaf=False, **more):
    """(server, sinks on HOSTS), the silent host beside them."""
    first = SlowSink(HOSTS[0], seconds=BULK_SECONDS, is_deaf=is_deaf)
    sinks = [first, *(SlowSink(host, port=first.port, seconds=BULK_SECONDS, is_deaf=is_deaf)
                      for host in HOSTS[1:])]
    settings = sender_settings(first.port, *dns_records(), outbound__max_connections=limit,
                               outbound__max_connections_per_destination=limit,
                               outbound__greeting_timeout='1s', outbound__idle_timeout='30s',
                               server__drain_timeout='5s', **more)
    with contextlib.ExitStack() as stack:
        for sink in sinks:
            stack.enter_context(sink)
        stack.enter_context(socket.create_server((MUTE, first.port), backlog=1024))
        yield stack.enter_context(Server(settings)), sinks


def arrived(sinks):
    """The recipients of all that was taken, each as often as it was."""
    return [r for sink in sinks for _, recipients, _ in list(sink.messages) for r in recipients]


def waiting(server):
    """How many messages wait."""
    return server.cli_json('status')['queued_messages']


def silent(server, times):
    """Which destinations the queue knows to have failed so often; the log tells it a little before,
    and the next attempt is counted from here."""
    busiest = server.cli_json('queue', 'stats')['destinations']
    return [d['name'] for d in busiest if d['failures'] >= times]


def test_the_number_of_sockets_is_bounded():
    mute = [f'x@mute{i}.example' for i in range(MUTE_DOMAINS)]
    expected = []
    with servers() as (server, sinks), SocketWatch(server) as watch:
        # The second time, the silent hosts are probed while the others get their mail.
        for number in (1, 2):
            people = [f'{number}@d{i}.example' for i in range(DOMAINS)]
            expected += people
            for i in range(0, DOMAINS, DOMAINS // LETTERS):
                submit(server, mute + people[i:i + DOMAINS // LETTERS])
            until(lambda: len(arrived(sinks)) >= len(expected), SECONDS, 'all but the silent ones')
            until(lambda: len(silent(server, number)) == MUTE_DOMAINS, SECONDS, 'the silent ones')
            server.advance(6 * MINUTE)
        print(f'{watch.most} sockets at most')
        assert sorted(arrived(sinks)) == sorted(expected)
        assert waiting(server) == 2 * LETTERS
        assert LIMIT / 2 < watch.most <= LIMIT


def test_a_bulk_that_fills_all_lines_lets_others_through():
    bulk = [f'bulk{i}@d0.example' for i in range(BULK_MESSAGES)]
    people = [f'hanako@d{i}.example' for i in range(1, DOMAINS, 4)]
    with servers() as (server, sinks), SocketWatch(server) as watch:
        submit_all(server, [('news@example.jp', [recipient]) for recipient in bulk])
        until(lambda: watch.now() == LIMIT, SECONDS, 'the bulk to have all connections')
        assert len(arrived(sinks)) < BULK_MESSAGES / 2
        begun = time.monotonic()
        submit(server, people)
        until(lambda: set(people) <= set(arrived(sinks)), PERSON_SECONDS, 'the letters of people')
        left = BULK_MESSAGES + len(people) - len(arrived(sinks))
        print(f'{time.monotonic() - begun:.2f} s, {left} of the bulk were left')
        until(lambda: waiting(server) == 0, SECONDS, 'the bulk to end')
        assert sorted(arrived(sinks)) == sorted(bulk + people)
        assert watch.most <= LIMIT


def test_a_reload_lowers_the_number():
    bulk = [f'bulk{i}@d0.example' for i in range(BULK_MESSAGES)]
    with servers() as (server, sinks), SocketWatch(server) as watch:
        submit_all(server, [('news@example.jp', [recipient]) for recipient in bulk])
        until(lambda: watch.now() == LIMIT, SECONDS, 'the bulk to have all connections')
        server.config_path.write_text(with_settings(server.config_path.read_text(), {
            'outbound.max_connections': 4, 'outbound.max_connections_per_destination': 4}))
        server.cli('reload')
        until(lambda: watch.now() <= 4, SECONDS, 'fewer connections')
        assert len(arrived(sinks)) < BULK_MESSAGES
        watch.forget()
        until(lambda: waiting(server) == 0, SECONDS, 'the bulk to end')
        assert sorted(arrived(sinks)) == sorted(bulk)
        assert watch.most <= 4


def test_idle_connections_give_way_though_nobody_says_goodbye():
    """To wait for the 221 of each, 3 s, would take a minute."""
    recipients = [f'x@d{i}.example' for i in range(DOMAINS)]
    with servers(limit=2, is_deaf=True) as (server, sinks), SocketWatch(server) as watch:
        submit(server, recipients)
        until(lambda: len(arrived(sinks)) >= DOMAINS, SECONDS / 2, 'all letters')
        assert sorted(arrived(sinks)) == sorted(recipients)
        until(lambda: waiting(server) == 0, 10, 'the results')
        assert watch.most <= 2
        assert all('QUIT' in sink.commands for sink in sinks)


def test_the_next_host_takes_no_second_connection():
    """With one connection in all, the first host is left before the second is tried."""
    first = Sink(replies={'MAIL': '421 4.3.2 Shutting down'})
    with first, ShySink(HOSTS[1], port=first.port) as second:
        settings = sender_settings(
            first.port, 'two.example 60 MX 10 a.example', 'two.example 60 MX 20 b.example',
            f'a.example 60 A {HOSTS[0]}', f'b.example 60 A {HOSTS[1]}',
            outbound__max_connections=1, outbound__max_connections_per_destination=1)
        with Server(settings) as server, SocketWatch(server) as watch:
            submit(server, 'hanako@two.example')
            assert second.is_asked.wait(15)
            sockets = watch.now()
            second.gate.set()
            until(lambda: second.messages, 15, 'the letter at the second host')
            until(lambda: waiting(server) == 0, 10, 'the results')
            assert sockets == watch.most == 1
