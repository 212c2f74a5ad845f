"""Users send by the programs they have and by raw sessions at 587 and 465: who may send as whom,
what is mended on the way, how much, and when it goes."""
import email
import email.policy
import re
import shutil
import subprocess
import urllib.parse

import pytest

from hikyaku import HOSTNAME, PASSWORD, Server, until
from sink import Sink
from submission import TARO, Submission, chain_file

HANAKO = 'hanako@example.jp'
FAR = 'elsewhere.example'
MINUTE, HOUR, DAY = 60_000, 3_600_000, 24 * 3_600_000


def make_settings(port=9, **more):
    """A server whose only place elsewhere is elsewhere.example, at this port."""
    given = {
        'brakes.connections': '0',
        'outbound.port': port,
        'outbound.private_networks': '[ "127.0.0.0/8" ]',
        'resolver.local_records': '[ "elsewhere.example 60 MX 10 mx.elsewhere.example", '
                                  '"mx.elsewhere.example 60 A 127.0.0.1" ]',
        'resolver.forwarders': '[ "127.0.0.1@9" ]',
        'resolver.trust_anchor_file': '""',
        'resolver.timeout': '3s',
    }
    given.update({f'submission.{name}': value for name, value in more.items()})
    return given


def make_server(**more):
    """One with settings of submission."""
    return Server(settings=make_settings(**more))


def fill(server):
    """Taro, who is sales@ too, and hanako."""
    server.add_account(TARO)
    server.add_account(HANAKO)
    server.add_alias('sales@example.jp', TARO)


@pytest.fixture(scope='module', name='server')
def fixture_server():
    with make_server() as server:
        fill(server)
        yield server


def letter(subject, sender=TARO, more=''):
    return (f'From: Taro <{sender}>\nTo: {HANAKO}\nSubject: {subject}\n{more}'
            f'\nthe text\n')


def find(server, address, subject):
    """The one message of the address with this subject, its bytes."""
    found = [m for m in server.export(address) if f'Subject: {subject}\n'.encode() in
             m.replace(b'\r\n', b'\n')]
    assert len(found) == 1, (address, subject, len(found))
    return found[0].replace(b'\r\n', b'\n')


# --- the programs people have ---

def run(command, stdin='', status=0):
    if shutil.which(command[0]) is None:
        pytest.skip(f'{command[0]} is not installed')
    done = subprocess.run(command, input=stdin.encode(), capture_output=True, timeout=60)
    said = (done.stdout + done.stderr).decode(errors='replace')
    assert (done.returncode != 0) == bool(status), (command, said[-3000:])
    return said


@pytest.mark.parametrize('mechanism', ['PLAIN', 'LOGIN'])
@pytest.mark.parametrize('is_implicit', [False, True])
def test_swaks(server, mechanism, is_implicit):
    port, way = (465, '--tlsc') if is_implicit else (587, '--tls')
    command = ['swaks', '--server', f'127.0.0.1:{port + server.offset}', way, '--auth', mechanism,
               '--auth-user', TARO, '--from', TARO, '--to', HANAKO,
               '--header', f'Subject: swaks {mechanism} {port}', '--auth-password']
    said = run([*command, PASSWORD])
    assert '235 2.7.0' in said and 'TLS started' in said
    assert b'with ESMTPSA' in find(server, HANAKO, f'swaks {mechanism} {port}')
    assert '535 5.7.8' in run([*command, 'wrong'], status=1)


@pytest.mark.parametrize('scheme,port', [('smtp', 587), ('smtps', 465)])
@pytest.mark.parametrize('mechanism', ['PLAIN', 'LOGIN', 'SCRAM-SHA-256'])
def test_curl(server, tmp_path, scheme, port, mechanism):
    """It verifies the certificate, name and all."""
    if mechanism.startswith('SCRAM') and 'gsasl' not in run(['curl', '--version']):
        pytest.skip('this curl has no SCRAM')
    text = tmp_path / 'letter.eml'
    text.write_text(letter(f'curl {scheme} {mechanism}'))
    port += server.offset
    command = ['curl', '-sS', '--ssl-reqd', f'{scheme}://{HOSTNAME}:{port}/client.example',
               '--resolve', f'{HOSTNAME}:{port}:127.0.0.1', '--cacert', str(chain_file(server)),
               '--login-options', f'AUTH={mechanism}', '--mail-from', TARO, '--mail-rcpt', HANAKO,
               '--crlf', '-T', str(text), '--user']
    run([*command, f'{TARO}:{PASSWORD}'])
    find(server, HANAKO, f'curl {scheme} {mechanism}')
    run([*command, f'{TARO}:wrong'], status=1)


@pytest.mark.parametrize('is_implicit', [False, True])
@pytest.mark.parametrize('mechanism', ['plain', 'login', 'scram-sha-1', 'scram-sha-256'])
def test_msmtp(server, mechanism, is_implicit, tmp_path):
    if mechanism not in run(['msmtp', '--version']):
        pytest.skip(f'this msmtp has no {mechanism}')
    port = 465 if is_implicit else 587
    secret = tmp_path / 'secret'
    command = ['msmtp', '--host=127.0.0.1', f'--port={port + server.offset}', '--tls=on',
               f'--tls-starttls={"off" if is_implicit else "on"}',
               f'--tls-trust-file={chain_file(server)}', f'--tls-host-override={HOSTNAME}',
               f'--auth={mechanism}', f'--user={TARO}', f'--passwordeval=cat {secret}',
               f'--from={TARO}', HANAKO]
    secret.write_text(PASSWORD + '\n')
    run(command, letter(f'msmtp {mechanism} {port}'))
    find(server, HANAKO, f'msmtp {mechanism} {port}')
    secret.write_text('wrong\n')
    assert '535 5.7.8' in run(command, letter('never'), status=1)


@pytest.mark.parametrize('scheme,port', [('smtp', 587), ('submissions', 465)])
def test_s_nail(server, scheme, port, tmp_path):
    user, password = (urllib.parse.quote(text, safe='') for text in (TARO, PASSWORD))
    dead = tmp_path / 'dead'
    said = run(['s-nail', '-n', '-S', 'v15-compat', '-S', 'ttycharset=UTF-8', '-S',
                f'mta={scheme}://{user}:{password}@127.0.0.1:{port + server.offset}',
                '-S', 'smtp-use-starttls', '-S', 'smtp-auth=plain', '-S', 'tls-verify=ignore',
                '-S', 'sendwait', '-S', f'DEAD={dead}', '-S', f'from={TARO}',
                '-s', f's-nail {scheme}', HANAKO], 'the text\n')
    assert not dead.exists(), said
    assert b'with ESMTPSA' in find(server, HANAKO, f's-nail {scheme}')


# --- who may send as whom ---

def test_the_sender_is_one_of_ones_own(server):
    with Submission(server) as session:
        session.log_in()
        for other in (HANAKO, f'jiro@{FAR}', 'nobody@example.jp'):
            refusal = session.command(f'MAIL FROM:<{other}>', '553 5.7.1')
            assert TARO in refusal and 'sales@example.jp' in refusal
            # Found by whom it names, and by who had logged in.
            for name in (other, TARO):
                told = [e['details'] for e in server.cli_json('trace', name)]
                assert any((d.get('enhanced'), d.get('login'), d.get('sender')) ==
                           ('5.7.1', TARO, other) for d in told), (other, name, told)
        for own in (TARO, 'TARO@Example.JP', 'sales@example.jp', ''):
            session.command(f'MAIL FROM:<{own}>', 250)
            session.command('RSET', 250)


def test_the_author_is_one_of_ones_own(server):
    with Submission(server) as session:
        session.log_in()
        for author in (HANAKO, f'jiro@{FAR}', f'{TARO}>, <{HANAKO}'):
            refusal = session.mail(letter('forged', author), to=[HANAKO])
            assert refusal.startswith('553 5.7.1') and 'sales@example.jp' in refusal, refusal
        twice = letter('forged', more=f'From: {HANAKO}\n')
        assert session.mail(twice, to=[HANAKO]).startswith('550 5.6.0')
        assert session.mail(letter('as sales', 'sales@example.jp'), to=[HANAKO]).startswith('250')
        find(server, HANAKO, 'as sales')
    assert not [m for m in server.export(HANAKO) if b'Subject: forged' in m]


def test_a_delegated_address_is_as_good_as_ones_own(server):
    boss = f'boss@{FAR}'
    with Submission(server) as session:
        session.log_in()
        session.command(f'MAIL FROM:<{boss}>', 553)
        server.cli('account', 'delegate', 'add', TARO, boss)
        assert session.mail(letter('as boss', boss), boss, [HANAKO]).startswith('250')
        server.cli('account', 'delegate', 'remove', TARO, boss)
        session.command(f'MAIL FROM:<{boss}>', 553)


@pytest.mark.parametrize('check,envelope,header', [
    ('nothing', '250', '250'), ('envelope', '553', '250'), ('header', '553', '553')])
def test_what_is_checked_is_a_setting(check, envelope, header):
    with make_server(check_sender=check) as server:
        fill(server)
        with Submission(server) as session:
            session.log_in()
            assert session.mail(letter('one', HANAKO), to=[HANAKO])[:3] == header
            assert session.mail(letter('two'), HANAKO, to=[HANAKO])[:3] == envelope


# --- what is mended ---

def test_what_programs_leave_out_is_added_and_bcc_is_not_told(server):
    with Submission(server) as session:
        session.log_in()
        more = 'Bcc: secret@example.jp,\n more@example.jp\n'
        reply = session.mail(letter('bare', more=more), to=[HANAKO, TARO])
        kept = letter('whole', more='Date: Mon, 02 Jan 2006 15:04:05 +0900\n'
                                    'Message-ID: <mine@client.example>\n')
        session.mail(kept, to=[HANAKO])
        session.mail('no header at all\n', to=[HANAKO])
    text = find(server, HANAKO, 'bare')
    message = email.message_from_bytes(text, policy=email.policy.default)
    assert message['Date'].datetime is not None and message['From'] == f'Taro <{TARO}>'
    assert message['Message-ID'].endswith(f'@{HOSTNAME}>')
    assert message['Bcc'] is None and b'secret@' not in text and b'more@' not in text
    assert message.get_content().rstrip() == 'the text' and reply.startswith('250 2.0.0')
    text = find(server, HANAKO, 'whole')
    assert text.count(b'\nDate: Mon, 02 Jan 2006 15:04:05 +0900\n') == 1
    assert text.lower().count(b'\nmessage-id: <mine@client.example>\n') == 1
    [text] = [m for m in server.export(HANAKO) if b'no header at all' in m]
    message = email.message_from_bytes(text, policy=email.policy.default)
    assert message['From'].addresses[0].addr_spec == TARO and message['Date']


@pytest.mark.parametrize('shown', [False, True])
def test_the_clients_address_is_shown_on_demand(shown):
    with make_server(show_client='yes' if shown else 'no') as server:
        fill(server)
        for is_implicit in (False, True):
            with Submission(server, is_implicit) as session:
                session.log_in()
                session.mail(letter(f'hidden {is_implicit}'), to=[HANAKO])
            text = find(server, HANAKO, f'hidden {is_implicit}')
            received = re.findall(rb'^Received: (?:.*\n[ \t])*.*\n', text, re.MULTILINE)
            assert len(received) == 1 and b'with ESMTPSA id ' in received[0]
            assert (b'client.example ([127.0.0.1])' in received[0]) == shown
            assert (b'127.0.0.1' in text or b'client.example' in text) == shown
        assert '127.0.0.1' in server.trace(TARO)


def test_port_25_mends_nothing(server):
    text = f'Subject: untouched\nBcc: {TARO}\n\nthe text\n'
    with Submission(server, port=server.port) as session:
        assert session.mail(text, f'jiro@{FAR}', [HANAKO]).startswith('250')
    stored = find(server, HANAKO, 'untouched')
    assert b'\nBcc: ' in stored and b'\nDate:' not in stored and b'with ESMTPS id' in stored


# --- how much ---

def test_messages_a_minute():
    with make_server(messages_per_minute=2) as server:
        fill(server)
        with Submission(server) as session:
            session.log_in()
            codes = [session.mail(letter(f'n{i}'), to=[HANAKO])[:9] for i in range(3)]
            assert codes == ['250 2.0.0', '250 2.0.0', '450 4.7.0']
            with Submission(server) as other:
                other.log_in(HANAKO)
                assert other.mail(letter('other', HANAKO), HANAKO, [TARO]).startswith('250')
            server.advance(MINUTE)
            assert session.mail(letter('later'), to=[HANAKO]).startswith('250')


def test_strangers_a_day():
    with Sink() as sink, make_server(port=sink.port, new_recipients_per_day=2) as server:
        fill(server)
        with Submission(server) as session:
            session.log_in()
            a, b, c = (f'{name}@{FAR}' for name in 'abc')
            assert session.mail(letter('one'), to=[a, b]).startswith('250')
            refusal = session.mail(letter('two'), to=[c])
            assert refusal.startswith('452 4.7.0') and 'new recipients' in refusal
            # To those one knows, and to those who live here, one writes as ever.
            assert session.mail(letter('three'), to=[a, HANAKO]).startswith('250')
        server.advance(DAY)
        with Submission(server) as session:
            session.log_in()
            assert session.mail(letter('four'), to=[c]).startswith('250')


def test_recipients_a_day():
    with make_server(recipients_per_day=3) as server:
        fill(server)
        with Submission(server) as session:
            session.log_in()
            assert session.mail(letter('one'), to=[HANAKO, TARO]).startswith('250')
            assert session.mail(letter('two'), to=[HANAKO, TARO]).startswith('452 4.7.0')
            assert session.mail(letter('three'), to=[HANAKO]).startswith('250')


# --- when ---

def test_mail_for_later_is_offered_to_users_alone(server):
    keywords = ('FUTURERELEASE', 'DELIVERBY', 'MT-PRIORITY')
    with Submission(server, port=server.port) as session:
        assert not any(session.offer(keyword) is not None for keyword in keywords)
        for params in ('HOLDFOR=60', 'HOLDUNTIL=2099-01-01T00:00:00Z', 'MT-PRIORITY=3'):
            session.command(f'MAIL FROM:<jiro@{FAR}> {params}', '555 5.5.4')
    for is_implicit in (False, True):
        with Submission(server, is_implicit) as session:
            session.log_in()
            session.hello()
            assert all(session.offer(keyword) is not None for keyword in keywords)


def test_a_held_mail_is_listed_and_goes_in_time():
    with Sink() as sink, make_server(port=sink.port) as server:
        fill(server)
        with Submission(server) as session:
            session.log_in()
            to = f'jiro@{FAR}'
            assert session.mail(letter('held'), to=[to], params=' HOLDFOR=3600').startswith('250')
            [row] = server.cli_json('queue', 'list', '--scheduled')
            assert row['recipient'] == to and not sink.messages
            text = letter('urgent')
            assert session.mail(text, to=[HANAKO], params=' MT-PRIORITY=4').startswith('250')
            session.command(f'MAIL FROM:<{TARO}> HOLDFOR=999999999', '501 5.5.4')
            session.command(f'MAIL FROM:<{TARO}> MT-PRIORITY=10', '501 5.5.2')
            # RFC 4954 section 5: who offers AUTH takes it, and believes nothing.
            for value in ('<>', 'hanako+40example.jp', 'e+3Dmc2@example.com'):
                session.command(f'MAIL FROM:<{TARO}> AUTH={value}', '250')
                session.command('RSET', '250')
            session.command(f'MAIL FROM:<{TARO}> AUTH=a+b', '501 5.5.4')
        assert b'PRIORITY 4' in find(server, HANAKO, 'urgent')
        server.cli('queue', 'flush', check=False)
        assert not sink.messages
        server.advance(HOUR + MINUTE)
        until(lambda: sink.messages, 20, 'the held mail')
        assert sink.messages[0][:2] == (TARO, [to])
        assert server.cli_json('queue', 'list', '--scheduled') == []
