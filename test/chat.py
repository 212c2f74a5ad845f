#!/usr/bin/python3
"""Runs protocol scenarios (test/<protocol>/*.chat, see test/README.md) against the real binary.

    test/chat.py [--check] [-v] [--results FILE] [SCENARIO.chat | FOLDER]...

Without arguments: every scenario below test/. Scenarios with the same configuration share a server;
two servers run at a time. --check only reads the scenarios. Exits with 1 when any failed.
"""
import argparse
import base64
import concurrent.futures
import json
import pathlib
import re
import ssl
import sys
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / 'lib'))

from hikyaku import Server, Session, until  # noqa: E402

SILENCE_S = 0.2
PARALLEL_SERVERS = 2
CLIENT_SCENARIOS = 'smtp-client'  # the matter of client_chat.py
UNITS_MS = {'ms': 1, 's': 1000, 'min': 60000, 'h': 3600000, 'd': 86400000}
PORTS = {'smtp': 25, 'submission': 587, 'submissions': 465}
SETUP = ('config', 'domain', 'account', 'alias')
ESCAPE = re.compile(r'\\(r|n|t|\\|s|x[0-9a-fA-F]{2})')
ESCAPES = {'r': b'\r', 'n': b'\n', 't': b'\t', 's': b' ', '\\': b'\\'}
STEP = re.compile(r'^(?P<connection>[1-9]?)'
                  r'(?P<verb>C-raw:|C-fill:|C-base64:|C:|S-times:|S:|S~|[a-z]+)'
                  r'(?: (?P<rest>.*))?$')


class ScenarioError(Exception):
    """The scenario itself is wrong."""


def unescape(text):
    r"""The bytes of a text with \r \n \t \s (blank) \\ \xHH; everything else is UTF-8."""
    result, at = b'', 0
    for match in ESCAPE.finditer(text):
        code = match.group(1)
        result += text[at:match.start()].encode()
        result += ESCAPES[code] if code in ESCAPES else bytes.fromhex(code[1:])
        at = match.end()
    return result + text[at:].encode()


def duration_ms(text):
    """Milliseconds of "5min", "300ms", "4d"."""
    match = re.fullmatch(r'(\d+)(ms|s|min|h|d)', text)
    if not match:
        raise ScenarioError(f'"{text}" is no duration: 5min, 30s, 200ms, 1h, 4d')
    return int(match.group(1)) * UNITS_MS[match.group(2)]


def reply_pattern(text):
    """The regular expression for "250 2.1.0" or "55x 5.x.x", where x is any digits."""
    match = re.fullmatch(r'([2-5x][0-9x]{2})(?: ([245x]\.(?:\d+|x)\.(?:\d+|x)))?', text)
    if not match:
        raise ScenarioError(f'S: takes a code and perhaps an enhanced code, not "{text}"')
    code, enhanced = match.groups()
    pattern = code.replace('x', r'\d') + '[- ]'
    if enhanced:
        pattern += enhanced.replace('.', r'\.').replace('x', r'\d+') + r'(?: |$)'
    return re.compile(pattern)


def connect_words(words):
    """(source address or None, name of the port) of "connect [from ADDRESS] [at PORT]"."""
    values = dict(zip(words[::2], words[1::2]))
    port = values.get('at', 'smtp')
    if len(words) % 2 or set(values) - {'from', 'at'} or port not in PORTS:
        raise ScenarioError('connect [from ADDRESS] [at smtp|submission|submissions]')
    return values.get('from'), port


class Step:
    """One line of the dialogue."""

    def __init__(self, number, line):
        match = STEP.match(line)
        if not match:
            raise ScenarioError(f'line {number}: cannot read "{line}"')
        self.number, self.line = number, line
        self.connection = int(match['connection'] or 1)
        self.verb = match['verb'].rstrip(':')
        self.rest = match['rest'] or ''
        if self.verb not in STEPS:
            raise ScenarioError(f'line {number}: there is no step "{self.verb}"')
        self.parse()

    def parse(self):
        """Finds mistakes before a server is started."""
        try:
            if self.verb == 'S':
                self.pattern = reply_pattern(self.rest)
            elif self.verb == 'S-times':
                count, _, reply = self.rest.partition(' ')
                self.count, self.pattern = int(count), reply_pattern(reply)
            elif self.verb in ('S~', 'last', 'log'):
                self.pattern = re.compile(self.rest, re.MULTILINE)
            elif self.verb == 'connect':
                self.source, self.port = connect_words(self.rest.split())
            elif self.verb == 'advance':
                self.ms = duration_ms(self.rest)
            elif self.verb == 'C-fill':
                count, _, self.text = self.rest.partition(' ')
                self.count = int(count)
            elif self.verb == 'mailbox':
                self.address, self.what, self.value = (self.rest.split(' ', 2) + ['', ''])[:3]
                if self.what not in ('count', 'contains', 'lacks', 'body'):
                    raise ScenarioError('mailbox ADDRESS count|contains|lacks|body VALUE')
                if self.what in ('contains', 'lacks'):
                    self.pattern = re.compile(self.value, re.MULTILINE)
        except (ScenarioError, re.error, ValueError) as error:
            raise ScenarioError(f'line {self.number}: {error}') from None


class Scenario:
    """One file: its purpose, what it needs, and its steps."""

    def __init__(self, path):
        self.path = path
        self.name = f'{path.parent.name}/{path.stem}'
        self.setup = {key: [] for key in SETUP}
        self.steps = []
        lines = path.read_bytes().decode('utf-8').split('\n')
        if not lines[0].startswith('# '):
            raise ScenarioError('the first line is "# " and what the scenario shows')
        self.purpose = lines[0][2:].strip()
        for number, line in enumerate(lines, 1):
            line = line.rstrip('\r')
            if not line.strip() or line.startswith('#'):
                continue
            key, colon, value = line.partition(':')
            if colon and key in SETUP:
                if self.steps:
                    raise ScenarioError(f'line {number}: "{key}:" comes before the dialogue')
                self.setup[key].append(value.strip())
            else:
                self.steps.append(Step(number, line))
        if not any(step.verb in CHECKS for step in self.steps):
            raise ScenarioError('it expects nothing')

    def settings(self):
        """{"section.key": value} of its config lines."""
        pairs = [line.split('=', 1) for line in self.setup['config']]
        if any(len(pair) != 2 or '.' not in pair[0] for pair in pairs):
            raise ScenarioError('write config: section.key=value')
        return {key.strip(): value.strip() for key, value in pairs}


class Run:
    """One scenario in progress on a server."""

    def __init__(self, scenario, server):
        self.scenario, self.server = scenario, server
        self.sessions = {}
        self.transcript = []
        self.before = {address: len(server.export(address))
                       for address in scenario.setup['account']}
        self.log_from = len(server.log())

    def run(self):
        """Raises AssertionError with line, expectation and the dialogue so far."""
        step = None
        try:
            for step in self.scenario.steps:
                STEPS[step.verb](self, step)
            assert self.server.process.poll() is None, 'the server has ended'
        except (AssertionError, OSError, EOFError) as error:
            recent = '\n'.join('        ' + line for line in self.transcript[-14:])
            where = f'{self.scenario.path.name}:{step.number}: {step.line}'
            raise AssertionError(f'{where}\n    {error}\n    dialogue:\n{recent}') from None
        finally:
            for session in self.sessions.values():
                session.close()

    def session(self, step):
        """The connection a step speaks of; the first one is opened by its first use."""
        if step.connection not in self.sessions:
            assert step.connection == 1, f'connection {step.connection} is not open: connect first'
            self.sessions[1] = Session(self.server.port)
        return self.sessions[step.connection]

    def note(self, step, mark, text):
        self.transcript.append(f'{step.connection}{mark} {text}'[:300])

    def connect(self, step):
        """connect [from ADDRESS] [at PORT]; TLS begins at once at submissions."""
        old = self.sessions.pop(step.connection, None)
        if old:
            old.close()
        port = PORTS[step.port] + self.server.offset
        self.sessions[step.connection] = Session(port, source=step.source)
        if step.port == 'submissions':
            self.shake_hands(step)

    def shake_hands(self, step):
        """TLS from here on; the certificate must be the server's own."""
        session = self.session(step)
        assert not session.buffer, f'in the clear before TLS: {session.buffer!r}'
        context = ssl.create_default_context(cafile=self.server.dir / 'tls' / 'fullchain.pem')
        session.socket = context.wrap_socket(session.socket, server_hostname=self.server.hostname)
        self.note(step, '-', session.socket.version())

    def drop(self, step):
        """The client goes away without a word."""
        self.sessions.pop(step.connection).close()

    def _send(self, step, data):
        session = self.session(step)
        self.note(step, 'C', repr(data)[2:-1])
        session.send(data)

    def send_line(self, step):
        self._send(step, step.rest.encode() + b'\r\n')

    def send_raw(self, step):
        self._send(step, unescape(step.rest))

    def send_base64(self, step):
        """C-base64: [COMMAND |] TEXT: the command, and the text (with escapes) encoded."""
        command, bar, text = step.rest.rpartition(' | ')
        coded = base64.b64encode(unescape(text))
        self._send(step, (f'{command} '.encode() if bar else b'') + coded + b'\r\n')

    def send_fill(self, step):
        """C-fill: COUNT TEXT: TEXT (with escapes, {n} = 1, 2, ...) COUNT times, nothing added."""
        session = self.session(step)
        data = unescape(step.text)
        self.note(step, 'C', f'{step.count} times {data!r}')
        try:
            session.send(b''.join(data.replace(b'{n}', b'%d' % n)
                                  for n in range(1, step.count + 1)))
        except (BrokenPipeError, ConnectionResetError):
            self.note(step, 'C', '(the server closed meanwhile)')

    def expect(self, step):
        """A whole reply that matches, S: at its start, S~ anywhere."""
        reply = self.session(step).reply()
        self.note(step, 'S', reply.replace('\n', ' | '))
        found = step.pattern.match(reply) if step.verb == 'S' else step.pattern.search(reply)
        assert found, f'the reply was {reply!r}'

    def expect_times(self, step):
        """S-times: COUNT CODE: that many replies."""
        for number in range(1, step.count + 1):
            reply = self.session(step).reply()
            assert step.pattern.match(reply), f'reply {number} was {reply!r}'
        self.note(step, 'S', f'{step.count} times {step.pattern.pattern}')

    def last(self, step):
        """last REGEX: the server closes, and the last it said before matches."""
        reply = self.session(step).last_reply()
        self.note(step, 'S', reply.replace('\n', ' | ') + ' (and closed)')
        assert step.pattern.search(reply), f'the last reply was {reply!r}'

    def silence(self, step):
        """Nothing may come for a moment; closing is no word."""
        said = self.session(step).silence(SILENCE_S)
        assert not said, f'the server said {said!r}'

    def close(self, step):
        """The server closes the connection."""
        self.session(step).expect_close()

    def advance(self, step):
        self.server.advance(step.ms)

    def mailbox(self, step):
        """Looks at what came into the mailbox since the scenario began."""
        assert step.address in self.before, f'declare it: "account: {step.address}"'
        check = getattr(self, '_mailbox_' + step.what)
        check(step, lambda: self.server.export(step.address)[self.before[step.address]:])

    @staticmethod
    def _mailbox_count(step, messages):
        count = int(step.value)
        if count:
            until(lambda: len(messages()) >= count, 5, f'{count} messages')
        assert len(messages()) == count, f'there are {len(messages())} messages'

    @staticmethod
    def _mailbox_contains(step, messages):
        texts = [as_text(message) for message in messages()]
        assert any(step.pattern.search(text) for text in texts), f'the messages are {texts!r}'

    @staticmethod
    def _mailbox_lacks(step, messages):
        texts = [as_text(message) for message in messages()]
        assert not any(step.pattern.search(text) for text in texts), f'the messages are {texts!r}'

    @staticmethod
    def _mailbox_body(step, messages):
        wanted = unescape(step.value).replace(b'\r\n', b'\n')
        bodies = [m.replace(b'\r\n', b'\n').partition(b'\n\n')[2] for m in messages()]
        assert wanted in bodies, f'the bodies are {bodies!r}'

    def trace(self, step):
        """trace ADDRESS REGEX: what the trace of an address says."""
        address, _, pattern = step.rest.partition(' ')
        until(lambda: re.search(pattern, self.server.trace(address)), 5,
              f'the trace of {address} to say {pattern}')

    def log(self, step):
        """log REGEX: the server logged a matching line since the scenario began."""
        until(lambda: step.pattern.search(self.server.log()[self.log_from:]), 5,
              f'a log line {step.rest}')


def as_text(message):
    """A message for people and regular expressions: UTF-8, LF."""
    return message.replace(b'\r\n', b'\n').decode('utf-8', 'replace')


STEPS = {'C': Run.send_line, 'C-raw': Run.send_raw, 'C-fill': Run.send_fill,
         'C-base64': Run.send_base64, 'S': Run.expect, 'S~': Run.expect,
         'S-times': Run.expect_times, 'last': Run.last, 'silence': Run.silence, 'close': Run.close,
         'connect': Run.connect, 'handshake': Run.shake_hands, 'drop': Run.drop,
         'advance': Run.advance, 'mailbox': Run.mailbox, 'trace': Run.trace, 'log': Run.log}
CHECKS = ('S', 'S~', 'S-times', 'last', 'silence', 'close', 'mailbox', 'trace', 'log')


class Group:
    """Scenarios of one configuration, and the server they share."""

    def __init__(self, settings):
        self.settings = settings
        self.scenarios = []
        self.made = {}

    def prepare(self, server, scenario):
        """Makes the domains, accounts and aliases the scenario needs and no earlier one made."""
        for kind in ('domain', 'account', 'alias'):
            for line in scenario.setup[kind]:
                name, *targets = line.split()
                if self.made.setdefault((kind, name), targets) is not targets:
                    assert self.made[kind, name] == targets, f'{kind} {name} is something else here'
                    continue
                self.make(server, kind, name, targets)

    @staticmethod
    def make(server, kind, name, targets):
        if kind == 'domain':
            server.cli('domain', 'add', name)
        elif kind == 'account':
            server.add_account(name)
        else:
            server.add_alias(name, *targets)

    def run(self):
        """A list of (scenario, None or text of the failure)."""
        done = []
        try:
            with Server(settings=self.settings) as server:
                for scenario in self.scenarios:
                    done.append((scenario, self.run_one(server, scenario)))
        except Exception as error:  # whatever it is, the other groups go on
            text = str(error) or traceback.format_exc()
            # With all scenarios done it is the end of the server that failed: blame the last.
            rest = self.scenarios[len(done):] or self.scenarios[-1:]
            done.append((rest[0], f'server: {text}'))
            done += [(scenario, f'server: as for {rest[0].name}') for scenario in rest[1:]]
        return merge(done)

    def run_one(self, server, scenario):
        try:
            if server.process.poll() is not None:
                server.start()
            self.prepare(server, scenario)
            Run(scenario, server).run()
        except AssertionError as error:
            return f'{error}\n    end of the log:\n' + indent('\n'.join(
                server.log().splitlines()[-12:]), 8)
        return None


def merge(done):
    """One result a scenario: the failure, if it has any."""
    results = {}
    for scenario, failure in done:
        results[scenario] = results.get(scenario) or failure
    return list(results.items())


def indent(text, blanks):
    return '\n'.join(' ' * blanks + line for line in text.splitlines())


def find(names):
    """The scenario files that the arguments name."""
    paths = [pathlib.Path(name).resolve() for name in names] or [HERE]
    files = []
    for path in paths:
        files += sorted(path.glob('**/*.chat')) if path.is_dir() else [path]
    return [path for path in files if path.parent.name != CLIENT_SCENARIOS]


def load(files):
    """(groups, results of scenarios that cannot be read)."""
    groups, broken = {}, []
    for path in files:
        try:
            scenario = Scenario(path)
            settings = scenario.settings()
        except (ScenarioError, UnicodeDecodeError) as error:
            broken.append((f'{path.parent.name}/{path.stem}', f'{path.name}: {error}'))
            continue
        key = tuple(sorted(settings.items()))
        groups.setdefault(key, Group(settings)).scenarios.append(scenario)
    return list(groups.values()), broken


def report(results):
    """Prints failures and the counts; the number of failures."""
    failed = [(name, text) for name, text in results if text]
    for name, text in failed:
        print(f'FAILED {name}\n{indent(text, 4)}')
    print(f'{len(results) - len(failed)} passed, {len(failed)} failed, 0 skipped')
    return len(failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--check', action='store_true', help='only read the scenarios')
    parser.add_argument('-v', '--verbose', action='store_true', help='name each scenario')
    parser.add_argument('--results', metavar='FILE', help='write the results as JSON')
    parser.add_argument('paths', nargs='*')
    args = parser.parse_args()
    groups, results = load(find(args.paths))
    if args.check:
        results += [(s.name, None) for g in groups for s in g.scenarios]
    else:
        with concurrent.futures.ThreadPoolExecutor(PARALLEL_SERVERS) as pool:
            for done in pool.map(Group.run, sorted(groups, key=lambda g: -len(g.scenarios))):
                results += [(scenario.name, failure) for scenario, failure in done]
                for scenario, failure in done if args.verbose else ():
                    print('FAILED' if failure else 'ok    ', scenario.name, '-', scenario.purpose)
    if args.results:
        pathlib.Path(args.results).write_text(json.dumps(sorted(results)))
    return 1 if report(results) or not results else 0


if __name__ == '__main__':
    sys.exit(main())
