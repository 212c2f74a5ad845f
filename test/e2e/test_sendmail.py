"""Mail from programs on this machine: sendmail, hikyaku send, and the process that picks it up."""
import email
import email.policy
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import subprocess

import pytest

from git import DEVELOPER, Git
from hikyaku import DOMAIN, HOSTNAME, Server, children, until
from sink import Sink

TARO = 'taro@example.jp'
HANAKO = 'hanako@example.jp'
IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason='users are changed by root only')


def user_named(*names):
    """A user of this machine that is not root."""
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip('there is no user ' + ' or '.join(names))


def me():
    return pwd.getpwuid(os.geteuid()).pw_name


class Sender:
    """Programs that call sendmail, as some user, with the configuration of one server."""

    def __init__(self, server):
        self.server = server
        self.bin = server.dir / 'bin'
        self.bin.mkdir(exist_ok=True)
        self.bin.chmod(0o755)
        self.binary = pathlib.Path(server.binary)
        for name in ('sendmail', 'mailq', 'newaliases'):
            (self.bin / name).symlink_to(self.binary)

    def run(self, *args, stdin=b'', name='sendmail', user=None, env=None, timeout=60):
        command = [str(self.bin / name), *map(str, args)]
        if user is not None:
            command = ['setpriv', f'--reuid={user.pw_uid}', f'--regid={user.pw_gid}',
                       '--clear-groups', '--', *command]
        env = dict(self.server.env, HIKYAKU_CONFIG=str(self.server.config_path), **(env or {}))
        return subprocess.run(command, input=stdin, capture_output=True, timeout=timeout,
                              check=False, env=env)

    def send(self, *args, **kwargs):
        """Has to be taken."""
        run = self.run(*args, **kwargs)
        assert run.returncode == 0, run.stderr.decode(errors='replace')
        return run


def spool(server):
    return server.dir / 'spool'


def wait_empty(server, seconds=20):
    def is_empty():
        names = [p.name for p in spool(server).iterdir() if p.name != 'taken']
        taken = [p.name for p in (spool(server) / 'taken').iterdir()
                 if not p.name.endswith('.refused')]
        return not names and not taken
    until(is_empty, seconds, 'the spool folder to be empty')


def mails(server, address, count, seconds=20):
    """The messages of a mailbox once there are `count`."""
    found = []

    def is_there():
        found[:] = server.export(address)
        return len(found) >= count
    until(is_there, seconds, f'{count} mails for {address}')
    assert len(found) == count, found
    return found


def header(message, name):
    """All values of a header field, unfolded."""
    head = re.split(rb'\r?\n\r?\n', message, maxsplit=1)[0]
    head = re.sub(rb'\r?\n[ \t]+', b' ', head)
    return [line.split(b':', 1)[1].strip().decode(errors='replace') for line in head.splitlines()
            if line.lower().startswith(name.lower().encode() + b':')]


def pids_of(server, service):
    found = []
    for pid in children(server.process.pid):
        try:
            words = pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().split(b'\0')
        except OSError:
            continue
        if len(words) > 2 and words[1:3] == [b'--process', service.encode()]:
            found.append(pid)
    return found


def settings(port=9, **more):
    """A server whose only place elsewhere is elsewhere.example, at this port."""
    given = {
        'server.inbound_workers': '1',
        'submit.domain': DOMAIN,
        'submit.trusted_users': '[]',
        'outbound.port': port,
        'outbound.private_networks': '[ "127.0.0.0/8" ]',
        'resolver.local_records': '[ "elsewhere.example 60 MX 10 mx.elsewhere.example", '
                                  '"mx.elsewhere.example 60 A 127.0.0.1" ]',
        'resolver.forwarders': '[ "127.0.0.1@9" ]',
        'resolver.trust_anchor_file': '""',
        'resolver.timeout': '3s',
        'queue.jitter': 0,
    }
    given.update({name.replace('__', '.'): value for name, value in more.items()})
    return given


@pytest.fixture(name='server')
def fixture_server():
    with Server(settings=settings()) as running:
        running.add_account(TARO)
        running.add_account(HANAKO)
        yield running


@pytest.fixture(name='sender')
def fixture_sender(server):
    return Sender(server)


def test_a_report_of_cron_reaches_who_looks_after_the_machine(server, sender):
    sender.send('-FCronDaemon', '-i', '-odi', '-oem', '-oi', '-t', stdin=(
        b'From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@x> job\n'
        b'Content-Type: text/plain; charset=UTF-8\nX-Cron-Env: <SHELL=/bin/sh>\n\nout\n'))
    mail, = mails(server, f'postmaster@{DOMAIN}', 1)
    assert header(mail, 'to') == [f'root@{DOMAIN}']
    sender_name = me()
    expected = f'root@{DOMAIN}' if sender_name == 'root' else f'{sender_name}@{DOMAIN}'
    assert header(mail, 'from') == [f'Cron Daemon <{expected}>']
    assert header(mail, 'return-path') == [f'<{sender_name}@{DOMAIN}>']
    assert len(header(mail, 'date')) == 1 and len(header(mail, 'message-id')) == 1
    received, = header(mail, 'received')
    assert f'by {HOSTNAME}' in received and f'userid {os.geteuid()} ({sender_name})' in received


def test_php_takes_recipients_from_the_header(server, sender):
    sender.send('-t', '-i', stdin=(
        b'To: Taro <taro@example.jp>\nBcc: hanako@example.jp\nSubject: x\n\n.\nafter the dot\n'))
    mail, = mails(server, TARO, 1)
    other, = mails(server, HANAKO, 1)
    assert not header(mail, 'bcc') and not header(other, 'bcc')
    assert b'\n.\r\nafter' in mail or b'\n.\nafter' in mail


def test_a_dot_ends_the_message_unless_told_otherwise(server, sender):
    sender.send('taro@example.jp', stdin=b'Subject: x\n\nbefore\n.\nafter\n')
    mail, = mails(server, TARO, 1)
    assert b'before' in mail and b'after' not in mail


def test_names_without_a_domain_get_one(server, sender):
    sender.send('taro', stdin=b'no header at all\n')
    mail, = mails(server, TARO, 1)
    assert header(mail, 'to') == ['undisclosed-recipients:;']
    assert b'no header at all' in mail


def test_lines_end_in_crlf_and_large_mails_pass(server, sender):
    body = b''.join(b'line %d \xe9\x80\x81\n' % n for n in range(60000))
    sender.send('taro', stdin=b'Subject: large\n\n' + body)
    mail, = mails(server, TARO, 1)
    assert mail.replace(b'\r\n', b'\n').endswith(body)


def test_a_mail_waits_while_the_server_is_down(server, sender):
    server.stop()
    sender.send('taro', stdin=b'Subject: while down\n\nx\n')
    assert any(p.name.startswith('msg.') for p in spool(server).iterdir())
    server.start()
    mail, = mails(server, TARO, 1)
    assert header(mail, 'subject') == ['while down']


def test_the_folder_is_for_all_and_for_nobody(server):
    mode = spool(server).stat().st_mode & 0o7777
    assert mode == 0o3733
    assert (spool(server) / 'taken').stat().st_mode & 0o7777 == 0o700
    pid, = pids_of(server, 'pickup')
    assert spool(server).stat().st_uid == os.stat(f'/proc/{pid}').st_uid or not IS_ROOT


@needs_root
def test_any_user_may_send_as_himself(server, sender):
    user = user_named('daemon', 'bin')
    sender.send('taro', stdin=b'Subject: x\n\nx\n', user=user)
    mail, = mails(server, TARO, 1)
    assert header(mail, 'return-path') == [f'<{user.pw_name}@{DOMAIN}>']
    assert f'{user.pw_name}@{DOMAIN}' in header(mail, 'from')[0]
    listing = subprocess.run(['setpriv', f'--reuid={user.pw_uid}', '--clear-groups', 'ls',
                              str(spool(server))], capture_output=True, check=False)
    assert listing.returncode != 0


@needs_root
def test_forged_senders_are_not_believed(server, sender):
    user = user_named('daemon', 'bin')
    own = f'{user.pw_name}@{DOMAIN}'
    run = sender.run('-f', TARO, 'hanako', stdin=b'Subject: x\n\nx\n', user=user)
    assert run.returncode == 77 and b'may not send as taro@example.jp' in run.stderr
    # The header is mended, not refused.
    sender.send('-t', user=user, stdin=(b'From: The Boss <taro@example.jp>\nSender: x@y\n'
                                        b'To: hanako@example.jp\nSubject: forged\n\nx\n'))
    mail, = mails(server, HANAKO, 1)
    assert header(mail, 'from') == [f'The Boss <{own}>']
    assert header(mail, 'x-original-from') == ['The Boss <taro@example.jp>']
    assert not header(mail, 'sender')


@needs_root
def test_what_sendmail_would_refuse_is_refused_by_the_server_too(server, sender):
    """A file that was not written by sendmail."""
    user = user_named('daemon', 'bin')
    server.add_account(f'{user.pw_name}@{DOMAIN}')
    text = (b'hikyaku-mail 1\nfrom taro@example.jp\nto 0 - hanako@example.jp\n\n'
            b'From: taro@example.jp\nSubject: by hand\n\nx\n')
    drop_file(server, 'msg.byhand', text, user)
    notice, = mails(server, f'{user.pw_name}@{DOMAIN}', 1)
    assert b'may not send as taro@example.jp' in notice and b'Subject: by hand' in notice
    assert header(notice, 'return-path') == ['<>']
    assert header(notice, 'auto-submitted') == ['auto-replied']
    assert not server.export(HANAKO)
    wait_empty(server)
    assert len(list((spool(server) / 'taken').glob('*.refused'))) == 1
    assert 'pickup.refused' in server.log()


def read_notice(mail):
    """The whole text of a notice."""
    return email.message_from_bytes(mail, policy=email.policy.default).get_content()


@needs_root
def test_a_refusal_is_found_by_everyone_it_is_about(server, sender):
    user = user_named('daemon', 'bin')
    own = f'{user.pw_name}@{DOMAIN}'
    server.add_account(own)
    text = (b'hikyaku-mail 1\nfrom boss@Example.JP\nto 0 - hanako@example.jp\nto 0 - taro\n\n'
            b'Subject: by hand\n\nx\n')
    drop_file(server, 'msg.whole', text, user)
    mail, = mails(server, own, 1)
    told = read_notice(mail)
    for name in ('boss@example.jp', HANAKO, TARO):
        event = refusals(server, name)[0]
        assert event['enhanced'] == '5.7.1' and event['code'] == '550'
        assert event['sender'] == 'boss@example.jp' and not event['text'].startswith('5.')
        assert event['text'].count('5.7.1') == 0
        # The notice has the reference of the trace.
        assert event['ref'] in told
    assert '利用者' in told and 'may not send as boss@Example.JP' in told
    assert header(mail, 'subject')[0].endswith('/ Your mail was not sent')


def refusals(server, address):
    """The details of refusals that an address finds, the oldest first, each with its ref."""
    return [dict(event['details'], ref=event['ref'])
            for event in server.cli_json('trace', address) if event['event'] == 'refused']


def test_one_refused_recipient_is_found_by_its_own_name(server, sender):
    server.add_account(f'{me()}@{DOMAIN}')
    sender.send('taro', 'no-such-one', stdin=b'Subject: half\n\nx\n')
    mail, = mails(server, f'{me()}@{DOMAIN}', 1)
    assert '<no-such-one>: 5.1.1 there is no such mailbox here' in read_notice(mail)
    event, = refusals(server, f'no-such-one@{DOMAIN}')
    assert event['enhanced'] == '5.1.1' and event['sender'] == f'{me()}@{DOMAIN}'
    told = server.cli('trace', f'no-such-one@{DOMAIN}')
    assert f'to <no-such-one@{DOMAIN}>' in told and '5.1.1 there is no such mailbox' in told
    assert '5.1.1 5.1.1' not in told


def drop_file(server, name, text, user=None, mode=0o640):
    """Puts a file into the spool folder as a user would with a shell."""
    script = (f'umask 0; cat >"$1/t.$$" && chmod {mode:o} "$1/t.$$" && mv "$1/t.$$" "$1/{name}"')
    command = ['sh', '-c', script, 'sh', str(spool(server))]
    if user is not None:
        command = ['setpriv', f'--reuid={user.pw_uid}', f'--regid={user.pw_gid}',
                   '--clear-groups', '--', *command]
    run = subprocess.run(command, input=text, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr


def as_user(user, *command):
    words = list(map(str, command))
    if user is not None:
        words = ['setpriv', f'--reuid={user.pw_uid}', f'--regid={user.pw_gid}', '--clear-groups',
                 '--', *words]
    return subprocess.run(words, capture_output=True, check=False)


def test_strange_things_in_the_folder_are_cleared_away(server, sender, tmp_path):
    user = user_named('daemon', 'bin') if IS_ROOT else None
    folder = spool(server)
    good = b'hikyaku-mail 1\nto 0 - taro@example.jp\n\nSubject: good\n\nx\n'
    as_user(user, 'mkfifo', folder / 'msg.fifo')
    as_user(user, 'ln', '-s', '/etc/passwd', folder / 'msg.link')
    as_user(user, 'mkdir', '-p', folder / 'msg.dir' / 'deep')
    drop_file(server, 'first', good, user)
    as_user(user, 'ln', folder / 'first', folder / 'msg.hard')
    drop_file(server, 'msg.secret', good, user, mode=0o000)
    drop_file(server, 'msg.garbage', b'\0\1\2' * 1000, user)
    drop_file(server, 'msg.empty', b'', user)
    drop_file(server, 'msg.nul', good + b'\0', user)
    drop_file(server, 'msg.header', b'hikyaku-mail 1\nto 0 - taro@example.jp\n\n'
              + b'X-A: ' + b'b' * 999 + b'\n' + b'X-B: c\n' * 60000, user)
    drop_file(server, 'msg.recipients', b'hikyaku-mail 1\n' + b'to 0 - taro\n' * 1001 + b'\nx\n',
              user)
    sender.send('hanako', stdin=b'Subject: still works\n\nx\n')
    mails(server, HANAKO, 1)

    def is_cleared():
        return not list(folder.glob('msg.*'))
    until(is_cleared, 20, 'the folder to be cleared')
    assert not server.export(TARO), 'nothing of that is a mail'
    assert server.log().count('pickup.not-a-mail') >= 4
    sender.send('taro', stdin=b'Subject: after\n\nx\n')
    mails(server, TARO, 1)


@needs_root
def test_a_file_that_was_made_elsewhere_proves_nothing(server):
    victim, other = user_named('daemon'), user_named('bin', 'games')
    text = b'hikyaku-mail 1\nto 0 - taro@example.jp\n\nSubject: not mine\n\nx\n'
    place = server.dir / 'elsewhere'
    place.mkdir()
    path = place / 'file'
    path.write_bytes(text)
    os.chown(path, victim.pw_uid, other.pw_gid)
    path.chmod(0o644)
    # As a hard link whose first name went away.
    path.rename(spool(server) / 'msg.moved')
    until(lambda: 'was not made there' in server.log(), 20, 'the refusal')
    assert not server.export(TARO)


def test_a_huge_file_is_not_read_and_not_kept(server, sender):
    path = spool(server) / 'new.huge'
    with open(path, 'wb') as file:
        file.write(b'hikyaku-mail 1\nto 0 - taro@example.jp\n\nSubject: huge\n\n')
        file.truncate(3 << 30)
    os.chmod(path, 0o640)
    path.rename(spool(server) / 'msg.huge')
    until(lambda: 'too big' in server.log() or 'NUL' in server.log(), 60, 'the refusal')
    wait_empty(server)
    assert not list((spool(server) / 'taken').glob('*.refused'))
    assert not server.export(TARO)
    run = sender.run('taro', stdin=b'x\n' * (27 << 20))
    assert run.returncode == 65 and b'too big' in run.stderr


def test_unknown_users_are_told_and_the_others_get_it(server, sender):
    server.add_account(f'{me()}@{DOMAIN}')
    sender.send('taro', 'nobody-of-this-name', stdin=b'Subject: two\n\nx\n')
    mails(server, TARO, 1)
    notice, = mails(server, f'{me()}@{DOMAIN}', 1)
    assert b'nobody-of-this-name' in notice and b'no such mailbox' in notice
    # From the null sender nobody is told anything.
    sender.send('-f', '<>', 'nobody-else', stdin=b'Subject: three\n\nx\n')
    until(lambda: '<nobody-else>' in server.log() or 'nobody-else' in server.log(), 20, 'a refusal')
    wait_empty(server)
    assert len(server.export(f'{me()}@{DOMAIN}')) == 1


def test_addresses_may_be_given_to_users():
    with Server(settings=settings(submit__senders=f'[ "{me()} info@{DOMAIN}" ]')) as server:
        server.add_account(TARO)
        sender = Sender(server)
        sender.send('-f', f'info@{DOMAIN}', 'taro', stdin=b'Subject: x\n\nx\n')
        sender.send('-f', f'info+list@{DOMAIN}', 'taro', stdin=b'Subject: x\n\nx\n')
        for mail in mails(server, TARO, 2):
            assert header(mail, 'return-path')[0].startswith('<info')
        assert sender.run('-f', f'boss@{DOMAIN}', 'taro', stdin=b'x\n').returncode == 77


def test_mail_for_elsewhere_goes_out_from_foreign_addresses_too():
    """git send-email -f."""
    sink = Sink()
    with Server(settings=settings(sink.port)) as server:
        server.add_account(TARO)
        Sender(server).send(
            '-i', '-f', 'dev@project.example', 'list@elsewhere.example', 'taro@example.jp',
            stdin=b'From: A Dev <dev@project.example>\nTo: list@elsewhere.example\n'
                  b'Bcc: secret@project.example\nSubject: [PATCH] x\n\n---\n')
        mail, = mails(server, TARO, 1)
        assert header(mail, 'from') == ['A Dev <dev@project.example>']
        assert not header(mail, 'sender')
        until(lambda: sink.messages, 20, 'the mail to arrive elsewhere')
        sender, recipients, data = sink.messages[0]
        assert sender == 'dev@project.example' and recipients == ['list@elsewhere.example']
        assert b'secret' not in data and b'Return-Path' not in data
        assert 'list@elsewhere.example' in server.trace('list@elsewhere.example')


def test_long_lines_go_out_encoded():
    """PHP programs write whole pages in one line."""
    sink = Sink()
    page = b'<p>' + b'long ' * 1000 + b'</p>'
    with Server(settings=settings(sink.port)) as server:
        server.add_account(TARO)
        Sender(server).send('-i', 'hanako@elsewhere.example',
                            stdin=b'Subject: x\nContent-Type: text/html\n\n' + page + b'\n')
        until(lambda: sink.messages, 20, 'the mail to arrive elsewhere')
        data = sink.messages[0][2]
        assert max(map(len, data.split(b'\n'))) <= 999  # with CR
        assert email.message_from_bytes(data).get_payload(decode=True).strip() == page


def test_usage_is_answered_as_sysexits_says(sender):
    cases = [
        (('-t',), b'Subject: nobody\n\n', 64),
        ((), b'x\n', 64),
        (('-z', 'taro'), b'x\n', 64),
        (('not an address@@',), b'x\n', 67),
        (('-t',), b'To: <a@@b>\n\n', 65),
        # What is broken is nobody here, whose name it begins with.
        (('taro@@osaka.test',), b'x\n', 67),
        (('taro@osaka..test',), b'x\n', 67),
        (('taro@',), b'x\n', 67),
        (('-t',), b'To: taro@@osaka.test\n\n', 65),
        (('taro',), b'a\0b\n', 65),
        (('-C', '/nonexistent', 'taro'), b'x\n', 66),
        (('-q',), b'', 0),
        (('-bi',), b'', 0),
        (('--version',), b'', 0),
    ]
    for args, stdin, status in cases:
        run = sender.run(*args, stdin=stdin)
        assert run.returncode == status, (args, run)
        assert (status == 0) == (run.stderr == b''), (args, run)
    assert sender.run(name='newaliases').returncode == 0


def test_a_missing_folder_is_a_temporary_failure(server, sender):
    server.stop()
    shutil.rmtree(spool(server))
    run = sender.run('taro', stdin=b'x\n')
    assert run.returncode == 75 and b'hikyaku serve' in run.stderr
    server.start()
    assert sender.run('taro', stdin=b'x\n').returncode == 0
    mails(server, TARO, 1)


def test_smtp_on_standard_input(server, sender):
    dialogue = (b'EHLO here\r\nMAIL FROM:<%s>\r\nRCPT TO:<taro@example.jp>\r\nDATA\r\n'
                b'Subject: by -bs\r\n\r\n..dot\r\n.\r\n' % f'{me()}@{DOMAIN}'.encode())
    big = b'MAIL FROM:<>\r\nRCPT TO:<hanako@example.jp> NOTIFY=NEVER\r\nDATA\r\nSubject: big\r\n' \
          b'\r\n' + b'0123456789\r\n' * 30000 + b'.\r\nQUIT\r\n'
    run = sender.send('-bs', stdin=dialogue + big)
    replies = run.stdout.decode().splitlines()
    assert replies[0].startswith('220 ') and replies[-1].startswith('221 ')
    # It names no id, which the server would not know.
    assert replies.count('250 2.0.0 Left for the server') == 2, replies
    mail, = mails(server, TARO, 1)
    assert header(mail, 'subject') == ['by -bs'] and b'\n.dot' in mail
    assert [' id ' in line for line in header(mail, 'received')] == [True, False]
    mail, = mails(server, HANAKO, 1)
    assert mail.count(b'0123456789') == 30000
    run = sender.send('-bs', stdin=b'HELO x\nMAIL FROM:<>\nRCPT TO:<taro@example.jp>\nDATA\n\nx\n'
                                   b'.\nQUIT\n')
    assert b' Left for the server' in run.stdout
    mails(server, TARO, 2)


def test_smtp_by_a_pipe_as_swaks_does(server, sender):
    if not shutil.which('swaks'):
        pytest.skip('swaks is not installed')
    run = subprocess.run(['swaks', '--pipe', f'{sender.bin}/sendmail -bs', '--from',
                          f'{me()}@{DOMAIN}', '--to', TARO, '--header', 'Subject: swaks'],
                         capture_output=True, timeout=60, check=False,
                         env=dict(server.env, HIKYAKU_CONFIG=str(server.config_path)))
    assert run.returncode == 0, run.stdout.decode() + run.stderr.decode()
    mail, = mails(server, TARO, 1)
    assert header(mail, 'subject') == ['swaks']


def arrived(sink):
    """The recipients that a sink took mail for."""
    return sorted(recipient for mail in sink.messages for recipient in mail[1])


def test_git_sends_patches(tmp_path):
    sink = Sink()
    with Server(settings=settings(sink.port)) as server:
        server.add_account(TARO)
        sender = Sender(server)
        git = Git(server, tmp_path)
        git.commit('Begin', 'nothing\n')
        git.commit('日本語の件名\n\n.\n..\nFrom here on', '日本語\n.\n')
        git.commit('Say more', 'x' * 1200 + '\n')
        git.run('send-email', '--quiet', f'--sendmail-cmd={sender.bin}/sendmail', '--to', TARO,
                '--cc', 'list@elsewhere.example', '--bcc', 'secret@elsewhere.example',
                '--envelope-sender=auto', 'HEAD~2')
        sent = sorted(mails(server, TARO, 2), key=lambda mail: header(mail, 'subject')[0])
        parsed = [email.message_from_bytes(mail, policy=email.policy.default) for mail in sent]
        assert [mail['subject'] for mail in parsed] == \
            ['[PATCH 1/2] 日本語の件名', '[PATCH 2/2] Say more']
        for mail, raw in zip(parsed, sent):
            assert mail['from'] == f'{DEVELOPER} <dev@project.example>' and not mail['sender']
            assert mail['cc'] == 'list@elsewhere.example' and 'bcc' not in mail
            assert header(raw, 'return-path') == ['<dev@project.example>']
            assert len(header(raw, 'date')) == len(header(raw, 'message-id')) == 1
            assert b'secret' not in raw
        assert parsed[1]['in-reply-to'] == parsed[0]['message-id']
        until(lambda: len(arrived(sink)) == 4, 20, 'the copies to arrive elsewhere')
        assert {mail[0] for mail in sink.messages} == {'dev@project.example'}
        assert arrived(sink) == ['list@elsewhere.example'] * 2 + ['secret@elsewhere.example'] * 2
        # What arrived is what was sent: it applies, words and bytes.
        git.run('checkout', '--quiet', 'HEAD~2')
        for mail in sent:
            (tmp_path / 'mail').write_bytes(mail)
            git.run('am', '--quiet', 'mail')
        assert git.run('diff', 'HEAD', 'master').stdout == b''
        assert git.run('log', '-2', '--format=%an%n%B').stdout == \
            git.run('log', '-2', '--format=%an%n%B', 'master').stdout


def test_git_hears_what_sendmail_says(server, sender, tmp_path):
    git = Git(server, tmp_path)
    git.commit('Begin', 'nothing\n')
    # The older way to name the program, and nothing said of the sender: then it is the user.
    command = ['send-email', f'--smtp-server={sender.bin}/sendmail', '--to', TARO, '--root', '-1']
    git.run(*command)
    mail, = mails(server, TARO, 1)
    assert header(mail, 'return-path') == [f'<{me()}@{DOMAIN}>']
    assert header(mail, 'sender') == [f'{me()}@{DOMAIN}']
    git.env['HIKYAKU_CONFIG'] = '/nonexistent'
    run = git.run(*command, check=False)
    assert run.returncode != 0 and b'/nonexistent' in run.stderr, run
    mails(server, TARO, 1)


def test_hikyaku_send(server, tmp_path):
    file = tmp_path / '添付.txt'
    file.write_bytes(b'attached\n' * 1000)
    other = tmp_path / 'data.bin'
    other.write_bytes(bytes(range(256)) * 50)
    subject = '日本語の件名がとても長くて一行には入りきらないとき'
    out = server.cli('send', '-s', subject, '-a', file, '-a', other, 'taro', 'hanako@example.jp',
                     stdin='本文\n')
    assert 'hikyaku trace taro' in out
    mail, = mails(server, TARO, 1)
    parsed = email.message_from_bytes(mail, policy=email.policy.default)
    assert parsed['subject'] == subject
    assert parsed['to'] == f'{TARO}, {HANAKO}'
    parts = list(parsed.iter_parts())
    assert parts[0].get_content().strip() == '本文'
    assert [p.get_filename() for p in parts[1:]] == ['添付.txt', 'data.bin']
    assert parts[1].get_content() == 'attached\n' * 1000
    assert parts[2].get_content() == bytes(range(256)) * 50
    mails(server, HANAKO, 1)
    run = server.cli('send', '-a', tmp_path / 'none', 'taro', stdin='x', check=False)
    assert run.returncode == 1 and b'none' in run.stderr
    assert not [p for p in spool(server).iterdir() if p.name.startswith('new.')]


def test_nothing_is_lost_and_nothing_comes_twice(server, sender):
    """The picking up process and the store are killed at random moments."""
    count, rng = 200, random.Random(7)
    senders, numbers = [], iter(range(count))
    kills = 0

    def start(number):
        process = subprocess.Popen([str(sender.bin / 'sendmail'), '-i', 'taro'],
                                   stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=dict(server.env, HIKYAKU_CONFIG=str(server.config_path)))
        process.stdin.write(b'Subject: n%d\n\n' % number + b'x\n' * rng.randrange(1, 3000))
        process.stdin.close()
        senders.append(process)

    done = False
    while not done:
        for _ in range(4):
            number = next(numbers, None)
            done = number is None
            if not done:
                start(number)
        victims = pids_of(server, 'pickup') + (pids_of(server, 'store') if kills % 5 == 4 else [])
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
            kills += 1
        until(lambda: True, 0.01 + rng.random() / 20)
        pause_until_picked(server, rng)
    for process in senders:
        assert process.wait(60) == 0, process.stderr.read()
    server.advance(60000)
    wait_empty(server, 120)
    found = sorted(int(header(mail, 'subject')[0][1:]) for mail in mails(server, TARO, count, 60))
    assert found == list(range(count))
    assert kills >= 10, 'the test has to kill somebody'


def pause_until_picked(server, rng):
    """Waits for a random part of what lies there to be picked up."""
    lying = len(list(spool(server).glob('msg.*')))
    left = rng.randrange(0, lying + 1)

    def is_less():
        if not pids_of(server, 'pickup') or not pids_of(server, 'store'):
            server.advance(1000)  # who dies often is started again after longer and longer pauses
        return len(list(spool(server).glob('msg.*'))) <= left
    until(is_less, 60, 'mail to be picked up')


def test_refused_mail_and_leftovers_are_removed_in_time(server):
    (spool(server) / 'new.left').write_bytes(b'x')
    (spool(server) / 'taken' / 'old.refused').write_bytes(b'x')
    server.advance(2 * 86400 * 1000)
    until(lambda: not (spool(server) / 'new.left').exists(), 90, 'the leftover to be removed')
    assert (spool(server) / 'taken' / 'old.refused').exists()
    server.advance(6 * 86400 * 1000)
    until(lambda: not (spool(server) / 'taken' / 'old.refused').exists(), 90, 'it to be removed')


def test_nothing_comes_twice_elsewhere():
    """The same for mail that leaves the server while the picking up process is dead."""
    count, rng, sink = 150, random.Random(3), Sink()
    with Server(settings=settings(sink.port)) as server:
        sender = Sender(server)
        for number in range(count):
            sender.send('-i', 'x@elsewhere.example', stdin=b'Subject: n%d\n\nx\n' % number)
            if number % 8 == 7:
                for pid in pids_of(server, 'pickup'):
                    os.kill(pid, signal.SIGKILL)
                pause_until_picked(server, rng)
        server.advance(60000)
        wait_empty(server, 120)
        until(lambda: server.cli_json('status')['queued_messages'] == 0, 60, 'an empty queue')
        found = sorted(int(header(data, 'subject')[0][1:]) for _, _, data in sink.messages)
        assert found == list(range(count))
