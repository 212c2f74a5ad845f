"""Ten thousand domains at once, one of them mute; a person's letter beside a bulk.

Counts are smaller for a sanitized build; SCALE_DOMAINS and SCALE_LETTERS name others.
"""
import os
import pathlib
import re
import socket
import threading
import time

import pytest

from hikyaku import BINARY, Server, Session, children, until
from nsd import Nsd
from peers import PeerMissing
from relay import queue_is_empty, sender_settings
from sink import Sink

IS_SANITIZED = b'__asan_init' in pathlib.Path(BINARY).read_bytes()
DOMAINS = int(os.environ.get('SCALE_DOMAINS', 1000 if IS_SANITIZED else 10000))
LETTERS = int(os.environ.get('SCALE_LETTERS', 400 if IS_SANITIZED else 2000))
BULK_SECONDS = 60
PERSON_SECONDS = 5
PER_MESSAGE = 500  # recipients
MUTE = '127.0.0.7'
LETTER = b'Subject: x\r\n\r\nx\r\n'
CONNECTIONS = 3
AT_WORK = 500  # destinations that are in hand already, by outbound.max_connections
BATCH = 20  # messages that a connection takes from the queue at once


class TimedSink(Sink):
    """Notes when each message arrived; takes `seconds` for each, none before `gate` is open."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds
        self.gate = threading.Event()
        self.gate.set()
        self.times = {}
        super().__init__()
        self.listener.listen(1024)

    def _take(self, stream, sender, recipients):
        self.gate.wait(60)
        if self.seconds:
            time.sleep(self.seconds)
        super()._take(stream, sender, recipients)
        now = time.monotonic()
        for recipient in recipients:
            self.times.setdefault(recipient, now)

    def before(self, recipient):
        """How many recipients were served before this one."""
        own = self.times[recipient]
        return sum(at < own for at in list(self.times.values()))


class OutboundWatch:
    """Polls what the outbound process has open and uses, until it is stopped."""

    def __init__(self, server):
        self.pid = outbound(server)
        self.files = self.pss_kib = 0
        self.ended = threading.Event()
        limits = pathlib.Path(f'/proc/{self.pid}/limits').read_text()
        self.files_max = int(re.search(r'Max open files +(\d+)', limits)[1])
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.ended.wait(0.1):
            try:
                self.files = max(self.files, len(os.listdir(f'/proc/{self.pid}/fd')))
                rollup = pathlib.Path(f'/proc/{self.pid}/smaps_rollup').read_text()
            except OSError:
                continue
            self.pss_kib = max(self.pss_kib, int(re.search(r'Pss: +(\d+)', rollup)[1]))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join(10)


def outbound(server):
    """The process id of the outbound process."""
    for pid in children(server.process.pid):
        try:
            words = pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().split(b'\0')
        except OSError:
            continue
        if words[1:3] == [b'--process', b'outbound']:
            return pid
    raise AssertionError('no outbound process')


def submit_all(server, letters):
    """Puts letters, (sender, [recipients]) each, into the queue over one connection."""
    with Session(server.port, timeout=60) as session:
        session.reply()
        session.command('EHLO client.example', 250)
        for sender, recipients in letters:
            session.send(f'MAIL FROM:<{sender}>\r\n'.encode()
                         + b''.join(f'RCPT TO:<{r}>\r\n'.encode() for r in recipients)
                         + b'DATA\r\n')
            for _ in range(1 + len(recipients)):
                reply = session.reply()
                assert reply.startswith('250'), reply
            assert session.reply().startswith('354')
            session.send(LETTER + b'.\r\n')
            assert session.reply().startswith('250')


def submit_beside(server, letters, threads=8):
    """The same over several connections."""
    workers = [threading.Thread(target=submit_all, args=(server, letters[i::threads]))
               for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)


@pytest.fixture(scope='module')
def nsd():
    """Domains s0, s1, ...: each has a host of its own; d0, d1, ...: each tenth has, the others
    share one, as any other name does."""
    own = '\n'.join(f's{i} MX 10 h{i}\nh{i} A 127.0.0.1' for i in range(DOMAINS))
    own += ''.join(f'\nd{i} MX 10 h{i}' for i in range(0, DOMAINS, 10))
    try:
        with Nsd() as server:
            server.add_zone('many.example', f'* MX 10 mx\nmx A 127.0.0.1\n{own}\n'
                            f'mute MX 10 mute-host\nmute-host A {MUTE}\n'
                            'friend MX 10 friend-host\nfriend-host A 127.0.0.1')
            yield server.start()
    except PeerMissing as error:
        pytest.skip(str(error))


def settings_for(sink, nsd, **more):
    return sender_settings(sink.port, resolver__stub_zones=nsd.stub_zones(),
                           resolver__local_records='[]', resolver__timeout='20s',
                           smtp__max_recipients=1000, server__drain_timeout='5s',
                           log__level='info', **more)


def send_bulk(server, kind):
    """One recipient at each domain of a kind and one at the mute one; how long it took."""
    begun = time.monotonic()
    everybody = ['bulk@mute.many.example',
                 *(f'bulk@{kind}{i}.many.example' for i in range(DOMAINS))]
    for i in range(0, len(everybody), PER_MESSAGE):
        submit_all(server, [('news@example.jp', everybody[i:i + PER_MESSAGE])])
    return time.monotonic() - begun


def send_as_person(server, sink, recipient):
    """(seconds until a person's letter arrived, letters of the bulk that arrived meanwhile, letters
    that waited when it was sent)"""
    arrived = len(sink.times)
    begun = time.monotonic()
    submit_all(server, [('taro@example.jp', [recipient])])
    until(lambda: recipient in sink.times, BULK_SECONDS, f'the letter to {recipient}')
    return (sink.times[recipient] - begun, sink.before(recipient) - arrived, DOMAINS - arrived)


@pytest.mark.parametrize('kind', ['s', 'd'], ids=['own-hosts', 'shared-host'])
def test_one_mute_domain_among_many_holds_nobody_up(nsd, kind):
    sink = TimedSink()
    with sink, socket.create_server((MUTE, sink.port)), Server(settings_for(sink, nsd)) as server:
        with OutboundWatch(server) as watch:
            begun = time.monotonic()
            submit_s = send_bulk(server, kind)
            until(lambda: len(sink.times) >= DOMAINS, BULK_SECONDS, 'all but one')
            seconds = time.monotonic() - begun
        print(f'{DOMAINS} domains: submitted in {submit_s:.1f} s, relayed in {seconds:.1f} s; '
              f'outbound had {watch.files} files open, {watch.pss_kib} KiB PSS')
        assert len(sink.messages) == DOMAINS
        assert 'bulk@mute.many.example' not in sink.times
        assert watch.files < watch.files_max
        until(lambda: server.cli_json('status')['queued_messages'] == 1, 10, 'one to wait')


@pytest.mark.parametrize('kind, domain', [('s', 'friend'), ('d', 'other')],
                         ids=['own-hosts', 'shared-host'])
def test_a_person_does_not_wait_for_the_bulk_to_other_domains(nsd, kind, domain):
    """`friend` has a host of its own, `other` that of most domains of the kind d."""
    recipient = f'hanako@{domain}.many.example'
    sink = TimedSink()
    with sink, socket.create_server((MUTE, sink.port)), Server(settings_for(sink, nsd)) as server:
        bulk = threading.Thread(target=send_bulk, args=(server, kind))
        bulk.start()
        until(lambda: len(sink.times) >= DOMAINS // 10, BULK_SECONDS, 'a tenth of the bulk')
        seconds, passed, waited = send_as_person(server, sink, recipient)
        print(f'to {domain}: {seconds:.2f} s; {passed} of {waited} came before it')
        assert seconds < PERSON_SECONDS and passed < AT_WORK + waited / 2
        bulk.join(60)
        until(lambda: len(sink.times) == DOMAINS + 1, BULK_SECONDS, 'the rest')


def test_a_person_does_not_wait_for_the_bulk_to_one_domain(nsd):
    sink = TimedSink(0.02)
    limits = {'outbound__max_connections_per_destination': CONNECTIONS}
    with sink, Server(settings_for(sink, nsd, **limits)) as server:
        sink.gate.clear()  # else a part of the bulk is gone before all of it is there
        submit_beside(server, [('news@example.jp', [f'bulk{i}@d0.many.example'])
                               for i in range(LETTERS)])
        sink.gate.set()
        recipient = 'hanako@d0.many.example'
        submit_all(server, [('taro@example.jp', [recipient])])
        begun = time.monotonic()
        until(lambda: recipient in sink.times, BULK_SECONDS, 'the letter of a person')
        print(f'{LETTERS} letters: {sink.times[recipient] - begun:.2f} s; '
              f'{sink.before(recipient)} came before it')
        assert sink.times[recipient] - begun < PERSON_SECONDS
        assert sink.before(recipient) < (CONNECTIONS + 2) * BATCH
        until(lambda: len(sink.times) == LETTERS + 1, BULK_SECONDS, 'the rest')
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')
