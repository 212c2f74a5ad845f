"""REQUIRETLS (RFC 8689) on the way: a letter that asks for it travels encrypted to servers that are
verified, known for sure and do the same, or comes back with 5.7.10 or 5.7.30, its header alone.

Tokyo sends, Osaka is a second Hikyaku, and Exim a server that has never heard of it.
"""
import email
import email.policy
import re

import pytest

from authority import Authority, as_own, self_signed
from hikyaku import Server, until
from nsd import Nsd
from peers import PeerMissing
from relay import queue_is_empty, records
from submission import TARO, Submission
from tls_peers import Face, TlsExim

HOST = 'mx.osaka.example'
DOMAINS = ('osaka.example', 'kobe.example')
MARK = 'only for your eyes'
LETTER = f'From: {TARO}\nTo: hanako@osaka.example\nSubject: private\n\n{MARK}\n'


@pytest.fixture(name='authority', scope='module')
def make_authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp('authority'))


@pytest.fixture(name='exim', scope='module')
def make_exim(authority, tmp_path_factory):
    faces = {'good': Face(authority.issue(HOST)), 'plain': Face(),
             'own': Face(self_signed(tmp_path_factory.mktemp('own'), HOST))}
    try:
        with TlsExim(faces, hostname=HOST, domains=DOMAINS) as exim:
            yield exim
    except PeerMissing as reason:
        pytest.skip(str(reason))


def route(*hosts):
    """For Server(config=...): mail for osaka.example goes to these hosts."""
    return ('\nroute "osaka" {\n    to = "osaka.example"\n    via = hosts\n'
            f'    hosts = [ {", ".join(hosts)} ]\n}}\n')


def tokyo(authority, *hosts, **settings):
    """The sender, with a route to these hosts, if any."""
    return Server(config=route(*hosts) if hosts else '', settings={
        'outbound.private_networks': '[ "127.0.0.0/8" ]',
        'resolver.local_records': records(f'{HOST}. A 127.0.0.1'),
        'tls.ca_file': f'"{authority.file}"', 'queue.retry': '[ "1h" ]', **settings})


def at(port, more=''):
    """A host of a route."""
    return f'"{HOST}:{port}{more}"'


def send(server, to='hanako@osaka.example', params=' REQUIRETLS'):
    """Taro submits the letter; its end in the trace, when it has come to one."""
    server.add_account(TARO)
    with Submission(server) as session:
        session.log_in()
        reply = session.mail(LETTER, to=[to], params=params)
    message = re.search(r'Accepted as (\w+)', reply)[1]
    ends = ('deferred', 'relayed', 'failed')
    until(lambda: any(e['event'] in ends for e in server.cli_json('trace', message)), 30, 'an end')
    event = next(e for e in server.cli_json('trace', message) if e['event'] in ends)
    return {**event, **event['details']}


def assert_returned(server, status, to='hanako@osaka.example'):
    """Taro gets a notice with the status, and the text of the letter is not in it."""
    text = until(lambda: server.export(TARO), 20, 'a notice')[0]
    notice = email.message_from_bytes(text, policy=email.policy.default)
    report = next(part.as_string() for part in notice.iter_parts()
                  if part.get_content_type().endswith('delivery-status'))
    assert f'Final-Recipient: rfc822; {to}' in report and 'Action: failed' in report, report
    assert re.search(rf'^Status: {re.escape(status)}$', report, re.MULTILINE), report
    assert 'Subject: private' in text.decode() and MARK not in text.decode()
    until(lambda: queue_is_empty(server), 10, 'the end')


@pytest.mark.parametrize('face, status, words', [
    ('plain', '5.7.10', 'certificate was verified (REQUIRETLS)'),
    ('own', '5.7.10', 'certificate was verified (REQUIRETLS)'),
    ('good', '5.7.30', 'REQUIRETLS support required'),
], ids=['no TLS', 'not verified', 'not known'])
def test_it_comes_back_where_it_cannot_be_kept(authority, exim, face, status, words):
    with tokyo(authority, at(exim.ports[face])) as server:
        event = send(server, params=' RET=FULL REQUIRETLS')
        assert event['event'] == 'failed' and words in event['reply'], event
        assert event['status'] == status, event
        assert_returned(server, status)
        assert not exim.messages()


def test_the_same_letter_goes_without_it(authority, exim):
    with tokyo(authority, at(exim.ports['plain'])) as server:
        assert send(server, params='')['event'] == 'relayed'
    until(exim.messages, 10, 'the letter')


def make_osaka(authority, folder, tokyo_port=9):
    """A second Hikyaku, where sales@ leads back to Tokyo, and there unencrypted."""
    own = as_own(authority.issue(HOST), folder / 'live')
    server = Server(hostname=HOST, domain='osaka.example')
    server.config = lambda text: own(text) + (
        '\nroute "tokyo" {\n    to = "example.jp"\n    via = hosts\n'
        f'    hosts = [ "127.0.0.1:{tokyo_port}" ]\n    tls = none\n}}\n')
    return server


def test_the_next_host_may_do_better_and_is_asked_too(authority, exim, tmp_path):
    """Tokyo tries Exim, then Osaka, where an alias leads to where it cannot be kept."""
    server = tokyo(authority)
    before = len(exim.messages())
    with make_osaka(authority, tmp_path, server.port) as osaka:
        server.config = route(at(exim.ports['good']), at(osaka.port, ' backup'))
        osaka.add_alias('sales@osaka.example', TARO)
        with server:
            event = send(server, to='sales@osaka.example')
            assert event['event'] == 'relayed' and event['tls'].endswith(', verified'), event
            assert 'requiretls' in osaka.cli('trace', TARO, '--json')
            assert_returned(server, '5.7.10', TARO)
            assert f'Reporting-MTA: dns; {HOST}'.encode() in server.export(TARO)[0]
            assert len(exim.messages()) == before


@pytest.mark.parametrize('is_signed', [True, False])
def test_hosts_found_by_mx_are_sure_if_that_is_signed(authority, tmp_path, is_signed):
    try:
        with Nsd() as nsd, make_osaka(authority, tmp_path) as osaka:
            nsd.add_zone('osaka.example', '@ MX 10 mx\nmx A 127.0.0.1')
            # Read by the server's user, who cannot look into tmp_path.
            anchor = nsd.dir / 'anchor'
            anchor.write_text(nsd.sign('osaka.example') + '\n')
            osaka.add_account('hanako@osaka.example')
            nsd.start()
            more = {'outbound.port': osaka.port, 'resolver.stub_zones': nsd.stub_zones(),
                    'resolver.local_records': '[]',
                    'resolver.trust_anchor_file': f'"{anchor if is_signed else ""}"'}
            with tokyo(authority, **more) as server:
                event = send(server)
                if is_signed:
                    assert event['event'] == 'relayed', event
                    assert MARK.encode() in osaka.export('hanako@osaka.example')[0]
                else:
                    assert event['event'] == 'failed' and 'DNSSEC' in event['reply'], event
                    assert_returned(server, '5.7.10')
    except PeerMissing as reason:
        pytest.skip(str(reason))
