"""Servers that take mail from users: TLS, a login for each connection; and TLS measured alone.

Every account has the same password. Hikyaku keeps it as argon2id and remembers for minutes that it
was right (one contestant is told not to); Dovecot, whom Postfix asks, has the password in its
configuration and hashes nothing. All certificates are ECDSA P-256, and the clients resume nothing.
"""
import contextlib
import re
import socket
import ssl
import subprocess
import time

import hikyaku
from contestants import LOCAL_DOMAIN, USERS, Dovecot, Hikyaku, Postfix
from hikyaku import free_port, until

PASSWORD = 'correct-horse-battery-staple'
LOGIN = f'user%@{LOCAL_DOMAIN}'
SECONDS = re.compile(r'(\d+) connections in ([\d.]+)s;')

FREE_ACCOUNTS = {'submission.messages_per_minute': '0', 'submission.recipients_per_day': '0',
                 'submission.new_recipients_per_day': '0'}
POSTFIX_SUBMISSION = """
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_sasl_type = dovecot
smtpd_sasl_path = {dovecot}/run/postfix
"""
MASTER_CF = """\
127.0.0.1:{submission} inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes
127.0.0.1:{submissions} inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes
 -o smtpd_tls_wrappermode=yes
"""
DOVECOT_AUTH = """
auth_mechanisms = plain
passdb {{
  driver = static
  args = password={password}
}}
service auth {{
  unix_listener postfix {{
    mode = 0666
  }}
}}
"""


class SubmittingHikyaku(Hikyaku):
    """Hikyaku with accounts; what they send is held."""

    def __init__(self, name='Hikyaku', settings=None):
        super().__init__(settings={**FREE_ACCOUNTS, **(settings or {})})
        self.name = name

    @property
    def submission_port(self):
        return self.server.submission_port

    @property
    def submissions_port(self):
        return self.server.submissions_port

    def start(self):
        """Makes the instance and its accounts."""
        super().start()
        for user in range(USERS):
            self.server.add_account(LOGIN.replace('%', str(user)), PASSWORD)


def forgetful_hikyaku():
    """The same, but each login is checked anew: an argon2id for each."""
    return SubmittingHikyaku('Hikyaku, no cache', {'auth.cache': '0s'})


def make_certificate(folder):
    """Paths of a self-signed certificate and its key in the folder."""
    certificate, key = folder / 'certificate.pem', folder / 'key.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                    'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=mx.example.jp', '-days',
                    '30', '-keyout', key, '-out', certificate],
                   check=True, capture_output=True, timeout=30)
    return certificate, key


class SubmittingPostfix(Postfix):
    """Postfix that asks Dovecot whether a password is right, and holds all mail."""
    name = 'Postfix+Dovecot'

    def __init__(self):
        self.dovecot = Dovecot(conf=DOVECOT_AUTH.format(password=PASSWORD))
        self.submission_port, self.submissions_port = free_port(), free_port()
        super().__init__()
        certificate, key = make_certificate(self.server.dir)
        with open(self.server.dir / 'etc/main.cf', 'a', encoding='utf-8') as file:
            file.write(POSTFIX_SUBMISSION.format(certificate=certificate, key=key,
                                                 dovecot=self.dovecot.dir))
        with open(self.server.dir / 'etc/master.cf', 'a', encoding='utf-8') as file:
            file.write(MASTER_CF.format(submission=self.submission_port,
                                        submissions=self.submissions_port))

    def start(self):
        """Starts both."""
        with self.meter.adopt():
            self.dovecot.start()
            self.server.start()

    def stop(self):
        """Ends both."""
        super().stop()
        self.dovecot.stop()


# --- handshakes ---

def _s_time(port, seconds):
    """Full handshakes a second that `openssl s_time` makes, one after the other."""
    begin = time.monotonic()
    run = subprocess.run(['openssl', 's_time', '-connect', f'127.0.0.1:{port}', '-new', '-time',
                          str(seconds)], capture_output=True, text=True, timeout=seconds + 20,
                         check=False)
    elapsed = time.monotonic() - begin
    found = SECONDS.search(run.stdout)
    assert found, f'openssl s_time: {(run.stdout + run.stderr)[-300:]}'
    return int(found.group(1)) / elapsed


@contextlib.contextmanager
def _s_server(folder):
    """openssl s_server with a server's certificate; its port."""
    port = free_port()
    process = subprocess.Popen(
        ['openssl', 's_server', '-accept', f'127.0.0.1:{port}', '-quiet',
         '-cert', folder / 'tls/fullchain.pem', '-key', folder / 'tls/privkey.pem'],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=hikyaku.die_with_parent)
    try:
        until(lambda: not hikyaku.is_free(port), 10, 'openssl s_server to listen')
        yield port
    finally:
        process.kill()
        process.wait(5)
        process.stdin.close()


def handshakes(seconds):
    """One round: s_time against port 465, and against s_server with the same certificate."""
    server = SubmittingHikyaku()
    try:
        server.start()
        _s_time(server.submissions_port, 1)
        used = server.meter.cpu_s()
        ours = _s_time(server.submissions_port, seconds)
        used = server.meter.cpu_s() - used
        with _s_server(server.server.dir) as port:
            _s_time(port, 1)
            theirs = _s_time(port, seconds)
    finally:
        server.stop()
    return {'rate': ours, 'cpu_ms': used * 1000 / (ours * seconds), 'openssl_rate': theirs,
            'ratio': ours / theirs}


# --- idle connections ---

IDLE_CONNECTIONS = 5000


def idle_hikyaku():
    """One that takes so many connections from one address."""
    return SubmittingHikyaku(settings={'smtp.max_connections_per_address': '6000'})


def greet_over_tls(port, stack):
    """A connection to a port that begins with TLS, after EHLO; kept until the stack ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection(('127.0.0.1', port), 20)
    connection = stack.enter_context(context.wrap_socket(plain))
    assert connection.recv(512).startswith(b'220 ')
    connection.sendall(b'EHLO idle.example.net\r\n')
    said = b''
    while not re.search(rb'^250 .*\r\n', said, re.MULTILINE):
        piece = connection.recv(4096)
        assert piece, said
        said += piece

