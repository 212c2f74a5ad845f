"""Makes a long queue quickly: rows for messages that wait for destinations that are down.

The rows go straight into the database of a stopped server, in the schema of src/store/schema.c:
2,000,000 messages over SMTP would take twenty minutes and be the same rows. Every message has its
queue row, its recipient and its body row (with a summary as long as a real one), so that all tables
and indexes are as large as they would be. Only the texts are not there: nobody reads them, because
every destination waits until a day that no run sees. The ids are a day old, so that the trace of
what was accepted last is not looked for.
"""
import contextlib
import shutil
import sqlite3
import time

COUNTS = (1000, 100000, 2000000)  # messages that wait
SECONDS = 30                      # at most, for one run
QUEUE_MAX = 2500000  # the server's limit, above what waits and what is under way
PER_DESTINATION = 100
SENDERS = 5000
BODY_BYTES = 4096
SUMMARY_BYTES = 200
DAY_MS = 24 * 3600 * 1000
IDS_SINCE_MS = 1577836800000  # 2020-01-01 (src/base/id.h)
IDS_PER_MS = 1 << 22
SEGMENT = 1  # of the first start; its record of live bytes is left alone: no row here is removed

# :n how many, :now, :day, :first (id), :per (ids per message), :dest (how many destinations)
ROWS = 'WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i + 1 < {limit}) '
STEPS = (
    ROWS.format(limit=':n') +
    'INSERT INTO body(id, segment, place, bytes, prefix, crc, refs, state, summary) '
    'SELECT :first + i * :per, :segment, 0, :bytes, 0, 0, 1, 0, zeroblob(:summary) FROM c',
    ROWS.format(limit=':n') +
    'INSERT INTO queue(id, body, sender, envid, ret, flags, created, priority, alarm, expires) '
    "SELECT :first + i * :per, :first + i * :per, 'sender' || (i % :senders) || '@example.jp', '', "
    '0, 0, :now - :day, 0, :now + 30 * :day + i, :now + 60 * :day FROM c',
    # Mail for a destination that is down is ready: only the destination waits.
    ROWS.format(limit=':n') +
    'INSERT INTO recipient(queue, n, address, destination, orcpt, notify, state, due, attempts, '
    'report, last_attempt, status, remote, reply) '
    "SELECT :first + i * :per, 0, 'user' || i || '@d' || (i % :dest) || '.down.example', "
    "'d' || (i % :dest) || '.down.example', '', 0, 0, :now - :day + i, 0, 0, 0, '', '', '' FROM c",
    ROWS.format(limit=':dest') +
    'INSERT INTO destination(name, state, due, failures, since, last_attempt, status, why) '
    "SELECT 'd' || i || '.down.example', 1, :now + 20 * :day + i, 9, :now - :day, :now, '4.4.1', "
    "'connection refused' FROM c",
)


def name_of(count):
    """The server with that many waiting, in tables."""
    return f'{count:>9,} waiting'


def fill(folder, count):
    """Lets `count` messages wait in the stopped instance in `folder`. What it made."""
    (path,) = folder.glob('**/mail.db')
    begin, now = time.monotonic(), round(time.time() * 1000)
    per = max(1, DAY_MS // 2 * IDS_PER_MS // count)
    values = {'n': count, 'now': now, 'day': DAY_MS, 'per': per, 'segment': SEGMENT,
              'first': (now - DAY_MS - IDS_SINCE_MS) * IDS_PER_MS, 'bytes': BODY_BYTES,
              'summary': SUMMARY_BYTES, 'senders': SENDERS,
              'dest': max(1, count // PER_DESTINATION)}
    owner = path.stat()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in ('journal_mode = OFF', 'synchronous = OFF', 'cache_size = -1000000'):
            db.execute('PRAGMA ' + pragma).fetchall()
        db.execute('BEGIN')
        for step in STEPS:
            db.execute(step, values)
        db.execute('COMMIT')
    shutil.chown(path, owner.st_uid, owner.st_gid)
    return {'destinations': values['dest'], 'fill_s': time.monotonic() - begin,
            'mib': path.stat().st_size / 1048576}
