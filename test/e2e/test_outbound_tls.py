"""Mail on its way out, encrypted: another Hikyaku as the receiver, with the certificate it made
itself, by STARTTLS on port 25 and as a smarthost that wants a login."""
import pytest

from hikyaku import Server, until
from relay import first_attempt, queue_is_empty, route_server

HOST = 'mx.osaka.example'
PASSWORD = 'kaze-to-tomo-ni'


@pytest.fixture(name='osaka', scope='module')
def make_osaka():
    """The receiver: takes mail for its own users, and from its users for nobody else."""
    with Server(hostname=HOST, domain='osaka.example') as server:
        server.add_account('hanako@osaka.example', PASSWORD)
        yield server


def tokyo(osaka, port, *lines, trusts=True, password=PASSWORD):
    """A sender whose mail for osaka.example goes to this port of osaka, by this route."""
    certificate = osaka.dir / 'tls' / 'fullchain.pem' if trusts else None
    return route_server(HOST, port, *lines, trusts=certificate, password=password)


def test_opportunistic_encrypts_to_whoever_it_is(osaka):
    with tokyo(osaka, osaka.port, trusts=False) as server:
        event = first_attempt(server)
        assert event['event'] == 'relayed'
        assert event['tls'].startswith('TLSv1.3, TLS_') and 'not verified' in event['tls']
        until(lambda: queue_is_empty(server), 10, 'the end')


def test_none_does_not_encrypt(osaka):
    with tokyo(osaka, osaka.port, 'tls = none') as server:
        assert first_attempt(server)['tls'] == 'none'


def test_require_takes_any_certificate(osaka):
    with tokyo(osaka, osaka.port, 'tls = require', trusts=False) as server:
        event = first_attempt(server)
        assert (event['event'], 'not verified' in event['tls']) == ('relayed', True)


def test_verify_takes_the_right_certificate(osaka):
    with tokyo(osaka, osaka.port, 'tls = verify') as server:
        event = first_attempt(server)
        assert event['event'] == 'relayed'
        assert event['tls'].endswith(', verified')


def test_verify_puts_off_what_it_cannot_verify(osaka):
    with tokyo(osaka, osaka.port, 'tls = verify', trusts=False) as server:
        event = first_attempt(server)
        assert event['event'] == 'deferred'
        assert 'self-signed' in event['reply'], event


@pytest.mark.parametrize('port', ['submission_port', 'submissions_port'])
def test_a_smarthost_gets_the_password(osaka, port):
    at_once = 'no' if port == 'submission_port' else 'yes'
    with tokyo(osaka, getattr(osaka, port), 'tls = verify', 'username = "hanako@osaka.example"',
               'password_file = "PASSWORD_FILE"', f'tls_on_connect = {at_once}') as server:
        event = first_attempt(server, sender='hanako@osaka.example',
                              letter='From: hanako@osaka.example\r\nSubject: s\r\n\r\ntext\r\n')
        assert event['event'] == 'relayed', event
        assert 'mechanism=SCRAM-SHA-256-PLUS' in osaka.log()
        assert PASSWORD not in server.log()


def test_a_wrong_password_puts_off(osaka):
    with tokyo(osaka, osaka.submission_port, 'tls = verify', 'username = "hanako@osaka.example"',
               'password_file = "PASSWORD_FILE"', password='something else') as server:
        event = first_attempt(server)
        assert event['event'] == 'deferred'
        assert '535' in event['reply'], event
