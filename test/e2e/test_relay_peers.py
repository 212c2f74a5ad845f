"""Mail on its way out to real mail servers: Postfix, Exim and OpenSMTPD as the hosts of a domain.

What they offer differs, so each way of handing a letter over meets somebody we did not write:
Postfix takes BDAT and DSN, Exim BDAT without DSN, OpenSMTPD DATA and DSN, and a Postfix that keeps
its extensions to itself nothing but DATA, one command at a time.
"""
import email
import email.policy
import re

import pytest

from hikyaku import Server, until
from peers import Exim, OpenSmtpd, PeerMissing, Postfix
from relay import queue_is_empty, sender_settings, submit

MX = ('elsewhere.example 60 MX 10 mx.elsewhere.example',
      'mx.elsewhere.example 60 A 127.0.0.1')
REFUSED = 'nobody@elsewhere.example'
LARGE_BYTES = 5_000_000
JAPANESE = 'いろはにほへと ちりぬるを\r\n\r\n　わかよたれそ つねならむ。' + '飛脚' * 150 + '\r\n'
DOTS = '.\r\n..\r\n...\r\n.a\r\n..b\r\n \r\n. \r\n.\t\r\n\r\n.\r\nQUIT\r\n' + '.\r\n' * 5000 + \
       'x' * 997 + '.\r\n.' + 'y' * 997 + '\r\nFrom .\r\n.\r\n'


class PlainPostfix(Postfix):
    """A Postfix that offers SIZE and 8BITMIME only."""
    has_dsn = False

    def __init__(self, *args, **more):
        super().__init__(*args, **more, extra='smtpd_discard_ehlo_keywords = '
                         'chunking, pipelining, dsn, enhancedstatuscodes, smtputf8, vrfy, etrn\n')


@pytest.fixture(scope='module', params=[Postfix, PlainPostfix, Exim, OpenSmtpd],
                ids=lambda p: p.__name__)
def pair(request):
    """A server, and a peer it delivers to over one connection at a time."""
    server = Server()
    try:
        with request.param(server.port, domains=['elsewhere.example'], refuses=REFUSED) as peer:
            server.settings = sender_settings(peer.port, *MX,
                                              outbound__max_connections_per_destination=1)
            with server:
                yield server, peer
    except PeerMissing as reason:
        pytest.skip(str(reason))
    finally:
        server.remove()


def letter(mark, body):
    """A letter with every field that a server might miss, so that none is added at its end."""
    return (f'From: taro@example.jp\r\nTo: hanako@elsewhere.example\r\nSubject: 手紙 {mark}\r\n'
            f'Date: Tue, 24 Nov 2026 10:00:00 +0900\r\nMessage-ID: <{mark}@example.jp>\r\n'
            'MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n'
            f'Content-Transfer-Encoding: 8bit\r\n\r\n{body}')


def arrived(peer, mark):
    """The copies of a letter that are in the peer's mailbox."""
    return [m for m in peer.messages() if f'\nMessage-ID: <{mark}@example.jp>\n'.encode() in m]


def wait_for(peer, mark, count=1):
    """Waits until all copies of a letter are there, and returns them."""
    until(lambda: len(arrived(peer, mark)) >= count, 20, f'{mark} to arrive')
    copies = arrived(peer, mark)
    assert len(copies) == count
    return copies


def assert_same(copy, text):
    """Below fields that servers put on top, the copy is the letter, its lines ended by LF."""
    expected = text.replace('\r\n', '\n').encode()
    is_same = copy.endswith(b'\n' + expected)
    assert is_same, f'{len(copy)} bytes, not {len(expected)}: {copy[:3000]!r}'
    top = copy[:-len(expected)].decode()
    names = re.findall(r'^([A-Za-z-]+):', top, re.MULTILINE)
    assert set(names) <= {'Return-Path', 'X-Original-To', 'Delivered-To', 'Received'}, names
    assert names.count('Received') == 2


def notices(server, address, count=1):
    """The reports in the mailbox of an account, parsed, once there are `count`."""
    until(lambda: len(server.export(address)) >= count, 20, f'a notice to {address}')
    texts = server.export(address)
    assert len(texts) == count
    return [email.message_from_bytes(t, policy=email.policy.default) for t in texts]


def report_of(notice):
    """The machine's part of a report, as text."""
    return next(part.as_string() for part in notice.iter_parts()
                if part.get_content_type().endswith('delivery-status'))


@pytest.mark.parametrize('mark, body', [('japanese', JAPANESE), ('dots', DOTS), ('empty', '')])
def test_a_letter_arrives_as_it_was(pair, mark, body):
    server, peer = pair
    text = letter(mark, body)
    submit(server, 'hanako@elsewhere.example', letter=text)
    assert_same(wait_for(peer, mark)[0], text)
    until(lambda: queue_is_empty(server), 10, 'the queue to be empty')


def test_a_large_letter(pair):
    server, peer = pair
    text = letter('large', (JAPANESE + DOTS) * (LARGE_BYTES // len((JAPANESE + DOTS).encode()) + 1))
    assert len(text.encode()) > LARGE_BYTES
    submit(server, 'hanako@elsewhere.example', letter=text)
    assert_same(wait_for(peer, 'large')[0], text)
    until(lambda: queue_is_empty(server), 10, 'the queue to be empty')


PAGE = '<p>' + '手紙 ' * 400 + 'letter ' * 400 + '</p>\r\n.\r\n' + 'x' * 3000 + '\r\n'


def test_long_lines_are_encoded(pair):
    """More than 998 bytes (RFC 5321 section 4.5.3.1.6): many servers refuse or break such lines."""
    server, peer = pair
    words = 'word ' * 500
    text = letter('long', PAGE).replace('Subject: ', f'X-Words: {words}\r\nSubject: ')
    submit(server, 'hanako@elsewhere.example', letter=text)
    copy = wait_for(peer, 'long')[0]
    assert max(map(len, copy.split(b"\n"))) <= 998, max(copy.split(b"\n"), key=len)
    found = email.message_from_bytes(copy, policy=email.policy.default)
    assert found['Content-Transfer-Encoding'] in ('base64', 'quoted-printable')
    assert ' '.join(found['X-Words'].split()) == words.strip()
    assert found['Subject'] == '手紙 long' and found['Date'] and found['MIME-Version'] == '1.0'
    assert found.get_payload(decode=True).decode().replace('\r\n', '\n') == \
        PAGE.replace('\r\n', '\n')
    until(lambda: queue_is_empty(server), 10, 'the queue to be empty')


def test_long_lines_that_are_signed_are_left(pair):
    """It is for the peer to say whether it takes them."""
    server, peer = pair
    server.add_account('signer@example.jp')
    text = 'DKIM-Signature: v=1; a=rsa-sha256; d=example.jp\r\n' + letter('signed', PAGE)
    submit(server, 'hanako@elsewhere.example', sender='signer@example.jp', letter=text)
    until(lambda: queue_is_empty(server), 20, 'the queue to be empty')
    if isinstance(peer, Exim):
        notice = notices(server, 'signer@example.jp')[0]
        assert '998' in next(notice.iter_parts()).get_content()
    else:
        assert ('x' * 3000).encode() in wait_for(peer, 'signed')[0]


def test_several_recipients_are_one_transaction(pair):
    server, peer = pair
    people = [f'{name}@elsewhere.example' for name in ('hanako', 'jiro', 'saburo', 'yuki', 'ken')]
    submit(server, people, letter=letter('several', JAPANESE))
    copies = [c.decode() for c in wait_for(peer, 'several', len(people))]
    found = [re.search(r'^Delivered-To: (\S+)$', c, re.MULTILINE)[1] for c in copies]
    assert sorted(found) == sorted(people)
    ids = {re.search(r'^Received:.*?\sid\s+([\w-]+)', c, re.MULTILINE | re.DOTALL)[1]
           for c in copies}
    assert len(ids) == 1, ids


def test_a_refused_recipient_comes_back_with_their_words(pair):
    server, peer = pair
    server.add_account('refused@example.jp')
    message = submit(server, ['hanako@elsewhere.example', REFUSED], sender='refused@example.jp',
                     letter=letter('refused', JAPANESE))
    wait_for(peer, 'refused')
    notice = notices(server, 'refused@example.jp')[0]
    assert notice.get_content_type() == 'multipart/report'
    text = next(notice.iter_parts()).get_content()
    assert peer.refusal in text and message in text and 'hanako@' not in text
    report = report_of(notice)
    assert f'Final-Recipient: rfc822; {REFUSED}' in report and 'Action: failed' in report
    assert 'Remote-MTA: dns; mx.elsewhere.example' in report and peer.refusal in report
    assert re.search(r'^Status: 5\.\d', report, re.MULTILINE)
    until(lambda: queue_is_empty(server), 10, 'the queue to be empty')


def test_several_letters_over_one_connection(pair):
    server, peer = pair
    before = peer.connections()
    for number in range(10):
        submit(server, ['hanako@elsewhere.example'] + [REFUSED] * (number == 4), sender='',
               letter=letter(f'series{number}', f'{number}\r\n.\r\n'))
    for number in range(10):
        wait_for(peer, f'series{number}')
    until(lambda: queue_is_empty(server), 10, 'the queue to be empty')
    assert peer.connections() - before <= 1 <= peer.connections()


def test_who_tells_of_the_delivery(pair):
    """A peer with DSN is asked to tell; where there is none, we say that it went on."""
    server, peer = pair
    server.add_account('success@example.jp')
    submit(server, 'hanako@elsewhere.example', sender='success@example.jp',
           letter=letter('success', JAPANESE), mail=' RET=HDRS ENVID=QQ314159',
           rcpt=' NOTIFY=SUCCESS ORCPT=rfc822;Hanako+2Btag@elsewhere.example')
    wait_for(peer, 'success')
    report = report_of(notices(server, 'success@example.jp')[0])
    told, who = ('delivered', peer.hostname) if peer.has_dsn else ('relayed', server.hostname)
    assert re.search(rf'^Reporting-MTA: dns; ?{re.escape(who)}$', report, re.MULTILINE), report
    assert f'Action: {told}' in report
    assert 'Final-Recipient: rfc822; hanako@elsewhere.example' in report
    if not isinstance(peer, OpenSmtpd):  # it forgets both
        assert 'Original-Envelope-Id: QQ314159' in report
        assert re.search(r'^Original-Recipient: rfc822; ?Hanako\+tag@', report, re.MULTILINE)
    until(lambda: queue_is_empty(server), 10, 'the queue to be empty')
    assert len(server.export('success@example.jp')) == 1


def test_a_japanese_address_goes_where_it_can(pair):
    """RFC 6531 section 3.2: to a host with SMTPUTF8 as it is, else back to the sender."""
    server, peer = pair
    server.add_account('utf8@example.jp')
    submit(server, '花子@elsewhere.example', sender='utf8@example.jp', mail=' SMTPUTF8',
           letter=letter('utf8', JAPANESE))
    if isinstance(peer, (PlainPostfix, OpenSmtpd)):
        assert re.search(r'^Status: 5\.6\.7', report_of(notices(server, 'utf8@example.jp')[0]),
                         re.MULTILINE)
        assert arrived(peer, 'utf8') == []
    else:
        copy = wait_for(peer, 'utf8')[0]
        assert_same(copy, letter('utf8', JAPANESE))
        assert '\nDelivered-To: 花子@elsewhere.example\n'.encode() in b'\n' + copy
    until(lambda: queue_is_empty(server), 10, 'the queue to be empty')


def test_nobody_tells_who_was_not_asked(pair):
    server, peer = pair
    server.add_account('silent@example.jp')
    submit(server, ['hanako@elsewhere.example'], sender='silent@example.jp',
           letter=letter('silent', JAPANESE), rcpt=' NOTIFY=FAILURE')
    wait_for(peer, 'silent')
    until(lambda: queue_is_empty(server), 10, 'the queue to be empty')
    assert server.export('silent@example.jp') == []
