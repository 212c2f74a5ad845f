"""Delivery status notifications, read by Python's parser: the parts, the fields and the texts are
where other programs look for them."""
import email
import email.policy
import pathlib
import subprocess

import pytest

from hikyaku import BINARY

DUMP = pathlib.Path(BINARY).parent / 'src/mail/dsn_dump'
ENGLISH, JAPANESE = 1, 2
ACTIONS = {1: 'failed', 2: 'delayed', 3: 'delivered', 4: 'relayed', 5: 'expanded'}
ORIGINAL = ('From: hanako@example.jp\r\nSubject: =?UTF-8?B?5pel5pys6Kqe?=\r\nMIME-Version: 1.0\r\n'
            'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'
            '本文\r\n--=_hikyaku-0sa3hmfk80202.0000\r\n').encode()
HOSTILE = '550 no\r\n\r\nAction: delivered\r\n--=_hikyaku-0sa3hmfk80202.0000--\r\n\x1b[31m'

pytestmark = pytest.mark.skipif(not DUMP.exists(), reason=f'{DUMP} was not built')


def notice(languages, action, address='taro@example.org', diagnostic='550 5.1.1 no', *,
           original=ORIGINAL, utf8=False):
    """The notice as Python sees it, without a defect in any part."""
    command = [DUMP, str(languages), str(action), address, diagnostic] + ['utf8'] * utf8
    raw = subprocess.run(command, input=original, stdout=subprocess.PIPE, timeout=60,
                         check=True).stdout
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert all(not part.defects for part in message.walk())
    assert all(len(line) <= 998 for line in raw.split(b'\r\n'))
    assert b'\n' not in raw.replace(b'\r\n', b'')
    return message


@pytest.mark.parametrize('action', ACTIONS)
@pytest.mark.parametrize('languages', [ENGLISH, JAPANESE, ENGLISH | JAPANESE])
def test_parts_and_fields_are_found(languages, action):
    message = notice(languages, action)
    assert message.get_content_type() == 'multipart/report'
    assert message['Content-Type'].params['report-type'] == 'delivery-status'
    assert message['Auto-Submitted'] == 'auto-replied'
    assert message['From'].addresses[0].addr_spec == 'MAILER-DAEMON@mx.example.jp'
    assert message['To'].addresses[0].addr_spec == 'hanako@example.jp'
    assert message['Date'].datetime.timestamp() == 1795500000
    text, status, original = message.get_payload()
    assert ('日本語' in text.get_content()) and 'taro@example.org' in text.get_content()
    assert ('お送りいただいた' in text.get_content()) == bool(languages & JAPANESE)
    assert ('Your message' in text.get_content()) == bool(languages & ENGLISH)
    of_message, of_recipient = status.get_payload()
    assert of_message['Reporting-MTA'] == 'dns; mx.example.jp'
    assert of_message['Original-Envelope-Id'] == 'QQ314159'
    assert of_recipient['Original-Recipient'] == 'rfc822; old+address@example.org'
    assert of_recipient['Final-Recipient'] == 'rfc822; taro@example.org'
    assert of_recipient['Action'] == ACTIONS[action]
    assert of_recipient['Diagnostic-Code'] == 'smtp; 550 5.1.1 no'
    assert ('Will-Retry-Until' in of_recipient) == (ACTIONS[action] == 'delayed')
    if ACTIONS[action] != 'failed':
        assert original.get_content_type() == 'text/rfc822-headers'


def test_all_of_the_original_comes_back():
    message = notice(JAPANESE, 1)
    returned = message.get_payload()[2]
    assert message['Content-Transfer-Encoding'] == returned['Content-Transfer-Encoding'] == '8bit'
    inner = returned.get_payload()[0]
    assert inner['Subject'] == '日本語'
    assert inner.get_content() == '本文\r\n--=_hikyaku-0sa3hmfk80202.0000\r\n'


def test_a_header_with_8_bits_is_encoded():
    message = notice(ENGLISH, 1, original='Subject: 日本語\r\n\r\nx\r\n'.encode())
    assert message.as_bytes().isascii()
    assert message.get_payload()[2].get_content() == 'Subject: 日本語\n' or \
        message.get_payload()[2].get_payload(decode=True) == 'Subject: 日本語\r\n'.encode()


def test_strangers_words_stay_where_they_belong():
    message = notice(ENGLISH | JAPANESE, 1, 'a\r\nBcc: x@y\r\n\r\n@b', HOSTILE)
    text, status, _ = message.get_payload()
    _, of_recipient = status.get_payload()
    assert of_recipient.get_all('Action') == ['failed']
    assert of_recipient['Status'] == '5.1.1'
    assert 'Bcc' not in message and 'Bcc' not in of_recipient
    assert '\x1b' not in text.get_content()


@pytest.mark.parametrize('utf8', [False, True])
def test_addresses_beyond_ascii(utf8):
    message = notice(JAPANESE, 1, '太郎@example.org', utf8=utf8, original=b'Subject: x\r\n\r\n')
    status = message.get_payload()[1]
    kind = 'global-delivery-status' if utf8 else 'delivery-status'
    assert status.get_content_type() == f'message/{kind}'
    wanted = '太郎@example.org' if utf8 else '\\x{592A}\\x{90CE}@example.org'
    assert f'\nFinal-Recipient: utf-8; {wanted}\n'.encode() in \
        status.as_bytes().replace(b'\r\n', b'\n')
