"""SMTP dialogs of a public suite (suites/smtp/chasquid-dialogs) against our server.

What counts is that both sides agree on who is refused where; the texts are ours. Where the suite's
server chose another code of the same class, the table below says which and why.
"""
import ast
import os
import pathlib
import re

import pytest

from hikyaku import Server, Session

FOLDER = pathlib.Path(os.environ.get('SUITES', '')) / 'smtp' / 'chasquid-dialogs'
# (file, code there): code here, and why.
CHOICES = {
    ('line_too_long.cmy', '554'): ('501', 'a name of 300 bytes is a bad argument, not a long line'),
    ('bad_data.cmy', '554'): ('250', 'a header line without a colon is kept and delivered: '
                                     'refusing would lose real letters (RFC 7103 section 7)'),
}

if not FOLDER.is_dir():
    pytest.skip('the public suites are absent', allow_module_level=True)


@pytest.fixture(scope='module')
def server():
    with Server(settings={'smtp.max_message_size': '1M'}) as running:
        running.add_account('user@example.jp')
        yield running


def literal(expression):
    """Text built from string literals by + and *, as the suite writes long inputs."""
    def value(node):
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            return value(node.left) * value(node.right)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return value(node.left) + value(node.right)
        raise ValueError(expression)
    return value(ast.parse(expression, mode='eval').body)


class Player:
    def __init__(self, server, name):
        self.server, self.name, self.session = server, name, None

    def expect(self, code):
        code, _ = CHOICES.get((self.name, code), (code, ''))
        reply = self.session.reply()
        assert reply.startswith(code), f'{self.name}: {reply!r} is not {code}'

    def step(self, line):
        if line in ('c close', 'c tcp_connect localhost:1025'):
            if self.session is not None:
                self.session.close()
            self.session = Session(self.server.port) if 'connect' in line else None
        elif line.startswith('c ~> '):
            self.session.send(literal(line[5:]).encode())
        elif line.startswith('c ->'):
            self.session.send(line[5:].replace('testserver', 'example.jp').encode() + b'\r\n')
        else:
            self.expect(re.match(r'c <(?:~|-|\.\.\.) (\d{3})', line).group(1))


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.cmy')), ids=lambda p: p.stem)
def test_dialog(server, path):
    player = Player(server, path.name)
    for line in path.read_text().splitlines():
        if line.startswith('c '):
            player.step(line)
    verify = path.with_suffix('.cmy.verify')
    if verify.exists():
        body = server.export('user@example.jp')[-1]
        assert verify.read_bytes().strip() in body
