"""Exim and OpenSMTPD as clients of one server over TLS; Postfix is in tls_peers.py.

    with EximClient(server) as exim:
        exim.send('smtp', letter, sender, recipient)

They look the server up by its name, which their own /etc/hosts says is here, and verify its
certificate. Ways to send are 'smtp' (25), 'submission' (587) and 'submissions' (465); at the latter
two they log in.
"""
import pathlib
import shutil
import subprocess
import tempfile

from hikyaku import Session
from peers import OpenSmtpd, environment, unpack
from submission import chain_file

# Name, table of hosts, command: in a namespace of its own.
WITH_HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
# The same with a file of authorities, for a program that has none but the machine's.
WITH_AUTHORITIES = ('mount --bind "$1" /etc/ssl/certs/ca-certificates.crt && shift && ' +
                    WITH_HOSTS)

EXIM_CONF = """\
primary_hostname = exim.example.net
exim_path = {root}/usr/sbin/exim4
spool_directory = {dir}/spool
log_file_path = {dir}/spool/%s.log
keep_environment = LD_LIBRARY_PATH
local_interfaces = 127.0.0.1
tls_advertise_hosts =
log_selector = +smtp_confirmation +tls_certificate_verified
begin routers
{routers}
begin transports
{transports}
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^{name}^{password}
login:
  driver = plaintext
  public_name = LOGIN
  client_send = : {name} : {password}
"""
EXIM_ROUTER = """\
{way}:
  driver = manualroute
  condition = ${{if eq{{$local_part}}{{{local_part}}}}}
  route_list = * {host}::{port} byname
  self = send
  transport = {way}
  no_more
"""
EXIM_TRANSPORT = """\
{way}:
  driver = smtp
  protocol = {protocol}
  hosts_require_tls = *
  tls_verify_certificates = {authorities}
  tls_verify_hosts = *
  hosts_require_auth = {auth}
  hosts_try_auth = {auth}
"""


class EximClient:
    """Needs no daemon: what is sent is delivered before the command ends. `mechanism` is PLAIN or
    LOGIN."""
    package = 'exim4-daemon-light'
    user = 'Debian-exim'

    def __init__(self, server, login, ways, authorities=None):
        self.root = unpack(self.package)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='eximclient-'))
        self.dir.chmod(0o755)
        (self.dir / 'spool').mkdir()
        shutil.chown(self.dir / 'spool', self.user, self.user)
        shutil.copyfile(authorities or chain_file(server), self.dir / 'authorities.pem')
        (self.dir / 'hosts').write_text(f'127.0.0.1 localhost {server.hostname}\n')
        self._configure(server, login, ways)

    def _configure(self, server, login, ways):
        """`ways`: {local part of the recipient: way}."""
        ports = {'smtp': server.port, 'submission': server.submission_port,
                 'submissions': server.submissions_port}
        routers = ''.join(EXIM_ROUTER.format(way=f'{way}', local_part=part, port=ports[way],
                                             host=server.hostname)
                          for part, way in ways.items())
        transports = ''.join(EXIM_TRANSPORT.format(
            way=way, protocol='smtps' if way == 'submissions' else 'smtp',
            auth='' if way == 'smtp' else '*', authorities=self.dir / 'authorities.pem')
            for way in ways.values())
        (self.dir / 'exim.conf').write_text(EXIM_CONF.format(
            root=self.root, dir=self.dir, name=login[0], password=login[1], routers=routers,
            transports=transports))

    def send(self, message, sender, recipient):
        """Delivers a message (bytes), or leaves it in the queue."""
        command = ['unshare', '-m', 'sh', '-c', WITH_HOSTS, 'sh', self.dir / 'hosts',
                   self.root / 'usr/sbin/exim4', '-C', self.dir / 'exim.conf', '-odi', '-f', sender,
                   recipient]
        run = subprocess.run(command, input=message, env=environment(self.root),
                             capture_output=True, timeout=60, check=False)
        assert run.returncode == 0, run.stderr.decode(errors='replace') + self.log()

    def log(self):
        """What it logged."""
        return ''.join(p.read_text(errors='replace') for p in self.dir.glob('spool/*.log'))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir, ignore_errors=True)


SMTPD_CONF = """\
table logins {{ "user" = "{name}:{password}" }}
listen on 127.0.0.1 port {port}
{actions}
"""
SMTPD_WAYS = {'smtp': 'smtp+tls://{host}:{port}"',
              'submission': 'smtp+tls://user@{host}:{port}" auth <logins>',
              'submissions': 'smtps://user@{host}:{port}" auth <logins>'}


class OpenSmtpdClient(OpenSmtpd):
    """A daemon that takes mail from everybody and sends it on."""

    def __init__(self, server, login, ways, authorities=None):
        """`ways`: {recipient: way}."""
        super().__init__()
        shutil.copyfile(authorities or chain_file(server), self.dir / 'authorities.pem')
        (self.dir / 'hosts').write_text(f'127.0.0.1 localhost {server.hostname}\n')
        ports = {'smtp': server.port, 'submission': server.submission_port,
                 'submissions': server.submissions_port}
        actions = ''
        for number, (recipient, way) in enumerate(ways.items()):
            url = SMTPD_WAYS[way].format(host=server.hostname, port=ports[way])
            actions += (f'action "way{number}" relay host "{url}\n'
                        f'match from any for rcpt-to "{recipient}" action "way{number}"\n')
        (self.dir / 'smtpd.conf').write_text(SMTPD_CONF.format(
            name=login[0], password=login[1], port=self.port, actions=actions))

    def _command(self):
        unshare, mount, shell, option, *rest = super()._command()
        return [unshare, mount, shell, option, WITH_AUTHORITIES, 'sh', self.dir / 'authorities.pem',
                self.dir / 'hosts', shell, option, *rest]

    def send(self, message, sender, recipient):
        """Gives it a message (bytes)."""
        with Session(self.port) as session:
            session.reply()
            session.command('EHLO client.example', 250)
            session.command(f'MAIL FROM:<{sender}>', 250)
            session.command(f'RCPT TO:<{recipient}>', 250)
            session.command('DATA', 354)
            session.send(message.replace(b'\n', b'\r\n').replace(b'\r\n.', b'\r\n..') + b'.\r\n')
            assert session.reply().startswith('250')
