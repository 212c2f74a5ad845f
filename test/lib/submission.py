"""A mail program at the submission ports: TLS, and logins step by step, so that a test can do them
wrong. The certificate is the instance's own, and it is verified.

    with Submission(server) as session:
        session.log_in()
"""
import base64
import hashlib
import hmac
import os
import ssl

from hikyaku import HOSTNAME, PASSWORD, Session

TARO = 'taro@example.jp'


def encode(text):
    """The base64 of text or bytes, as text."""
    data = text.encode() if isinstance(text, str) else text
    return base64.b64encode(data).decode()


def plain(name=TARO, password=PASSWORD):
    """The message of PLAIN (RFC 4616), encoded."""
    return encode(f'\0{name}\0{password}')


def chain_file(server):
    """The certificate that `init` made."""
    return server.dir / 'tls' / 'fullchain.pem'


class Submission(Session):
    """A connection to port 587 (or another), encrypted by STARTTLS; or to 465, with `is_implicit`.

    EHLO has been said; `offers` are the lines of the last reply to it. With is_encrypted=False it
    stays in the clear.
    """

    def __init__(self, server, is_implicit=False, is_encrypted=True, port=None):
        port = port or (465 + server.offset if is_implicit else server.submission_port)
        super().__init__(port)
        self.context = ssl.create_default_context(cafile=chain_file(server))
        self.offers = []
        if is_implicit:
            self.shake_hands()
        greeting = self.reply()
        assert greeting.startswith('220'), greeting
        self.hello()
        if is_encrypted and not is_implicit:
            self.command('STARTTLS', 220)
            self.shake_hands()
            self.hello()

    def shake_hands(self):
        """TLS from here on."""
        self.socket = self.context.wrap_socket(self.socket, server_hostname=HOSTNAME)

    def hello(self):
        """EHLO."""
        reply = self.command('EHLO client.example', 250)
        self.offers = [line[4:] for line in reply.splitlines()[1:]]

    def offer(self, keyword):
        """The words behind a keyword of EHLO; None when it is not offered."""
        for line in self.offers:
            words = line.split()
            if words[0] == keyword:
                return words[1:]
        return None

    def log_in(self, name=TARO, password=PASSWORD, code=235):
        """PLAIN in one step."""
        return self.command(f'AUTH PLAIN {plain(name, password)}', code)

    def mail(self, text, sender=TARO, to=(TARO,), params=''):
        """One message with these lines; the reply at its end, or the first refusal before."""
        steps = [f'MAIL FROM:<{sender}>{params}', *(f'RCPT TO:<{one}>' for one in to)]
        for step in steps:
            reply = self.command(step)
            if not reply.startswith('250'):
                return reply
        self.command('DATA', 354)
        return self.command(text.replace('\n', '\r\n') + '\r\n.')


class Scram:
    """The client of one SCRAM conversation (RFC 5802 section 5; RFC 5929 section 4 for the binding
    tls-server-end-point). What it says is in attributes that a test may spoil before it is sent."""

    def __init__(self, session, mechanism, name=TARO, password=PASSWORD, header=None):
        self.session, self.mechanism, self.password = session, mechanism, password
        self.hash = 'sha256' if 'SHA-256' in mechanism else 'sha1'
        is_plus = mechanism.endswith('-PLUS')
        self.header = header or ('p=tls-server-end-point,,' if is_plus else 'n,,')
        self.binding = self._end_point() if is_plus else b''
        self.bare = f'n={name},r={encode(os.urandom(18))}'
        self.signature = None

    def _end_point(self):
        certificate = self.session.socket.getpeercert(binary_form=True)
        return hashlib.sha256(certificate).digest()

    def _hmac(self, key, text):
        return hmac.digest(key, text, self.hash)

    def start(self):
        """Sends the first message. The server's, or its refusal as it stands."""
        reply = self.session.command(f'AUTH {self.mechanism} {encode(self.header + self.bare)}')
        return base64.b64decode(reply[4:]).decode() if reply.startswith('334') else reply

    def final(self, first):
        """The last message, with the proof, to the server's first."""
        fields = dict(field.split('=', 1) for field in first.split(','))
        salted = hashlib.pbkdf2_hmac(self.hash, self.password.encode(),
                                     base64.b64decode(fields['s']), int(fields['i']))
        key = self._hmac(salted, b'Client Key')
        without = f'c={encode(self.header.encode() + self.binding)},r={fields["r"]}'
        told = f'{self.bare},{first},{without}'.encode()
        stamp = self._hmac(hashlib.new(self.hash, key).digest(), told)
        proof = bytes(a ^ b for a, b in zip(key, stamp))
        self.signature = self._hmac(self._hmac(salted, b'Server Key'), told)
        return f'{without},p={encode(proof)}'

    def end(self, final):
        """Sends the last message; the reply to all, after the server's own proof was checked."""
        reply = self.session.command(encode(final))
        if not reply.startswith('334'):
            return reply
        assert base64.b64decode(reply[4:]).decode() == 'v=' + encode(self.signature)
        return self.session.command('')

    def run(self):
        """The whole conversation; the last reply."""
        first = self.start()
        return self.end(self.final(first)) if first.startswith('r=') else first
