"""Full and failing disks: senders are put off, mail stays readable, the server mends itself."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'torture'))
import storage

# One of each kind; test/torture/run has them all.
CASES = [case for case in storage.FAULTS if case[0] in (
    'EIO at the sync of a segment', 'EIO at writes of the WAL', 'ENOSPC at writes of a spool file',
    'a file system that became read-only')]


def mounted(scenario, *args):
    """Runs what needs a small disk of its own, or skips."""
    reason = storage.is_mounting_allowed()
    if reason:
        pytest.skip(reason)
    try:
        scenario(*args)
    except storage.NoMount as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize('case', CASES, ids=lambda case: case[0])
def test_failing_disk(case):
    storage.run_fault(case)


@pytest.mark.parametrize('min_free', ['4M', '0'])
def test_full_disk(min_free):
    mounted(storage.run_full, min_free, 0)


def test_start_on_a_full_disk():
    mounted(storage.run_full_restart)
