"""Real mail servers from Debian as peers in tests, run from an unpacked copy (see tools/peer.sh).

Each is a whole instance with its own configuration, queue and log in a temporary directory: it
relays everything to one port, and, where asked, takes mail for some domains, all of which lands in
one mailbox, each copy with the recipient in a Delivered-To field. Postfix and OpenSMTPD also send
their own mail, such as notices of delivery, to that port. Exim offers no DSN, as it comes.
All need root, since they change users; tests skip where that is not so.
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile

from hikyaku import ROOT, free_port, until

PEERS = ROOT / 'build-check' / 'peers'
QUEUE_DIRS = ('active bounce corrupt defer deferred flush hold incoming private public maildrop '
              'pid saved trace').split()

MAIN_CF = """\
compatibility_level = 3.6
config_directory = {dir}/etc
queue_directory = {dir}/queue
data_directory = {dir}/data
daemon_directory = {root}/usr/lib/postfix/sbin
command_directory = {root}/usr/sbin
shlib_directory = {root}/usr/lib/postfix
meta_directory = {root}/etc/postfix
sendmail_path = {root}/usr/sbin/sendmail
mail_owner = postfix
setgid_group = postdrop
import_environment = MAIL_CONFIG TZ LANG=C {variables}
export_environment = MAIL_CONFIG TZ LANG=C {variables}
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
myhostname = {hostname}
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
local_transport = error:no local delivery here
relayhost = {relayhost}
disable_dns_lookups = yes
smtp_host_lookup = native
smtp_tls_security_level = none
smtputf8_enable = yes
biff = no
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
"""

# Ends the server when our end of the pipe closes: it does not outlive a test run that was killed.
KEEPER = '"$@" </dev/null & read -r _; kill $! && wait $!'

# service type private unpriv chroot wakeup maxproc command
MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


EXIM_CONF = """\
primary_hostname = {hostname}
exim_path = {root}/usr/sbin/exim4
spool_directory = {dir}/data
log_file_path = {dir}/data/%s.log
pid_file_path = {dir}/data/pid
log_selector = +smtp_connection +tls_cipher
smtp_accept_queue_per_connection = 0
local_interfaces = 127.0.0.1
daemon_smtp_ports = {ports}
keep_environment = LD_LIBRARY_PATH
deliver_drop_privilege = true
{main}
host_lookup =
acl_smtp_rcpt = rcpt
acl_smtp_data = data
begin acl
{acl}
rcpt:
  deny recipients = {refuses}
       message = {refusal}
  accept domains = {domains}
  deny message = relay not permitted
data:
  deny condition = ${{if > {{$max_received_linelength}}{{998}}}}
       message = lines have 998 octets at most, not $max_received_linelength
  accept
begin routers
box:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  directory = {dir}/mail/box
  create_directory = true
  maildir_format = true
  message_prefix = Delivered-To: $local_part@$domain\\n
  user = {user}
{sections}
"""

SMTPD_CONF = """\
listen on 127.0.0.1 port {port} hostname {hostname}
action "box" maildir "{dir}/mail/box" virtual {{ "@" = "{user}" }}
action "back" relay host "smtp://127.0.0.1:{relay_port}"
match from any for rcpt-to "{refuses}" reject
match from any for domain {{ {domains} }} action "box"
match from local for any action "back"
"""

# OpenSMTPD's folders are compiled in: it sees its own ones there, and nobody else does.
SMTPD_NAMESPACE = """\
mount -t tmpfs none /var/spool && mount -t tmpfs none /var/lib && mount -t tmpfs none /run &&
mkdir -m 755 -p /var/lib/opensmtpd/empty && mount --bind "$1/usr/libexec" /usr/libexec &&
shift && exec "$@"
"""


class PeerMissing(Exception):
    """The peer cannot run here; the text says why. Tests turn it into a skip."""


def unpack(name):
    """Root of the unpacked Debian package(s) `name`; or PeerMissing, when it is out of reach."""
    run = subprocess.run([ROOT / 'tools' / 'peer.sh', name, PEERS], capture_output=True, text=True,
                         timeout=300, check=False)
    if run.returncode != 0:
        raise PeerMissing(f'{name} cannot be unpacked: {run.stderr.strip()[-300:]}')
    return pathlib.Path(run.stdout.strip())


def environment(root):
    """The environment in which programs below `root` find their libraries."""
    return dict(os.environ, LD_LIBRARY_PATH=(root / 'libpath').read_text().strip())


def smtp_source(port, *options, host='127.0.0.1', timeout=60):
    """Runs Postfix's load generator `smtp-source` against a port."""
    root = unpack('postfix')
    return subprocess.run([root / 'usr/sbin/smtp-source', *options, f'{host}:{port}'],
                          env=environment(root), capture_output=True, text=True, timeout=timeout,
                          check=False)


class Peer:
    """What the servers here have in common: a directory, a process, a mailbox, a log.

    A subclass says which Debian package it is, what its log says when it listens and when somebody
    connects (a pattern), with which words it refuses the recipient `refuses`, and whether it offers
    DSN.
    """
    package = ''
    listening = ''
    connected = ''
    refusal = 'Nobody of that name lives here'
    has_dsn = True
    log_name = 'log'

    def __init__(self, hostname):
        if os.getuid() != 0:
            raise PeerMissing(f'{self.package} starts only as root')
        self.hostname = hostname
        self.root = unpack(self.package)
        self.port = free_port()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f'{type(self).__name__.lower()}-'))
        self.dir.chmod(0o755)
        self.process = None

    def _make_dirs(self, user, *names):
        for name in names:
            (self.dir / name).mkdir(mode=0o755)
            shutil.chown(self.dir / name, user, user)

    def _command(self):
        """The words of the command that runs the server in the foreground."""
        raise NotImplementedError

    def start(self):
        """Starts the instance and waits until its port answers."""
        with open(self.dir / 'stderr', 'wb') as stderr:
            self.process = subprocess.Popen(
                ['sh', '-mc', KEEPER, 'sh', *self._command()], env=self.environment(),
                stdin=subprocess.PIPE, stdout=stderr, stderr=stderr, start_new_session=True)
        try:
            until(self._answers, 20, f'{self.package} to listen')
        except AssertionError:
            text = self.log()
            self.stop()
            raise PeerMissing(f'{self.package} does not start: {text[-500:]}') from None
        return self

    def _answers(self):
        assert self.process.poll() is None, f'{self.package} died: ' + self.log()[-500:]
        return self.listening in self.log()

    def environment(self):
        """The environment for its programs."""
        return environment(self.root)

    def messages(self):
        """The messages delivered for `domains`, as bytes, oldest first."""
        files = (self.dir / 'mail').glob('box/new/*')
        return [p.read_bytes() for p in sorted(files, key=lambda p: p.stat().st_mtime_ns)]

    def connections(self):
        """How many connections it has taken."""
        return len(re.findall(self.connected, self.log()))

    def log(self):
        """What the server logged."""
        parts = (self.dir / 'stderr', self.dir / self.log_name)
        return ''.join(p.read_text(errors='replace') for p in parts if p.exists())

    def stop(self):
        """Ends the instance and removes its directory."""
        if self.process and self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Postfix(Peer):
    """A Postfix that relays all mail to 127.0.0.1:`relay_port` and takes mail for `domains`."""
    package = 'postfix'
    listening = 'daemon started'
    connected = r'\]: connect from '

    def __init__(self, relay_port=None, hostname='postfix.example.net', domains=(), extra='',
                 refuses=None):
        super().__init__(hostname)
        relayhost = f'[127.0.0.1]:{relay_port}' if relay_port else ''
        self._make_queue()
        owner = os.stat(self.dir / 'data')
        values = dict(dir=self.dir, root=self.root, hostname=hostname, relayhost=relayhost,
                      variables=self._variables(), port=self.port,
                      domains=' '.join(domains), uid=owner.st_uid, gid=owner.st_gid)
        if refuses:
            extra += ('smtpd_recipient_restrictions = check_recipient_access '
                      f'inline:{{{{{refuses} = 550 5.1.1 {self.refusal}}}}}\n')
        (self.dir / 'etc/main.cf').write_text(MAIN_CF.format(**values) + extra)
        (self.dir / 'etc/master.cf').write_text(MASTER_CF.format(**values))

    def _variables(self):
        """What its programs need in their environment."""
        return f'LD_LIBRARY_PATH={(self.root / "libpath").read_text().strip()}'

    def _make_queue(self):
        self._make_dirs('root', 'etc', 'queue', 'queue/pid')
        self._make_dirs('postfix', 'data', 'mail',
                        *('queue/' + d for d in QUEUE_DIRS if d != 'pid'))
        for name, mode in (('maildrop', 0o1730), ('public', 0o2710)):
            shutil.chown(self.dir / 'queue' / name, 'postfix', 'postdrop')
            (self.dir / 'queue' / name).chmod(mode)

    def _command(self):
        return [self.root / 'usr/lib/postfix/sbin/master', '-c', self.dir / 'etc', '-d']

    def environment(self):
        return dict(environment(self.root), MAIL_CONFIG=str(self.dir / 'etc'))

    def sendmail(self, message, sender, *recipients, options=()):
        """Queues a message (bytes) with Postfix's sendmail."""
        run = subprocess.run([self.root / 'usr/sbin/sendmail', '-i', *options, '-f', sender,
                              '--', *recipients], input=message, env=self.environment(),
                             capture_output=True, timeout=30, check=False)
        assert run.returncode == 0, run.stderr.decode(errors='replace')

    def flush(self):
        """Tries all deferred mail now."""
        subprocess.run([self.root / 'usr/sbin/postqueue', '-f'], env=self.environment(),
                       capture_output=True, timeout=30, check=True)

    def queue(self):
        """The text of mailq."""
        run = subprocess.run([self.root / 'usr/sbin/postqueue', '-p'], env=self.environment(),
                             capture_output=True, text=True, timeout=30, check=True)
        return run.stdout

    def is_empty(self):
        """Whether nothing waits in the queue."""
        return 'is empty' in self.queue()


class Exim(Peer):
    """An Exim that takes mail for `domains`; it sends none. Offers CHUNKING, but no DSN."""
    package = 'exim4-daemon-light'
    listening = 'listening for SMTP'
    connected = r'SMTP connection from .*\(TCP/IP connection count'
    log_name = 'data/main.log'
    user = 'Debian-exim'
    has_dsn = False

    def __init__(self, relay_port=None, hostname='exim.example.net', domains=(), refuses=''):
        super().__init__(hostname)
        del relay_port
        self._make_dirs(self.user, 'data', 'mail')
        (self.dir / 'exim.conf').write_text(EXIM_CONF.format(
            dir=self.dir, root=self.root, hostname=hostname, user=self.user,
            domains=' : '.join(domains), refuses=refuses, refusal=self.refusal, **self._more()))

    def _more(self):
        """Its ports and more of its configuration, by the names that EXIM_CONF has for them."""
        return {'ports': self.port, 'main': 'tls_advertise_hosts =', 'acl': '', 'sections': ''}

    def _command(self):
        return [self.root / 'usr/sbin/exim4', '-bdf', '-C', self.dir / 'exim.conf']


class OpenSmtpd(Peer):
    """An OpenSMTPD that takes mail for `domains` and sends its own mail to 127.0.0.1:`relay_port`.
    Offers DSN (its reports are multipart/mixed), but no CHUNKING."""
    package = 'opensmtpd'
    connected = 'smtp connected address='
    refusal = 'Invalid recipient'
    user = 'nobody'

    def __init__(self, relay_port=9, hostname='opensmtpd.example.net', domains=(), refuses=''):
        probe = subprocess.run(['unshare', '-m', 'mount', '-t', 'tmpfs', 'none', '/run'],
                               capture_output=True, text=True, timeout=30, check=False)
        if probe.returncode != 0:
            raise PeerMissing(f'opensmtpd needs folders of its own: {probe.stderr.strip()}')
        super().__init__(hostname)
        (self.dir / 'mail').mkdir()
        shutil.chown(self.dir / 'mail', self.user)
        (self.dir / 'smtpd.conf').write_text(SMTPD_CONF.format(
            dir=self.dir, hostname=hostname, port=self.port, user=self.user, refuses=refuses,
            relay_port=relay_port, domains=', '.join(f'"{d}"' for d in domains)))

    def _answers(self):  # it logs nothing when it listens
        assert super()._answers()
        try:
            with socket.create_connection(('127.0.0.1', self.port), 1) as probe:
                return probe.recv(3) == b'220'
        except OSError:
            return False

    def _command(self):
        return ['unshare', '-m', 'sh', '-c', SMTPD_NAMESPACE, 'sh', self.root,
                self.root / 'usr/sbin/smtpd', '-d', '-f', self.dir / 'smtpd.conf']
