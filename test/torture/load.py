"""Mail under way: senders that remember what they were told.

An attempt has a unique id, which is in its Message-ID and decides its body, and ends as
"acknowledged" (250 after the final dot), "refused" (any other reply, or none before that dot) or
"unknown" (the connection broke between the dot and the reply). The bytes are made again from the id
whenever they are needed, so nothing has to be remembered of them.
"""
import contextlib
import random
import re
import socket
import struct
import threading
import time

from hikyaku import ROOT, Session

ACKNOWLEDGED, REFUSED, UNKNOWN = 'acknowledged', 'refused', 'unknown'
ACCOUNTS = [f'box{n}@example.jp' for n in range(4)]
ALIASES = {'team@example.jp': ACCOUNTS[:2], 'all@example.jp': ACCOUNTS,
           'away@example.jp': [ACCOUNTS[0], 'gone@far.example.net']}
REMOTES = ['one@far.example.net', 'two@far.example.net', 'three@other.example.org']
SIZES = (0, 1, 300, 4000, 20000, 60000, 130000, 300 * 1024)
SIZE_WEIGHTS = (2, 2, 20, 20, 8, 4, 3, 2)
MAINTAIN_MS = 11000  # the store keeps house every 10 s
LINE_BYTES, POOL_LINES = 100, 4096


def make_pool():
    """Lines of random text; a body is a stretch of them, at its own place. Some look awkward."""
    rng = random.Random('pool')
    starts = (b'', b'', b'.', b'..', b'From ', b'>From ', b' ', b'\t')
    lines = [(rng.choice(starts) + rng.randbytes(60).hex().encode())[:LINE_BYTES - 2] + b'\r\n'
             for _ in range(2 * POOL_LINES)]
    return b''.join(lines)


POOL = make_pool()
ERRORS = (OSError, EOFError, AssertionError)


class Attempt:
    """One try to hand over one message."""

    def __init__(self, ident, rng, is_big_allowed=True):
        self.ident = ident
        self.sender = f'{ident}@sender.example'
        everybody = [*ACCOUNTS, *ALIASES, *REMOTES]
        self.recipients = rng.sample(everybody, rng.choice((1, 1, 1, 2, 3)))
        size = rng.choices(SIZES, SIZE_WEIGHTS)[0]
        self.size = size if is_big_allowed else min(size, 20000)
        self.is_chunked = rng.random() < 0.3
        self.outcome = REFUSED
        self.reply = ''
        self.round = 0
        self.removed = {}  # mailbox: True, or None when nobody knows

    def targets(self):
        """All addresses behind the recipients."""
        return {target for recipient in self.recipients
                for target in ALIASES.get(recipient, [recipient])}

    def mailboxes(self):
        return self.targets() & set(ACCOUNTS)

    def queued(self):
        return self.targets() - set(ACCOUNTS)

    def text(self):
        """The bytes of the message, before dots are stuffed."""
        head = (f'From: <{self.ident}@sender.example>\r\nSubject: {self.ident}\r\n'
                f'Message-ID: <{self.ident}@torture>\r\n\r\n').encode()
        if self.size == 0:
            return head
        first = random.Random(self.ident).randrange(POOL_LINES)
        body = POOL[first * LINE_BYTES:first * LINE_BYTES + max(0, self.size - 2)]
        return head + body.rstrip(b'\r\n') + b'\r\n'

    def send(self, session):
        """The whole dialogue on an open session. Sets the outcome; may raise when the server goes.
        """
        self.reply = session.command(f'MAIL FROM:<{self.sender}>')
        for recipient in self.recipients if self.reply.startswith('250') else ():
            self.reply = session.command(f'RCPT TO:<{recipient}>')
            if not self.reply.startswith('250'):
                break
        if not self.reply.startswith('250'):
            session.command('RSET', 250)
            return
        if self.is_chunked:
            self._send_chunks(session)
            return
        self.reply = session.command('DATA')
        if not self.reply.startswith('354'):
            return
        text = self.text()
        stuffed = b''.join(b'.' + line if line.startswith(b'.') else line
                           for line in text.splitlines(keepends=True))
        session.send(stuffed)
        self._end(session, b'.\r\n')

    def _send_chunks(self, session):
        text = self.text()
        half = len(text) // 2
        session.send(b'BDAT %d\r\n' % half + text[:half])
        self.reply = session.reply()
        if not self.reply.startswith('250'):
            return
        rest = text[half:]
        self._end(session, b'BDAT %d LAST\r\n' % len(rest) + rest)

    def _end(self, session, data):
        """From here on the server may take the message: silence means that nothing is known."""
        self.outcome = UNKNOWN
        session.send(data)
        self.reply = session.reply()
        self.outcome = ACKNOWLEDGED if self.reply.startswith('250') else REFUSED


class Load:
    """Threads that send until they are told to stop. `make` gives an attempt from (ident, rng);
    as long as `must_wait` says so, nothing new is sent."""

    def __init__(self, port, seed, threads=6, make=None, must_wait=None):
        self.port, self.seed = port, seed
        self.make, self.must_wait = make or Attempt, must_wait
        self.attempts = []
        self.wrong = []
        self.round = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True)
                         for n in range(threads)]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        """Ends the senders; waits for the messages under way."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), 'a sender hangs'

    def count(self, outcome):
        with self._lock:
            return sum(attempt.outcome == outcome for attempt in self.attempts)

    def send_quietly(self, attempt):
        """One attempt on a connection of its own; the server may die meanwhile."""
        with contextlib.suppress(*ERRORS), Session(self.port, timeout=20) as session:
            session.reply()
            session.command('EHLO sender.example', 250)
            self.attempts.append(attempt)
            attempt.send(session)

    def _run(self, number):
        rng = random.Random(f'{self.seed}/{number}')
        count = 0
        while not self._stop.is_set():
            try:
                with Session(self.port, timeout=20) as session:
                    session.reply()
                    session.command('EHLO sender.example', 250)
                    for _ in range(rng.randint(1, 40)):
                        if self._stop.is_set():
                            break
                        count += 1
                        self._attempt(session, f'm{self.seed}x{number}x{count}', rng)
            except ERRORS as error:
                self._note(error)
                self._stop.wait(0.02)

    def _note(self, error):
        """A server that dies may break a connection; one that hangs or babbles may not."""
        if isinstance(error, (OSError, EOFError)) and not isinstance(error, TimeoutError):
            return
        if isinstance(error, AssertionError) and str(error).find("not 250") >= 0:
            return
        self.wrong.append(f'{time.monotonic():.3f} round {self.round}: {error}')

    def _attempt(self, session, ident, rng):
        while self.must_wait and self.must_wait() and not self._stop.wait(0.02):
            pass
        attempt = self.make(ident, rng)
        attempt.round = self.round
        with self._lock:
            self.attempts.append(attempt)
        attempt.send(session)


def send_one(port, ident, recipients=(ACCOUNTS[0],), size=1000, timeout=20):
    """One message on a connection of its own: the attempt with its outcome and last reply, which
    is the greeting when that turns us away."""
    attempt = Attempt(ident, random.Random(ident))
    attempt.recipients, attempt.size, attempt.is_chunked = list(recipients), size, False
    with Session(port, timeout=timeout) as session:
        session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        attempt.reply = session.reply()
        if attempt.reply.startswith('220'):
            session.command('EHLO sender.example', 250)
            attempt.send(session)
    return attempt


def verb_number(name):
    """The number of a verb of the store, from its header: enum store_verb starts at 1."""
    text = (ROOT / 'src' / 'store' / 'wire.h').read_text(encoding='utf-8')
    body = re.search(r'enum store_verb \{(.*?)\};', text, re.DOTALL).group(1)
    names = re.findall(r'STORE_\w+', re.sub(r'/\*.*?\*/', '', body))
    return names.index(f'STORE_{name}') + 1


class Control:
    """The control socket (frames of src/rt/rpc.h): removing thousands by command takes too long."""

    def __init__(self, run_dir):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(run_dir / 'control.sock'))
        self.verb = verb_number('MESSAGE_EXPUNGE')

    def expunge(self, address, uid):
        """True when the message is removed."""
        payload = b''.join(struct.pack('<I', len(text)) + text.encode()
                           for text in (address, 'INBOX')) + struct.pack('<Q', uid)
        frame = struct.pack('<IHxx', 1, self.verb)[:6] + payload
        self.socket.sendall(struct.pack('<I', len(frame)) + frame)
        head = self._read(4)
        reply = self._read(struct.unpack('<I', head)[0])
        return struct.unpack('<H', reply[4:6])[0] == 0

    def _read(self, count):
        data = b''
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError('the store closed the control socket')
            data += piece
        return data

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class Remover:
    """Removes acknowledged mail again and lets time pass, so that segments are compacted."""

    def __init__(self, server, sending):
        self.server, self.sending = server, sending
        self.rng = random.Random(f'{sending.seed}/remover')
        self.count = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), 'the remover hangs'

    def _run(self):
        while not self._stop.wait(0.2):
            try:
                self._remove_some(self.rng.choice(ACCOUNTS))
            except ERRORS:
                pass  # the server is down at the moment
            self.server.advance(MAINTAIN_MS)

    def _remove_some(self, address):
        known = {attempt.ident: attempt for attempt in list(self.sending.attempts)
                 if attempt.outcome == ACKNOWLEDGED and address not in attempt.removed}
        rows = self.server.cli_json('mailbox', 'show', address)
        with Control(self.server.dir / 'run') as control:
            for row in rows:
                attempt = known.get(row['subject'])
                if attempt is None or self.rng.random() < 0.3:
                    continue
                if self._stop.is_set():
                    return
                attempt.removed[address] = None
                if control.expunge(address, row['uid']):
                    attempt.removed[address] = True
                    self.count += 1
