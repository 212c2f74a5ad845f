"""Mail on its way out, encrypted, to servers we did not write: Postfix (OpenSSL) and Exim (GnuTLS)
with certificates of an authority of the test, good, wrong and expired; and smarthosts among them
that want a login."""
import pytest

from authority import EXPIRED, Authority, self_signed
from hikyaku import until
from peers import PeerMissing
from relay import first_attempt, queue_is_empty, route_server
from tls_peers import Face, TlsExim, TlsPostfix

HOST = 'mx.osaka.example'
DOMAIN = 'osaka.example'
LOGIN = ('tokyo', 'kaze-to-tomo-ni 飛脚')
MECHANISMS = {TlsPostfix: ('SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN', 'LOGIN'), TlsExim: ('PLAIN',)}


@pytest.fixture(name='folder', scope='module')
def make_folder(tmp_path_factory):
    return tmp_path_factory.mktemp('certificates')


@pytest.fixture(name='authority', scope='module')
def make_authority(folder):
    return Authority(folder)


@pytest.fixture(name='peer', scope='module', params=MECHANISMS, ids=lambda kind: kind.__name__)
def make_peer(request, folder, authority):
    """The receiver, with all its faces."""
    good = authority.issue(HOST)
    faces = {
        'good': Face(good),
        'own': Face(self_signed(folder, HOST)),
        'other-name': Face(authority.issue('mx.kyoto.example')),
        'expired': Face(authority.issue(HOST, EXPIRED)),
        'outdated': Face(good, is_outdated=True),
        'plain': Face(),
        **{name: Face(good, mechanisms=name) for name in MECHANISMS[request.param]},
    }
    try:
        with request.param(faces, LOGIN, hostname=HOST, domains=[DOMAIN]) as peer:
            peer.mechanisms = MECHANISMS[request.param]
            yield peer
    except PeerMissing as reason:
        pytest.skip(str(reason))


@pytest.fixture(name='arrivals')
def count_arrivals(peer):
    """The letters that arrived during the test."""
    before = len(peer.messages())
    return lambda: peer.messages()[before:]


def assert_arrived(arrivals, is_encrypted=True):
    """The one letter is in the peer's mailbox, and came as it says itself."""
    letter = until(arrivals, 20, 'the letter')[0].decode()
    received = letter[letter.index('Received:'):letter.index('\nSubject:')]
    assert ('TLS1.3' in received or 'TLSv1.3' in received) == is_encrypted, received
    assert 'こんにちは\n.dots\n..\nend\n' in letter


def test_opportunistic_encrypts_to_a_self_signed_one(peer, arrivals):
    with route_server(HOST, peer.ports['own']) as server:
        event = first_attempt(server)
        assert event['event'] == 'relayed', event
        assert event['tls'].startswith('TLSv1.3, TLS_'), event
        assert event['tls'].endswith(', not verified'), event
        assert_arrived(arrivals)
        until(lambda: queue_is_empty(server), 10, 'the end')


def test_require_encrypts_and_verifies_nothing(peer, arrivals):
    with route_server(HOST, peer.ports['other-name'], 'tls = require') as server:
        event = first_attempt(server)
        assert event['event'] == 'relayed' and 'not verified' in event['tls'], event
        assert_arrived(arrivals)


def test_require_does_not_go_without(peer, arrivals):
    with route_server(HOST, peer.ports['plain'], 'tls = require') as server:
        event = first_attempt(server)
        assert event['event'] == 'deferred', event
        assert 'offers no encryption, which this route demands' in event['reply'], event
        assert event['status'] == '4.7.4', event
        assert not arrivals()


def test_verify_takes_the_right_name(peer, authority, arrivals):
    with route_server(HOST, peer.ports['good'], 'tls = verify', trusts=authority.file) as server:
        event = first_attempt(server)
        assert event['event'] == 'relayed', event
        assert event['tls'].endswith(', verified'), event
        assert_arrived(arrivals)


@pytest.mark.parametrize('face, why', [
    ('other-name', 'hostname mismatch'),
    ('expired', 'certificate has expired'),
    ('own', 'self-signed certificate'),
])
def test_verify_puts_off_and_says_why(peer, authority, arrivals, face, why):
    with route_server(HOST, peer.ports[face], 'tls = verify', trusts=authority.file) as server:
        event = first_attempt(server)
        assert event['event'] == 'deferred', event
        assert HOST in event['reply'] and why in event['reply'], event
        assert event['status'] == '4.7.5', event
        assert not arrivals()


def test_verify_does_not_trust_another_authority(peer, arrivals, tmp_path):
    trusted = Authority(tmp_path).file
    with route_server(HOST, peer.ports['good'], 'tls = verify', trusts=trusted) as server:
        event = first_attempt(server)
        assert event['event'] == 'deferred', event
        assert 'issuer' in event['reply'] or 'self-signed' in event['reply'], event
        assert not arrivals()


def test_a_failed_handshake_is_tried_without(peer, arrivals):
    with route_server(HOST, peer.ports['outdated']) as server:
        event = first_attempt(server)
        assert event['event'] == 'relayed' and event['tls'] == 'none', event
        assert 'outbound.tls-failed' in server.log()
        assert_arrived(arrivals, is_encrypted=False)


def test_a_failed_handshake_ends_it_where_tls_is_demanded(peer, arrivals):
    with route_server(HOST, peer.ports['outdated'], 'tls = require') as server:
        event = first_attempt(server)
        assert event['event'] == 'deferred', event
        assert 'protocol' in event['reply'] and '(STARTTLS)' in event['reply'], event
        assert event['status'] == '4.7.5', event
        assert not arrivals()


def test_a_smarthost_gets_the_password(peer, authority, arrivals):
    for mechanism in peer.mechanisms:
        before = len(arrivals())
        with smarthost_user(peer, mechanism, authority) as server:
            event = first_attempt(server)
            assert event['event'] == 'relayed', (mechanism, event)
            until(lambda: len(arrivals()) > before, 20, 'the letter')
            assert says_login(peer, mechanism) in peer.log()
            assert LOGIN[1] not in server.log()


def test_a_wrong_password_puts_off(peer, authority, arrivals):
    with smarthost_user(peer, peer.mechanisms[0], authority, password='something else') as server:
        event = first_attempt(server)
        assert event['event'] == 'deferred' and '535' in event['reply'], event
        assert event['status'] == '4.7.8', event
        assert not arrivals()


def smarthost_user(peer, mechanism, authority, password=LOGIN[1]):
    """A server that logs in at the peer."""
    return route_server(HOST, peer.ports[mechanism], 'tls = verify', f'username = "{LOGIN[0]}"',
                        'password_file = "PASSWORD_FILE"', trusts=authority.file,
                        password=password)


def says_login(peer, mechanism):
    """How the peer's log tells of the login."""
    if isinstance(peer, TlsExim):
        return f'A={mechanism.lower()}:{LOGIN[0]}'
    return f'sasl_method={mechanism}, sasl_username={LOGIN[0]}'
