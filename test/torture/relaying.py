"""The campaign "relay" of test/torture/run: processes are killed while mail goes to other servers.

Two promises are held against what the far end (relay_sink.py) has recorded. Nothing acknowledged is
lost: every recipient's server has the message, or its sender was told, once. And nothing comes
twice, but for what was the last message on a connection that was cut with the worker: its final
reply, or what became of it, died with the process; so at most one for a kill and a connection.
Every repeat is examined by itself: which connection had it first, what came after it there, how
that connection ended, and what had been killed by then.
"""
import collections
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

import campaigns
import check
import disk
import load
from campaigns import HERE, Rounds, Victim, kill, until

# The domains and their hosts; nobody listens on the one that is down.
MX = {'a': ['ten', 10], 'b': ['ten', 10], 'c': ['three', 10, 'four', 20],
      'd': ['down', 10, 'five', 20], 'e': ['six', 10], 'back': ['seven', 10]}
HOSTS = {'ten': '127.0.0.2', 'three': '127.0.0.3', 'four': '127.0.0.4', 'five': '127.0.0.5',
         'six': '127.0.0.6', 'seven': '127.0.0.7', 'down': '127.0.0.250'}
LOCAL_PARTS = ('u{n}', 'later1.{ident}.{n}', 'later2.{ident}.{n}', 'dot1.{ident}.{n}',
               'bad.{ident}.{n}', 'drop1.{ident}.{n}')
LOCAL_WEIGHTS = (60, 6, 3, 3, 4, 1)
SIZES, SIZE_WEIGHTS = (300, 4000, 20000, 60000, 200 * 1024), (30, 20, 6, 3, 3)
# What dies, and how often; two at once too. "master": its children find out; "all": everything.
KINDS = {('outbound',): 6, ('store',): 3, ('resolver',): 2, ('master',): 2, ('all',): 3,
         ('outbound', 'store'): 3, ('outbound', 'resolver'): 1, ('store', 'resolver'): 1,
         ('master', 'outbound'): 1, ('master', 'store'): 1}
# Only these end the worker, and so may cut connections.
FATAL = {'outbound', 'master', 'all', 'power cut'}
NEEDED = {'store', 'resolver', 'outbound', 'inbound'}
BACKLOG_MAX, REFUSED_A_ROUND = 60, 20
SETTLE_SECONDS = 90
# A slow disk keeps results on their way for longer.
SYNC_DELAYS_US = (0, 0, 2000, 20000)


def settings_for(port):
    """A server that relays to the sink by these hosts, with short pauses."""
    lines = [f'{domain}.example 60 MX {hosts[i + 1]} {hosts[i]}.example'
             for domain, hosts in MX.items() for i in range(0, len(hosts), 2)]
    lines += [f'{name}.example 60 A {address}' for name, address in HOSTS.items()]
    return {
        'outbound.port': port, 'outbound.private_networks': '[ "127.0.0.0/8" ]',
        'outbound.messages_per_connection': 12, 'outbound.idle_timeout': '1s',
        'resolver.local_records': '[ ' + ', '.join(f'"{line}"' for line in lines) + ' ]',
        'resolver.forwarders': '[ "127.0.0.1@9" ]', 'resolver.trust_anchor_file': '""',
        'resolver.timeout': '3s',
        'queue.retry': '[ "1s", "1s", "2s" ]', 'queue.jitter': 0,
    }


class Letter(load.Attempt):
    """A message to some recipients elsewhere, whose sender is elsewhere too."""

    def __init__(self, ident, rng):
        super().__init__(ident, rng)
        self.sender = f'{ident}@back.example'
        self.size = rng.choices(SIZES, SIZE_WEIGHTS)[0]
        domains = [domain for domain in MX if domain != 'back']
        self.recipients = [
            rng.choices(LOCAL_PARTS, LOCAL_WEIGHTS)[0].format(ident=ident, n=n)
            + f'@{rng.choice(domains)}.example' for n in range(rng.choice((1, 1, 1, 2, 3, 5)))]

    def sha(self):
        return hashlib.sha256(self.text()).hexdigest()


class Sink:
    """relay_sink.py as a process, and what it has recorded so far."""

    def __init__(self, seed):
        self.folder = tempfile.mkdtemp(prefix='hikyaku-sink-')
        self.path = os.path.join(self.folder, 'record')
        addresses = [address for name, address in HOSTS.items() if name != 'down']
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / 'relay_sink.py'), self.path, str(seed), *addresses],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())
        self.file = open(self.path, 'rb')  # pylint: disable=consider-using-with
        self.events = []
        self.taken = 0  # texts that were answered with 250
        self.arrived = set()  # their ids
        self._rest = b''
        self._lock = threading.Lock()

    def poll(self):
        """Reads what is new."""
        with self._lock:
            data = self._rest + self.file.read()
            *lines, self._rest = data.split(b'\n')
            for line in lines:
                event = json.loads(line)
                self.events.append(event)
                if event['e'] == 'end' and event['code'] == 250:
                    self.taken += 1
                    self.arrived.add(event['id'].removesuffix('@torture'))
        return self

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()
        self.poll()
        self.file.close()

    def remove(self):
        os.unlink(self.path)
        os.rmdir(self.folder)


class Kill:
    """What was killed, and between which moments its connections ended."""

    def __init__(self, kinds, begun, number):
        self.kinds, self.begun, self.ended, self.number = kinds, begun, None, number
        self.is_fatal = bool(FATAL & set(kinds))
        self.repeats = set()

    def name(self):
        return ' + '.join(self.kinds)


class Connection:
    """One connection as the sink saw it."""

    def __init__(self, opened):
        self.opened, self.closed = opened, None
        self.ends = 0  # whole texts that came
        self.has_quit = False


class Judge:
    """Holds the sink's record against what was acknowledged and what was killed."""

    def __init__(self, attempts, events, kills):
        self.attempts, self.kills = attempts, kills
        self.connections = {}
        # (id, recipient): [(connection, place in it, sha)]
        self.arrivals = collections.defaultdict(list)
        self.reported = collections.defaultdict(set)  # (id, recipient): ids of notices
        self.wrong = []
        self.lost = self.delivered = self.returned = 0
        self.forbidden = set()
        for event in events:
            getattr(self, '_' + event['e'])(event)

    def _open(self, event):
        self.connections[event['c']] = Connection(event['t'])

    def _quit(self, event):
        self.connections[event['c']].has_quit = True

    def _close(self, event):
        self.connections[event['c']].closed = event['t']

    def _nonsense(self, event):
        self.wrong.append(f'connection {event["c"]}: {event["line"]!r} is no command')

    def _end(self, event):
        connection = self.connections[event['c']]
        connection.ends += 1
        if event['code'] != 250:
            return
        ident = event['id'].removesuffix('@torture')
        for address in event['to']:
            self.arrivals[ident, address].append((event['c'], connection.ends, event['sha']))
            for failed in event['failed'] if event['sender'] == '' else ():
                self.reported[address.partition('@')[0], failed].add(event['id'])

    def judge(self):
        """Fills in everything; returns what is wrong."""
        for (ident, address), places in self.arrivals.items():
            self._judge_repeats(ident, address, places)
        for attempt in self.attempts:
            self._judge_attempt(attempt)
        known = {attempt.ident for attempt in self.attempts}
        strangers = {ident for ident, address in self.arrivals
                     if ident not in known and not address.endswith('@back.example')}
        if strangers:
            self.wrong.append(f'messages that nobody sent: {sorted(strangers)[:3]}')
        return self.wrong

    def _judge_repeats(self, ident, address, places):
        """All but one of the arrivals need an excuse."""
        reasons = [self._excuse(number, place) for number, place, _ in places]
        bad = [(place, why) for place, (is_good, why) in zip(places, reasons) if not is_good]
        good = [(place, fatal) for place, (is_good, fatal) in zip(places, reasons) if is_good]
        for (number, _, _), fatal in good[:len(places) - 1]:
            fatal.repeats.add((number, ident))
        if len(bad) > 1:
            self.forbidden.add(ident)
            self.wrong.append(f'{ident} came {len(places)} times to {address}: ' + '; '.join(
                f'connection {number}, text {at}: {why}' for (number, at, _), why in bad))

    def _excuse(self, number, place):
        """(True, the kill that took the reply away), or (False, why there is none)."""
        connection = self.connections[number]
        if place < connection.ends:
            return False, f'{connection.ends - place} more texts came after it'
        closed = connection.closed or float('inf')
        cut = [k for k in self.kills if k.begun <= closed and connection.opened <= k.ended]
        fatal = [k for k in cut if k.is_fatal]
        around = ', '.join(f'{k.name()} (round {k.number})' for k in cut) or 'nothing'
        if connection.has_quit:
            return False, f'QUIT came after it; killed by then: {around}'
        if not fatal:
            return False, f'it was not cut by a kill of the worker; killed by then: {around}'
        return True, fatal[0]

    def _judge_attempt(self, attempt):
        """Everything or, if it was not acknowledged, nothing."""
        arrived = {a for a in attempt.recipients if self.arrivals.get((attempt.ident, a))}
        returned = {a for a in attempt.recipients if self.reported.get((attempt.ident, a))}
        refused = {a for a in attempt.recipients if a.startswith('bad.')}
        who = f'{attempt.ident} ({attempt.outcome}, round {attempt.round}, {attempt.size} bytes)'
        if attempt.outcome == load.ACKNOWLEDGED or arrived or returned:
            missing = set(attempt.recipients) - arrived - returned
            self.lost += len(missing)
            self.wrong += [f'{who}: lost for {address}' for address in sorted(missing)]
        self.wrong += [f'{who}: {address} was reported wrongly'
                       for address in sorted(returned - refused)]
        self.delivered += len(arrived)
        self.returned += len(returned)
        sha = attempt.sha() if arrived else ''
        for address in arrived:
            if any(place[2] != sha for place in self.arrivals[attempt.ident, address]):
                self.wrong.append(f'{who}: {address} got other bytes than were sent')
        for address in returned:
            count = len(self.reported[attempt.ident, address])
            if count > 1:
                self.wrong.append(f'{who}: {count} notices about {address}')

    def table(self):
        """Kills by kind, and what they led to."""
        kinds = collections.Counter(k.name() for k in self.kills)
        lines = [f'    {"killed":22}{"times":>7}{"repeats":>9}{"at most":>9}']
        for name, times in sorted(kinds.items()):
            its = [k for k in self.kills if k.name() == name]
            possible = sum(self._open_at(k) for k in its if k.is_fatal)
            lines.append(f'    {name:22}{times:>7}{sum(len(k.repeats) for k in its):>9}'
                         f'{possible:>9}')
        return '\n'.join(lines)

    def _open_at(self, fatal):
        """The connections that a kill has cut: so many repeats it may lead to."""
        return sum(c.ends > 0 and not c.has_quit and c.opened <= fatal.ended
                   and fatal.begun <= (c.closed or float('inf'))
                   for c in self.connections.values())

    def figures(self, rounds):
        outcomes = collections.Counter(attempt.outcome for attempt in self.attempts)
        allowed = sum(len(k.repeats) for k in self.kills)
        return (f'{rounds} rounds, {dict(outcomes)}, {self.delivered} recipients delivered, '
                f'{self.returned} returned, {len(self.connections)} connections\n'
                f'    repeats (allowed) {allowed}, repeats (not allowed) {len(self.forbidden)}, '
                f'lost {self.lost}\n' + self.table())


class Relay:
    """One server, its senders, the sink, and what was done to them."""

    def __init__(self, seed, say, threads):
        self.rng, self.say = random.Random(f'{seed}/relay'), say
        self.sink = Sink(seed)
        self.server = Victim(settings=settings_for(self.sink.port))
        self.kills = []
        self.number = 0
        self.sending = load.Load(self.server.port, seed, threads, make=self._make,
                                 must_wait=self._has_backlog)
        self._sent = 0

    def _make(self, ident, rng):
        self._sent += 1
        return Letter(ident, rng)

    def _has_backlog(self):
        """The queue is to be busy, and to be empty soon after the end."""
        # Those that are refused while the server is down never arrive.
        allowed = BACKLOG_MAX + REFUSED_A_ROUND * len(self.kills)
        return self._sent - len(self.sink.poll().arrived) > allowed

    def __enter__(self):
        self.server.init()
        self.server.serve_env = self._slow_disk()
        self.server.start()
        return self

    def _slow_disk(self):
        return disk.preload_env(self.server.dir / 'data', None, self.rng.choice(SYNC_DELAYS_US))

    def __exit__(self, kind, error, _):
        for thing in (self.sending.stop, self.server.kill, self.sink.close):
            try:
                thing()
            except (AssertionError, OSError, RuntimeError, ValueError):
                pass  # it was never started, or has ended
        if kind is not None:
            self.say(f'--- log of the server ---\n{self.server.log_tail()}')
            self.say(f'{self.server.dir} and {self.sink.path} are kept')

    def wait_for_some(self):
        """A random moment in which mail has arrived at the far end since the last kill."""
        before = self.sink.poll().taken
        until(lambda: self._has_more_than(before), 60, 'any mail to arrive')
        threading.Event().wait(self.rng.choice((0.005, 0.05, 0.3, 0.8)) * self.rng.random())

    def _has_more_than(self, before):
        if self.sink.poll().taken > before:
            return True
        self.server.advance(50)
        return False

    def strike(self, kinds):
        """Kills, and waits until all is back."""
        names = self.server.by_name()
        old = set(names)
        found = [[pid for pid, name in names.items() if name == kind] for kind in kinds]
        stroke = Kill(kinds, time.monotonic(), self.number)
        if 'all' in kinds:
            self.server.kill()
        for pids in found:
            if len(pids) > 0:
                kill(self.rng.choice(pids))
        if 'master' in kinds:
            self.server.process.wait(20)
            self.server.exit_status = 0
        if self.server.process.poll() is not None:
            self.server.serve_env = self._slow_disk()
        self.server.come_back()
        self._wait_for_all(old if self.server.process.pid not in old else set())
        stroke.ended = time.monotonic()
        self.kills.append(stroke)
        self.say(f'  round {self.number}: {stroke.name()}')

    def _wait_for_all(self, old):
        """Until every process is there, and of an old master's none."""
        def are_there():
            names = self.server.by_name()
            if set(names.values()) >= NEEDED and not old & set(names):
                return True
            self.server.advance(300)
            return False
        until(are_there, 60, 'all processes to be back')

    def drain(self):
        """Lets the queue become empty; what is wrong if it does not."""
        def is_empty():
            self.server.advance(700)
            run = self.server.cli('status', '--json', check=False)
            return run.returncode == 0 and json.loads(run.stdout)['queued_messages'] == 0
        try:
            until(is_empty, SETTLE_SECONDS, 'the queue to be empty')
        except AssertionError as error:
            rows = self.server.cli('queue', 'list', check=False).stdout.decode(errors='replace')
            return [f'{error}: ' + ' / '.join(rows.splitlines()[:6])]
        return []

    def end(self, rounds):
        """Stops everything and judges; (what is wrong, figures)."""
        self.sending.stop()
        wrong = list(self.sending.wrong) + self.drain()
        status = self.server.stop(60)
        if status != 0:
            wrong.append(f'the server ended with status {status}')
        self.sink.close()
        wrong += check.Kept(self.server.dir / 'data').wrong
        judge = Judge(self.sending.attempts, self.sink.events, self.kills)
        wrong += judge.judge()
        if wrong:
            self.say(f'{self.server.dir} and {self.sink.path} are kept')
        else:
            self.server.check_end()
            self.server.remove()
            self.sink.remove()
        return wrong, judge.figures(rounds.done)


def run_relay(rounds, seconds, seed, say=print, threads=4):
    """kill -9 of one process or two at random moments."""
    counter = Rounds(rounds, seconds)
    with Relay(seed, say, threads) as relay:
        relay.sending.start()
        for number in counter:
            relay.number = relay.sending.round = number
            relay.wait_for_some()
            relay.strike(relay.rng.choices(list(KINDS), list(KINDS.values()))[0])
        return relay.end(counter)


def run_relay_cuts(rounds, seconds, seed, say=print, threads=4):
    """Power cuts: all processes die, and what was not synced is gone; sometimes soon after a kill
    of the worker or of the store."""
    counter = Rounds(rounds, seconds)
    with Relay(seed, say, threads) as relay:
        server, rng = relay.server, relay.rng
        server.stop()
        shadow = disk.Shadow(server.dir / 'data', 'strict')
        relay.sending.start()
        for number in counter:
            relay.number = relay.sending.round = number
            shadow.mode = rng.choice(disk.MODES)
            shadow.start()
            server.serve_env = disk.preload_env(shadow.data_dir, shadow,
                                                rng.choice(SYNC_DELAYS_US))
            server.start(wait=False)
            server.come_back()
            relay.wait_for_some()
            if rng.random() < 0.3:
                relay.strike((rng.choice(('outbound', 'store')),))
                relay.wait_for_some()
            cut = Kill(('power cut',), time.monotonic(), number)
            server.kill()
            cut.ended = time.monotonic()
            relay.kills.append(cut)
            shadow.cut(rng)
            say(f'  round {number}: {"; ".join(shadow.story)}')
        server.serve_env = {}
        server.start(wait=False)
        server.come_back()
        return relay.end(counter)
