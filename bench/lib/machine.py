"""The machine a measurement is made on, the programs bench compiles for itself, its folder."""
import contextlib
import os
import pathlib
import platform
import statistics
import subprocess
import tempfile
import time

import peers
from hikyaku import ROOT

BENCH = ROOT / 'bench'
# HIKYAKU_BENCH_DIR: another place for what bench compiles and unpacks.
OWN = os.environ.get('HIKYAKU_BENCH_DIR')
TOOLS = pathlib.Path(OWN) if OWN else ROOT / 'build' / 'bench'
if OWN:
    peers.PEERS = TOOLS / 'peers'
CFLAGS = ['-O2', '-g', '-std=gnu17', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Wshadow']
SYNC_SECONDS = 1.0


def build():
    """Compiles the generator, the preload library and the sink. Returns their paths."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    load, slow, sink = TOOLS / 'smtpload', TOOLS / 'slowsync.so', TOOLS / 'smtpsink'
    compiler = os.environ.get('CC', 'cc')
    for target, flags, libraries in ((load, [], ['-lssl', '-lcrypto']),
                                     (slow, ['-shared', '-fPIC'], []), (sink, [], [])):
        source = BENCH / (target.stem + '.c')
        if target.exists() and target.stat().st_mtime > source.stat().st_mtime:
            continue
        subprocess.run([compiler, *CFLAGS, *flags, '-o', target, source, *libraries], check=True,
                       timeout=120)
    return load, slow, sink


@contextlib.contextmanager
def own_folder():
    """All servers keep their files below one folder on the disk that TMPDIR names."""
    with tempfile.TemporaryDirectory(prefix='bench-', ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # servers become other users
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = None


def sync_costs_us(seconds=SYNC_SECONDS):
    """Microseconds for each of many 4 KiB appends with fdatasync, where the servers keep mail."""
    block, costs = os.urandom(4096), []
    with tempfile.TemporaryFile() as file:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            before = time.perf_counter()
            os.write(file.fileno(), block)
            os.fdatasync(file.fileno())
            costs.append((time.perf_counter() - before) * 1e6)
    return costs


def _first(path, key):
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.partition(':')[2].strip()
    return 'unknown'


def _filesystem(path):
    run = subprocess.run(['stat', '-f', '-c', '%T', path], capture_output=True, text=True,
                         timeout=10, check=False)
    return run.stdout.strip() or 'unknown'


def facts():
    """What a reader must know of the machine to compare figures."""
    costs = sorted(sync_costs_us())
    return {
        'cores': len(os.sched_getaffinity(0)),
        'processor': _first('/proc/cpuinfo', 'model name'),
        'memory': _first('/proc/meminfo', 'MemTotal'),
        'kernel': platform.release(),
        'filesystem': f'{_filesystem(tempfile.gettempdir())} ({tempfile.gettempdir()})',
        'sync_us_median': round(statistics.median(costs), 1),
        'sync_us_p99': round(costs[len(costs) * 99 // 100], 1),
        'load_average': round(os.getloadavg()[0], 2),
        'time': time.strftime('%Y-%m-%d %H:%M:%S %z'),
    }


def print_facts(found):
    """The facts in two lines."""
    print(f"{found['cores']} cores ({found['processor']}), {found['memory']}, "
          f"Linux {found['kernel']}, {found['filesystem']}")
    print(f"4 KiB append + fdatasync: median {found['sync_us_median']} us, p99 "
          f"{found['sync_us_p99']} us; load average {found['load_average']}; {found['time']}")
