"""What is measured: scenarios of rows, each on every server in turn, repetition by repetition."""
import contextlib
import functools
import json
import resource
import statistics
import subprocess
import time

import growth
import submitting
from contestants import (CONNECTIONS_MAX, FAR_DOMAIN, LOCAL_DOMAIN, SINK_DOMAIN, USERS,
                         CrowdedHikyaku, Hikyaku, Postfix, PostfixDovecot, RelayingHikyaku,
                         RelayingPostfix)
from hikyaku import Session, until
from machine import sync_costs_us
from meter import machine_busy_s
from peers import PeerMissing

GRACE_S = 40
LARGE_MESSAGES_MAX = 4000
DELIVERY_WAIT_S = 120
IDLE_CONNECTIONS = {'Hikyaku': 2000, 'Postfix': 100}
IDLE_WAIT_S = 20


class Row:
    """One load; tls: None (port 25), 'starttls' (587) or 'implicit' (465), each with a login."""

    def __init__(self, connections, per_connection, size=4096, messages=None, tls=None):
        self.connections, self.per_connection, self.size = connections, per_connection, size
        self.tls = tls
        # Large messages are limited in number to spare the disk.
        self.messages = messages or (1000000 if size <= 4096 else LARGE_MESSAGES_MAX)

    @property
    def label(self):
        """The row's name in the tables."""
        ports = {None: '', 'starttls': ', STARTTLS', 'implicit': ', port 465'}
        return (f'{self.size // 1024} KiB, {self.connections} conn, {self.per_connection}/conn'
                + ports[self.tls])

    def port_of(self, server):
        """Where the server takes such mail."""
        if self.tls is None:
            return server.port
        return server.submission_port if self.tls == 'starttls' else server.submissions_port

    def arguments(self, seconds):
        """For smtpload."""
        login = [f'--tls={self.tls}', f'--login={submitting.LOGIN}',
                 f'--password={submitting.PASSWORD}'] if self.tls else []
        return [f'--connections={self.connections}', f'--per-connection={self.per_connection}',
                f'--size={self.size}', f'--seconds={seconds}', f'--messages={self.messages}',
                f'--users={USERS}', *login]


def intake_rows(sizes=(4096, 65536), senders=(1, 10, 50), per_connection=(1, 100)):
    """The product of the three."""
    return [Row(c, m, s) for s in sizes for m in per_connection for c in senders]


class Bench:
    """The options of this run, and how to run the generator."""

    def __init__(self, programs, seconds, repetitions):
        self.programs = programs
        self.smtpload, self.slowsync, self.sink = programs
        self.seconds, self.repetitions = seconds, repetitions

    def load(self, server, row, domain, seconds=None):
        """Runs the generator once; what it reported."""
        seconds = seconds or self.seconds
        run = subprocess.run([self.smtpload, *row.arguments(seconds),
                              f'--recipient=user%@{domain}',
                              f'127.0.0.1:{row.port_of(server)}'],
                             capture_output=True, text=True, timeout=seconds + GRACE_S, check=False)
        if not run.stdout:
            raise PeerMissing(f'the generator failed: {run.stderr.strip()[-300:]}')
        result = json.loads(run.stdout)
        result['said'] = run.stderr.strip()[-300:]
        if result['messages'] == 0:
            raise PeerMissing(f'nothing was accepted: {result["said"]}')
        return result

    def measure(self, server, row, domain, to_the_end=False):
        """One run of one row on one server, with what it cost the server; to_the_end: until all
        letters are where they shall go."""
        counters, busy = server.counters(), machine_busy_s()
        letters = server.delivered() if to_the_end else 0
        sink_used = server.sink.cpu_s() if to_the_end and server.sink else 0
        used, begin = server.meter.cpu_s(), time.monotonic()
        result = self.load(server, row, domain)
        if to_the_end:
            _wait_delivered(server, letters + result['messages'])
            if not server.delivers_before_reply:
                end = server.sink.last_s() if server.sink else time.monotonic()
                result['accepted_rate'] = result['rate']
                result['rate'] = result['messages'] / (end - begin)
        server.meter.settle()
        used, elapsed = server.meter.cpu_s() - used, time.monotonic() - begin
        if to_the_end and server.sink:
            result['sink_cpu_s'] = server.sink.cpu_s() - sink_used
        known = used + result['cpu_s'] + result.get('sink_cpu_s', 0)
        result['noise'] = max(0, machine_busy_s() - busy - known) / elapsed
        result['cpu_ms'] = used * 1000 / max(1, result['messages'])
        after = server.counters()
        groups = after.get('commit_groups', 0) - counters.get('commit_groups', 0)
        if groups > 0:
            requests = after['commit_requests'] - counters['commit_requests']
            result['per_commit'] = requests / groups
        return result


def _wait_delivered(server, expected):
    """Until all letters lie in mailboxes; looks seldom enough not to be felt."""
    with contextlib.suppress(AssertionError):
        until(lambda: server.delivered() >= expected, DELIVERY_WAIT_S, 'delivery')
        return
    raise PeerMissing(f'{server.name}: only {server.delivered()} of {expected} letters arrived')


@contextlib.contextmanager
def running(makers):
    """Starts the servers; yields those that run, and the reasons why others do not."""
    servers, skipped = [], {}
    try:
        for name, maker in makers.items():
            try:
                server = maker()
                servers.append(server)
                server.start()
            except (PeerMissing, AssertionError, OSError, subprocess.SubprocessError) as reason:
                if servers and servers[-1].name == name:
                    servers.pop().stop()
                skipped[name] = ' '.join(str(reason).split())[:300]
        yield servers, skipped
    finally:
        for server in servers:
            with contextlib.suppress(AssertionError, OSError):
                server.stop()


def _sync_us():
    return round(statistics.median(sync_costs_us(0.2)), 1)


def race(bench, rows, makers, domain, to_the_end=False):
    """Every row on every server in turn.

    Returns {'rows': {label: {server: [runs]}}, 'skipped': {what: why}, 'sync_us': what a sync cost
    before each repetition and at the end}.
    """
    results = {row.label: {} for row in rows}
    syncs = []
    with running(makers) as (servers, skipped):
        for server in servers:
            warm_up = Row(10 if to_the_end else 50, 10, tls=rows[0].tls)
            bench.load(server, warm_up, domain, seconds=1)
            server.meter.settle(20)
        for repetition in range(bench.repetitions):
            syncs.append(_sync_us())
            for row in rows:
                for server in servers if repetition % 2 == 0 else servers[::-1]:
                    try:
                        run = bench.measure(server, row, domain, to_the_end)
                    except (PeerMissing, subprocess.SubprocessError) as reason:
                        skipped[f'{server.name}, {row.label}'] = str(reason)[:300]
                        continue
                    results[row.label].setdefault(server.name, []).append(run)
        syncs.append(_sync_us())
        for server in servers:
            if hasattr(server, 'check_end'):
                server.check_end()
    return {'rows': results, 'skipped': skipped, 'sync_us': syncs}


def intake(bench, rows):
    """Mail for elsewhere, accepted durably, delivery held."""
    return race(bench, rows, {'Hikyaku': Hikyaku, 'Postfix': Postfix}, FAR_DOMAIN)


def slow_intake(bench, rows):
    """The same with 2 ms more for each sync."""
    makers = {'Hikyaku': lambda: Hikyaku(preload=bench.slowsync),
              'Postfix': lambda: Postfix(preload=bench.slowsync)}
    return race(bench, rows, makers, FAR_DOMAIN)


def local(bench, rows):
    """Mail into 50 mailboxes, until all of it is delivered."""
    makers = {'Hikyaku': lambda: Hikyaku(has_users=True), 'Postfix+Dovecot': PostfixDovecot}
    return race(bench, rows, makers, LOCAL_DOMAIN, to_the_end=True)


def _calm_pss_kib(server):
    """Memory once it has stopped changing: idle stacks are given back after seconds."""
    deadline = time.monotonic() + IDLE_WAIT_S
    last, same = server.meter.pss_kib(), 0
    while same < 8 and time.monotonic() < deadline:
        time.sleep(0.5)
        now = server.meter.pss_kib()
        same = same + 1 if abs(now - last) <= 16 else 0
        last = now
    return last


def _greet(server, count, stack):
    for _ in range(min(count, CONNECTIONS_MAX)):
        session = stack.enter_context(Session(server.port))
        session.reply()
        session.command('EHLO idle.example.net', 250)


def _idle_once(maker):
    server = maker()
    try:
        server.start()
        found = {'idle_kib': _calm_pss_kib(server), 'processes': len(server.meter.pids())}
        count = IDLE_CONNECTIONS[server.name]
        with contextlib.ExitStack() as stack:
            _greet(server, 1, stack)
            before = _calm_pss_kib(server)
            _greet(server, count, stack)
            found['connections'] = count
            found['connection_kib'] = (_calm_pss_kib(server) - before) / count
    finally:
        server.stop()
    return found


def idle(bench):
    """Memory of servers that have nothing to do, and of a plain connection after EHLO."""
    results, skipped = {}, {}
    for _ in range(bench.repetitions):
        for maker in (Hikyaku, Postfix):
            try:
                found = _idle_once(maker)
                results.setdefault(maker.name, []).append(found)
            except (PeerMissing, AssertionError, OSError, subprocess.SubprocessError) as reason:
                skipped[maker.name] = ' '.join(str(reason).split())[:300]
    return {'servers': results, 'skipped': skipped}


def relay(bench, rows):
    """Mail in and out again, until the last message has arrived at the sink."""
    makers = {'Hikyaku': lambda: RelayingHikyaku(bench.sink),
              'Postfix': lambda: RelayingPostfix(bench.sink)}
    return race(bench, rows, makers, SINK_DOMAIN, to_the_end=True)


def crowded(bench, rows, counts):
    """The cost of relaying while other messages wait; and what such a queue costs at the start."""
    servers = []

    def make(count):
        servers.append(CrowdedHikyaku(bench.sink, count))
        return servers[-1]

    makers = {growth.name_of(count): functools.partial(make, count) for count in counts}
    result = race(bench, rows, makers, SINK_DOMAIN, to_the_end=True)
    result['queues'] = {server.name: server.found for server in servers}
    return result


def submission(bench, rows):
    """Mail from users who log in over TLS, accepted durably, delivery held."""
    makers = {'Hikyaku': submitting.SubmittingHikyaku, 'Postfix+Dovecot':
              submitting.SubmittingPostfix, 'Hikyaku, no cache': submitting.forgetful_hikyaku}
    return race(bench, rows, makers, FAR_DOMAIN)


def _idle_tls_once():
    server = submitting.idle_hikyaku()
    try:
        server.start()
        with contextlib.ExitStack() as stack:
            submitting.greet_over_tls(server.submissions_port, stack)
            before, count = _calm_pss_kib(server), submitting.IDLE_CONNECTIONS
            for _ in range(count):
                submitting.greet_over_tls(server.submissions_port, stack)
            return {'connections': count,
                    'connection_kib': (_calm_pss_kib(server) - before) / count}
    finally:
        server.stop()


def tls(bench):
    """Full handshakes beside openssl's own server, and memory of idle TLS connections."""
    results, skipped = {'handshakes': [], 'idle': []}, {}
    for _ in range(bench.repetitions):
        for what, once in (('handshakes', lambda: submitting.handshakes(bench.seconds)),
                           ('idle', _idle_tls_once)):
            try:
                results[what].append(once())
            except (PeerMissing, AssertionError, OSError, subprocess.SubprocessError) as reason:
                skipped[what] = ' '.join(str(reason).split())[:300]
    return {'tls': results, 'skipped': skipped}


def median(runs, key):
    """The median of one figure over runs; None when no run has it."""
    values = [run[key] for run in runs if key in run]
    return statistics.median(values) if values else None


def raise_file_limit():
    """Lets this process hold as many sockets as the idle scenario opens."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, max(*IDLE_CONNECTIONS.values(), submitting.IDLE_CONNECTIONS) + 200)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
