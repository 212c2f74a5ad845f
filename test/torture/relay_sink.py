#!/usr/bin/python3
"""The far end of the campaign "relay": takes mail on several loopback addresses and remembers all.

    relay_sink.py RECORD SEED ADDRESS...      prints its port; ends when its standard input ends

RECORD gets a JSON line for every event of a connection, written before the reply that it leads to:
"open", "nonsense" (no command at all), "end" (the whole text has come: envelope, Message-ID,
SHA-256 of the text behind the Received field that the relay added, code of the final reply; 0 is a
close without one), "quit", "close". Its order is the truth about who was told what. How a recipient
is treated stands in its local part:

    later2.X   451 to the first two RCPT       bad.X    550 to RCPT
    dot1.X     451 to the first end of text    drop1.X  a close at the first end of text
"""
import asyncio
import collections
import hashlib
import itertools
import json
import os
import random
import re
import sys
import time

TOUCHY = re.compile(r'(later|dot|drop)(\d+)\.')
RECEIVED = re.compile(rb'Received: [^\r\n]+\r\n(?:[ \t][^\r\n]+\r\n)*')
MESSAGE_ID = re.compile(rb'^Message-ID: <([^>]*)>', re.MULTILINE | re.IGNORECASE)
FAILED = re.compile(rb'^Final-Recipient: *rfc822; *([^\s]+)', re.MULTILINE | re.IGNORECASE)
# What each address offers, by its last byte; the others as in "else".
OFFERS = {'6': ('PIPELINING', 'SIZE 10000000', '8BITMIME', 'CHUNKING'), '7': ('8BITMIME',),
          'else': ('PIPELINING', 'SIZE 10000000', '8BITMIME', 'ENHANCEDSTATUSCODES')}
# A final reply may take its time: a kill finds more connections between text and reply.
DELAYS_S = (0, 0, 0, 0, 0, 0.002, 0.01, 0.05, 0.3)


class Record:
    """The file, what was refused how often so far, and the dice."""

    def __init__(self, path, seed):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.tried = collections.Counter()
        self.rng = random.Random(seed)
        self.numbers = itertools.count(1)

    def put(self, connection, event, **more):
        line = json.dumps({'t': time.monotonic(), 'c': connection, 'e': event, **more})
        os.write(self.fd, line.encode() + b'\n')

    def is_touched(self, kind, address):
        """Whether this address is to be refused now in this way; counts."""
        match = TOUCHY.match(address)
        if not match or match.group(1) != kind:
            return False
        self.tried[address] += 1
        return self.tried[address] <= int(match.group(2))


class Connection(asyncio.Protocol):
    """One client. `need` says what the input waits for: a line, a text, or so many bytes."""

    def __init__(self, record):
        self.record = record
        self.number = next(record.numbers)
        self.transport = None
        self.offers = ()
        self.input = bytearray()
        self.need = 'line'
        self.chunk_bytes, self.is_last, self.chunks = 0, False, b''
        self.is_busy = False
        self.sender, self.recipients = None, []

    def connection_made(self, transport):
        self.transport = transport
        address = transport.get_extra_info('sockname')[0]
        self.offers = OFFERS.get(address.rpartition('.')[2], OFFERS['else'])
        self.record.put(self.number, 'open', ip=address)
        self.say('220 sink.example ESMTP')

    def connection_lost(self, _):
        self.record.put(self.number, 'close')

    def say(self, text):
        if not self.transport.is_closing():
            self.transport.write(text.encode() + b'\r\n')

    def data_received(self, data):
        self.input += data
        self.work()

    def work(self):
        """Takes from the input what is whole."""
        while not self.is_busy and not self.transport.is_closing():
            if not getattr(self, 'take_' + self.need)():
                return

    def take_line(self):
        end = self.input.find(b'\n')
        if end < 0:
            return False
        line = self.input[:end].rstrip(b'\r').decode('latin-1')
        del self.input[:end + 1]
        handler = getattr(self, 'do_' + line[:4].strip().lower(), None)
        if handler:
            handler(line)
        else:
            self.record.put(self.number, 'nonsense', line=line)
            self.say('500 5.5.2 What?')
        return True

    def take_text(self):
        if self.input.startswith(b'.\r\n'):
            end = 0
        else:
            end = self.input.find(b'\r\n.\r\n') + 2
            if end < 2:
                return False
        text = bytes(self.input[:end])
        del self.input[:end + 3]
        self.need = 'line'
        self.end(b'\r\n'.join(line[1:] if line.startswith(b'.') else line
                              for line in text.split(b'\r\n')))
        return True

    def take_chunk(self):
        if len(self.input) < self.chunk_bytes:
            return False
        self.chunks += self.input[:self.chunk_bytes]
        del self.input[:self.chunk_bytes]
        self.need = 'line'
        if not self.recipients:
            self.say('503 5.5.1 No recipients')
        elif self.is_last:
            self.end(self.chunks)
        else:
            self.say('250 2.0.0 Go on')
        return True

    def reset(self):
        self.sender, self.recipients, self.chunks = None, [], b''

    def do_ehlo(self, _):
        names = ['sink.example', *self.offers]
        self.say('\r\n'.join(f'250{" " if name == names[-1] else "-"}{name}' for name in names))

    def do_mail(self, line):
        self.reset()
        self.sender = path_of(line)
        self.say('250 2.1.0 Ok')

    def do_rcpt(self, line):
        address = path_of(line)
        if address.startswith('bad.'):
            self.say('550 5.1.1 Nobody of this name')
        elif self.record.is_touched('later', address):
            self.say('451 4.7.1 Come back later')
        else:
            self.recipients.append(address)
            self.say('250 2.1.5 Ok')

    def do_data(self, _):
        if not self.recipients:
            self.say('554 5.5.1 No recipients')
            return
        self.say('354 Go on')
        self.need = 'text'

    def do_bdat(self, line):
        words = line.split()
        self.chunk_bytes, self.is_last = int(words[1]), len(words) > 2
        self.need = 'chunk'

    def do_rset(self, _):
        self.reset()
        self.say('250 2.0.0 Ok')

    def do_noop(self, _):
        self.say('250 2.0.0 Ok')

    def do_quit(self, _):
        self.record.put(self.number, 'quit')
        self.say('221 2.0.0 Bye')
        self.transport.close()

    def end(self, text):
        """The end of a text: the record first, then, at some time, the reply."""
        code = 250
        # All are asked, so that each is counted.
        if any([self.record.is_touched('drop', address) for address in self.recipients]):
            code = 0
        elif any([self.record.is_touched('dot', address) for address in self.recipients]):
            code = 451
        self.record.put(self.number, 'end', code=code, sender=self.sender, to=self.recipients,
                        **facts_of(text))
        self.reset()
        if code == 0:
            self.transport.close()
            return
        self.is_busy = True
        delay = self.record.rng.choice(DELAYS_S)
        asyncio.get_running_loop().call_later(delay, self.reply_to_end, code)

    def reply_to_end(self, code):
        self.is_busy = False
        self.say('250 2.0.0 Taken' if code == 250 else '451 4.3.0 Not now')
        self.work()


def path_of(line):
    """What stands between the brackets of MAIL or RCPT."""
    return line[line.find('<') + 1:line.find('>')]


def facts_of(text):
    """What is to be remembered of a text."""
    ident = MESSAGE_ID.search(text.partition(b'\r\n\r\n')[0])
    added = RECEIVED.match(text)
    rest = text[added.end():] if added else text
    return {'id': ident.group(1).decode() if ident else '?',
            'sha': hashlib.sha256(rest).hexdigest(), 'bytes': len(rest),
            'failed': [address.decode() for address in FAILED.findall(text[:20000])]}


async def serve(path, seed, addresses):
    loop = asyncio.get_running_loop()
    record = Record(path, seed)

    def make():
        return Connection(record)

    server = await loop.create_server(make, addresses[0], 0, backlog=500)
    port = server.sockets[0].getsockname()[1]
    others = [await loop.create_server(make, address, port, backlog=500)
              for address in addresses[1:]]
    print(port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    for each in [server, *others]:
        each.close()


if __name__ == '__main__':
    asyncio.run(serve(sys.argv[1], sys.argv[2], sys.argv[3:]))
