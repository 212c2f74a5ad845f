"""Real mail servers from Debian as peers in tests, run from an unpacked copy (see tools/peer.sh).

Postfix runs as a whole instance with its own configuration, queue and log in a temporary directory:
as a sender that relays everything to one port, and, where asked, as a receiver for some domains.
Needs root, since Postfix's master insists on it; tests skip where that is not so.
"""
import os
import pathlib
import shutil
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
import_environment = MAIL_CONFIG TZ LANG=C LD_LIBRARY_PATH={libpath}
export_environment = MAIL_CONFIG TZ LANG=C LD_LIBRARY_PATH={libpath}
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
postlog unix-dgram n - n - 1 postlogd
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


class Postfix:
    """A Postfix that relays all mail to 127.0.0.1:`relay_port` and takes mail for `domains`."""

    def __init__(self, relay_port=None, hostname='postfix.example.net', domains=(), extra=''):
        if os.getuid() != 0:
            raise PeerMissing('Postfix starts only as root')
        self.root = unpack('postfix')
        self.port = free_port()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='postfix-'))
        self.process = None
        relayhost = f'[127.0.0.1]:{relay_port}' if relay_port else ''
        self._make_dirs()
        owner = os.stat(self.dir / 'data')
        values = dict(dir=self.dir, root=self.root, hostname=hostname, relayhost=relayhost,
                      libpath=(self.root / 'libpath').read_text().strip(), port=self.port,
                      domains=' '.join(domains), uid=owner.st_uid, gid=owner.st_gid)
        (self.dir / 'etc/main.cf').write_text(MAIN_CF.format(**values) + extra)
        (self.dir / 'etc/master.cf').write_text(MASTER_CF.format(**values))

    def _make_dirs(self):
        self.dir.chmod(0o755)
        for name in ('etc', 'data', 'queue', 'mail', *('queue/' + d for d in QUEUE_DIRS)):
            (self.dir / name).mkdir(mode=0o755)
        for name in ('data', 'mail', *('queue/' + d for d in QUEUE_DIRS if d != 'pid')):
            shutil.chown(self.dir / name, 'postfix', 'postfix')
        for name, mode in (('maildrop', 0o1730), ('public', 0o2710)):
            shutil.chown(self.dir / 'queue' / name, 'postfix', 'postdrop')
            (self.dir / 'queue' / name).chmod(mode)

    def start(self):
        """Starts the instance and waits until its port answers."""
        master = self.root / 'usr/lib/postfix/sbin/master'
        with open(self.dir / 'stderr', 'wb') as stderr:
            self.process = subprocess.Popen(
                ['sh', '-mc', KEEPER, 'sh', master, '-c', self.dir / 'etc', '-d'],
                env=self.environment(), stdin=subprocess.PIPE, stdout=stderr, stderr=stderr,
                start_new_session=True)
        try:
            until(self._answers, 20, 'Postfix to listen')
        except AssertionError:
            text = self.log()
            self.stop()
            raise PeerMissing(f'Postfix does not start: {text[-500:]}') from None
        return self

    def _answers(self):
        assert self.process.poll() is None, 'Postfix died: ' + self.log()[-500:]
        return 'daemon started' in self.log()

    def environment(self):
        """The environment for its programs."""
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

    def messages(self):
        """The messages delivered for `domains`, as bytes, oldest first."""
        files = (self.dir / 'mail').glob('box/new/*')
        return [p.read_bytes() for p in sorted(files, key=lambda p: p.stat().st_mtime_ns)]

    def log(self):
        """What Postfix logged."""
        parts = (self.dir / 'stderr', self.dir / 'log')
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
