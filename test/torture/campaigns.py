"""The campaigns of test/torture/run: rounds of killing and of power cuts under load.

Each takes a number of rounds, a limit of seconds and a seed, and returns (what is wrong, figures).
The seed decides everything but the exact moments, which belong to the scheduler.
"""
import os
import pathlib
import random
import signal
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'lib')]

# pylint: disable=wrong-import-position
from hikyaku import Server, Session, until
import check
import disk
import load

VICTIMS = ('store', 'store', 'store', 'inbound', 'inbound', 'master', 'all')
SYNC_DELAYS_US = (0, 300, 2000, 10000, 30000, 60000)
SETTINGS = {'smtp.relay_networks': '[ 127.0.0.0/8 ]', 'smtp.max_connections_per_address': '100',
            'store.segment_size': '1M', 'store.min_free_space': '0',
            'store.expunged_retention': '0s', 'store.compact_below': '90'}


class Victim(Server):
    """A server that gets killed: knows its processes also when the master is gone."""

    def __init__(self, settings=None, **kwargs):
        super().__init__(settings={**SETTINGS, **(settings or {})}, **kwargs)
        self.serve_env = {}
        self._known = {}

    def start(self, wait=True):
        plain = self.env
        self.env = {**plain, **self.serve_env}
        try:
            return super().start(wait)
        finally:
            self.env = plain

    def make_addresses(self):
        for address in load.ACCOUNTS:
            self.add_account(address)
        for address, targets in load.ALIASES.items():
            self.add_alias(address, *targets)

    def _living(self):
        """The master and its children; one may end while the list is made."""
        while True:
            try:
                return self.pids()
            except FileNotFoundError:
                continue

    def by_name(self):
        """The processes {pid: name}, also those of masters that were killed."""
        for pid in self._living():
            self._known[pid] = start_time(pid)
        names = {}
        for pid, started in list(self._known.items()):
            if started is None or start_time(pid) != started:
                del self._known[pid]
                continue
            names[pid] = process_name(pid) if pid != self.process.pid else 'master'
        return names

    def kill_one(self, name, rng):
        """SIGKILL to a process of this name, or to all."""
        if name == 'all':
            self.kill()
            return
        found = [pid for pid, its in self.by_name().items() if its == name]
        if not found:
            return
        kill(rng.choice(found))
        if name == 'master':
            self.process.wait(20)
            self.exit_status = 0

    def kill(self):
        """The power failure: every process, and waits until they are no more."""
        pids = list(self.by_name())
        for pid in pids:
            kill(pid)
        self.process.wait(20)
        self.exit_status = 0
        until(lambda: not self.by_name(), 20, 'killed processes to be gone')

    def come_back(self, seconds=60):
        """Waits until mail is taken again; starts the master if it was killed."""
        if self.process.poll() is not None:
            self.by_name()
            self.start(wait=False)
        until(self._is_back, seconds, 'the server to take mail again')

    def _is_back(self):
        """Whether a session is greeted: 421 comes from a worker that has no store."""
        status = self.process.poll()
        assert status is None, f'the server ended with status {status}'
        try:
            with Session(self.port, timeout=5) as session:
                if session.reply().startswith('220'):
                    return True
        except (OSError, EOFError):
            pass
        self.advance(300)  # the pauses between restarts need not be sat out
        return False


def kill(pid):
    """SIGKILL, also to what is gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def start_time(pid):
    """When a process was started, in ticks; None when it has ended."""
    try:
        fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    except OSError:
        return None
    return None if fields[0] in 'ZX' else fields[19]


def process_name(pid):
    """What a child of the master is: "store", "inbound"."""
    try:
        name = pathlib.Path(f'/proc/{pid}/comm').read_text().strip()
    except OSError:
        return ''
    return name.removeprefix('hk-')


class Rounds:
    """Counts rounds within a limit of time."""

    def __init__(self, rounds, seconds):
        self.limit = rounds
        self.deadline = time.monotonic() + seconds
        self.done = 0

    def __iter__(self):
        while self.done < self.limit and time.monotonic() < self.deadline:
            yield self.done
            self.done += 1


def random_moment(rng, sending):
    """Some time, in which some mail was taken."""
    before = sending.count(load.ACKNOWLEDGED)
    threading.Event().wait(rng.choice((0.02, 0.2, 0.5, 1.5)) * rng.random())
    until(lambda: sending.count(load.ACKNOWLEDGED) > before, 30, 'any mail to be taken')


def finish(server, sending, remover, rounds):
    """Stops all and looks at what there is."""
    sending.stop()
    remover.stop()
    wrong = list(sending.wrong)
    wrong += check.check_export(sending.attempts, server)
    status = server.stop(60)
    if status != 0:
        wrong.append(f'the server ended with status {status}')
    more, figures = check.check_all(sending.attempts, server.dir / 'data')
    moved = segments_made(server.dir / 'data')
    return wrong + more, f'{rounds.done} rounds, {figures}, {remover.count} removed, {moved}'


def segments_made(data_dir):
    """How many segments there were, and are."""
    numbers = [int(path.stem) for path in (data_dir / 'segments').glob('*.seg')]
    return f'{len(numbers)} of {max(numbers)} segments remain'


class Campaign:
    """One server, its senders and its end. With wrong results, the folder is kept."""

    def __init__(self, seed, say, threads=6):
        self.server = Victim()
        self.seed, self.say, self.threads = seed, say, threads
        self.sending = self.remover = None

    def __enter__(self):
        self.server.init().start()
        self.server.make_addresses()
        self.sending = load.Load(self.server.port, self.seed, self.threads)
        self.remover = load.Remover(self.server, self.sending)
        return self

    def start(self):
        """Mail flows, and is removed again."""
        self.remover.start()
        return self.sending.start()

    def __exit__(self, kind, error, _):
        for thing in (self.sending.stop, self.remover.stop, self.server.kill):
            try:
                thing()
            except (AssertionError, OSError, RuntimeError):
                pass  # it was never started, or has ended
        if kind is not None:
            self.say(f'--- log of the server ---\n{self.server.log_tail()}')
            self.say(f'{self.server.dir} is kept')

    def end(self, rounds):
        wrong, figures = finish(self.server, self.sending, self.remover, rounds)
        if wrong:
            self.say(f'{self.server.dir} is kept')
        else:
            self.server.check_end()
            self.server.remove()
        return wrong, figures


def run_kills(rounds, seconds, seed, say=print, threads=6):
    """kill -9 of a random process at a random moment."""
    rng = random.Random(seed)
    counter = Rounds(rounds, seconds)
    with Campaign(seed, say, threads) as campaign:
        server, sending = campaign.server, campaign.start()
        for number in counter:
            sending.round = number
            random_moment(rng, sending)
            server.kill_one(rng.choice(VICTIMS), rng)
            server.come_back()
        return campaign.end(counter)


def crash_first(server, sending, rng):
    """Sometimes: what a crash or a stop leaves unsynced must survive a cut that comes later."""
    before = rng.choices(('nothing', 'crash', 'stop'), (6, 3, 1))[0]
    if before == 'crash':
        server.kill_one('store', rng)
        server.come_back()
    if before == 'stop':
        server.stop(60)
        server.start(wait=False)
        server.come_back()
    if before != 'nothing' and rng.random() < 0.5:
        random_moment(rng, sending)


def run_cuts(rounds, seconds, seed, mode, say=print, threads=6):
    """Power cuts at random moments; sometimes right after another crash."""
    rng = random.Random(seed)
    counter = Rounds(rounds, seconds)
    with Campaign(seed, say, threads) as campaign:
        server, sending = campaign.server, campaign.sending
        server.stop()
        shadow = disk.Shadow(server.dir / 'data', mode)
        for number in counter:
            shadow.start()
            server.serve_env = disk.preload_env(shadow.data_dir, shadow,
                                                rng.choice(SYNC_DELAYS_US))
            server.start(wait=False)
            server.come_back()
            if number == 0:
                campaign.start()
            sending.round = number
            random_moment(rng, sending)
            crash_first(server, sending, rng)
            if rng.random() < 0.5:
                # The store begins to keep house: the cut comes while it moves what it compacts.
                server.advance(load.MAINTAIN_MS)
                threading.Event().wait(rng.random() * 0.1)
            server.kill()
            shadow.cut(rng)
            say(f'  round {number}: {"; ".join(shadow.story)}')
        server.serve_env = {}
        server.start()
        return campaign.end(counter)


def run_crash_then_cut(mode, size, say=print):
    """The store dies while it waits for the disk, comes back, and then the power goes: what it
    found when it came back must still be there, or it must not have kept it."""
    server = Victim()
    server.init().start()
    server.make_addresses()
    server.stop()
    shadow = disk.Shadow(server.dir / 'data', mode).start()
    server.serve_env = disk.preload_env(shadow.data_dir, shadow, delay_us=600000)
    server.start(wait=False)
    server.come_back()
    sending = load.Load(server.port, f'crash{size}', threads=1)
    first = load.send_one(server.port, f'first{size}')  # the files are there from now on
    assert first.outcome == load.ACKNOWLEDGED, first.reply
    attempt = load.Attempt(f'crash{size}', random.Random(1))
    attempt.size, attempt.is_chunked, attempt.recipients = size, False, load.ACCOUNTS[:2]
    thread = threading.Thread(target=sending.send_quietly, args=(attempt,))
    size_before = wal_size(shadow.data_dir)
    thread.start()
    until(lambda: attempt.outcome == load.UNKNOWN, 20, 'the message to be sent')
    # Its rows are in the file, nothing of it is synced, and the syncs take long.
    until(lambda: wal_size(shadow.data_dir) > size_before + 3 * disk.PAGE, 20, 'the rows')
    until(Stable(lambda: wal_size(shadow.data_dir)), 20, 'all of the rows')
    server.kill_one('store', random.Random(1))
    thread.join(30)
    server.come_back()
    server.kill()
    shadow.cut(disk.PLAIN)
    server.serve_env = {}
    server.start(wait=False)
    server.come_back()
    server.stop()
    wrong, figures = check.check_all([first, attempt], server.dir / 'data')
    if wrong:
        say(f'{server.dir} is kept')
    else:
        server.remove()
    return wrong, figures


def wal_size(data_dir):
    """The size of the database's log."""
    path = data_dir / 'mail.db-wal'
    return path.stat().st_size if path.exists() else 0


class Stable:
    """True once a value has been the same five times in a row."""

    def __init__(self, ask):
        self.ask, self.last, self.times = ask, None, 0

    def __call__(self):
        value = self.ask()
        self.times = self.times + 1 if value == self.last else 0
        self.last = value
        return self.times >= 5


COMPACTED, COMPACTED_BYTES = 80, 20000


def run_cut_while_compacting(mode, say=print):
    """The power goes while old mail is being moved, and the disk writes the rows before the bytes:
    mail that was acknowledged long ago must not hang on a copy that is not durable yet."""
    server = Victim(settings={'smtp.max_transactions': '1000'})
    server.init().start()
    server.make_addresses()
    box = load.ACCOUNTS[0]
    attempts = [load.send_one(server.port, f'pack{n}', [box], COMPACTED_BYTES)
                for n in range(COMPACTED)]
    with load.Control(server.dir / 'run') as control:
        for uid, attempt in enumerate(attempts, 1):
            if uid % 4 and control.expunge(box, uid):
                attempt.removed[box] = True
    server.stop()
    shadow = disk.Shadow(server.dir / 'data', mode).start()
    server.serve_env = disk.preload_env(shadow.data_dir, shadow, delay_us=600000)
    server.start(wait=False)
    server.come_back()
    attempts.append(load.send_one(server.port, 'pack', [box]))  # the files are there from now on
    before = segment_bytes(shadow.data_dir / 'segments')

    def is_moving():
        server.advance(load.MAINTAIN_MS // 20)
        return segment_bytes(shadow.data_dir / 'segments') > before

    until(is_moving, 60, 'old mail to be moved')
    until(Stable(lambda: wal_size(shadow.data_dir)), 20, 'the rows')
    server.kill()
    shadow.cut(disk.PLAIN, ['mail.db-wal'])
    server.serve_env = {}
    server.start(wait=False)
    server.come_back()
    server.stop()
    wrong, figures = check.check_all(attempts, server.dir / 'data')
    if wrong:
        say(f'{server.dir} is kept')
    else:
        server.remove()
    return wrong, figures


def segment_bytes(folder):
    """The size of all segments together."""
    return sum(path.stat().st_size for path in folder.glob('*.seg') if path.exists())
