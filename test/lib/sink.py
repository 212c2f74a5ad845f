"""A tiny SMTP server for tests: takes every message and keeps it, or answers as it is told.

Just enough of RFC 5321 to be the far end of a relay; never the thing under test.
"""
import contextlib
import socket
import threading


class Sink:
    """Listens on a loopback port, a free one unless it is named. `replies` maps a verb ("RCPT",
    "DATA", "." ...) to a reply line sent instead of success; `extensions` are the EHLO keywords
    offered."""

    def __init__(self, host='127.0.0.1', replies=None, extensions=('PIPELINING', '8BITMIME'),
                 port=0):
        self.replies = dict(replies or {})
        self.extensions = extensions
        self.messages = []  # (sender, [recipients], bytes with CRLF, dots unstuffed)
        self.commands = []
        self.listener = socket.create_server((host, port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
                # Replies to a group go out one by one: without this the second waits for 40 ms.
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.settimeout(30)
        # Around the files too: closing one writes what the other end did not wait for.
        with contextlib.suppress(OSError), connection, connection.makefile('rwb') as stream:
            self._say(stream, self.replies.get('CONNECT', '220 sink.example.net ESMTP'))
            self._dialogue(stream)

    @staticmethod
    def _say(stream, text):
        stream.write(text.encode() + b'\r\n')
        stream.flush()

    def _dialogue(self, stream):
        sender, recipients = None, []
        while line := stream.readline():
            text = line.rstrip(b'\r\n').decode('utf-8', 'replace')
            verb = text[:4].upper()
            self.commands.append(text)
            reply = self.replies.get(verb)
            if verb == 'DATA' and not reply and not (sender is not None and recipients):
                self._say(stream, '554 5.5.1 No valid recipients')
            elif verb == 'DATA' and not reply:
                self._take(stream, sender, recipients)
            elif verb == 'EHLO' and not reply:
                names = ['sink.example.net', *self.extensions]
                self._say(stream, '\r\n'.join(f'250{" " if n == names[-1] else "-"}{n}'
                                              for n in names))
            elif verb == 'QUIT':
                self._say(stream, reply or '221 2.0.0 Bye')
                return
            else:
                self._say(stream, reply or '250 2.0.0 Ok')
                if not reply or reply[0] == '2':
                    path = text[text.find('<') + 1:text.rfind('>')]
                    sender = path if verb == 'MAIL' else sender
                    recipients = [] if verb == 'MAIL' else recipients
                    recipients += [path] if verb == 'RCPT' else []

    def _take(self, stream, sender, recipients):
        self._say(stream, '354 Go on')
        body = b''
        while (line := stream.readline()) not in (b'.\r\n', b''):
            body += line[1:] if line.startswith(b'.') else line
        if not line:
            return
        reply = self.replies.get('.')
        if not reply or reply[0] == '2':
            self.messages.append((sender, list(recipients), body))
        self._say(stream, reply or '250 2.0.0 Taken')

    def close(self):
        """Stops taking connections."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
