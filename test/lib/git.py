"""A git repository whose owner sends patches by mail."""
import pathlib
import subprocess

import pytest

DEVELOPER = '飛脚 Taro'


class Git:
    """A repository of somebody who sends patches by mail, with nothing of this machine's."""

    def __init__(self, server, folder):
        exec_path = subprocess.run(['git', '--exec-path'], capture_output=True, check=True)
        if not (pathlib.Path(exec_path.stdout.decode().strip()) / 'git-send-email').exists():
            pytest.skip('git send-email is not installed')
        self.folder = folder
        self.env = dict(server.env, HIKYAKU_CONFIG=str(server.config_path),
                        HOME=str(folder), GIT_CONFIG_NOSYSTEM='1', LC_ALL='C.UTF-8')
        self.run('init', '--quiet', '--initial-branch=master')
        for name, value in (('user.name', DEVELOPER), ('user.email', 'dev@project.example'),
                            ('sendemail.confirm', 'never'), ('sendemail.suppresscc', 'all')):
            self.run('config', name, value)

    def run(self, *args, check=True):
        run = subprocess.run(['git', *map(str, args)], capture_output=True, timeout=60,
                             check=False, cwd=self.folder, env=self.env)
        assert run.returncode == 0 or not check, run.stderr.decode()
        return run

    def commit(self, subject, text):
        (self.folder / 'file').write_text(text)
        self.run('add', 'file')
        self.run('commit', '--quiet', '-m', subject)
