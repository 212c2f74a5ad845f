"""The demonstration: what a stranger sees first must always work, end by itself, leave nothing."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from hikyaku import BINARY, children, die_with_parent, sanitizer_logs, until
from peers import PeerMissing, environment, unpack

SECONDS = 15  # that it may take
CHAPTERS = 4


def nsd_options():
    """The options and the environment with NSD as its name server; skips where there is none."""
    try:
        root = unpack('nsd+ldnsutils')
    except PeerMissing as error:
        pytest.skip(str(error))
    return ['--nsd', str(root / 'usr/sbin/nsd')], environment(root)


def no_options():
    """Without a name server."""
    return [], dict(os.environ)


@contextlib.contextmanager
def demo(options, env, language='C.UTF-8'):
    """A running demonstration, its folder's parent (empty again at the end), its output so far."""
    before = sanitizer_logs()
    folder = pathlib.Path(tempfile.mkdtemp(prefix='demo-'))
    folder.chmod(0o755)
    output = folder.with_suffix('.out')
    env = dict(env, TMPDIR=str(folder), LC_ALL=language)
    with open(output, 'wb') as out, subprocess.Popen(
            [BINARY, 'demo', *options], env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            preexec_fn=die_with_parent) as process:
        try:
            yield process, folder, lambda: output.read_text('utf-8')
            pids = children(process.pid)
            assert not pids, 'processes are left'
            assert not list(folder.iterdir()), 'files are left'
            assert sanitizer_logs() == before, 'a sanitizer spoke'
        finally:
            if process.poll() is None:
                process.terminate()
            shutil.rmtree(folder, ignore_errors=True)
            output.unlink()


@pytest.mark.parametrize('prepare, dns', [(nsd_options, r'NSD at 127\.0\.0\.1:\d+'),
                                          (no_options, 'resolver.local_records')])
def test_the_whole_story(prepare, dns):
    options, env = prepare()
    start = time.monotonic()
    with demo(['--once', *options], env) as (process, _, said):
        status = process.wait(60)
        text = said()
        assert status == 0, text
        assert time.monotonic() - start < SECONDS
        assert re.search(dns, text)
    chapters = re.split(r'^--- ', text, flags=re.MULTILINE)
    assert len(chapters) == 1 + CHAPTERS + 1 and 'All went as it should' in chapters[-1]
    _, put_off, arrival, answer, returned, _ = chapters
    assert 'put off for hanako@osaka.example: mx.osaka.example [127.0.0.2]' in put_off
    assert 'relayed' not in put_off and 'osaka.example: 1 waiting' in put_off
    assert 'relayed to hanako@osaka.example by mx.osaka.example' in arrival
    assert 'delivered to hanako@osaka.example' in arrival and '休まずに走ります' in arrival
    assert 'timetable.csv, text/csv, 68 B' in answer and 'Dear Taro' in answer
    assert '550 5.1.1' in returned and 'in the notice' in returned
    assert '見つかりません' in returned and 'There is no such address' in returned
    fields = returned[returned.index('Reporting-MTA: dns; mx.tokyo.example'):]
    assert 'Final-Recipient: rfc822; nobody@osaka.example' in fields
    assert 'Action: failed' in fields and 'Diagnostic-Code: smtp; 550' in fields


def test_in_japanese():
    options, env = no_options()
    with demo(['--once', *options], env, 'ja_JP.UTF-8') as (process, _, said):
        assert process.wait(60) == 0, said()
        text = said()
        assert 'osaka.example 宛で待っているもの' in text
        assert 'hanako@osaka.example に配達しました' in text


def stays(said):
    """Whether the round is over and the servers stay."""
    assert 'hikyaku:' not in said(), said()
    return 'Ctrl-C stops everything' in said()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_it_stays_until_it_is_stopped(number):
    options, env = no_options()
    with demo(options, env) as (process, _, said):
        until(lambda: stays(said), 60, 'the end of the story')
        aliases = dict(re.findall(r"alias (\w+)='(.*)'", said()))
        command = [*aliases['tokyo'].split(), 'queue', 'stats']
        run = subprocess.run(command, capture_output=True, timeout=30, check=True)
        assert b'the queue is empty' in run.stdout
        process.send_signal(number)
        assert process.wait(60) == 0, said()


def test_it_can_be_stopped_in_the_middle():
    options, env = no_options()
    with demo(options, env) as (process, folder, said):
        until(lambda: list(folder.glob('*/tokyo/log')), 30, 'a server')
        process.send_signal(signal.SIGINT)
        assert process.wait(60) in (0, 1), said()  # 0: it was over before


def test_a_name_server_that_is_none():
    for path, complaint in (('/nonexistent/nsd', 'cannot be run'), ('/bin/true', 'ended at once')):
        with demo(['--once', '--nsd', path], os.environ) as (process, _, said):
            assert process.wait(60) == 1
            assert complaint in said()
