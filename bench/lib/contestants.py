"""The servers that are measured, all with the same face: start, port, meter, stop.

Hikyaku runs with its defaults; only relaying is allowed and the limits on connections are raised,
as they are for the others. Postfix holds what it accepts, which is the least it can do. For local
delivery it hands over to Dovecot's LMTP server, unpacked too: Dovecot insists on its paths, so it
runs in a mount namespace of its own in which /usr shows its files over the machine's.
"""
import os
import pathlib
import shutil
import subprocess
import tempfile

import hikyaku
import peers
from hikyaku import free_port, until
from meter import Meter
from peers import PeerMissing

BINARY = os.environ.get('HIKYAKU', str(hikyaku.ROOT / 'build' / 'hikyaku'))
LOCAL_DOMAIN = 'example.jp'
FAR_DOMAIN = 'far.example.net'
USERS = 50
CONNECTIONS_MAX = 4000

POSTFIX_LIMITS = """
default_process_limit = 300
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
"""
POSTFIX_HOLD = """
smtpd_recipient_restrictions = check_client_access static:HOLD, permit_mynetworks, reject
"""
POSTFIX_LMTP = """
virtual_transport = lmtp:inet:127.0.0.1:{port}
"""
POSTFIX_PRELOAD = """
import_environment = MAIL_CONFIG TZ LANG=C LD_LIBRARY_PATH={libpath} LD_PRELOAD={preload}
"""
DOVECOT_CONF = """
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
protocols = lmtp
ssl = no
import_environment = TZ LD_LIBRARY_PATH LD_PRELOAD
mail_location = maildir:{dir}/mail/%n
first_valid_uid = 1
mail_uid = dovecot
mail_gid = dovecot
userdb {{
  driver = static
  args = uid=dovecot gid=dovecot home={dir}/mail/%n
}}
passdb {{
  driver = static
  args = nopassword=y
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""
DOVECOT_START = """
mount -t overlay overlay -o lowerdir="$1/usr":/usr /usr && exec /usr/sbin/dovecot -F -c "$2"
"""


class Hikyaku:
    """Hikyaku; `preload` is a library for LD_PRELOAD."""
    name = 'Hikyaku'
    delivers_before_reply = True

    def __init__(self, preload=None, has_users=False):
        if not pathlib.Path(BINARY).exists():
            raise PeerMissing(f'{BINARY} is not there: run make first')
        settings = {'smtp.relay_networks': '["127.0.0.0/8"]',
                    'smtp.max_connections_per_address': str(CONNECTIONS_MAX)}
        self.meter = Meter('hikyaku')
        self.has_users, self.preload = has_users, preload
        self.server = hikyaku.Server(settings=settings, domain=LOCAL_DOMAIN, binary=BINARY)
        self.server.env.pop('HIKYAKU_TEST_CLOCK')

    @property
    def port(self):
        return self.server.port

    def start(self):
        """Makes the instance and its accounts."""
        self.server.init()
        if self.preload:
            self.server.env['LD_PRELOAD'] = str(self.preload)
        with self.meter.adopt():
            self.server.start()
        self.server.env.pop('LD_PRELOAD', None)  # not for the command line
        for user in range(USERS if self.has_users else 0):
            self.server.cli('account', 'add', f'user{user}@{LOCAL_DOMAIN}', '--no-password')

    def counters(self):
        """Totals since the start: requests and groups of the store's commits, letters."""
        found = _flatten(self.server.cli_json('status'))
        return {key: found.get(key, 0) for key in ('commit_requests', 'commit_groups', 'messages')}

    def delivered(self):
        """Letters in all mailboxes."""
        return self.counters()['messages']

    def stop(self):
        """Ends it and removes its files."""
        try:
            self.server.stop(60)
        finally:
            self.server.remove()
            self.meter.remove()


def _flatten(value):
    """The numbers of a JSON object by their keys, however deep they lie."""
    found = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            found |= _flatten(inner)
        else:
            found[key] = inner
    return found


class _PostfixInstance(peers.Postfix):
    """Postfix that may run with a library preloaded and with an LMTP client."""

    def __init__(self, preload=None, domains=(), extra=''):
        self.preload = preload
        super().__init__(domains=domains, extra=extra)
        if preload:
            libpath = (self.root / 'libpath').read_text().strip()
            with open(self.dir / 'etc/main.cf', 'a', encoding='utf-8') as file:
                file.write(POSTFIX_PRELOAD.format(libpath=libpath, preload=preload))
        with open(self.dir / 'etc/master.cf', 'a', encoding='utf-8') as file:
            file.write('lmtp unix - - n - - lmtp\n')

    def environment(self):
        return dict(super().environment(),
                    **({'LD_PRELOAD': str(self.preload)} if self.preload else {}))


class Postfix:
    """Postfix, holding all mail in its queue."""
    name = 'Postfix'
    delivers_before_reply = False

    def __init__(self, preload=None):
        self.server = _PostfixInstance(preload=preload, extra=POSTFIX_LIMITS + POSTFIX_HOLD)
        self.meter = Meter('postfix')

    @property
    def port(self):
        return self.server.port

    def start(self):
        """Starts the instance."""
        with self.meter.adopt():
            self.server.start()

    def counters(self):
        """Postfix has no group commit to count."""
        return {}

    def stop(self):
        """Ends it and removes its files."""
        self.server.stop()
        self.meter.remove()


class Dovecot:
    """Dovecot with its LMTP server and Maildirs."""

    def __init__(self):
        self.root = peers.unpack('dovecot-core+dovecot-lmtpd')
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='dovecot-'))
        self.port = free_port()
        self.process = None
        self.dir.chmod(0o755)
        for name in ('mail', 'state'):
            (self.dir / name).mkdir()
            shutil.chown(self.dir / name, 'dovecot', 'dovecot')
        (self.dir / 'conf').write_text(DOVECOT_CONF.format(dir=self.dir, port=self.port))

    def start(self):
        """Starts it and waits for its greeting."""
        command = ['unshare', '--mount', 'sh', '-c', DOVECOT_START, 'sh', self.root,
                   self.dir / 'conf']
        with open(self.dir / 'stderr', 'wb') as stderr:
            self.process = subprocess.Popen(
                command, env=peers.environment(self.root), stdin=subprocess.DEVNULL, stdout=stderr,
                stderr=stderr, preexec_fn=hikyaku.die_with_parent)
        try:
            until(self._answers, 20, 'Dovecot to greet')
        except AssertionError:
            text = ''.join(path.read_text(errors='replace') for name in ('stderr', 'log')
                           if (path := self.dir / name).exists())
            self.stop()
            raise PeerMissing(f'Dovecot does not start: {text[-300:]}') from None

    def _answers(self):
        assert self.process.poll() is None
        try:
            with hikyaku.Session(self.port, timeout=5) as session:
                return session.reply()
        except OSError:
            return False

    def delivered(self):
        """Letters in all mailboxes."""
        return sum(len(os.listdir(path)) for path in (self.dir / 'mail').glob('*/new'))

    def stop(self):
        """Ends it and removes its files."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        shutil.rmtree(self.dir, ignore_errors=True)


class PostfixDovecot(Postfix):
    """Postfix that delivers to Dovecot by LMTP."""
    name = 'Postfix+Dovecot'

    def __init__(self):  # pylint: disable=super-init-not-called
        self.dovecot = Dovecot()
        extra = POSTFIX_LIMITS + POSTFIX_LMTP.format(port=self.dovecot.port)
        self.server = _PostfixInstance(domains=[LOCAL_DOMAIN], extra=extra)
        self.meter = Meter('postfix-dovecot')

    def start(self):
        """Starts both."""
        with self.meter.adopt():
            self.dovecot.start()
            self.server.start()

    def delivered(self):
        """Letters in all mailboxes."""
        return self.dovecot.delivered()

    def stop(self):
        """Ends both."""
        self.server.stop()
        self.dovecot.stop()
        self.meter.remove()
