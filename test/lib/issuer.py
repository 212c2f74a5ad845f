"""An identity provider for tests: publishes its keys, signs tokens, tells what tokens are worth.

    with Issuer(tmp_path) as issuer:
        token = issuer.token(email='taro@example.jp')

HTTPS on loopback with a certificate of its own authority (`ca_path`), by Python's library alone.
`requests` has the paths that were asked; `status`, `delay` and `is_down` spoil the answers.
"""
import base64
import http.server
import json
import ssl
import threading
import time
import urllib.parse

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from pki import Authority

AUDIENCE = 'mail'
CLIENT, SECRET = 'mail server', 'p/ss+word'


def encode(data):
    """base64url of bytes, text or what becomes JSON."""
    if not isinstance(data, (bytes, str)):
        data = json.dumps(data)
    data = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


def number(value, size=None):
    """A number as JWK has it."""
    return encode(value.to_bytes(size or (value.bit_length() + 7) // 8, 'big'))


class Key:
    """A key that signs: RS256, ES256 or EdDSA by its kind."""

    def __init__(self, kid, alg='ES256'):
        self.kid, self.alg = kid, alg
        self.private = {'RS256': lambda: rsa.generate_private_key(65537, 2048),
                        'PS256': lambda: rsa.generate_private_key(65537, 2048),
                        'ES256': lambda: ec.generate_private_key(ec.SECP256R1()),
                        'EdDSA': ed25519.Ed25519PrivateKey.generate}[alg]()

    def jwk(self):
        """The public part."""
        public = self.private.public_key()
        base = {'kid': self.kid, 'use': 'sig', 'alg': self.alg}
        if self.alg in ('RS256', 'PS256'):
            numbers = public.public_numbers()
            return {**base, 'kty': 'RSA', 'n': number(numbers.n), 'e': number(numbers.e)}
        if self.alg == 'ES256':
            numbers = public.public_numbers()
            return {**base, 'kty': 'EC', 'crv': 'P-256', 'x': number(numbers.x, 32),
                    'y': number(numbers.y, 32)}
        raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {**base, 'kty': 'OKP', 'crv': 'Ed25519', 'x': encode(raw)}

    def sign(self, text):
        """The signature as JWS has it."""
        if self.alg == 'RS256':
            return self.private.sign(text, padding.PKCS1v15(), hashes.SHA256())
        if self.alg == 'PS256':
            return self.private.sign(text, padding.PSS(padding.MGF1(hashes.SHA256()), 32),
                                     hashes.SHA256())
        if self.alg == 'EdDSA':
            return self.private.sign(text)
        r, s = utils.decode_dss_signature(self.private.sign(text, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, 'big') + s.to_bytes(32, 'big')


class Handler(http.server.BaseHTTPRequestHandler):
    """What is asked of it."""
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        """Nobody reads it."""

    def do_GET(self):
        """Discovery and keys."""
        self.answer(self.server.issuer.get(self.path))

    def do_POST(self):
        """Introspection."""
        length = int(self.headers.get('Content-Length', 0))
        form = urllib.parse.parse_qs(self.rfile.read(length).decode())
        issuer = self.server.issuer
        wanted = ':'.join(urllib.parse.quote(text, safe='') for text in (CLIENT, SECRET))
        given = self.headers.get('Authorization', '')
        if given != 'Basic ' + base64.b64encode(wanted.encode()).decode():
            self.answer((401, {'error': 'invalid_client'}))
            return
        self.answer(issuer.introspect(self.path, form.get('token', [''])[0]))

    def answer(self, said):
        """Sends it, or what the test wants instead."""
        issuer = self.server.issuer
        status, body = said
        issuer.requests.append(self.path)
        deadline = time.monotonic() + issuer.delay
        while time.monotonic() < deadline and issuer.delay:
            time.sleep(0.02)
        if issuer.server is None:
            self.close_connection = True  # also those that were kept
            return
        data = json.dumps(body).encode()
        self.send_response(issuer.status or status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Listener(http.server.ThreadingHTTPServer):
    """A thread for each connection; what breaks there is the other end's doing."""
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients go away."""


class Issuer:
    """The provider. `url` is its name."""

    def __init__(self, folder, host='127.0.0.1', port=0):
        self.host = host
        authority = Authority(folder, 'Web')
        self.ca_path = authority.path
        self.certificate = authority.issue('issuer', hosts=['localhost'],
                                           addresses=['127.0.0.1'],
                                           usage=ExtendedKeyUsageOID.SERVER_AUTH)
        self.keys = [Key('one')]
        self.tokens = {}
        self.requests, self.status, self.delay = [], None, 0
        self.port, self.server = port, None

    @property
    def url(self):
        """By which tokens name it."""
        return f'https://{self.host}:{self.port}'

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *_):
        self.down()

    def up(self):
        """Listens, at the same port as before."""
        self.server = Listener(('127.0.0.1', self.port), Handler)
        self.server.issuer = self
        self.port = self.server.server_address[1]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate.chain, self.certificate.key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self):
        """Refuses connections."""
        self.delay = 0
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def get(self, path):
        """The answer to a GET."""
        if path == '/.well-known/openid-configuration':
            return 200, {'issuer': self.url, 'jwks_uri': f'{self.url}/keys'}
        if path == '/keys':
            return 200, {'keys': [key.jwk() for key in self.keys]}
        return 404, {}

    def introspect(self, path, token):
        """What a token is worth (RFC 7662)."""
        if path != '/introspect':
            return 404, {}
        return 200, self.tokens.get(token, {'active': False})

    def claims(self, now, **more):
        """What a good token says; None takes a claim out."""
        claims = {'iss': self.url, 'aud': AUDIENCE, 'iat': int(now), 'exp': int(now) + 600,
                  'sub': '1234', **more}
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key=None, header=None, now=None, **claims):
        """A signed one."""
        key = key or self.keys[0]
        head = {'alg': key.alg, 'kid': key.kid, 'typ': 'at+jwt', **(header or {})}
        now = time.time() if now is None else now
        text = f'{encode(head)}.{encode(self.claims(now, **claims))}'
        return f'{text}.{encode(key.sign(text.encode()))}'

    def settings(self, how='keys'):
        """For the server under test."""
        common = {'tls.ca_file': f'"{self.ca_path}"', 'auth.oauth': how,
                  'auth.oauth_issuer': f'"{self.url}"', 'auth.oauth_audience': AUDIENCE,
                  'auth.oauth_timeout': '2s', 'auth.oauth_scope': '"mail"'}
        if how == 'keys':
            return common
        secret = self.ca_path.with_name('secret')
        secret.write_text(SECRET + '\n')
        secret.chmod(0o600)
        return {**common, 'auth.oauth_introspection_url': f'"{self.url}/introspect"',
                'auth.oauth_client_id': f'"{CLIENT}"',
                'auth.oauth_client_secret_file': f'"{secret}"'}
