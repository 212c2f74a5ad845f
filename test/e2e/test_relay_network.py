"""Relaying and the network: what the DNS says, dead name servers, source addresses, IPv6."""
import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import threading

import pytest

from hikyaku import LIBC, Server, until
from nsd import Nsd, free_dns_port
from peers import PeerMissing
from relay import queue_is_empty, sender_settings, submit
from sink import Sink

MINUTE = 60_000
LATER = 'later.example'
DEAD = 'dead.example'
ZONE = """\
equal MX 10 e1
equal MX 10 e2
e1 A 127.0.0.1
e2 A 127.0.0.2
null MX 0 .
alias CNAME alias2
alias2 CNAME plain
plain MX 10 e1
hostalias MX 10 nick
nick CNAME e2
private MX 10 inside
inside A 10.20.30.40
mixed MX 10 inside
mixed MX 20 e2
"""
NEAR4, OTHER4, FAR4 = '198.51.100.1', '198.51.100.2', '198.51.100.10'
NEAR6, OTHER6, FAR6 = '2001:db8:77::1', '2001:db8:77::2', '2001:db8:77::10'
NOBODY6 = '2001:db8:77::dead'
CLONE_NEWNET = 0x40000000


class PlaceSink(Sink):
    """Notes for each message the address it came to and the one it came from."""

    def __init__(self, host='127.0.0.1'):
        self.places = []
        self.here = threading.local()
        super().__init__(host)

    def listen_too(self, listener):
        """Takes connections of one more listener."""
        threading.Thread(target=self._accept_from, args=(listener,), daemon=True).start()

    def _accept_from(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        self.here.place = connection.getsockname()[0], connection.getpeername()[0]
        super()._serve(connection)

    def _take(self, stream, sender, recipients):
        super()._take(stream, sender, recipients)
        self.places.append(self.here.place)


@pytest.fixture(scope='module')
def nsd():
    try:
        with Nsd() as server:
            server.add_zone('example.net', ZONE)
            yield server.start()
    except PeerMissing as error:
        pytest.skip(str(error))


def settings_for(port, nsd, *more_stubs, **more):
    return sender_settings(port, resolver__stub_zones=nsd.stub_zones(*more_stubs),
                           resolver__local_records='[]', **more)


def test_hosts_of_equal_preference_share_the_work(nsd):
    sink = PlaceSink('0.0.0.0')
    with sink, Server(settings_for(sink.port, nsd, outbound__idle_timeout=0)) as server:
        for number in range(30):
            submit(server, f'a{number}@equal.example.net')
            until(lambda: len(sink.places) == number + 1, 10, 'a letter')
        assert {place[0] for place in sink.places} == {'127.0.0.1', '127.0.0.2'}
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')


@pytest.mark.parametrize('name, address', [('alias', '127.0.0.1'), ('hostalias', '127.0.0.2'),
                                           ('mixed', '127.0.0.2')])
def test_aliases_and_hosts_out_of_bounds_are_seen_through(nsd, name, address):
    sink = PlaceSink('0.0.0.0')
    with sink, Server(settings_for(sink.port, nsd)) as server:
        submit(server, f'hanako@{name}.example.net')
        until(lambda: sink.places, 10, 'the letter')
        assert sink.messages[0][1] == [f'hanako@{name}.example.net']
        assert sink.places[0][0] == address
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')


@pytest.mark.parametrize('name, status', [('null', '5.1.10'), ('private', '5.4.4'),
                                          ('missing', '5.1.2')])
def test_what_the_dns_forbids_comes_back_at_once(nsd, name, status):
    with Server(settings_for(9, nsd)) as server:
        server.add_account('taro@example.jp')
        submit(server, f'hanako@{name}.example.net')
        bounce = until(lambda: server.export('taro@example.jp'), 15, 'the bounce')[0]
        assert f'Status: {status}'.encode() in bounce
        assert f'hanako@{name}.example.net'.encode() in bounce
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')


def test_a_zone_that_cannot_be_asked_waits(nsd):
    with Server(settings_for(9, nsd, f'{DEAD} 127.0.0.1@{free_dns_port()}')) as server:
        server.add_account('taro@example.jp')
        message = submit(server, f'hanako@{DEAD}')
        until(lambda: '4.4.3' in server.trace(message), 30, 'the DNS failure')
        assert server.cli_json('status')['queued_messages'] == 1
        assert server.export('taro@example.jp') == []


def test_mail_goes_on_when_the_name_server_is_back():
    try:
        dns = Nsd()
    except PeerMissing as error:
        pytest.skip(str(error))
    sink = PlaceSink()
    with dns, sink:
        dns.add_zone(LATER, '@ MX 10 mx\nmx A 127.0.0.1')
        with Server(settings_for(sink.port, dns)) as server:
            message = submit(server, f'hanako@{LATER}')
            until(lambda: '4.4.3' in server.trace(message), 30, 'the DNS failure')
            dns.start()
            # Failures are remembered for some seconds, so the very next attempt may be too early.
            # One that is under way must not meet minutes that pass in a moment.
            attempts = 0
            while not sink.places:
                attempts += 1
                server.advance(6 * MINUTE)
                until(lambda: sink.places or server.trace(message).count('put off') > attempts, 40,
                      'another attempt')
            until(lambda: queue_is_empty(server), 10, 'the queue to be empty')


# --- another network ---

def ip_tool(*words, check=True):
    run = subprocess.run(['ip', *words], capture_output=True, text=True, timeout=20, check=False)
    if check and run.returncode != 0:
        raise OSError(f'ip {" ".join(words)}: {run.stderr.strip()}')


class Network:
    """A network namespace and the cable to it; the addresses are for documentation (RFC 5737)."""

    def __init__(self):
        # Two test runs at once must not meet.
        self.mark = os.getpid() % 100000
        self.name = f'hikyaku-test-{self.mark}'
        self.near, self.far = f'hkn{self.mark}', f'hkf{self.mark}'

    def _make(self):
        ip_tool('netns', 'add', self.name)
        ip_tool('link', 'add', self.near, 'type', 'veth', 'peer', 'name', self.far, 'netns',
                self.name)
        for address in (f'{NEAR4}/24', f'{OTHER4}/24', f'{NEAR6}/64', f'{OTHER6}/64'):
            self._add_address((), address, self.near)
        for address in (f'{FAR4}/24', f'{FAR6}/64'):
            self._add_address(('-n', self.name), address, self.far)
        ip_tool('link', 'set', self.near, 'up')
        ip_tool('-n', self.name, 'link', 'set', self.far, 'up')
        until(self._is_up, 10, 'the cable')

    @staticmethod
    def _add_address(where, address, link):
        ip_tool(*where, 'address', 'add', address, 'dev', link,
                *(['nodad'] if ':' in address else []))

    def _is_up(self):
        with self.listen(FAR6, 0) as listener, socket.socket(socket.AF_INET6) as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(listener.getsockname()[:2]) == 0

    def listen(self, address, port):
        """A listener over there: a socket stays where the thread was that made it."""
        made = []

        def run():
            with open(f'/run/netns/{self.name}', 'rb') as file:
                if LIBC.setns(ctypes.c_int(file.fileno()), ctypes.c_int(CLONE_NEWNET)) != 0:
                    return
            family = socket.AF_INET6 if ':' in address else socket.AF_INET
            made.append(socket.create_server((address, port), family=family))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(10)
        if not made:
            raise OSError(f'nobody can listen at {address} in {self.name}')
        return made[0]

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        ip_tool('link', 'del', self.near, check=False)
        ip_tool('netns', 'del', self.name, check=False)


@pytest.fixture(scope='module')
def network():
    if os.getuid() != 0 or not shutil.which('ip'):
        pytest.skip('a network namespace needs root and iproute2')
    with contextlib.ExitStack() as stack:
        try:
            net = stack.enter_context(Network())
        except (OSError, AssertionError) as error:
            pytest.skip(f'no network namespace: {error}')
        yield net


@pytest.fixture
def far_sink(network):
    """A sink that listens over there, at both addresses."""
    with PlaceSink() as sink, contextlib.ExitStack() as stack:
        for address in (FAR4, FAR6):
            sink.listen_too(stack.enter_context(network.listen(address, sink.port)))
        yield sink


def far_settings(sink, **more):
    return sender_settings(
        sink.port, 'both.example 60 MX 10 mx.both.example', f'mx.both.example 60 A {FAR4}',
        f'mx.both.example 60 AAAA {FAR6}', 'lame.example 60 MX 10 mx.lame.example',
        f'mx.lame.example 60 A {FAR4}', f'mx.lame.example 60 AAAA {NOBODY6}',
        outbound__private_networks='[ "198.51.100.0/24", "2001:db8::/32" ]', **more)


def place_of(server, sink, recipient):
    """Where the letter to this recipient arrived, and from where."""
    count = len(sink.places)
    submit(server, recipient)
    until(lambda: len(sink.places) > count, 20, f'the letter to {recipient}')
    return sink.places[-1]


@pytest.mark.parametrize('families, far', [('ipv4_first', FAR4), ('ipv6_first', FAR6),
                                           ('ipv4_only', FAR4), ('ipv6_only', FAR6)])
def test_the_family_of_choice(far_sink, families, far):
    with Server(far_settings(far_sink, outbound__families=families)) as server:
        assert place_of(server, far_sink, 'hanako@both.example')[0] == far


@pytest.mark.parametrize('families, sources', [('ipv4_first', (OTHER4, NEAR4)),
                                               ('ipv6_first', (OTHER6, NEAR6))])
def test_the_source_address_of_all_and_of_a_route(far_sink, families, sources):
    settings = far_settings(far_sink, outbound__families=families, outbound__source_ipv4=NEAR4,
                            outbound__source_ipv6=f'"{NEAR6}"')
    route = f'route "other" {{\n    from = [ "jiro@example.jp" ];\n    via = mx;\n' \
            f'    source_ipv4 = {OTHER4};\n    source_ipv6 = "{OTHER6}";\n}}\n'
    with Server(settings, config=route) as server:
        assert place_of(server, far_sink, 'hanako@both.example')[1] == sources[1]
        submit(server, 'hanako@both.example', sender='jiro@example.jp')
        until(lambda: len(far_sink.places) == 2, 20, 'the letter by the route')
        assert far_sink.places[1][1] == sources[0]


def test_an_unreachable_ipv6_address_costs_only_time(far_sink):
    settings = far_settings(far_sink, outbound__families='ipv6_first',
                            outbound__connect_timeout='2s')
    with Server(settings) as server:
        assert place_of(server, far_sink, 'hanako@lame.example')[0] == FAR4
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')
        assert NOBODY6 in server.log()


def test_only_ipv6_waits_when_it_is_unreachable(far_sink):
    settings = far_settings(far_sink, outbound__families='ipv6_only',
                            outbound__connect_timeout='2s')
    with Server(settings) as server:
        message = submit(server, 'hanako@lame.example')
        until(lambda: '4.4.1' in server.trace(message), 15, 'the deferral')
        assert not far_sink.places
