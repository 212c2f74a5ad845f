"""The disk under torture: what a power cut leaves of a data folder, and calls that fail on demand.

Both work through lostwrites.c, preloaded into the server. `Shadow` starts the record of what is
durable and makes from it, after a kill, the folder as it is after the cut; `Faults` says which
system calls fail.

Names become durable by one of two rules. "strict": POSIX, a name is durable only after a sync of
its folder. "ext4": any sync that has to write a file's metadata takes all changes of names so far
with it. Disks may also write early: a random part of what was not synced survives, pages in any
order, names in theirs.
"""
import ctypes
import mmap
import os
import pathlib
import shutil
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
MODES = ('strict', 'ext4')
PAGE = 4096
SECTOR = 512
RULES_MAX = 16
OPS = {'write': 1, 'sync': 2, 'open': 3, 'truncate': 4, 'rename': 5, 'unlink': 6}


def build_library():
    """Compiles lostwrites.c; the path of the library. One per process and version of the source."""
    source = HERE / 'lostwrites.c'
    folder = pathlib.Path(tempfile.gettempdir()) / f'hikyaku-lostwrites-{os.getuid()}'
    folder.mkdir(mode=0o755, exist_ok=True)
    library = folder / f'lostwrites-{source.stat().st_mtime_ns}.so'
    if not library.exists():
        part = library.with_suffix(f'.{os.getpid()}')
        subprocess.run(['cc', '-std=gnu17', '-D_GNU_SOURCE', '-O2', '-fPIC', '-shared', '-w',
                        '-o', str(part), str(source), '-lpthread'], check=True, timeout=120)
        part.rename(library)
    return library


def preload_env(data_dir, shadow=None, delay_us=0, faults=None):
    """The environment that puts the library between a server and this folder."""
    env = {'LD_PRELOAD': str(build_library()), 'LOSTWRITES_DIR': str(data_dir)}
    if shadow is not None:
        env['LOSTWRITES_SHADOW'] = str(shadow.path)
    if delay_us:
        env['LOSTWRITES_SYNC_DELAY_US'] = str(delay_us)
    if faults is not None:
        env['LOSTWRITES_FAIL'] = str(faults.path)
    # The sanitizer's run time wants to be the first library; here it cannot be.
    env['ASAN_OPTIONS'] = os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'
    return env


class Rule(ctypes.Structure):
    """struct rule of lostwrites.c."""
    _fields_ = [('op', ctypes.c_uint32), ('error', ctypes.c_int32), ('skip', ctypes.c_int64),
                ('count', ctypes.c_int64), ('hits', ctypes.c_int64), ('part', ctypes.c_char * 96)]


class Faults:
    """Calls that fail: shared with the running server."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.write_bytes(bytes(ctypes.sizeof(Rule) * RULES_MAX))
        self.path.chmod(0o666)
        with open(self.path, 'r+b') as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._rules = (Rule * RULES_MAX).from_buffer(self._map)

    def add(self, op, part, error, skip=0, count=-1):
        """Lets calls `op` on paths that contain `part` fail: after `skip`, `count` of them."""
        rule = next(r for r in self._rules if r.op == 0)
        rule.part, rule.error, rule.skip, rule.count = part.encode(), error, skip, count
        rule.hits = 0
        rule.op = OPS[op]
        return rule

    def clear(self):
        """All calls work again."""
        for rule in self._rules:
            rule.op = 0


def is_watched(name):
    """Whether lostwrites.c keeps a file of this name, below the folder."""
    return not name.endswith('-shm') and name != 'lock' and not name.startswith('.shadow')


class Op:
    """A change of names, as it stands in the log."""

    def __init__(self, words):
        self.kind = words[0]
        self.id = int(words[1]) if self.kind == 'C' else 0
        self.names = words[2:] if self.kind == 'C' else words[1:]
        self.dir = os.path.dirname(self.names[-1]) or '.'

    def apply(self, names, dirs):
        """Does to the names {path: id} and the set of folders what the call did."""
        if self.kind == 'C':
            names[self.names[0]] = self.id
        elif self.kind == 'K':
            dirs.add(self.names[0])
        elif self.kind == 'U':
            names.pop(self.names[0], None)
        elif self.names[0] in names:
            names[self.names[1]] = names.pop(self.names[0])


class Shadow:
    """What is durable of a data folder, from start() on."""

    def __init__(self, data_dir, mode):
        self.data_dir = pathlib.Path(data_dir)
        self.path = self.data_dir / '.shadow'
        self.mode = mode
        self.story = []

    def start(self):
        """Everything that is in the folder now counts as durable."""
        shutil.rmtree(self.path, ignore_errors=True)
        (self.path / 'data').mkdir(parents=True)
        lines = []
        for number, path in enumerate(sorted(self.data_dir.rglob('*')), 1):
            name = str(path.relative_to(self.data_dir))
            if not is_watched(name):
                continue
            if path.is_dir():
                lines.append(f'K {name}')
                continue
            lines.append(f'C {number} {name}')
            if path.is_file():
                shutil.copyfile(path, self.path / 'data' / str(number))
        (self.path / 'log').write_text('\n'.join([*lines, 'A']) + '\n')
        for path in [self.path, *self.path.rglob('*')]:
            path.chmod(0o777 if path.is_dir() else 0o666)
        return self

    def _read_log(self):
        """The changes of names, and how many of each folder's are durable {folder: index}."""
        ops, durable, everywhere = [], {}, 0
        for line in (self.path / 'log').read_text().splitlines():
            words = line.split(' ')
            if words[0] in 'CRUK':
                ops.append(Op(words))
            elif words[0] == 'A' or (self.mode == 'ext4' and (words[0] == 'D' or words[2] == '1')):
                everywhere = len(ops)
            elif words[0] == 'D':
                durable[words[1]] = len(ops)
        return ops, durable, everywhere

    def _names_after(self, rng):
        """The names {path: id} and folders that survive, and where each file is now {id: path}."""
        ops, durable, everywhere = self._read_log()
        if rng.random() < 0.5:
            everywhere = rng.randint(everywhere, len(ops))
        names, dirs, now = {}, set(), {}
        for index, op in enumerate(ops):
            op.apply(now, set())
            if index < max(everywhere, durable.get(op.dir, 0)):
                op.apply(names, dirs)
        lost = [op for i, op in enumerate(ops) if i >= max(everywhere, durable.get(op.dir, 0))]
        self.story.append(f'{len(lost)} changes of names lost')
        return names, dirs, {number: path for path, number in now.items()}

    def _bytes_after(self, number, live, rng, early_names):
        """The bytes of a file after the cut: as of its last sync, and some that came early."""
        kept = self.path / 'data' / str(number)
        old = kept.read_bytes() if kept.exists() else b''
        if live is None or not (self.data_dir / live).is_file():
            return old
        new = (self.data_dir / live).read_bytes()
        if new == old:
            return old
        if early_names:
            return new if any(name in live for name in early_names) else old
        share = rng.choice((0, 0, 0.1, 0.5, 0.9, 1))
        pages = range(max(len(new), len(old) + PAGE - 1) // PAGE + 1)
        lost = [p for p in pages
                if new[p * PAGE:(p + 1) * PAGE] != old[p * PAGE:(p + 1) * PAGE]]
        early = [p for p in lost if rng.random() < share]
        self.story.append(f'{live}: {len(lost) - len(early)} of {len(lost)} changed pages lost')
        return apply_pages(old, new, early, rng)

    def cut(self, rng, early_names=()):
        """Makes the folder what it is after the power cut. The server must have been killed.

        `rng` decides what was written early; PLAIN: nothing was; with `early_names`: just all of
        the files whose paths contain one of these.
        """
        self.story = []
        names, dirs, live = self._names_after(rng)
        after = self.data_dir.with_name(self.data_dir.name + '.after')
        after.mkdir()
        for name in sorted(dirs):
            (after / name).mkdir()
        for name, number in names.items():
            data = self._bytes_after(number, live.get(number), rng, early_names)
            if (after / name).parent.is_dir():
                (after / name).write_bytes(data)
        like = self.data_dir.stat()
        for path in [after, *after.rglob('*')]:
            os.chown(path, like.st_uid, like.st_gid)
            path.chmod(0o700 if path.is_dir() else 0o600)
        shutil.rmtree(self.data_dir)
        after.rename(self.data_dir)


class Plain:
    """In place of a random.Random: a disk that writes nothing before it must."""

    @staticmethod
    def random():
        return 1.0

    @staticmethod
    def choice(choices):
        return choices[0]


PLAIN = Plain()


def apply_pages(old, new, early, rng):
    """`old` with these pages of `new`; one of them may be torn; the size is old or new."""
    result = bytearray(old)
    if not early:
        return old
    torn = rng.choice(early) if rng.random() < 0.5 else None
    for page in early:
        start = page * PAGE
        part = new[start:start + PAGE]
        if page == torn:
            part = part[:SECTOR * rng.randrange(PAGE // SECTOR)]
        if len(result) < start + len(part):
            result += bytes(start + len(part) - len(result))
        result[start:start + len(part)] = part
    if rng.random() < 0.5:
        result = result[:len(new)] if len(result) > len(new) else result + bytes(
            len(new) - len(result))
    return bytes(result)
