"""The server under test: a throwaway instance with its own directory, ports, clock and log.

    with Server() as server:
        server.add_account('taro@example.jp')
        with Session(server.port) as session: ...

HIKYAKU names the binary (test/run sets it: the sanitized build). Waiting is always until() with a
deadline. A server that does not end with status 0, or that makes a sanitizer speak, fails its test.
"""
import ctypes
import json
import mmap
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = os.environ.get('HIKYAKU', str(ROOT / 'build-check' / 'hikyaku'))
SANITIZER_LOGS = ROOT / 'build-check' / 'sanitizer-logs'
PASSWORD = 'correct horse 飛脚'
HOSTNAME = 'mx.example.jp'
DOMAIN = 'example.jp'
LOG_TAIL_LINES = 60
SANITIZER = re.compile(r'^.*(Sanitizer:|runtime error:)', re.MULTILINE)
LIBC = ctypes.CDLL(None)
_offsets = set()
_offsets_lock = threading.Lock()
WORKERS, OFFSETS = 6, 3500
BASE_PORTS = (25, 80, 110, 143, 443, 465, 587, 993, 995)


def until(condition, seconds, what='the condition'):
    """Polls `condition` until it returns something true, which is returned; else AssertionError."""
    deadline = time.monotonic() + seconds
    pause = 0.002
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f'waited {seconds} s in vain for {what}')
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def is_free(port, host='127.0.0.1'):
    """Whether nobody listens on or uses a port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port():
    """A port that nobody used a moment ago."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def free_offset():
    """An offset such that every mail port plus it is free, below the kernel's ephemeral ports.

    Each of the processes that test side by side has a range to itself, and the process id spreads
    test runs that do not know of each other; a port taken by a rival shows as a failed start.
    """
    worker = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:]) % WORKERS
    for step in range(OFFSETS):
        offset = 10000 + worker * OFFSETS + (os.getpid() * 37 + step * 1009) % OFFSETS
        with _offsets_lock:
            if offset in _offsets:
                continue
            if all(is_free(port + offset) for port in BASE_PORTS):
                _offsets.add(offset)
                return offset
    raise AssertionError('no free ports between 10000 and 32000')


def with_settings(text, settings):
    """The configuration `text` with settings {"section.key": raw value} put in force.

    A line of that section that sets the key is replaced, else one is added to the section.
    """
    for name, value in settings.items():
        section, _, key = name.partition('.')
        line = f'    {key} = {value};'
        head = re.search(rf'^{section}\s*\{{[ \t]*$', text, re.MULTILINE)
        if not head:
            text += f'\n{section} {{\n{line}\n}}\n'
            continue
        end = text.find('\n}', head.end())
        body = text[head.end():end]
        old = re.search(rf'^[ \t]*{key}[ \t]*(=|:|[ \t])[^\n]*$', body, re.MULTILINE)
        body = body[:old.start()] + line + body[old.end():] if old else f'\n{line}' + body
        text = text[:head.end()] + body + text[end:]
    return text


def die_with_parent():
    """For Popen's preexec_fn: a server does not outlive a test run that was killed."""
    pr_set_pdeathsig = 1
    LIBC.prctl(pr_set_pdeathsig, signal.SIGTERM)


def sanitizer_logs():
    """The files in which sanitizers complained so far."""
    return set(SANITIZER_LOGS.glob('*')) if SANITIZER_LOGS.is_dir() else set()


def children(pid):
    """The process ids of all descendants of `pid`."""
    try:
        threads = os.listdir(f'/proc/{pid}/task')
    except OSError:  # it has ended
        return []
    found = []
    for thread in threads:
        try:
            direct = pathlib.Path(f'/proc/{pid}/task/{thread}/children').read_text().split()
        except OSError:
            continue
        for child in map(int, direct):
            found += [child, *children(child)]
    return found


class TestClock:
    """The clock that every process of a server shares: an offset in ms in an 8-byte file."""
    __test__ = False

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.write_bytes(bytes(8))

    def advance(self, ms):
        """Lets `ms` milliseconds pass at once for the server."""
        with open(self.path, 'r+b') as file, mmap.mmap(file.fileno(), 8) as page:
            page[:8] = struct.pack('<q', struct.unpack('<q', page[:8])[0] + ms)

    def offset_ms(self):
        """How far the clock has been moved."""
        return struct.unpack('<q', self.path.read_bytes())[0]


class Server:
    """One instance in a temporary directory.

    `settings` are {"section.key": value as written in the file}; `config` is text for the end of
    the configuration file, or a function old text -> new text.
    """

    def __init__(self, settings=None, config='', hostname=HOSTNAME, domain=DOMAIN, env=None,
                 binary=None):
        self.binary = binary or BINARY
        self.hostname, self.domain = hostname, domain
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='hikyaku-'))
        self.dir.chmod(0o755)
        self.config_path = self.dir / 'hikyaku.conf'
        self.log_path = self.dir / 'log'
        self.clock = TestClock(self.dir.with_name(self.dir.name + '.clock'))
        self.env = dict(os.environ, HIKYAKU_TEST_CLOCK=str(self.clock.path), **(env or {}))
        self.offset = free_offset()
        self.process = None
        self.settings = settings or {}
        self.config = config
        self.exit_status = None
        self._logs_before = sanitizer_logs()

    # Ports: the well-known one plus the offset.
    @property
    def port(self):
        return 25 + self.offset

    @property
    def submission_port(self):
        return 587 + self.offset

    @property
    def submissions_port(self):
        return 465 + self.offset

    @property
    def imap_port(self):
        return 143 + self.offset

    def init(self):
        """Makes the instance and applies the test's configuration."""
        self._run(['init', '--dir', str(self.dir), '--hostname', self.hostname, '--domain',
                   self.domain, '--address', '127.0.0.1', '--port-offset', str(self.offset)])
        text = with_settings(self.config_path.read_text(), self.settings)
        text = self.config(text) if callable(self.config) else text + '\n' + self.config + '\n'
        self.config_path.write_text(text)
        return self

    def start(self, wait=True):
        """Runs `hikyaku serve`, and waits until it greets on its SMTP port."""
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen([self.binary, 'serve', '-c', str(self.config_path)],
                                            env=self.env, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log,
                                            preexec_fn=die_with_parent)
        self.exit_status = None
        if wait:
            until(self._is_ready, 20, f'the server to greet on port {self.port}')
        return self

    def _is_ready(self):
        status = self.process.poll()
        assert status is None, f'the server ended at once with status {status}'
        try:
            with socket.create_connection(('127.0.0.1', self.port), 1) as probe:
                probe.settimeout(5)
                if not probe.recv(4):
                    return False
                probe.sendall(b'QUIT\r\n')
                while probe.recv(512):
                    pass
                return True
        except OSError:
            return False

    def _run(self, args, stdin=None, check=True, timeout=60):
        data = stdin.encode() if isinstance(stdin, str) else stdin
        feed = {'input': data} if data is not None else {'stdin': subprocess.DEVNULL}
        run = subprocess.run([self.binary, *map(str, args)], env=self.env, capture_output=True,
                             timeout=timeout, check=False, **feed)
        if check and run.returncode != 0:
            raise AssertionError(f'hikyaku {" ".join(map(str, args))}: status {run.returncode}\n'
                                 + run.stderr.decode(errors='replace'))
        return run

    def cli(self, *args, stdin=None, check=True, timeout=60):
        """Runs a command against this instance; its standard output as text (with check=False the
        CompletedProcess with bytes)."""
        run = self._run([*args, '-c', self.config_path], stdin, check, timeout)
        return run.stdout.decode(errors='replace') if check else run

    def japanese(self, *args, stdin=None):
        """The same with Japanese texts, for commands that must succeed."""
        env = self.env
        self.env = dict(env, LC_ALL='ja_JP.UTF-8')
        try:
            return self.cli(*args, stdin=stdin)
        finally:
            self.env = env

    def cli_json(self, *args):
        """The answer of a command that takes --json."""
        return json.loads(self.cli(*args, '--json'))

    def add_account(self, address, password=PASSWORD):
        self.cli('account', 'add', address, '--password-stdin', stdin=password + '\n')

    def add_alias(self, address, *targets):
        self.cli('alias', 'add', address, *targets)

    def export(self, address):
        """All messages of an account as a list of bytes, oldest first, lines as they were exported.

        The one place that knows how a test looks into a mailbox.
        """
        run = self.cli('mailbox', 'export', address, '--format', 'mbox', '-', check=False)
        assert run.returncode == 0, run.stderr.decode(errors='replace')
        return split_mbox(run.stdout)

    def trace(self, what):
        """The trace of a message or address in plain words."""
        return self.cli('trace', what)

    def advance(self, ms):
        """Lets time pass for the server."""
        self.clock.advance(int(ms))

    def pids(self):
        """The master and its children."""
        return [self.process.pid, *children(self.process.pid)]

    def log(self):
        return self.log_path.read_text(errors='replace') if self.log_path.exists() else ''

    def log_tail(self):
        return '\n'.join(self.log().splitlines()[-LOG_TAIL_LINES:])

    def stop(self, seconds=20):
        """SIGTERM, and waits for the end. The exit status."""
        if self.process is None or self.exit_status is not None:
            return self.exit_status
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.exit_status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f'the server did not end {seconds} s after SIGTERM\n'
                                 f'{self.log_tail()}') from None
        return self.exit_status

    def kill(self):
        """SIGKILL to every process at once: the power failure."""
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(10)
        self.exit_status = 0

    def restart(self):
        """Stops (unless killed) and starts again on the same data."""
        self.stop()
        return self.start()

    def check_end(self):
        """What must hold of a server that has ended."""
        status = self.stop()
        new = sanitizer_logs() - self._logs_before
        text = '\n'.join(p.read_text(errors='replace')[:4000] for p in sorted(new))
        assert not new, f'a sanitizer spoke:\n{text}'
        # A sandboxed process cannot open the sanitizers' log file: then they speak here.
        spoken = SANITIZER.search(self.log())
        assert not spoken, f'a sanitizer spoke:\n{self.log()[spoken.start():][:4000]}'
        assert status in (0, None), f'the server ended with status {status}'

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        self.clock.path.unlink(missing_ok=True)

    def __enter__(self):
        try:
            return self.init().start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise

    def __exit__(self, kind, error, _):
        try:
            if kind is None:
                self.check_end()
            elif self.process is not None:
                self.stop()
        except AssertionError as failure:
            kind = kind or AssertionError
            if error is None:
                raise
            print(f'and while stopping: {failure}', file=sys.stderr)
        finally:
            if kind is not None:
                print(f'--- log of the server ---\n{self.log_tail()}\n---', file=sys.stderr)
            self.remove()


def split_mbox(data):
    """The messages of an mbox file (mboxrd: ">From " undone), without their From_ lines."""
    messages, current = [], None
    previous_blank = True
    for line in data.splitlines(keepends=True):
        if previous_blank and line.startswith(b'From '):
            current = []
            messages.append(current)
        elif current is not None:
            quoted = line.lstrip(b'>').startswith(b'From ') and line.startswith(b'>')
            current.append(line[1:] if quoted else line)
        previous_blank = not line.strip(b'\r\n')
    return [_without_last_blank(b''.join(lines)) for lines in messages]


def _without_last_blank(text):
    """mbox puts one blank line after each message."""
    for end in (b'\r\n', b'\n'):
        if text.endswith(end * 2):
            return text[:-len(end)]
    return text


class Session:
    """A raw SMTP connection: bytes out, whole replies in. Never hides what was sent."""

    def __init__(self, port, host='127.0.0.1', source=None, timeout=15):
        self.socket = socket.create_connection((host, port), timeout,
                                               (source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout = timeout
        self.buffer = b''

    def send(self, data):
        self.socket.sendall(data)

    def _line(self, timeout):
        deadline = time.monotonic() + timeout
        while b'\n' not in self.buffer:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b''
            except TimeoutError:
                raise AssertionError(f'no reply within {timeout} s') from None
            if not data:
                raise EOFError('the server closed the connection')
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b'\n')
        return line.rstrip(b'\r').decode('utf-8', 'replace')

    def reply(self, timeout=None):
        """One whole reply, its lines joined by newlines."""
        lines = []
        while True:
            line = self._line(timeout or self.timeout)
            lines.append(line)
            if line[:3].isdigit() and len(line) >= 3 and line[3:4] != '-':
                return '\n'.join(lines)
            assert line[:3].isdigit() and line[3:4] == '-', f'not a reply line: {line!r}'
            assert line[:3] == lines[0][:3], f'codes differ within one reply: {lines!r}'

    def silence(self, seconds):
        """What came within `seconds`; '' if nothing, or if the server closed without a word."""
        if b'\n' in self.buffer:
            return self.reply()
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(65536)
        except (TimeoutError, ConnectionResetError):
            return ''
        self.buffer += data
        return self.reply() if data else ''

    def last_reply(self):
        """Reads replies until the server closes; the last one, '' if there was none."""
        last = ''
        while True:
            try:
                last = self.reply()
            except EOFError:
                return last

    def expect_close(self, seconds=10):
        """Waits for the server's end of the connection; fails when it still says something."""
        try:
            rest = self._line(seconds)
        except EOFError:
            return
        raise AssertionError(f'the server said {rest!r} instead of closing')

    def command(self, line, code=None):
        """Sends one line and returns the reply, which must start with `code` if one is given."""
        self.send(line.encode() + b'\r\n' if isinstance(line, str) else line + b'\r\n')
        reply = self.reply()
        assert code is None or reply.startswith(str(code)), f'{line!r}: {reply!r}, not {code}'
        return reply

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
