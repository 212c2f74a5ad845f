"""What a stopped data folder holds, read without the server, and whether it is what must be there.

Rows are read with Python's sqlite3 and bodies from the segment files by this code's own reading of
their format, so that a mistake of the server's cannot hide itself.
"""
import collections
import os
import pathlib
import re
import sqlite3
import struct
import zlib

from load import ACKNOWLEDGED, UNKNOWN

MAGIC = 0x314b4948
HEADER_BYTES = 32
STATES = {0: 'whole', 1: 'set aside', 2: 'lost'}
MESSAGE_ID = re.compile(rb'^Message-ID: <([^>@]*)@torture>', re.MULTILINE)


class Kept:
    """Everything in a data folder: ids of attempts by mailbox and queue, and texts."""

    def __init__(self, data_dir):
        self.dir = pathlib.Path(data_dir)
        self.wrong = []
        self.mailboxes = collections.defaultdict(collections.Counter)
        self.queue = collections.defaultdict(collections.Counter)
        self.db = sqlite3.connect(f'file:{self.dir}/mail.db?mode=ro', uri=True)
        self.bodies = {}
        try:
            self._read()
        finally:
            self.db.close()

    def _read(self):
        for name in ('mail.db', 'trace.db'):
            db = sqlite3.connect(f'file:{self.dir}/{name}?mode=ro', uri=True)
            for row in db.execute('PRAGMA integrity_check'):
                if row[0] != 'ok':
                    self.wrong.append(f'{name}: integrity_check: {row[0]}')
            db.close()
        query = 'SELECT id, segment, place, bytes, prefix, crc, state FROM body'
        for row in self.db.execute(query):
            self._read_body(*row)
        query = ('SELECT a.address, m.body FROM message m JOIN mailbox b ON b.id = m.mailbox'
                 ' JOIN account a ON a.id = b.account')
        for address, body in self.db.execute(query):
            self._put(self.mailboxes[address], body, f'{address} has')
        query = 'SELECT r.address, q.body FROM recipient r JOIN queue q ON q.id = r.queue'
        for address, body in self.db.execute(query):
            self._put(self.queue[address], body, f'the queue has for {address}')
        self._check_counts()
        self._check_files()

    def _put(self, counter, body, who):
        if body not in self.bodies:
            self.wrong.append(f'{who} message {body} without a body')
            return
        counter[self.bodies[body][0]] += 1

    def _read_body(self, number, segment, place, length, prefix, crc, state):
        path = self.dir / 'segments' / f'{segment:012d}.seg'
        where = f'body {number} at {segment}:{place}'
        if state != 0:
            self.wrong.append(f'{where} is {STATES.get(state, state)}')
        try:
            with open(path, 'rb') as file:
                file.seek(place)
                header = file.read(HEADER_BYTES)
                text = file.read(length)
        except OSError as error:
            self.wrong.append(f'{where}: {error}')
            return
        if len(header) < HEADER_BYTES or len(text) != length:
            self.wrong.append(f'{where}: the file ends before it')
            return
        magic, its_crc, its_id, its_length, _, own = struct.unpack('<IIQQII', header)
        if (magic, its_crc, its_id, its_length) != (MAGIC, crc, number, length):
            self.wrong.append(f'{where}: another record is there')
        if own != zlib.crc32(header[:-4]) or crc != zlib.crc32(text):
            self.wrong.append(f'{where}: a checksum is wrong')
        match = MESSAGE_ID.search(text)
        self.bodies[number] = (match.group(1).decode() if match else '?', text[prefix:])

    def _check_counts(self):
        """Sums that the server keeps, against what they sum up."""
        checks = {
            'mailbox.messages': 'SELECT id FROM mailbox b WHERE messages <> (SELECT COUNT(*) FROM'
                                ' message m WHERE m.mailbox = b.id)',
            'mailbox.bytes': 'SELECT id FROM mailbox b WHERE bytes <> (SELECT COALESCE(SUM(bytes),'
                             ' 0) FROM message m WHERE m.mailbox = b.id)',
            'mailbox.uidnext': 'SELECT id FROM mailbox b WHERE uidnext <= (SELECT'
                               ' COALESCE(MAX(uid), 0) FROM message m WHERE m.mailbox = b.id)',
            'body.refs': 'SELECT id FROM body b WHERE refs <> (SELECT COUNT(*) FROM message m WHERE'
                         ' m.body = b.id) + (SELECT COUNT(*) FROM queue q WHERE q.body = b.id) +'
                         ' (SELECT COUNT(*) FROM expunged e WHERE e.body = b.id)',
            'segment.live': 'SELECT id FROM segment s WHERE live <> (SELECT COALESCE(SUM((bytes +'
                            ' 39) / 8 * 8), 0) FROM body b WHERE b.segment = s.id)',
            'segment of body': 'SELECT id FROM body WHERE segment NOT IN (SELECT id FROM segment)',
            'recipient without queue': 'SELECT queue FROM recipient WHERE queue NOT IN (SELECT id'
                                       ' FROM queue)',
        }
        # Seeks instead of scans: the folder may hold tens of thousands of messages.
        copy = sqlite3.connect(':memory:')
        self.db.backup(copy)
        copy.execute('CREATE INDEX by_body ON message(body)')
        copy.execute('CREATE INDEX queue_body ON queue(body)')
        for what, query in checks.items():
            rows = copy.execute(query).fetchall()
            if rows:
                self.wrong.append(f'{what} is wrong in {len(rows)} rows, such as {rows[0][0]}')
        copy.close()

    def _check_files(self):
        """Files nobody knows would fill the disk."""
        known = {f'{row[0]:012d}.seg' for row in self.db.execute('SELECT id FROM segment')}
        names = set(os.listdir(self.dir / 'segments'))
        extra = sorted(name for name in names - known if (self.dir / 'segments' / name)
                       .stat().st_size > 0)
        if extra:
            self.wrong.append(f'{len(extra)} files in segments/ have no row, such as {extra[0]}')


def check_attempt(attempt, kept, texts):
    """What is wrong with one attempt."""
    places = {(True, a): kept.mailboxes[a][attempt.ident] for a in kept.mailboxes}
    places |= {(False, a): kept.queue[a][attempt.ident] for a in kept.queue}
    # Whether a removal whose answer was lost has happened, nobody knows.
    found = {place: count for place, count in places.items()
             if count and not (place[0] and attempt.removed.get(place[1], True) is None)}
    wanted = ({(True, a): 1 for a in attempt.mailboxes() if a not in attempt.removed}
              | {(False, a): 1 for a in attempt.queued()})
    if found == wanted:
        sent = attempt.text()
        return [f'{attempt.ident} ({attempt.outcome}, round {attempt.round}): stored with other '
                'bytes than were sent'
                for text in texts[attempt.ident] if not is_same_text(text, sent)]
    if not found and attempt.outcome != ACKNOWLEDGED:
        return []
    show = {a if is_box else f'queue {a}': n for (is_box, a), n in found.items()}
    return [f'{attempt.ident} ({attempt.outcome}, round {attempt.round}, {attempt.size} bytes'
            f'{", BDAT" if attempt.is_chunked else ""}, {attempt.reply!r}): found {show}, must be '
            f'in {sorted(attempt.targets())}']


def is_same_text(text, sent):
    """Whether the stored text is the server's Received field and then exactly what was sent."""
    return text.endswith(sent) and re.fullmatch(
        rb'Received: [^\r\n]+\r\n(?:[ \t][^\r\n]+\r\n)*', text[:len(text) - len(sent)]) is not None


def check_all(attempts, data_dir):
    """(messages about what is wrong, figures) for a stopped folder and all attempts."""
    kept = Kept(data_dir)
    texts = collections.defaultdict(list)
    for ident, text in kept.bodies.values():
        texts[ident].append(text)
    wrong = list(kept.wrong)
    for attempt in attempts:
        wrong += check_attempt(attempt, kept, texts)
    strangers = set(texts) - {a.ident for a in attempts}
    if strangers:
        wrong.append(f'messages that nobody sent: {sorted(strangers)[:3]}')
    outcomes = collections.Counter(attempt.outcome for attempt in attempts)
    whole = sum(attempt.outcome == UNKNOWN and attempt.ident in texts for attempt in attempts)
    figures = f'{dict(outcomes)}, {whole} of the unknown ones were stored'
    return wrong, figures


def check_export(attempts, server):
    """The same through the command line, for the running server: mailboxes as people get them."""
    wrong = []
    for address in sorted({box for attempt in attempts for box in attempt.mailboxes()}):
        messages = collections.defaultdict(list)
        try:
            exported = server.export(address)
        except AssertionError as error:
            wrong.append(f'export of {address}: {error}')
            continue
        for message in exported:
            match = MESSAGE_ID.search(message)
            messages[match.group(1).decode() if match else '?'].append(message)
        for attempt in attempts:
            found = messages.get(attempt.ident, [])
            if attempt.outcome != ACKNOWLEDGED or address in attempt.removed:
                continue
            if len(found) != (address in attempt.mailboxes()):
                wrong.append(f'export of {address}: {attempt.ident} is there {len(found)} times')
            wrong += [f'export of {address}: {attempt.ident} has other bytes' for message in found
                      if not message.replace(b'\r\n', b'\n').endswith(
                          attempt.text().replace(b'\r\n', b'\n'))]
    return wrong
