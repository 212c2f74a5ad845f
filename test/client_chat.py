#!/usr/bin/python3
"""Runs scenarios of the SMTP client (test/smtp-client/*.chat, see test/README.md): a scripted
server on a loopback port, and the client session, driven by src/smtp/client_drive of the build.

    test/client_chat.py [--check] [-v] [--results FILE] [SCENARIO.chat | FOLDER]...

Without arguments: every scenario of test/smtp-client. --check only reads the scenarios. Exits with
1 when any failed.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import select
import socket
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE / 'lib'))

from chat import ScenarioError, duration_ms, indent, report, unescape  # noqa: E402
from hikyaku import BINARY  # noqa: E402

DRIVE = os.environ.get('CLIENT_DRIVE', str(pathlib.Path(BINARY).parent / 'src/smtp/client_drive'))
PARALLEL = 4
STEP_S = 10
RUN_S = 30
NOTIFY = {'never': 1, 'success': 2, 'failure': 4, 'delay': 8}
RET = {'full': 1, 'hdrs': 2}
EXTENSIONS = {'PIPELINING': 1, 'SIZE': 2, '8BITMIME': 4, 'SMTPUTF8': 8, 'DSN': 16, 'CHUNKING': 32}
ERRNO = {'EIO': 5, 'ENOENT': 2}
NUMBERS = ('size', 'piece', 'messages')
FLAGS = ('8bit', 'utf8', 'helo', 'whole')
STEP = re.compile(r'^(S-raw:|S-drip:|S:|C-any:|C-data:|C-bdat:|C-fill-data:|C:|[a-z]+)(?: (.*))?$')


class Scenario:
    """One file: its purpose, the message, the server's script, the outcome."""

    def __init__(self, path):
        self.path = path
        self.name = f'{path.parent.name}/{path.stem}'
        self.settings, self.text, self.steps, self.outcome = [], b'', [], []
        lines = path.read_bytes().decode('utf-8').split('\n')
        if not lines[0].startswith('# '):
            raise ScenarioError('the first line is "# " and what the scenario shows')
        self.purpose = lines[0][2:].strip()
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith('#'):
                continue
            try:
                self.read(number, line)
            except (ScenarioError, ValueError, KeyError) as error:
                raise ScenarioError(f'line {number}: {error}') from None
        if not self.steps or not self.outcome:
            raise ScenarioError('it needs a script and an outcome')
        self.is_pipelining = any('PIPELINING' in step[2].upper() for step in self.steps
                                 if step[1] == 'S')

    def read(self, number, line):
        """Sorts a line into its section."""
        key, colon, value = line.partition(':')
        if line.startswith('=> '):
            self.outcome.append(line[3:])
        elif self.outcome:
            raise ScenarioError('the outcome comes last')
        elif colon and key in READERS:
            if self.steps:
                raise ScenarioError(f'"{key}:" comes before the script')
            READERS[key](self, key, value.strip())
        else:
            match = STEP.match(line)
            verb = match and match[1].rstrip(':')
            if verb not in STEPS:
                raise ScenarioError(f'cannot read "{line}"')
            self.steps.append((number, verb, match[2] or '', line))

    def read_plain(self, key, value):
        self.settings.append(f'{key} {value}')

    def read_number(self, key, value):
        self.settings.append(f'{key} {int(value)}')

    def read_recipient(self, key, value):
        address, *words = value.split()
        for i, word in enumerate(words):
            name, _, values = word.partition('=')
            if name == 'notify':
                words[i] = f'notify={sum(NOTIFY[v] for v in values.split(","))}'
        self.settings.append(' '.join([key, address, *words]))

    def read_recipients(self, key, value):
        """recipients: COUNT: r1@example.net, r2@..."""
        self.settings += [f'recipient r{n}@example.net' for n in range(1, int(value) + 1)]

    def read_flags(self, key, value):
        for flag in value.split():
            if flag not in FLAGS:
                raise ScenarioError(f'no flag "{flag}"')
            self.settings.append(f'{flag} 1')

    def read_ret(self, key, value):
        self.settings.append(f'ret {RET[value]}')

    def read_timeout(self, key, value):
        self.settings.append(f'timeout {duration_ms(value)}')

    def read_distrust(self, key, value):
        self.settings.append(f'distrust {sum(EXTENSIONS[word] for word in value.split())}')

    def read_error(self, key, value):
        self.settings.append(f'{key} {ERRNO[value]}')

    def read_text(self, key, value):
        self.text += unescape(value)

    def read_fill(self, key, value):
        """fill: COUNT TEXT"""
        count, _, text = value.partition(' ')
        self.text += unescape(text) * int(count)

    def specification(self, port):
        """What client_drive reads."""
        return '\n'.join([f'port {port}', *self.settings]).encode() + b'\n\n' + self.text


READERS = {'sender': Scenario.read_plain, 'envid': Scenario.read_plain,
           'recipient': Scenario.read_recipient, 'recipients': Scenario.read_recipients,
           'flags': Scenario.read_flags, 'ret': Scenario.read_ret, 'text': Scenario.read_text,
           'fill': Scenario.read_fill, 'timeout': Scenario.read_timeout,
           'distrust': Scenario.read_distrust, 'source-error': Scenario.read_error,
           'end-error': Scenario.read_error, **dict.fromkeys(NUMBERS, Scenario.read_number)}


class Peer:
    """The scripted server: one connection, one scenario."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.listener.settimeout(STEP_S)
        self.port = self.listener.getsockname()[1]
        self.connection = None
        self.buffer = b''
        self.is_over = False
        self.client_ended = threading.Event()
        self.times = 1
        self.failure = None
        self.transcript = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        """Plays the script; notes what went wrong."""
        line = 'connecting'
        try:
            self.connection, _ = self.listener.accept()
            self.connection.settimeout(STEP_S)
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number, verb, rest, text in self.scenario.steps:
                line = f'{number}: {text}'
                self.play(verb, rest)
            line = 'the end of the script'
            self.expect_end()
        except (AssertionError, OSError) as error:
            self.failure = f'{self.scenario.path.name}:{line}\n    {error}'
        finally:
            self.listener.close()
            if self.connection:
                self.connection.close()

    def play(self, verb, rest):
        if verb == 'times':
            self.times = int(rest)
            return
        for n in range(1, self.times + 1):
            STEPS[verb](self, rest.replace('{n}', str(n)) if self.times > 1 else rest)
        self.times = 1

    def note(self, mark, data):
        self.transcript.append(f'{mark} {data!r}'[:200])

    def receive(self):
        """More from the client; False at the end."""
        try:
            data = self.connection.recv(65536)
        except ConnectionResetError:
            data = b''
        except TimeoutError:
            raise AssertionError(f'the client said no more than {self.buffer[-200:]!r}') from None
        self.buffer += data
        return bool(data)

    def say(self, data):
        """Who was not told of PIPELINING may not have said more than was answered."""
        if not self.scenario.is_pipelining:
            ready, _, _ = select.select([self.connection], [], [], 0)
            if ready:
                self.receive()
            assert not self.buffer, f'the client did not wait: {self.buffer[:200]!r}'
        self.note('S', data)
        try:
            self.connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self.note('S', '(the client is gone)')

    def say_line(self, rest):
        self.say(rest.encode() + b'\r\n')

    def say_raw(self, rest):
        self.say(unescape(rest))

    def drip(self, rest):
        """S-drip: MS TEXT: one byte in so many milliseconds, until the client is gone."""
        pause, _, text = rest.partition(' ')
        for byte in unescape(text):
            ready, _, _ = select.select([self.connection], [], [], int(pause) / 1000)
            if ready and not self.receive():
                return
            self.say(bytes([byte]))

    def expect_bytes(self, wanted):
        while len(self.buffer) < len(wanted) and wanted.startswith(self.buffer):
            assert self.receive(), f'the client closed after {self.buffer!r}, not {wanted[:200]!r}'
        got, self.buffer = self.buffer[:len(wanted)], self.buffer[len(wanted):]
        self.note('C', got)
        assert got == wanted, f'the client said {got[:300]!r}, not {wanted[:300]!r}'

    def expect_line(self, rest):
        self.expect_bytes(rest.encode() + b'\r\n')

    def expect_data(self, rest):
        """C-data: TEXT: what goes over the wire, and the final dot."""
        self.expect_bytes(unescape(rest) + b'.\r\n')

    def expect_filled(self, rest):
        """C-fill-data: COUNT TEXT: the same, COUNT times."""
        count, _, text = rest.partition(' ')
        self.expect_bytes(unescape(text) * int(count) + b'.\r\n')

    def expect_chunk(self, rest):
        data = unescape(rest)
        self.expect_bytes(b'BDAT %d LAST\r\n' % len(data) + data)

    def take_any(self, rest):
        """C-any: COUNT: so many bytes, whatever they are."""
        while len(self.buffer) < int(rest):
            assert self.receive(), f'the client closed after {len(self.buffer)} bytes'
        self.note('C', f'({rest} bytes)')
        self.buffer = self.buffer[int(rest):]

    def pause(self, rest):
        """The client has to be silent for a moment."""
        assert not self.buffer, f'the client said {self.buffer[:200]!r}'
        ready, _, _ = select.select([self.connection], [], [], 0.05)
        assert not ready or not self.receive(), f'the client said {self.buffer[:200]!r}'

    def ignore(self, rest):
        """The server reads on, whatever comes, until the client closes; but no end of a text."""
        while self.receive():
            self.buffer = self.buffer[-100:]
        assert not self.buffer.endswith(b'\r\n.\r\n'), 'the client ended the text'
        assert b'QUIT' not in self.buffer, 'the client said QUIT'
        self.is_over = True

    def stuck(self, rest):
        """The server does nothing at all, until the client has ended."""
        assert self.client_ended.wait(STEP_S), 'the client did not give up'
        self.is_over = True

    def close(self, rest):
        """The server closes; what it did not read before becomes a reset."""
        self.note('S', '(closes)')
        self.connection.close()
        self.is_over = True

    def quit(self, rest):
        """The client says QUIT and waits for the answer."""
        self.expect_line('QUIT')
        self.say_line('221 2.0.0 Bye')

    def expect_end(self):
        """Nothing more comes from the client but its end."""
        while not self.is_over and self.receive():
            pass
        assert self.is_over or not self.buffer, f'the client went on: {self.buffer[:200]!r}'


STEPS = {'S': Peer.say_line, 'S-raw': Peer.say_raw, 'S-drip': Peer.drip, 'C': Peer.expect_line,
         'C-data': Peer.expect_data, 'C-fill-data': Peer.expect_filled,
         'C-bdat': Peer.expect_chunk, 'C-any': Peer.take_any, 'pause': Peer.pause,
         'ignore': Peer.ignore, 'stuck': Peer.stuck, 'close': Peer.close, 'quit': Peer.quit,
         'times': None}


def compress(lines):
    """Equal outcomes of r1@, r2@, ... as "RCPT r1..r9@example.net ..."."""
    result = []
    for line in lines:
        match = re.match(r'RCPT r(\d+)@example\.net (.*)', line)
        last = result and re.match(r'RCPT r(\d+)(?:\.\.r(\d+))?@example\.net (.*)', result[-1])
        if match and last and last[3] == match[2] and int(last[2] or last[1]) + 1 == int(match[1]):
            result[-1] = f'RCPT r{last[1]}..r{match[1]}@example.net {match[2]}'
        else:
            result.append(line)
    return result


def run(scenario):
    """None, or the text of the failure."""
    peer = Peer(scenario)
    start = time.monotonic()
    try:
        done = subprocess.run([DRIVE], input=scenario.specification(peer.port), timeout=RUN_S,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f'{error}\n{transcript(peer)}'
    peer.client_ended.set()
    peer.thread.join(max(1, RUN_S - (time.monotonic() - start)))
    if peer.failure or peer.thread.is_alive():
        return f'{peer.failure or "the server did not come to an end"}\n{transcript(peer)}'
    if done.returncode != 0:
        return f'client_drive ended with {done.returncode}\n{done.stderr.decode()[-4000:]}'
    got = compress(done.stdout.decode('utf-8', 'replace').splitlines())
    if got != scenario.outcome:
        return 'the outcome is\n' + indent('\n'.join(f'=> {line}' for line in got), 4) + \
            f'\n{transcript(peer)}'
    return None


def transcript(peer):
    return '    dialogue:\n' + indent('\n'.join(peer.transcript[-14:]), 8)


def load(names):
    """(scenarios, results of those that cannot be read)."""
    scenarios, broken = [], []
    for path in [pathlib.Path(name).resolve() for name in names] or [HERE / 'smtp-client']:
        for file in sorted(path.glob('**/*.chat')) if path.is_dir() else [path]:
            try:
                scenarios.append(Scenario(file))
            except (ScenarioError, UnicodeDecodeError) as error:
                broken.append((f'{file.parent.name}/{file.stem}', f'{file.name}: {error}'))
    return scenarios, broken


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--check', action='store_true', help='only read the scenarios')
    parser.add_argument('-v', '--verbose', action='store_true', help='name each scenario')
    parser.add_argument('--results', metavar='FILE', help='write the results as JSON')
    parser.add_argument('paths', nargs='*')
    args = parser.parse_args()
    scenarios, results = load(args.paths)
    if args.check:
        results += [(scenario.name, None) for scenario in scenarios]
    else:
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            for scenario, failure in zip(scenarios, pool.map(run, scenarios)):
                results.append((scenario.name, failure))
                if args.verbose:
                    print('FAILED' if failure else 'ok    ', scenario.name, '-', scenario.purpose)
    if args.results:
        pathlib.Path(args.results).write_text(json.dumps(sorted(results)))
    return 1 if report(results) or not results else 0


if __name__ == '__main__':
    sys.exit(main())
