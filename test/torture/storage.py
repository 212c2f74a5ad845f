"""A disk that is full, read-only or fails: scenarios against one running server.

Each raises AssertionError with what is wrong. In all of them nothing that was acknowledged may be
lost, mail that is there stays readable, senders are told to come back, the log says what to do,
and the server takes mail again by itself once the disk does.
"""
import contextlib
import errno
import os
import pathlib
import random
import re
import shutil
import subprocess

from campaigns import Victim
from hikyaku import until
import check
import disk
import load

DISK_BYTES = 48 * 1024 * 1024
BIG = 300 * 1024
HINT = re.compile(r'hint=', re.MULTILINE)
RECOVERY_SECONDS = 40
READ_SECONDS = 10


class NoMount(Exception):
    """A file system of its own cannot be mounted here."""


@contextlib.contextmanager
def small_disk(server):
    """Moves the data folder onto a small tmpfs. The server is not running yet."""
    data = server.dir / 'data'
    like = data.stat()
    aside = data.with_name('data.aside')
    shutil.copytree(data, aside, dirs_exist_ok=True)
    options = f'size={DISK_BYTES},mode=0700,uid={like.st_uid},gid={like.st_gid}'
    run = subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'hikyaku-torture', str(data)],
                         capture_output=True, text=True, timeout=20, check=False)
    if run.returncode != 0:
        raise NoMount(f'no tmpfs can be mounted: {run.stderr.strip()}')
    try:
        shutil.copytree(aside, data, dirs_exist_ok=True)
        for path in data.rglob('*'):
            os.chown(path, like.st_uid, like.st_gid)
        yield data
    finally:
        subprocess.run(['umount', '-l', str(data)], timeout=20, check=False)


class Ledger:
    """The attempts of a scenario, one after the other."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.attempts = []

    def send(self, size=1000, recipients=(load.ACCOUNTS[0], load.REMOTES[0])):
        """One message; its reply."""
        ident = f'{self.name}{len(self.attempts)}'
        attempt = load.send_one(self.server.port, ident, recipients, size, timeout=30)
        self.attempts.append(attempt)
        return attempt.reply

    def must(self, start, size=1000, what=''):
        """Sends; the reply must begin so."""
        reply = self.send(size)
        assert reply.startswith(start), f'{self.name}: {what}: {reply!r} is not {start!r}'

    def until_taken(self, size=1000):
        """The server takes mail again by itself; every refusal before is a temporary one."""
        def is_taken():
            reply = self.send(size)
            assert reply[:3] in ('250', '451', '452', '421'), f'{self.name}: {reply!r}'
            self.server.advance(200)
            return reply.startswith('250')
        until(is_taken, RECOVERY_SECONDS, f'mail to be taken again ({self.name})')

    def must_read(self):
        """All acknowledged mail can be read, now."""
        wrong = []

        def is_readable():
            wrong[:] = check.check_export(self.attempts, self.server)
            self.server.advance(200)  # the store may be pausing before its next start
            return not wrong

        try:
            until(is_readable, READ_SECONDS)
        except AssertionError:
            raise AssertionError(f'{self.name}: ' + '; '.join(wrong[:5])) from None

    def finish(self, status=0):
        """Stops the server and looks at everything."""
        ended = self.server.stop(60)
        assert ended == status, f'{self.name}: the server ended with status {ended}'
        wrong, figures = check.check_all(self.attempts, self.server.dir / 'data')
        assert not wrong, f'{self.name}: ' + '; '.join(wrong[:8])
        return figures


def hints_since(server, before):
    """Whether the log has had advice for the operator since it was so long."""
    return HINT.search(server.log()[before:]) is not None


def fill(path, leave=0):
    """Writes a file until the disk is full, then gives `leave` bytes back."""
    block = bytes(1 << 16)
    with open(path, 'wb', buffering=0) as file:
        for size in (len(block), 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(block[:size]):
                    pass
        if leave:
            file.truncate(max(0, file.tell() - leave))


def run_full(min_free, leave, say=print):
    """The disk fills up. With min_free, new mail stops before it is full; with 0, by ENOSPC."""
    server = Victim(settings={'store.min_free_space': min_free})
    server.init()
    with contextlib.ExitStack() as stack:
        stack.callback(server.remove)
        data = stack.enter_context(small_disk(server))
        stack.callback(kill_if_running, server)
        server.start()
        server.make_addresses()
        ledger = Ledger(server, f'full{min_free}x{leave}x')
        ledger.must('250', what='before')
        ledger.must('250', BIG, 'before')
        pids, before = server.pids(), len(server.log())
        fill(data / 'filler', leave)
        for size in (1000, BIG, 20000, BIG):
            until(lambda s=size: is_refused(ledger, s), 30, 'a full disk to be noticed')
        ledger.must('452 4.3.1', BIG, 'while full')
        ledger.must_read()
        assert hints_since(server, before), f'{ledger.name}: the log gives no hint'
        (data / 'filler').unlink()
        ledger.until_taken()
        ledger.until_taken(BIG)
        assert server.pids() == pids, 'a process was restarted'
        say(f'  full disk, min_free_space={min_free}: {ledger.finish()}')


def is_refused(ledger, size):
    """Sends once more: what is taken fills the disk further, what is not must be put off."""
    reply = ledger.send(size)
    assert reply[:9] in ('250 2.0.0', '452 4.3.1'), f'{ledger.name}: {reply!r}'
    return reply.startswith('452')


def run_full_restart(say=print):
    """A start on a full disk: what is there can be read, and it mends itself."""
    server = Victim()
    server.init()
    with contextlib.ExitStack() as stack:
        stack.callback(server.remove)
        data = stack.enter_context(small_disk(server))
        stack.callback(kill_if_running, server)
        server.start()
        server.make_addresses()
        ledger = Ledger(server, 'fullrestart')
        ledger.must('250', what='before')
        ledger.must('250', BIG, 'before')
        server.kill()
        fill(data / 'filler')
        server.start(wait=False)
        server.come_back()
        ledger.must_read()
        ledger.must('452 4.3.1', what='while full')
        (data / 'filler').unlink()
        ledger.until_taken()
        say(f'  start on a full disk: {ledger.finish()}')


def kill_if_running(server):
    """At the end of a scenario that failed."""
    if server.process is not None and server.exit_status is None:
        server.kill()


# After these the store cannot know what the database's log holds: it ends, and recovery finds out.
# Meanwhile workers turn clients away with 421.
RESTARTING = ('EIO at the sync of the WAL', 'EIO at both syncs')
# what is said, calls that fail, size of the message, reply
FAULTS = (
    ('EIO at the sync of a segment', [('sync', '.seg$', errno.EIO)], 1000, '451 4.3.0'),
    ('EIO at the sync of the folder', [('sync', 'segments$', errno.EIO)], BIG, '451 4.3.0'),
    ('EIO at the sync of a spool file', [('sync', '.tmp$', errno.EIO)], BIG, '451 4.3.0'),
    ('EIO at writes of a segment', [('write', '.seg$', errno.EIO)], 1000, '451 4.3.0'),
    ('ENOSPC at writes of a segment', [('write', '.seg$', errno.ENOSPC)], 1000, '452 4.3.1'),
    ('ENOSPC at writes of a spool file', [('write', '.tmp$', errno.ENOSPC)], BIG, '452 4.3.1'),
    ('EIO at the rename of a spool file', [('rename', '.tmp$', errno.EIO)], BIG, '451 4.3.0'),
    ('EIO at writes of the WAL', [('write', 'mail.db-wal$', errno.EIO)], 1000, '451 4.3.0'),
    ('EIO at the sync of the WAL', [('sync', 'mail.db-wal$', errno.EIO)], 1000, '451 4.3.0'),
    ('ENOSPC at writes of the WAL', [('write', 'mail.db-wal$', errno.ENOSPC)], 1000, '452 4.3.1'),
    ('EIO at both syncs', [('sync', '', errno.EIO)], 1000, '451 4.3.0'),
    ('a file system that became read-only',
     [('write', '', errno.EROFS), ('open', '.tmp', errno.EROFS), ('rename', '', errno.EROFS),
      ('truncate', '', errno.EROFS)], 1000, '451 4.3.0'),
    ('the same, a large message',
     [('write', '', errno.EROFS), ('open', '.tmp', errno.EROFS), ('rename', '', errno.EROFS)],
     BIG, '451 4.3.0'),
)


class FaultyServer:
    """A server between which and its disk stands lostwrites.c, with a shadow and faults."""

    def __init__(self, name, seed=1):
        self.server = Victim()
        self.rng = random.Random(seed)
        self.server.init()
        self.shadow = disk.Shadow(self.server.dir / 'data', 'strict').start()
        self.faults = disk.Faults(self.server.dir / 'faults')
        self.server.serve_env = disk.preload_env(self.shadow.data_dir, self.shadow,
                                                 faults=self.faults)
        self.server.start()
        self.server.make_addresses()
        self.ledger = Ledger(self.server, name)

    def cut(self):
        """A power cut, and a start after it."""
        self.server.kill()
        self.shadow.cut(self.rng)
        self.shadow.start()
        self.server.start(wait=False)
        self.server.come_back()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        kill_if_running(self.server)
        if kind is not None:
            print(f'--- log of the server ---\n{self.server.log_tail()}')
        self.server.remove()


def run_fault(case, say=print):
    """Calls fail for a while: the reply, the log, the recovery; then a power cut.

    The store may end and be started again when it cannot know what is on the disk, its master not.
    """
    what, rules, size, expected = case
    may_restart = what in RESTARTING
    name = re.sub('[^a-z]', '', what.lower())
    with FaultyServer(name) as faulty:
        server, ledger = faulty.server, faulty.ledger
        ledger.must('250', size, 'before')
        master, before = server.process.pid, len(server.log())
        added = [faulty.faults.add(op, part, error) for op, part, error in rules]
        for _ in range(3):
            ledger.must((expected, '421 4.3.2') if may_restart else expected, size, what)
        assert any(rule.hits > 0 for rule in added), f'{what}: no call failed'
        if not may_restart:
            ledger.must_read()
        sending = load.Load(server.port, name, threads=4).start()
        until(lambda: may_restart or len(sending.attempts) > 20, 30, 'some more attempts')
        faulty.faults.clear()
        ledger.until_taken(size)
        until(lambda: sending.count(load.ACKNOWLEDGED) > 20, 30, 'mail to flow again')
        sending.stop()
        ledger.attempts += sending.attempts
        server.come_back()
        assert not sending.wrong, f'{what}: {sending.wrong[:3]}'
        assert hints_since(server, before), f'{what}: the log gives no hint'
        assert server.process.pid == master and server.process.poll() is None, f'{what}: it ended'
        ledger.must_read()
        faulty.cut()
        say(f'  {what}: {ledger.finish()}')


def is_mounting_allowed():
    """Whether small disks can be made here; else the reason."""
    if os.geteuid() != 0:
        return 'mounting a small disk needs root'
    if not pathlib.Path('/proc/filesystems').read_text().count('tmpfs'):
        return 'the kernel has no tmpfs'
    return ''
