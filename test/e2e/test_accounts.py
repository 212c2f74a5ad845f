"""What people log in with, through the command line: passwords and imported hashes, the second
factor with codes of oathtool, recovery codes, app passwords, delegated addresses; kept by a backup.

`account check` asks the store as a mail program's login does."""
import os
import pty
import re
import shutil
import sqlite3
import subprocess

import pytest

import qrcode
from hikyaku import PASSWORD, Server

TARO = 'taro@example.jp'


@pytest.fixture(name='server')
def running_server():
    with Server() as server:
        server.add_account(TARO)
        yield server


def check(server, password, name=TARO, purpose='send'):
    """(whether a login would be let in, what the command says)."""
    run = server.cli('account', 'check', name, '--for', purpose, '--password-stdin',
                     stdin=password + '\n', check=False)
    assert run.returncode in (0, 1), run
    return run.returncode == 0, (run.stdout + run.stderr).decode()


def fails(server, *args, stdin=None):
    """The error line of a command that must fail."""
    run = server.cli(*args, stdin=stdin, check=False)
    assert run.returncode in (1, 2), run
    return run.stderr.decode()


def account(server, address=TARO):
    return server.cli_json('account', 'show', address)


def at_terminal(server, *args):
    """What a command prints on a terminal."""
    master, slave = pty.openpty()
    with subprocess.Popen([server.binary, *args, '-c', str(server.config_path)], stdin=slave,
                          stdout=slave, stderr=slave, env=server.env) as process:
        os.close(slave)
        shown = b''
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        assert process.wait(20) == 0, shown
    os.close(master)
    return shown.decode()


def code_of(server, secret, steps=0):
    """The code an app shows at the server's time."""
    if not shutil.which('oathtool'):
        pytest.skip('oathtool is not installed')
    now = subprocess.run(['date', '+%s'], capture_output=True, text=True, check=True).stdout
    seconds = int(now) + server.clock.offset_ms() // 1000 + 30 * steps
    return subprocess.run(['oathtool', '--totp', '-b', f'--now=@{seconds}', secret],
                          capture_output=True, text=True, check=True).stdout.strip()


def turn_on_totp(server):
    """The secret of a confirmed second factor."""
    secret = server.cli_json('account', 'totp', TARO, 'enable')['secret'].replace(' ', '')
    server.cli('account', 'totp', TARO, 'confirm', code_of(server, secret))
    return secret


def add_app_password(server, name, *options):
    return server.cli_json('account', 'app-password', 'add', TARO, name, *options)['password']


def test_passwords_are_set_changed_and_switched_off(server):
    assert check(server, PASSWORD)[0]
    assert check(server, PASSWORD, 'TARO')[0]
    assert not check(server, 'wrong')[0]
    assert check(server, 'wrong') [1].replace(TARO, 'X') == \
        check(server, PASSWORD, 'nobody@example.jp')[1].replace('nobody@example.jp', 'X')
    server.cli('account', 'password', TARO, '--password-stdin', stdin='another password\n')
    assert not check(server, PASSWORD)[0] and check(server, 'another password')[0]
    server.cli('account', 'disable', TARO)
    assert not check(server, 'another password')[0]
    assert account(server)['is_disabled']
    server.cli('account', 'enable', TARO)
    assert check(server, 'another password')[0]
    server.cli('account', 'password', TARO, '--no-password')
    assert not check(server, 'another password')[0]
    assert account(server)['password'] == 'none'
    assert '8 to 1000 bytes' in fails(server, 'account', 'password', TARO, '--password-stdin',
                                      stdin='short\n')
    assert 'say one of' in fails(server, 'account', 'password', TARO, '--password-stdin',
                                 '--hash-stdin', stdin='x\n')


def test_hashes_of_other_systems_are_replaced_by_the_first_login(server):
    for method in ('yescrypt', 'bcrypt', 'sha-512'):
        if not shutil.which('mkpasswd'):
            pytest.skip('mkpasswd (package whois) is not installed')
        made = subprocess.run(['mkpasswd', '-m', method, '-s'], input='from elsewhere',
                              capture_output=True, text=True, check=True).stdout
        server.cli('account', 'password', TARO, '--hash-stdin', stdin=made)
        assert account(server)['password'] == 'imported' and not account(server)['has_scram']
        assert not check(server, 'something else')[0]
        assert account(server)['password'] == 'imported'
        assert check(server, 'from elsewhere')[0]
        assert account(server)['password'] == 'yes' and account(server)['has_scram']
        assert not check(server, 'something else')[0]
    assert 'no hash' in fails(server, 'account', 'password', TARO, '--hash-stdin',
                              stdin='{PLAIN}secret\n')
    hash_of_salt = '{SSHA256}BMjF0OSFMwdXkmHHSQ+92ZUwn7A+1JPNRW9CJYPId8H6WybD'
    server.cli('account', 'add', 'jiro@example.jp', '--hash-stdin', stdin=hash_of_salt + '\n')
    assert check(server, 'correct horse', 'jiro')[0]


def test_with_codes_programs_need_app_passwords(server):
    secret = server.cli_json('account', 'totp', TARO, 'enable')['secret'].replace(' ', '')
    assert account(server)['second_factor'] == 'not confirmed' and check(server, PASSWORD)[0]
    assert 'not the code' in fails(server, 'account', 'totp', TARO, 'confirm', '000000')
    server.cli('account', 'totp', TARO, 'confirm', code_of(server, secret))
    assert account(server)['second_factor'] == 'on'
    assert server.cli_json('account', 'totp', TARO) == account(server)
    is_in, text = check(server, PASSWORD)
    assert not is_in and 'app password' in text
    assert 'app password' not in check(server, 'wrong')[1]

    both = add_app_password(server, 'laptop')
    sending = add_app_password(server, 'プリンタ', '--scope', 'send', '--expires', '90d')
    assert re.fullmatch('([a-z2-7]{4}-){4}[a-z2-7]{4}', both)
    assert check(server, both)[0] and check(server, both, purpose='read')[0]
    assert check(server, sending)[0] and not check(server, sending, purpose='read')[0]
    assert check(server, both.replace('-', '').upper())[0]
    rows = server.cli_json('account', 'app-password', 'list', TARO)
    assert [(row['name'], row['scope']) for row in rows] == \
        [('laptop', ['send', 'read']), ('プリンタ', ['send'])]
    assert rows[0]['last_used'] and rows[1]['expires'] and not rows[0]['expires']
    assert 'プリンタ' in server.cli('account', 'app-password', 'list', TARO)
    assert both not in server.cli('account', 'app-password', 'list', TARO)
    assert 'already' in fails(server, 'account', 'app-password', 'add', TARO, 'laptop')

    server.advance(91 * 86400000)
    assert not check(server, sending)[0] and check(server, both)[0]
    server.cli('account', 'app-password', 'remove', TARO, rows[1]['id'])
    server.cli('account', 'app-password', 'remove', TARO, 'laptop')
    assert not check(server, both)[0]
    assert account(server)['app_passwords'] == 0
    server.cli('account', 'totp', TARO, 'disable')
    assert check(server, PASSWORD)[0] and account(server)['second_factor'] == 'off'


def test_all_of_it_is_told_in_japanese(server):
    """Tables, instructions and what was done; commands that can be copied stay commands."""
    offer = server.japanese('account', 'totp', TARO, 'enable')
    secret = re.search('シークレット: ([A-Z2-7 ]+)', offer)[1].replace(' ', '')
    assert f'hikyaku account totp {TARO} confirm' in offer and '認証アプリ' in offer
    assert '未確認' in server.japanese('account', 'list')
    assert 'アプリパスワードが必要' in server.japanese('account', 'totp', TARO, 'confirm',
                                            code_of(server, secret))
    assert '控えてください' in server.japanese('account', 'recovery-codes', TARO)
    made = server.japanese('account', 'app-password', 'add', TARO, 'phone', '--scope', 'send')
    assert f'hikyaku account app-password remove {TARO} ' in made and 'ハイフン' in made
    assert '送信  まだありません' in server.japanese('account', 'app-password', 'list', TARO)
    shown = server.japanese('account', 'show', TARO)
    assert '残り 10' in shown and '有効（' in shown and 'password' not in shown
    assert 'ほかのアドレスはありません' in server.japanese('account', 'delegate', 'list', TARO)
    assert '無効' in server.japanese('account', 'totp', TARO, 'disable')
    assert '有効' in server.japanese('account', 'password', TARO, '--password-stdin',
                                   stdin='another password\n')
    status = server.japanese('status')
    assert re.search('^アカウント +2$', status, re.MULTILINE) and '自己署名' in status
    assert 'open sessions' not in status


def test_the_code_can_be_read_from_terminal_and_file(server, tmp_path):
    picture = tmp_path / 'code.png'
    shown = at_terminal(server, 'account', 'totp', TARO, 'enable', '--png', str(picture))
    uri = re.search(r'otpauth://\S+', shown).group()
    assert uri.startswith('otpauth://totp/mx.example.jp:taro%40example.jp?secret=')
    assert picture.stat().st_mode & 0o777 == 0o600
    try:
        assert qrcode.read(*qrcode.png_pixels(picture.read_bytes())) == uri
        assert qrcode.read(*qrcode.terminal_pixels(shown)) == uri
    except qrcode.ReaderMissing as missing:
        pytest.skip(str(missing))
    assert 'exists already' in fails(server, 'account', 'totp', TARO, 'enable', '--png',
                                     str(picture))
    secret = re.search('secret=([A-Z2-7]+)', uri).group(1)
    assert secret not in server.log()


def test_codes_show_who_asks_for_help(server):
    assert 'no second factor' in fails(server, 'account', 'totp', TARO, 'check', '123456')
    secret = turn_on_totp(server)
    codes = server.cli_json('account', 'recovery-codes', TARO)
    server.advance(60_000)
    app = code_of(server, secret)
    for code in (app, codes[0], codes[1].upper()):
        assert server.cli('account', 'totp', TARO, 'check', code).startswith('right')
        assert 'used already' in fails(server, 'account', 'totp', TARO, 'check', code)
    assert account(server)['recovery_codes'] == 8
    assert '正しいコード' in server.japanese('account', 'totp', TARO, 'check', codes[2])
    for _ in range(20):
        said = fails(server, 'account', 'totp', TARO, 'check', '000000')
        if 'too many' in said:
            break
    assert 'too many' in said
    assert 'too many' in fails(server, 'account', 'totp', TARO, 'check', codes[3])


def test_recovery_codes_are_shown_once(server):
    assert 'totp' in fails(server, 'account', 'recovery-codes', TARO)
    turn_on_totp(server)
    codes = server.cli_json('account', 'recovery-codes', TARO)
    assert len(set(codes)) == 10 and account(server)['recovery_codes'] == 10
    assert all(re.fullmatch('([a-z2-7]{4}-){3}[a-z2-7]{4}', code) for code in codes)
    assert not check(server, codes[0])[0]
    again = server.cli('account', 'recovery-codes', TARO)
    assert not any(code in again for code in codes)
    server.cli('account', 'totp', TARO, 'disable')
    assert account(server)['recovery_codes'] == 0


def test_addresses_are_delegated(server):
    server.add_account('boss@example.jp')
    server.cli('account', 'delegate', 'add', TARO, 'Boss@example.jp')
    server.cli('account', 'delegate', 'add', TARO, 'me@private.example')
    rows = server.cli_json('account', 'delegate', 'list', TARO)
    assert [row['address'] for row in rows] == ['Boss@example.jp', 'me@private.example']
    assert account(server)['may_send_as'] == ['Boss@example.jp', 'me@private.example']
    server.cli('account', 'delegate', 'remove', TARO, 'boss@example.jp')
    assert account(server)['may_send_as'] == ['me@private.example']
    assert 'not delegated' in fails(server, 'account', 'delegate', 'remove', TARO,
                                    'boss@example.jp')
    assert 'no account' in fails(server, 'account', 'delegate', 'add', 'nobody@example.jp', TARO)
    assert 'other words' in fails(server, 'account', 'delegate', 'add', TARO)
    assert 'there is no' in fails(server, 'account', 'delegate', 'burn', TARO, TARO)


def test_no_secret_is_kept_as_it_is(server):
    turn_on_totp(server)
    app = add_app_password(server, 'phone')
    codes = server.cli_json('account', 'recovery-codes', TARO)
    assert check(server, app)[0]
    server.stop()
    kept = b''.join(path.read_bytes() for path in server.dir.rglob('*') if path.is_file())
    for secret in (PASSWORD, app, app.replace('-', ''), codes[0], codes[0].replace('-', '')):
        assert secret.encode() not in kept, secret


def test_everything_survives_a_restart_and_a_backup(server, tmp_path):
    app = add_app_password(server, 'phone')
    server.cli('account', 'delegate', 'add', TARO, 'me@private.example')
    turn_on_totp(server)
    server.restart()
    assert check(server, app)[0] and not check(server, PASSWORD)[0]
    file = tmp_path / 'backup.tar'
    server.cli('backup', str(file))
    before = account(server)
    server.stop()
    shutil.rmtree(server.dir / 'data')
    server.cli('restore', str(file))
    server.start()
    assert account(server) == before
    assert check(server, app)[0]
    is_in, text = check(server, PASSWORD)
    assert not is_in and 'app password' in text


def test_an_account_of_the_schema_before_logs_in():
    with Server() as server:
        server.add_account(TARO)
        server.stop()
        with sqlite3.connect(server.dir / 'data' / 'mail.db') as database:
            secret = database.execute('SELECT secret FROM account WHERE lookup = ?',
                                      [TARO]).fetchone()[0]
            assert secret.startswith('$argon2id$')
            for table in ('app_password', 'scram', 'recoverable_password', 'server_secret',
                          'second_factor', 'recovery_code', 'delegation', 'account_limit', 'alarm',
                          'login'):
                database.execute(f'DROP TABLE {table}')
            database.execute('DROP INDEX alias_target')
            for table, column in (('account', 'is_disabled'), ('account', 'login_epoch'),
                                  ('destination', 'asked'), ('destination', 'code')):
                database.execute(f'ALTER TABLE {table} DROP COLUMN {column}')
            database.execute('UPDATE schema_version SET version = 6')
        database.close()
        server.start()
        assert not account(server)['has_scram']
        assert check(server, PASSWORD)[0]
        assert account(server)['has_scram']
        assert list((server.dir / 'data').glob('mail.db.before-version-7'))


def test_right_passwords_cost_one_hash_a_while():
    """A login that is remembered needs no argon2id: many of them need far less processor time than
    as many wrong ones, which are never remembered."""
    with Server(settings={'auth.cache': '1h'}) as server:
        server.add_account(TARO)

        def store_ticks():
            pid = next(p for p in server.pids() if b'--process\0store' in
                       open(f'/proc/{p}/cmdline', 'rb').read())
            fields = open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()
            return int(fields[11]) + int(fields[12])

        def spend(password, is_right):
            before = store_ticks()
            for _ in range(20):
                assert check(server, password)[0] == is_right
            return store_ticks() - before

        assert check(server, PASSWORD)[0]
        right, wrong = spend(PASSWORD, True), spend('wrong', False)
        assert right * 2 < wrong, (right, wrong)
        status = server.cli_json('status')
        assert (status['logins'], status['failed_logins']) == (21, 20)
