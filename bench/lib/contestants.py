"""The servers that are measured, all with the same face: start, port, meter, stop.

Hikyaku runs with its defaults; only relaying is allowed and the limits on connections are raised,
as they are for the others. It and Postfix hold what they accept, which is the least they can do, or
relay it to a sink of their own, over as many connections as Hikyaku makes by itself. For local
delivery it hands over to Dovecot's LMTP server, unpacked too: Dovecot insists on its paths, so it
runs in a mount namespace of its own in which /usr shows its files over the machine's.
"""
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import time

import growth
import hikyaku
import peers
from hikyaku import free_port, until
from meter import Meter, process_cpu_s
from peers import PeerMissing

BINARY = os.environ.get('HIKYAKU', str(hikyaku.ROOT / 'build' / 'hikyaku'))
LOCAL_DOMAIN = 'example.jp'
FAR_DOMAIN = 'far.example.net'
SINK_DOMAIN = 'sink.example'
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
# As many connections to the sink as Hikyaku makes by itself, and from the first message on.
POSTFIX_RELAY = """
relayhost = [127.0.0.1]:{port}
default_destination_concurrency_limit = 20
initial_destination_concurrency = 20
"""
HIKYAKU_HOLD = """
route "hold" {
    to = [ "*" ]
    via = hold
}
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
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""
DOVECOT_ANYBODY = """
passdb {
  driver = static
  args = nopassword=y
}
"""
DOVECOT_START = """
mount -t overlay overlay -o lowerdir="$1/usr":/usr /usr && exec /usr/sbin/dovecot -F -c "$2"
"""


class Sink:
    """bench/smtpsink: takes all mail of one server, and counts."""

    def __init__(self, program):
        self.numbers = pathlib.Path(tempfile.mkstemp(prefix='sink-')[1])
        self.process = subprocess.Popen([program, self.numbers], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise PeerMissing('the sink does not start')
        self.port = int(line)

    def _read(self):
        return struct.unpack('<QQ', self.numbers.read_bytes())

    def count(self):
        """Messages so far."""
        return self._read()[0]

    def last_s(self):
        """When the last one was whole, by time.monotonic()."""
        return self._read()[1] / 1e9

    def cpu_s(self):
        """Seconds of CPU it has used."""
        return process_cpu_s(self.process.pid)

    def stop(self):
        """Ends it."""
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
        self.numbers.unlink()


class Hikyaku:
    """Hikyaku, holding all mail for elsewhere unless it relays; `preload` is for LD_PRELOAD."""
    name = 'Hikyaku'
    delivers_before_reply = True
    sink = None

    def __init__(self, preload=None, has_users=False, settings=None, config=HIKYAKU_HOLD):
        if not pathlib.Path(BINARY).exists():
            raise PeerMissing(f'{BINARY} is not there: run make first')
        settings = {'smtp.relay_networks': '["127.0.0.0/8"]',
                    'smtp.max_connections_per_address': str(CONNECTIONS_MAX),
                    'submit.spool_dir': '""', **(settings or {})}
        self.has_users, self.preload = has_users, preload
        self.server = hikyaku.Server(settings=settings, config=config, domain=LOCAL_DOMAIN,
                                     binary=BINARY)
        self.server.env.pop('HIKYAKU_TEST_CLOCK')
        self.meter = Meter(self.server.dir.name)  # one for each, however many run

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


class RelayingHikyaku(Hikyaku):
    """Hikyaku that finds its sink by MX and relays everything to it."""
    delivers_before_reply = False

    def __init__(self, sink_program, settings=None):
        self.sink = Sink(sink_program)
        records = f'"{SINK_DOMAIN} 60 MX 10 mx.{SINK_DOMAIN}", "mx.{SINK_DOMAIN} 60 A 127.0.0.1"'
        super().__init__(config='', settings={
            'outbound.port': str(self.sink.port), 'outbound.private_networks': '["127.0.0.0/8"]',
            'resolver.local_records': f'[{records}]', 'resolver.forwarders': '["127.0.0.1@9"]',
            'resolver.trust_anchor_file': '""', **(settings or {})})

    def delivered(self):
        """Messages that the sink has."""
        return self.sink.count()

    def stop(self):
        """Ends both."""
        super().stop()
        self.sink.stop()


class CrowdedHikyaku(RelayingHikyaku):
    """A relaying Hikyaku with messages in its queue that wait for other destinations."""

    def __init__(self, sink_program, waiting):
        super().__init__(sink_program, {'store.max_queue_messages': str(growth.QUEUE_MAX)})
        self.waiting, self.found = waiting, {}
        self.name = growth.name_of(waiting)

    def start(self):
        """Makes the instance, fills its queue, starts it."""
        super().start()
        self.server.stop(60)
        self.found = growth.fill(self.server.dir, self.waiting)
        with self.meter.adopt():
            begin, used = time.monotonic(), self.meter.cpu_s()
            self.server.start()
            self.found['start_s'] = time.monotonic() - begin
            self.found['start_cpu_s'] = self.meter.cpu_s() - used
        self.found['idle_kib'] = self.meter.pss_kib()
        self._check()

    def _check(self):
        queued = self.server.cli_json('status')['queued_messages']
        assert queued == self.waiting, f'{queued} messages wait, not {self.waiting}'

    def check_end(self):
        """Nothing of what waited was touched, and nothing else was left."""
        until(lambda: self.server.cli_json('status')['queued_messages'] <= self.waiting, 10,
              'the relayed messages to leave the queue')
        self._check()


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
    sink = None

    def __init__(self, preload=None, extra=POSTFIX_HOLD):
        self.server = _PostfixInstance(preload=preload, extra=POSTFIX_LIMITS + extra)
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


class RelayingPostfix(Postfix):
    """Postfix that relays everything to its sink."""

    def __init__(self, sink_program):
        self.sink = Sink(sink_program)
        super().__init__(extra=POSTFIX_RELAY.format(port=self.sink.port))

    def delivered(self):
        """Messages that the sink has."""
        return self.sink.count()

    def stop(self):
        """Ends both."""
        super().stop()
        self.sink.stop()


class Dovecot:
    """Dovecot with its LMTP server and Maildirs, and what else its configuration says."""

    def __init__(self, conf=DOVECOT_ANYBODY):
        self.root = peers.unpack('dovecot-core+dovecot-lmtpd')
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='dovecot-'))
        self.port = free_port()
        self.process = None
        self.dir.chmod(0o755)
        for name in ('mail', 'state'):
            (self.dir / name).mkdir()
            shutil.chown(self.dir / name, 'dovecot', 'dovecot')
        (self.dir / 'conf').write_text(DOVECOT_CONF.format(dir=self.dir, port=self.port) + conf)

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
