"""NSD from Debian as an authoritative name server in tests, run from an unpacked copy, and zones
signed with ldns: what a resolver meets outside, on one loopback port.

    with Nsd() as nsd:
        nsd.add_zone('example.net', 'mx1 A 192.0.2.1')
        nsd.start()
        settings = nsd.stub_zones()
"""
import pathlib
import shutil
import socket
import subprocess
import tempfile

from hikyaku import die_with_parent, until
from peers import PeerMissing, environment, unpack

CONF = """\
server:
  ip-address: 127.0.0.1@{port}
  username: ""
  chroot: ""
  zonesdir: "{dir}"
  database: ""
  pidfile: ""
  xfrdfile: ""
  zonelistfile: ""
  xfrdir: "{dir}"
  logfile: "{dir}/log"
  server-count: 1
  rrl-ratelimit: 0
remote-control:
  control-enable: no
"""
HEAD = """\
$ORIGIN {name}.
$TTL {ttl}
@ IN SOA ns root 1 3600 600 86400 {ttl}
@ IN NS ns
ns IN A 127.0.0.1
"""


def free_dns_port():
    """A port that is free for UDP and TCP."""
    for _ in range(50):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(('127.0.0.1', 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            return udp.getsockname()[1]
    raise AssertionError('no port that is free for UDP and TCP')


class Nsd:
    """One name server with some zones; PeerMissing where it cannot be had."""

    def __init__(self):
        self.root = unpack('nsd+ldnsutils')
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='nsd-'))
        self.dir.chmod(0o755)
        self.port = free_dns_port()
        self.zones = {}
        self.process = None

    def add_zone(self, name, records, ttl=300):
        """A zone with these lines after its SOA and NS."""
        path = self.dir / f'{name}.zone'
        path.write_text(HEAD.format(name=name, ttl=ttl) + records + '\n')
        self.zones[name] = path

    def _tool(self, name, *args):
        run = subprocess.run([self.root / 'usr/bin' / name, *args], cwd=self.dir, timeout=60,
                             env=environment(self.root), capture_output=True, text=True,
                             check=False)
        assert run.returncode == 0, f'{name}: {run.stderr}'
        return run.stdout.strip()

    def sign(self, name, *options):
        """Signs the zone; its trust anchor, a DS record."""
        key = self._tool('ldns-keygen', '-a', 'ECDSAP256SHA256', '-k', name)
        signed = self.dir / f'{name}.signed'
        self._tool('ldns-signzone', *options, '-o', name, '-f', str(signed),
                   str(self.zones[name]), key)
        self.zones[name] = signed
        return (self.dir / f'{key}.ds').read_text().strip()

    def tamper(self, name, old, new):
        """Changes a signed zone without signing it again."""
        text = self.zones[name].read_text()
        assert old in text
        self.zones[name].write_text(text.replace(old, new))

    def start(self):
        """Runs it and waits until it answers."""
        text = CONF.format(port=self.port, dir=self.dir)
        for name, path in self.zones.items():
            text += f'zone:\n  name: {name}\n  zonefile: {path}\n'
        (self.dir / 'nsd.conf').write_text(text)
        with open(self.dir / 'stderr', 'wb') as stderr:
            self.process = subprocess.Popen(
                [self.root / 'usr/sbin/nsd', '-d', '-c', self.dir / 'nsd.conf'],
                env=environment(self.root), stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                preexec_fn=die_with_parent)
        try:
            until(self._answers, 20, 'NSD to answer')
        except AssertionError as error:
            said = ''.join(p.read_text(errors='replace')[-500:]
                           for p in (self.dir / 'stderr', self.dir / 'log') if p.exists())
            self.stop()
            raise PeerMissing(f'NSD does not start: {said}') from error
        return self

    def _answers(self):
        assert self.process.poll() is None, 'NSD ended'
        question = b'\0\1\0\0\0\1\0\0\0\0\0\0' + b''.join(
            bytes([len(label)]) + label.encode() for label in next(iter(self.zones)).split('.')
        ) + b'\0\0\6\0\1'
        with socket.socket(type=socket.SOCK_DGRAM) as udp:
            udp.settimeout(0.2)
            udp.connect(('127.0.0.1', self.port))
            try:
                udp.send(question)
                return udp.recv(512)[3] & 15 == 0
            except OSError:
                return False

    def stub_zones(self, *more):
        """The value of resolver.stub_zones that leads here, and the items `more` behind it."""
        items = [f'{name} 127.0.0.1@{self.port}' for name in self.zones]
        return '[' + ', '.join(f'"{item}"' for item in [*items, *more]) + ']'

    def stop(self):
        """Ends it and removes its directory."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
