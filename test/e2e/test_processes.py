"""The processes: who dies is started again, reload and stop keep their promises."""
import os
import pathlib
import signal
import subprocess

import pytest

from hikyaku import BINARY, Server, Session, children, free_port, until

TARO = 'taro@example.jp'


def names(server):
    """The service names of the master's children, by pid."""
    found = {}
    for pid in children(server.process.pid):
        try:
            words = pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().split(b'\0')
        except OSError:
            continue  # it has just ended
        if len(words) > 2 and words[1] == b'--process':
            found[pid] = words[2].decode()
    return found


def pids_of(server, service):
    return [pid for pid, name in names(server).items() if name == service]


def begin(server):
    session = Session(server.port)
    session.reply()
    session.command('EHLO client.example', 250)
    return session


def deliver(session, subject, code=250):
    session.command('MAIL FROM:<jiro@example.net>', 250)
    session.command(f'RCPT TO:<{TARO}>', 250)
    session.command('DATA', 354)
    return session.command(f'Subject: {subject}\r\n\r\nbody\r\n.', code)


@pytest.fixture
def server():
    with Server(settings={'server.inbound_workers': '1'}) as running:
        running.add_account(TARO)
        yield running


def test_a_dead_worker_is_started_again(server):
    session = begin(server)
    old = pids_of(server, 'inbound')
    os.kill(old[0], signal.SIGKILL)
    session.expect_close()
    until(lambda: pids_of(server, 'inbound') not in ([], old), 10, 'a new worker')
    until(server._is_ready, 10, 'the new worker to greet')
    deliver(begin(server), 'after the death')
    assert len(server.export(TARO)) == 1
    assert 'master.child-died child=inbound' in server.log()


def test_sessions_outlive_the_store(server):
    session = begin(server)
    deliver(session, 'before')
    os.kill(pids_of(server, 'store')[0], signal.SIGKILL)
    until(lambda: pids_of(server, 'store'), 10, 'a new store')

    def is_taken():
        session.command('RSET', 250)
        session.command('MAIL FROM:<jiro@example.net>', 250)
        return session.command(f'RCPT TO:<{TARO}>').startswith('250')
    until(is_taken, 20, 'the store to answer again')
    session.command('DATA', 354)
    session.command('Subject: after\r\n\r\nbody\r\n.', 250)
    assert len(server.export(TARO)) == 2


def test_a_store_that_dies_within_a_large_message_costs_only_that_message(server):
    session = begin(server)
    session.command('MAIL FROM:<jiro@example.net>', 250)
    session.command(f'RCPT TO:<{TARO}>', 250)
    session.command('DATA', 354)
    session.send(b'Subject: large\r\n\r\n' + b'x' * 70 + b'\r\n')
    session.send((b'y' * 70 + b'\r\n') * 6000)
    until(lambda: list((server.dir / 'data' / 'segments').glob('*.tmp')), 10, 'a spool file')
    os.kill(pids_of(server, 'store')[0], signal.SIGKILL)
    until(lambda: pids_of(server, 'store'), 10, 'a new store')
    session.send((b'z' * 70 + b'\r\n') * 6000 + b'.\r\n')
    assert session.reply().startswith('451 4.3.0')

    def is_taken():
        with Session(server.port) as other:
            return other.reply().startswith('220')
    until(is_taken, 10, 'the worker to have its store again')
    until(lambda: begin(server), 5, 'a session')
    deliver(begin(server), 'next')
    assert len(server.export(TARO)) == 1


def test_sigterm_lets_a_message_under_way_finish(server):
    idle, busy = begin(server), begin(server)
    busy.command('MAIL FROM:<jiro@example.net>', 250)
    busy.command(f'RCPT TO:<{TARO}>', 250)
    busy.command('DATA', 354)
    server.process.send_signal(signal.SIGTERM)
    assert idle.reply().startswith('421 4.3.2')
    busy.command('Subject: last\r\n\r\nbody\r\n.', 250)
    assert busy.reply().startswith('421 4.3.2')
    assert server.process.wait(15) == 0
    server.start()
    assert len(server.export(TARO)) == 1


def test_a_second_sigterm_stops_at_once(server):
    busy = begin(server)
    busy.command('MAIL FROM:<jiro@example.net>', 250)
    server.process.send_signal(signal.SIGTERM)
    until(lambda: 'master.stopping' in server.log(), 10, 'the stop to begin')
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(5)
    server.start()


def test_children_do_not_outlive_a_killed_master(server):
    orphans = list(names(server))
    server.process.kill()
    server.process.wait(5)
    until(lambda: not any(os.path.exists(f'/proc/{pid}') for pid in orphans), 15, 'them to end')
    server.start()
    deliver(begin(server), 'after the master')
    assert len(server.export(TARO)) == 1


def test_reload_changes_new_sessions_and_keeps_old_ones(server):
    old = begin(server)
    text = server.config_path.read_text()
    server.config_path.write_text(text + '\nsmtp { banner_text = "Second edition" }\n')
    server.cli('reload')
    with Session(server.port) as new:
        assert 'Second edition' in new.reply()
    deliver(old, 'of an old session')


def test_a_wrong_file_changes_nothing_and_is_explained(server):
    text = server.config_path.read_text()
    server.config_path.write_text(text + '\nsmtp { max_recipient = 5 }\n')
    done = server.cli('reload', check=False)
    line = len(text.splitlines()) + 2
    assert done.returncode == 1
    said = done.stderr.decode()
    assert f'hikyaku.conf:{line}:' in said and 'smtp.max_recipients' in said
    deliver(begin(server), 'still here')
    server.process.send_signal(signal.SIGHUP)
    until(lambda: 'master.reload-refused' in server.log(), 10, 'the refusal in the log')


def test_reload_moves_the_listeners(server):
    port = free_port()
    text = server.config_path.read_text()
    server.config_path.write_text(text.replace(f':{server.port}"', f':{port}"'))
    session = begin(server)
    server.cli('reload')
    with Session(port) as new:
        assert new.reply().startswith('220')
    with pytest.raises(OSError):
        Session(server.port)
    deliver(session, 'over the old port')


def test_a_second_server_on_the_same_folder_is_refused(server):
    done = subprocess.run([server.binary, 'serve', '-c', str(server.config_path)], env=server.env,
                          capture_output=True, timeout=30)
    assert done.returncode == 1
    assert b'running already' in done.stderr


def test_a_wrong_file_keeps_the_server_from_starting(tmp_path):
    config = tmp_path / 'hikyaku.conf'
    config.write_text('server {\n  hostname = mx.example.jp\n  inbound_workers = many\n}\n')
    done = subprocess.run([BINARY, 'serve', '-c', str(config)], capture_output=True,
                          timeout=30)
    assert done.returncode == 1
    assert b'hikyaku.conf:3:' in done.stderr and b'server.inbound_workers' in done.stderr
