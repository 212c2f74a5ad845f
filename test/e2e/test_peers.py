"""The peers of the other tests work: a Postfix from an unpacked copy relays to a port and receives.

Does not need Hikyaku: when this fails, look here before looking at a failing peer test.
"""
import pytest

from hikyaku import Session, until
from peers import PeerMissing, Postfix, smtp_source
from sink import Sink

MESSAGE = b'From: jiro@example.net\nTo: taro@example.jp\nSubject: hello\n\nA line\n.dot\n'


@pytest.fixture(scope='module')
def relay():
    """A sink and a Postfix that relays to it."""
    with Sink() as sink:
        try:
            with Postfix(sink.port, domains=['postfix.example']) as postfix:
                yield sink, postfix
        except PeerMissing as reason:
            pytest.skip(str(reason))


def test_postfix_relays_to_a_port(relay):
    sink, postfix = relay
    postfix.sendmail(MESSAGE, 'jiro@example.net', 'taro@example.jp')
    until(lambda: sink.messages, 20, 'the message; ' + postfix.log()[-500:])
    sender, recipients, body = sink.messages[0]
    assert sender == 'jiro@example.net'
    assert recipients[0] == 'taro@example.jp'
    assert b'\r\nSubject: hello\r\n' in body and body.endswith(b'\r\n.dot\r\n')
    until(postfix.is_empty, 10, 'an empty queue')


def test_postfix_receives(relay):
    _, postfix = relay
    with Session(postfix.port) as session:
        assert session.reply().startswith('220')
        session.command('EHLO client.example', 250)
        session.command('MAIL FROM:<jiro@example.net>', 250)
        session.command('RCPT TO:<hanako@postfix.example>', 250)
        session.command('DATA', 354)
        session.command('Subject: in\r\n\r\nbody\r\n.', 250)
        session.command('QUIT', 221)
    assert b'Subject: in' in until(postfix.messages, 20, 'the message')[0]


def test_smtp_source_talks_to_a_port():
    with Sink() as sink:
        try:
            run = smtp_source(sink.port, '-m', '20', '-s', '4', '-l', '1000', '-f', 'a@example.net',
                              '-t', 'b@example.jp')
        except PeerMissing as reason:
            pytest.skip(str(reason))
        assert run.returncode == 0, run.stderr
        until(lambda: len(sink.messages) == 20, 10, 'twenty messages')
