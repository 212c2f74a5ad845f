"""The resolver against a real name server: MX sets, aliases, lame and dead servers, DNSSEC, many
questions, and its own death."""
import json
import os
import re
import signal
import socket
import subprocess

import pytest

from hikyaku import BINARY, Server, Session, children, until, with_settings
from nsd import Nsd, free_dns_port
from peers import PeerMissing

MANY_HOSTS = '\n'.join(f'many MX {i} h{i}\nh{i} A 192.0.2.{i}' for i in range(1, 41))
LONG_CHAIN = '\n'.join(f'c{i} CNAME c{i + 1}' for i in range(40))
LARGE_TEXT = '\n'.join(f'large TXT "{i:02}{"x" * 200}"' for i in range(100))
ZONE = f"""\
one MX 10 a
two MX 20 b
two MX 10 a
a A 192.0.2.10
a AAAA 2001:db8::10
b A 192.0.2.20
implicit A 192.0.2.30
alias CNAME alias2
alias2 CNAME two
null MX 0 .
nothing TXT "no mail here"
gone MX 10 not-there
partly MX 10 not-there
partly MX 20 b
home MX 10 localhost.
private MX 10 inside
inside A 10.20.30.40
round1 CNAME round2
round2 CNAME round1
lame NS ns.lame
noglue MX 10 a.lame
own MX 5 a
own MX 10 mx.example.jp.
ourselves MX 10 mx.example.jp.
hostalias MX 10 nick
nick CNAME a
odd MX 10 a\\.b
upper MX 10 A.EXAMPLE.NET.
_25._tcp.a TLSA 3 1 1 00112233
text TXT "one " "two"
{LONG_CHAIN}
c40 A 192.0.2.40
{MANY_HOSTS}
{LARGE_TEXT}
"""

# name below example.net, outcome, hosts "preference name address..." or what `why` must match
ROUTES = [
    ('one', 'ok', ['10 a.example.net 192.0.2.10 2001:db8::10']),
    ('two', 'ok', ['10 a.example.net 192.0.2.10 2001:db8::10', '20 b.example.net 192.0.2.20']),
    ('implicit', 'ok', ['0 implicit.example.net 192.0.2.30']),
    ('alias', 'ok', ['10 a.example.net 192.0.2.10 2001:db8::10', '20 b.example.net 192.0.2.20']),
    ('hostalias', 'ok', ['10 nick.example.net 192.0.2.10 2001:db8::10']),
    ('upper', 'ok', ['10 a.example.net 192.0.2.10 2001:db8::10']),
    ('partly', 'ok', ['20 b.example.net 192.0.2.20']),
    ('c0', 'ok', ['0 c40.example.net 192.0.2.40']),
    ('own', 'ok', ['5 a.example.net 192.0.2.10 2001:db8::10']),
    ('null', 'null MX', 'takes no mail'),
    ('nothing', 'no host', 'neither a mail host nor an address'),
    ('gone', 'no host', 'no mail host of gone.example.net has an address'),
    ('odd', 'no host', 'name no host'),
    ('missing', 'no name', 'does not exist'),
    ('home', 'forbidden', 'localhost of home.example.net has only private addresses'),
    ('private', 'forbidden', 'private'),
    ('ourselves', 'loop', 'this server'),
    ('round1', 'temporary', 'could not be looked up'),
    ('lame', 'temporary', 'could not be looked up'),
    ('noglue', 'temporary', 'a.lame.example.net could not be looked up'),
]


class Dns:
    """`hikyaku dns` with the settings of one file."""

    def __init__(self, path, stub_zones, address='198.51.100.1', **resolver):
        values = {'stub_zones': stub_zones, 'trust_anchor_file': '""', 'timeout': '15s', **resolver}
        lines = '\n'.join(f'    {key} = {value}' for key, value in values.items())
        self.config = path / 'hikyaku.conf'
        # An address of its own, that of the machine may be one of the zone's.
        self.config.write_text('server {\n    hostname = mx.example.jp\n    user = nobody\n}\n'
                               f'listen.smtp = [ "{address}:25" ]\n'
                               f'resolver {{\n{lines}\n}}\n')

    def run(self, *args, stdin=None, is_json=True):
        form = ['--json'] if is_json else []
        return subprocess.run([BINARY, 'dns', *args, *form, '-c', self.config], timeout=120,
                              input=stdin, capture_output=True, text=True, check=False)

    def ask(self, *args):
        run = self.run(*args)
        assert run.stdout, run.stderr
        return json.loads(run.stdout)


def hosts_of(route):
    return [' '.join([str(host['preference']), host['name'], *host['addresses']])
            for host in route['hosts']]


@pytest.fixture(scope='module')
def nsd():
    try:
        with Nsd() as server:
            server.add_zone('example.net', ZONE)
            for name in ('signed', 'tampered', 'expired'):
                server.add_zone(f'{name}.example.org',
                                '@ MX 10 m\nm A 192.0.2.50\nm AAAA 2001:db8::50\nbare TXT "x"')
            server.anchors = [server.sign('signed.example.org'),
                              server.sign('tampered.example.org'),
                              server.sign('expired.example.org', '-i', '20200101', '-e',
                                          '20200201')]
            server.tamper('tampered.example.org', '192.0.2.50', '192.0.2.66')
            yield server.start()
    except PeerMissing as error:
        pytest.skip(str(error))


@pytest.fixture
def dns(nsd, tmp_path):
    return Dns(tmp_path, nsd.stub_zones())


@pytest.fixture
def validating(nsd, tmp_path):
    # Read by the server's user, who cannot look into tmp_path.
    anchors = nsd.dir / 'anchors'
    anchors.write_text('; of the tests\n' + '\n'.join(nsd.anchors) + '\n')
    return Dns(tmp_path, nsd.stub_zones(), trust_anchor_file=f'"{anchors}"')


@pytest.mark.parametrize('name,outcome,expected', ROUTES, ids=[row[0] for row in ROUTES])
def test_where_mail_goes(dns, name, outcome, expected):
    route = dns.ask(f'{name}.example.net')
    assert route['outcome'] == outcome, route
    if outcome == 'ok':
        assert hosts_of(route) == expected
        assert route['ttl'] == 300
    else:
        assert re.search(expected, route['why']), route
    assert route['secure'] is False


def test_a_domain_with_many_hosts_is_cut_to_the_best(dns):
    hosts = hosts_of(dns.ask('many.example.net'))
    assert hosts == [f'{i} h{i}.example.net 192.0.2.{i}' for i in range(1, 21)]


def test_records_are_shown_in_plain_text(dns):
    assert sorted(dns.ask('two.example.net', 'MX')['data']) == ['10 a.example.net',
                                                                '20 b.example.net']
    assert dns.ask('text.example.net', 'TXT')['data'] == ['one two']
    assert dns.ask('_25._tcp.a.example.net', 'tlsa')['data'] == ['3 1 1 00112233']
    assert dns.ask('alias.example.net', 'MX')['canonical'] == 'two.example.net'
    assert dns.ask('null.example.net', 'MX')['data'] == ['0 .']
    assert dns.ask('a.example.net', 'TXT')['status'] == 'no data'
    assert dns.ask('missing.example.net', 'A')['status'] == 'no name'


def test_an_answer_too_large_for_udp_comes_whole(dns):
    data = dns.ask('large.example.net', 'TXT')['data']
    assert sorted(text[:2] for text in data) == [f'{i:02}' for i in range(100)]


def test_a_dead_server_is_a_temporary_failure(nsd, tmp_path):
    port = free_dns_port()
    dead = Dns(tmp_path, nsd.stub_zones(f'dead.example.com 127.0.0.1@{port}'), timeout='2s')
    route = dead.ask('dead.example.com')
    assert route['outcome'] == 'temporary' and 'could not be looked up' in route['why']
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(('127.0.0.1', port))
        route = dead.ask('dead.example.com')
        assert route['outcome'] == 'temporary' and 'did not answer in time' in route['why']


def test_a_server_that_refuses_is_a_temporary_failure(nsd, tmp_path):
    refusing = Dns(tmp_path, nsd.stub_zones(f'example.com 127.0.0.1@{nsd.port}'))
    assert refusing.ask('example.com')['outcome'] == 'temporary'


def test_signed_zones_are_secure(validating):
    route = validating.ask('signed.example.org')
    assert route['outcome'] == 'ok' and route['secure'] and route['hosts'][0]['secure']
    absent = validating.ask('none.signed.example.org', 'MX')
    assert absent['status'] == 'no name' and absent['secure']
    empty = validating.ask('bare.signed.example.org', 'MX')
    assert empty['status'] == 'no data' and empty['secure']
    assert not validating.ask('two.example.net')['secure']


def test_wrong_signatures_are_bogus(validating):
    answer = validating.ask('m.tampered.example.org', 'A')
    assert answer['status'] == 'bogus' and not answer['data']
    assert 'DNSSEC validation failed' in answer['why']
    # The other family is as it was signed.
    route = validating.ask('tampered.example.org')
    assert hosts_of(route) == ['10 m.tampered.example.org 2001:db8::50']
    route = validating.ask('expired.example.org')
    assert route['outcome'] == 'temporary' and 'DNSSEC validation failed' in route['why']


def test_without_anchor_nothing_is_validated_and_said_so(dns):
    run = dns.run('signed.example.org')
    assert 'resolver.no-trust-anchor' in run.stderr
    route = json.loads(run.stdout)
    assert route['outcome'] == 'ok' and not route['secure']
    assert dns.ask('tampered.example.org')['outcome'] == 'ok'


def test_local_records_and_forwarders(nsd, tmp_path):
    dns = Dns(tmp_path, '[]', forwarders=f'["127.0.0.1@{nsd.port}"]',
              local_records='["mx.local.example IN A 192.0.2.77", '
                            '"local.example MX 5 mx.local.example"]')
    assert hosts_of(dns.ask('local.example')) == ['5 mx.local.example 192.0.2.77']
    assert hosts_of(dns.ask('one.example.net')) == ['10 a.example.net 192.0.2.10 2001:db8::10']


def test_names_in_japanese_routes_and_own_addresses(nsd, tmp_path):
    records = ['xn--wgv71a119e.example 60 MX 10 mx.far.example', 'mx.far.example 60 A 192.0.2.7',
               'home.example 60 MX 10 other-name.example', 'other-name.example 60 A 192.0.2.99']
    dns = Dns(tmp_path, '[]', '192.0.2.99', local_records=json.dumps(records))
    with open(dns.config, 'a', encoding='utf-8') as file:
        file.write('route "list" { to = [ "far.example" ]; from = [ "list@example.jp", "<>" ]\n'
                   '  via = hosts; hosts = [ "relay.example:587 weight=3" ] }\n'
                   'route "campus" { to = [ "*.ac.example", "far.example" ]; via = hold }\n')
    route = dns.ask('日本語.example')
    assert hosts_of(route) == ['10 mx.far.example 192.0.2.7']
    assert (route['name'], route['domain']) == ('日本語.example', 'xn--wgv71a119e.example')
    assert dns.ask('日本語.example', 'MX')['data'] == ['10 mx.far.example']
    assert 'is no name' in dns.run('日本語..example').stderr
    # What the DNS calls by another name is this server all the same.
    assert dns.ask('home.example')['outcome'] == 'loop'
    assert 'its mail comes to this server' in dns.run('home.example', is_json=False).stdout
    assert [r['name'] for r in dns.ask('far.example')['routes']] == ['list', 'campus']
    assert dns.ask('日本語.example')['routes'] == []
    assert dns.run('far.example', is_json=False).stdout == (
        'far.example, from list@example.jp, <>: by the route "list": hosts '
        'relay.example:587 weight=3\nfar.example: by the route "campus": hold\n')


def test_ten_thousand_questions(dns):
    names = [f'n{i}.example.net' for i in range(5000)] + \
        [f'{name}.example.net' for name in ('one', 'two', 'implicit', 'null', 'alias')] * 1000
    run = dns.run('-', stdin='\n'.join(names) + '\n')
    routes = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(routes) == 10000
    counts = {}
    for route in routes:
        counts[route['outcome']] = counts.get(route['outcome'], 0) + 1
    assert counts == {'ok': 4000, 'null MX': 1000, 'no name': 5000}
    assert 'Sanitizer' not in run.stderr


def resolvers(server):
    found = []
    for pid in children(server.process.pid):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as file:
                if file.read().split(b'\0')[1:3] == [b'--process', b'resolver']:
                    found.append(pid)
        except OSError:
            continue
    return found


def test_a_killed_resolver_is_started_again_and_nobody_else_notices():
    with Server() as server:
        server.add_account('taro@example.jp')
        with Session(server.port) as session:
            session.reply()
            session.command('EHLO client.example', 250)
            for round_ in range(3):
                old = until(lambda: resolvers(server), 10, 'a resolver')
                os.kill(old[0], signal.SIGKILL)
                until(lambda: resolvers(server) not in ([], old), 10, 'a new resolver')
                until(lambda: server.log().count('child-died child=resolver') == round_ + 1, 10,
                      'the log to say so')
            session.command('MAIL FROM:<jiro@example.net>', 250)
            session.command('RCPT TO:<taro@example.jp>', 250)
        assert 'child-died child=inbound' not in server.log()
        assert 'child-died child=store' not in server.log()


def test_a_reload_takes_settings_of_the_resolver_and_refuses_what_needs_a_restart():
    with Server(settings={'resolver.local_records': '["a.local.example A 192.0.2.1"]'}) as server:
        old = resolvers(server)
        text = server.config_path.read_text()
        server.config_path.write_text(text.replace('192.0.2.1"', '192.0.2.2"'))
        server.cli('reload')
        assert resolvers(server) == old
        server.config_path.write_text(text + '\nresolver { trust_anchor_file = "/nowhere" }\n')
        done = server.cli('reload', check=False)
        assert done.returncode == 1
        assert b'resolver.trust_anchor_file' in done.stderr and b'restart' in done.stderr


BAD_RECORDS = ['osaka.example 60 A 192.0.2.999', 'osaka.example 60 MX ten mx.osaka.example']
GOOD_RECORD = 'osaka.example 60 A 192.0.2.1'


def records(*rows):
    """The setting with these records."""
    return {'resolver.local_records': '[ ' + ', '.join(json.dumps(row) for row in rows) + ' ]'}


def test_records_that_cannot_be_read_are_told_before_a_start_and_change_nothing_at_a_reload():
    server = Server(settings=records(BAD_RECORDS[0], GOOD_RECORD, BAD_RECORDS[1])).init()
    try:
        run = server.cli('config', 'check', check=False)
        assert run.returncode == 1 and b'is right' not in run.stdout
        for record in BAD_RECORDS:
            assert f'"resolver.local_records" has "{record}"' in run.stderr.decode()
        assert GOOD_RECORD not in run.stderr.decode()
        serve = subprocess.run([server.binary, 'serve', '-c', server.config_path], timeout=20,
                               env=server.env, capture_output=True, check=False)
        assert serve.returncode == 1 and BAD_RECORDS[0] in serve.stderr.decode()
        text = server.config_path.read_text()
        server.config_path.write_text(with_settings(text, records(GOOD_RECORD)))
        assert 'is right' in server.cli('config', 'check')
        server.start()
        server.config_path.write_text(with_settings(text, records(BAD_RECORDS[1])))
        run = server.cli('reload', check=False)
        assert run.returncode == 1 and BAD_RECORDS[1] in run.stderr.decode()
        assert 'resolver.settings-refused' not in server.log()
    finally:
        server.remove()


def test_what_the_settings_name_and_the_machine_lacks_is_warned_of(tmp_path):
    anchors = tmp_path / 'root.key'
    server = Server(settings={'resolver.trust_anchor_file': f'"{anchors}"',
                              'submit.trusted_users': '[ "root", "no-such-user" ]',
                              'submit.senders': '[ "nor-this shop@example.org" ]'}).init()
    try:
        text = server.cli('config', 'check')
        assert 'is right' in text
        assert re.search(r'resolver.trust_anchor_file +warning: .*No such file', text)
        assert re.search(r'submit.trusted_users +warning: .*"no-such-user"', text)
        assert re.search(r'submit.senders +warning: .*"nor-this"', text)
        assert '"root"' not in text
        anchors.write_text('. IN DS nonsense\n')
        run = server.cli('config', 'check', check=False)
        assert run.returncode == 1 and 'trust anchor' in run.stderr.decode()
    finally:
        server.remove()
