"""A short slice of test/torture/run: kills and power cuts while mail flows in and out.

What "make torture" does for as long as one likes. The seed of a run is in the name of its failure;
TORTURE_SEED takes it again.
"""
import os
import pathlib
import secrets
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'torture'))
import campaigns
import disk
import relaying

SECONDS = 30
RELAY_SECONDS = 10
SEED = int(os.environ.get('TORTURE_SEED', secrets.randbelow(1 << 31)))


def must_be_right(result):
    """Fails with what is wrong and the seed."""
    wrong, figures = result
    print(figures)
    assert not wrong, f'seed {SEED}: ' + '; '.join(wrong[:10])


def test_kill_at_random():
    must_be_right(campaigns.run_kills(10, SECONDS, SEED, threads=4))


@pytest.mark.parametrize('mode', ['strict', 'ext4'])
def test_power_cuts(mode):
    must_be_right(campaigns.run_cuts(10, SECONDS, SEED, mode, threads=4))


def test_kills_while_relaying():
    """Nothing is lost, and repeated only what was last on a connection that was cut."""
    must_be_right(relaying.run_relay(8, RELAY_SECONDS, SEED))


def test_power_cuts_while_relaying():
    must_be_right(relaying.run_relay_cuts(3, RELAY_SECONDS, SEED))


@pytest.mark.parametrize('size', [1000, 300 * 1024])
def test_power_cut_after_a_crash(size):
    """What recovery keeps must be durable, though nobody was told of it."""
    must_be_right(campaigns.run_crash_then_cut('strict', size))


def test_power_cut_while_compacting():
    """Acknowledged mail is never behind a row whose bytes are not durable."""
    must_be_right(campaigns.run_cut_while_compacting('strict'))


# A program whose writes are synced only in part; with an argument it syncs the folders too.
WRITER = """
import os, sys
def put(name, data, at=0):
    fd = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(fd, data, at)
    return fd
os.chdir('/')
top = sys.argv[1]
old = put(top + '/old', b'B' * 4096)
os.fsync(old)
os.pwrite(old, b'C' * 4096, 4096)
os.fdatasync(put(top + '/new', b'x' * 5000))
os.mkdir(top + '/sub')
os.fsync(put(top + '/sub/a.tmp', b'y' * 100))
os.rename(top + '/sub/a.tmp', top + '/sub/a.seg')
for folder in (top, top + '/sub') if len(sys.argv) > 2 else ():
    os.fsync(os.open(folder, os.O_RDONLY))
os.unlink(top + '/new')
"""


@pytest.mark.parametrize('mode,arguments,names', [
    ('strict', [], ['old']),
    ('strict', ['sync folders'], ['new', 'old', 'sub/a.seg']),
    ('ext4', [], ['new', 'old', 'sub/a.tmp']),
    ('ext4', ['sync folders'], ['new', 'old', 'sub/a.seg']),
])
def test_the_power_cut_itself(tmp_path, mode, arguments, names):
    """Exactly what was synced is there after a cut, by both rules of names."""
    folder = tmp_path / 'data'
    folder.mkdir()
    (folder / 'old').write_bytes(b'A' * 10000)
    shadow = disk.Shadow(folder, mode).start()
    subprocess.run(['/usr/bin/python3', '-c', WRITER, str(folder), *arguments], check=True,
                   timeout=60, env={**os.environ, **disk.preload_env(folder, shadow)})
    shadow.cut(disk.PLAIN)
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob('*')
                  if path.is_file()) == names
    assert (folder / 'old').read_bytes() == b'B' * 4096 + b'A' * (10000 - 4096)
    assert not (folder / 'new').exists() or (folder / 'new').read_bytes() == b'x' * 5000
