"""What a server costs: CPU time and memory of all its processes together.

A Meter is a control group where the machine has one to give (version 1 cpuacct, or version 2), so
that short-lived processes count as well. Elsewhere the times in /proc are added up, reaped children
included; those have a grain of 10 ms.
"""
import contextlib
import os
import pathlib
import time

CGROUP = pathlib.Path('/sys/fs/cgroup')
TICKS = os.sysconf('SC_CLK_TCK')


def _group_roots():
    """Candidates: a folder below which groups can be made, and the file with the CPU time."""
    own = dict(line.split(':')[1:] for line in
               pathlib.Path('/proc/self/cgroup').read_text().splitlines())
    for controller, path in own.items():
        if 'cpuacct' in controller.split(','):
            yield CGROUP / controller, path, 'cpuacct.usage'
    for root in (CGROUP, CGROUP / 'unified'):
        if '' in own and (root / 'cgroup.controllers').exists():
            yield root, own[''], 'cpu.stat'


class Meter:
    """The CPU time and memory of the processes that were started while it adopted."""

    def __init__(self, name):
        self.group = self.home = None
        self.roots = []
        for root, path, usage in _group_roots():
            group = root / f'hikyaku-bench-{os.getpid()}-{name}'
            with contextlib.suppress(OSError):
                group.mkdir()
                (group / usage).read_text()
                self.group, self.usage = group, usage
                self.home = root / path.lstrip('/')
                return

    @contextlib.contextmanager
    def adopt(self):
        """What is started inside, and all its children later, is measured."""
        before = set(_tree(os.getpid()))
        if self.group:
            (self.group / 'cgroup.procs').write_text(str(os.getpid()))
        try:
            yield
        finally:
            if self.group:
                (self.home / 'cgroup.procs').write_text(str(os.getpid()))
            self.roots = [pid for pid in _tree(os.getpid()) if pid not in before]

    def pids(self):
        """The processes of the server; shells that only hold it are not counted."""
        if self.group:
            pids = [int(word) for word in (self.group / 'cgroup.procs').read_text().split()]
        else:
            pids = [pid for root in self.roots for pid in (root, *_tree(root))]
        return [pid for pid in sorted(set(pids)) if _name(pid) not in ('', 'sh')]

    def cpu_s(self):
        """Seconds of CPU used so far."""
        if not self.group:
            return sum(_cpu_ticks(pid) for pid in self.pids()) / TICKS
        text = (self.group / self.usage).read_text()
        if self.usage == 'cpuacct.usage':
            return int(text) / 1e9
        return int(text.split('usage_usec', 1)[1].split()[0]) / 1e6

    def settle(self, seconds=4):
        """Waits until the work that follows an acknowledgement is done too."""
        deadline = time.monotonic() + seconds
        calm, used = 0, self.cpu_s()
        while calm < 3 and time.monotonic() < deadline:
            time.sleep(0.04)
            now = self.cpu_s()
            calm = calm + 1 if now - used < 0.001 else 0
            used = now

    def pss_kib(self):
        """Memory: the proportional set size of all processes."""
        return sum(_pss_kib(pid) for pid in self.pids())

    def remove(self):
        """Forgets the group; its processes must have ended."""
        for _ in range(50):
            with contextlib.suppress(OSError):
                if self.group:
                    self.group.rmdir()
                return
            time.sleep(0.1)


def _tree(pid):
    """All descendants of a process."""
    found = []
    with contextlib.suppress(OSError):
        for path in pathlib.Path(f'/proc/{pid}/task').glob('*/children'):
            for child in path.read_text().split():
                found += [int(child), *_tree(int(child))]
    return found


def _name(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f'/proc/{pid}/comm').read_text().strip()
    return ''


def process_cpu_s(pid):
    """Seconds of CPU that one process has used."""
    return _cpu_ticks(pid) / TICKS


def _cpu_ticks(pid):
    with contextlib.suppress(OSError):
        fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
        return sum(int(field) for field in fields[11:15])
    return 0


def _pss_kib(pid):
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines():
            if line.startswith('Pss:'):
                return int(line.split()[1])
    return 0


def machine_busy_s():
    """Seconds of CPU that anything on this machine has used."""
    fields = pathlib.Path('/proc/stat').read_text().splitlines()[0].split()[1:9]
    user, nice, system, _, _, irq, softirq, steal = (int(field) for field in fields)
    return (user + nice + system + irq + softirq + steal) / TICKS
