"""Relaying to hosts that fail, routes to chosen hosts, peers without extensions, killing."""
import email
import email.policy
import os
import pathlib
import signal

import pytest

from hikyaku import Server, children, until
from relay import queue_is_empty, sender_settings, submit
from sink import Sink

MX = ('elsewhere.example 60 MX 10 mx.elsewhere.example',
      'mx.elsewhere.example 60 A 127.0.0.1')
DEAD = ('two.example 60 MX 10 dead.example', 'two.example 60 MX 20 alive.example',
        'dead.example 60 A 127.0.0.2', 'alive.example 60 A 127.0.0.1')
MINUTE = 60_000
BODY = 'Subject: plain\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n' \
       'Content-Transfer-Encoding: 8bit\r\n\r\nこんにちは\r\n.dot\r\n'


def process_of(server, name):
    """The process id of one of a server's children."""
    for pid in children(server.process.pid):
        try:
            words = pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().split(b'\0')
        except OSError:  # it has just died
            continue
        if name.encode() in words:
            return pid
    return None


def route(name, **settings):
    """The text of a route section."""
    lines = ''.join(f'    {key} = {value};\n' for key, value in settings.items())
    return f'route "{name}" {{\n{lines}}}\n'


def test_the_second_host_takes_over():
    sink = Sink()
    with Server(sender_settings(sink.port, *DEAD)) as server:
        submit(server, 'hanako@two.example')
        until(lambda: sink.messages, 15, 'the letter at the second host')
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')


@pytest.mark.parametrize('verb, reply', [
    ('CONNECT', '421 4.3.2 Shutting down'), ('EHLO', '421 4.3.2 Busy'), ('MAIL', '451 4.3.0 Later'),
    ('RCPT', '452 4.2.2 Full'), ('DATA', '451 4.3.0 Later'), ('.', '451 4.3.0 Later'),
])
def test_later_at_each_step(verb, reply):
    sink = Sink(replies={verb: reply})
    with Server(sender_settings(sink.port, *MX)) as server:
        message = submit(server, 'hanako@elsewhere.example')
        until(lambda: reply[10:] in server.trace(message), 15, 'the deferral')
        del sink.replies[verb]
        server.advance(6 * MINUTE)
        until(lambda: sink.messages, 15, 'the second attempt')
        until(lambda: queue_is_empty(server), 10, 'the queue to be empty')
        assert len(sink.messages) == 1


def test_a_plain_peer_gets_seven_bits():
    sink = Sink(extensions=())
    with Server(sender_settings(sink.port, *MX)) as server:
        submit(server, 'hanako@elsewhere.example', letter=BODY)
        data = until(lambda: sink.messages, 15, 'the letter')[0][2]
        assert max(data) < 128
        mail = email.message_from_bytes(data, policy=email.policy.default)
        assert mail.get_content().replace('\r\n', '\n') == 'こんにちは\n.dot\n'
        assert not any('BODY=' in c or 'SIZE=' in c for c in sink.commands)


def test_smtputf8_comes_back_from_a_plain_peer():
    sink = Sink()
    with Server(sender_settings(sink.port, *MX)) as server:
        server.add_account('taro@example.jp')
        submit(server, '花子@elsewhere.example', mail=' SMTPUTF8')
        bounce = until(lambda: server.export('taro@example.jp'), 15, 'the bounce')[0]
        assert b'5.6.7' in bounce and not sink.messages


def test_routes():
    sink = Sink()
    config = (route('backup', to='"two.example"', via='hosts',
                    hosts=f'[ "127.0.0.2:{sink.port}", "127.0.0.1:{sink.port} backup" ]')
              + route('mine', **{'from': '"shop@example.jp"'}, via='discard')
              + route('no', to='"no.example"', via='fail', text='"Not from here"')
              + route('hold', to='"hold.example"', via='hold'))
    with Server(sender_settings(9), config=config) as server:
        submit(server, 'a@two.example')
        until(lambda: len(sink.messages) == 1, 15, 'the backup to take it')
        submit(server, 'b@elsewhere.example', sender='shop@example.jp')
        with pytest.raises(AssertionError):
            submit(server, 'c@no.example')


def test_a_reload_sends_held_mail_another_way():
    sink = Sink()
    config = route('hold', to='"hold.example"', via='hold')
    with Server(sender_settings(9), config=config) as server:
        held = submit(server, 'd@hold.example')
        text = server.config_path.read_text()
        server.config_path.write_text(text.replace('via = hold;', 'via = hosts;\n    hosts = '
                                                   f'[ "127.0.0.1:{sink.port}" ];'))
        server.cli('reload')
        server.cli('queue', 'release', held)
        until(lambda: sink.messages, 15, 'the released letter')


@pytest.mark.parametrize('name', ['outbound', 'resolver', 'store'])
def test_a_killed_process(name):
    sink = Sink(replies={'RCPT': '451 4.7.1 Later'})
    with Server(sender_settings(sink.port, *MX)) as server:
        message = submit(server, 'hanako@elsewhere.example')
        until(lambda: '4.7.1' in server.trace(message), 15, 'the deferral')
        old = process_of(server, name)
        os.kill(old, signal.SIGKILL)
        until(lambda: process_of(server, name) not in (None, old), 15, f'a new {name}')
        del sink.replies['RCPT']
        server.advance(6 * MINUTE)
        until(lambda: sink.messages, 20, 'the letter')
        until(lambda: queue_is_empty(server), 15, 'the queue to be empty')
        assert len(sink.messages) == 1
