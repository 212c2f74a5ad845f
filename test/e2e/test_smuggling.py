"""SMTP smuggling: no sequence but CRLF . CRLF ends a message (RFC 5321 section 4.1.1.4).

The sequences come from the public suite smtp/smuggling-eod-sequences.json; without it only the
few best known ones are tried. Each is sent in one piece and octet by octet. Whatever the server
answers, it answers once, and a second message never exists.
"""
import json
import os
import pathlib

import pytest

from hikyaku import Server, Session

KNOWN = ['0a2e0a', '0d2e0d', '0a2e0d0a', '0d0a2e0a', '0d0a2e0d', '0d0d0a2e0d0d0a']
SUITE = pathlib.Path(os.environ.get('SUITES', '')) / 'smtp' / 'smuggling-eod-sequences.json'
IS_SUITE_THERE = 'SUITES' in os.environ and SUITE.is_file()
OUTER = b'From: <jiro@example.net>\r\nSubject: outer\r\n\r\nbody'
INNER = (b'MAIL FROM:<smuggled@example.net>\r\nRCPT TO:<taro@example.jp>\r\nDATA\r\n'
         b'Subject: inner\r\n\r\nsmuggled\r\n.\r\n')
TARGET = 'taro@example.jp'


def sequences():
    """The byte sequences as hex."""
    if not IS_SUITE_THERE:
        return KNOWN
    return [entry['bytes_hex'] for entry in json.loads(SUITE.read_text())['sequences']]


@pytest.fixture(scope='module', params=['refuse', 'normalise'])
def server(request):
    with Server(settings={'smtp.bare_newline': request.param, 'smtp.max_errors': '50'}) as running:
        running.add_account(TARGET)
        yield running


def replies_to(server, payload, is_split):
    """All replies after the 354, until the server has nothing more to say or closed."""
    with Session(server.port) as session:
        session.reply()
        session.command('EHLO client.example.net', 250)
        session.command('MAIL FROM:<jiro@example.net>', 250)
        session.command(f'RCPT TO:<{TARGET}>', 250)
        session.command('DATA', 354)
        try:
            for piece in [bytes([octet]) for octet in payload] if is_split else [payload]:
                session.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        found = []
        try:
            found.append(session.reply())
            while more := session.silence(0.2):
                found.append(more)
        except EOFError:
            pass
        return found


@pytest.mark.parametrize('is_split', [False, True], ids=['whole', 'octets'])
@pytest.mark.parametrize('hex_bytes', sequences())
def test_sequence_does_not_end_the_message(server, hex_bytes, is_split):
    before = len(server.export(TARGET))
    payload = OUTER + bytes.fromhex(hex_bytes) + INNER
    replies = replies_to(server, payload, is_split)
    new = server.export(TARGET)[before:]
    assert len(replies) == 1, replies
    if replies[0].startswith('2'):
        assert len(new) == 1 and b'Subject: outer' in new[0] and b'smuggled' in new[0]
    else:
        assert replies[0][0] == '5' and not new, replies


def test_the_whole_suite_was_there():
    if not IS_SUITE_THERE:
        pytest.skip('SUITES/smtp/smuggling-eod-sequences.json is absent: only known sequences ran')
