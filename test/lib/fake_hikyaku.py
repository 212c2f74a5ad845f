#!/usr/bin/python3
"""Stands in for the binary when the test runner itself is tested: just enough of its commands.

init, serve, account add, alias add, domain add, mailbox export, trace. One thread a connection; the
"store" is a folder of files. Breaks on demand: the recipient local part "crash" ends the server.
"""
import os
import pathlib
import re
import signal
import socketserver
import ssl
import struct
import subprocess
import sys
import threading
import time

TIMEOUT_MS = 300000
TLS_FILES = ('fullchain.pem', 'privkey.pem')


def option(name, default=None):
    """The value after an option on the command line."""
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def folder():
    return pathlib.Path(option('-c', 'hikyaku.conf')).parent


def clock_ms():
    path = os.environ.get('HIKYAKU_TEST_CLOCK')
    offset = struct.unpack('<q', pathlib.Path(path).read_bytes())[0] if path else 0
    return time.monotonic() * 1000 + offset


class Handler(socketserver.StreamRequestHandler):
    """One SMTP session; the socket times out every few ms to look at the clock."""

    def say(self, text):
        # Before the client can see the reply and move the clock.
        self.deadline = clock_ms() + TIMEOUT_MS
        self.wfile.write(text.encode() + b'\r\n')

    def line(self):
        while b'\r\n' not in self.pending:
            try:
                data = self.request.recv(4096)
            except (TimeoutError, ssl.SSLWantReadError):
                if clock_ms() > self.deadline:
                    self.say('421 4.4.2 Timeout')
                    return None
                continue
            if not data:
                return None
            self.pending += data
        line, _, self.pending = self.pending.partition(b'\r\n')
        return line

    def handle(self):
        self.request.settimeout(0.02)
        self.pending = b''
        self.recipients = []
        self.say('220 mx.example.jp ESMTP')
        while (line := self.line()) is not None:
            verb = line[:4].upper().decode('latin-1')
            if not getattr(self, 'do_' + verb.lower(), self.unknown)(line):
                return

    def unknown(self, _):
        self.say('500 5.5.2 What?')
        return True

    def do_ehlo(self, _):
        self.say('250-mx.example.jp\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES')
        return True

    def do_mail(self, _):
        self.say('250 2.1.0 Ok')
        return True

    def do_rcpt(self, line):
        address = re.search(rb'<(.*)>', line).group(1).decode()
        if address.startswith('crash@'):
            os._exit(3)
        if not (folder() / 'mail' / address).is_dir():
            self.say('550 5.1.1 Unknown')
            return True
        self.recipients.append(address)
        self.say('250 2.1.5 Ok')
        return True

    def do_data(self, _):
        self.say('354 Go on')
        text = b''
        while (line := self.line()) not in (b'.', None):
            text += (line[1:] if line.startswith(b'.') else line) + b'\r\n'
        for address in self.recipients:
            box = folder() / 'mail' / address
            (box / str(len(list(box.iterdir())))).write_bytes(text)
        print(f'event=delivered recipients={len(self.recipients)}', file=sys.stderr, flush=True)
        self.recipients = []
        self.say('250 2.0.0 Ok')
        return True

    def do_star(self, _):
        self.say('220 2.0.0 Go on')
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*(folder() / 'tls' / name for name in TLS_FILES))
        self.request.settimeout(10)
        self.request = context.wrap_socket(self.request, server_side=True)
        self.request.settimeout(0.02)
        self.wfile = self.request.makefile('wb', 0)
        return True

    def do_auth(self, line):
        self.say(f'334 {line.split()[-1].decode()}')
        return True

    def do_quit(self, _):
        self.say('221 2.0.0 Bye')
        return False


class TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def serve():
    port = int(re.search(r'port = (\d+)', (folder() / 'hikyaku.conf').read_text()).group(1))
    with TcpServer(('127.0.0.1', port), Handler) as server, \
            TcpServer(('127.0.0.1', port - 25 + 587), Handler) as submission:
        threading.Thread(target=submission.serve_forever, daemon=True).start()
        stop = threading.Thread(target=server.shutdown)
        signal.signal(signal.SIGTERM, lambda *_: stop.start())
        server.serve_forever(0.05)


def init():
    path = pathlib.Path(option('--dir'))
    (path / 'mail').mkdir()
    (path / 'tls').mkdir()
    certificate, key = (path / 'tls' / name for name in TLS_FILES)
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                    'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=mx.example.jp', '-addext',
                    'subjectAltName=DNS:mx.example.jp', '-out', certificate, '-keyout', key],
                   check=True, capture_output=True, timeout=60)
    port = 25 + int(option('--port-offset'))
    (path / 'hikyaku.conf').write_text(f'listen {{\n    port = {port};\n}}\n')


def export():
    for path in sorted((folder() / 'mail' / sys.argv[3]).iterdir(), key=lambda p: int(p.name)):
        text = re.sub(rb'(?m)^(>*From )', rb'>\1', path.read_bytes())
        sys.stdout.buffer.write(b'From x Thu Jan  1 00:00:00 1970\n' + text + b'\n')


def main():
    command = ' '.join(sys.argv[1:3])
    if command.startswith('init'):
        init()
    elif command.startswith('serve'):
        serve()
    elif command == 'account add':
        sys.stdin.read()
        (folder() / 'mail' / sys.argv[3]).mkdir()
    elif command == 'mailbox export':
        export()
    elif command.startswith('trace'):
        print('delivered')


if __name__ == '__main__':
    main()
