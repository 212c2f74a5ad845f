"""Full and failing disks: senders are put off, mail stays readable, the server mends itself."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'torture'))
import storage
from hikyaku import Server

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


def test_too_little_room_is_a_warning_of_the_status():
    with Server(settings={'store.min_free_space': '1024G'}) as server:
        assert 'no mail is taken; make room' in server.cli('status')
        assert server.cli_json('status')['lacks_room'] == 1
    with Server() as server:
        assert 'make room' not in server.cli('status')
