"""PAM services for tests, in a folder of their own: this machine's /etc/pam.d is left alone.

`users` are {name: password}. The modules are Debian's: pam_exec runs a script that knows the users,
sleeps for those in `slow`, and fails in other ways for those in `broken`.
"""
import pathlib

CHECK = """\
#!/usr/bin/python3
import os, pathlib, sys, time
folder = pathlib.Path(__file__).parent
user = os.environ['PAM_USER']
password = sys.stdin.buffer.read().rstrip(b'\\0')
with open(folder / 'log', 'a') as log:
    print('ask', repr(user), os.environ.get('PAM_RHOST'), os.environ.get('PAM_SERVICE'),
          os.getuid(), file=log, flush=True)
    while (folder / 'users' / (user + '.slow')).exists():
        time.sleep(0.05)
    file = folder / 'users' / user
    is_right = file.exists() and file.read_bytes() == password
    print('answer', repr(user), is_right, file=log, flush=True)
sys.exit(0 if is_right else 1)
"""


class PamFolder:
    """A folder with the file of the service `hikyaku` and what its modules need."""

    def __init__(self, path, account='account required pam_permit.so'):
        self.path = pathlib.Path(path)
        self.users = self.path / 'users'
        self.users.mkdir(parents=True)
        self.check = self.path / 'check'
        self.check.write_text(CHECK)
        self.check.chmod(0o755)
        self.log_path = self.path / 'log'
        self.log_path.touch()
        self.log_path.chmod(0o666)
        # By itself pam_exec says of every failure that the system is at fault.
        self.serve('auth [success=1 default=ignore] pam_exec.so quiet expose_authtok '
                   f'{self.check}', 'auth requisite pam_deny.so', 'auth required pam_permit.so',
                   account)

    def serve(self, *lines):
        """Writes the file of the service."""
        (self.path / 'hikyaku').write_text('\n'.join(lines) + '\n')

    def set(self, user, password):
        """Lets a user log in by this password."""
        (self.users / user).write_text(password)

    def slow(self, user, is_slow=True):
        """From now on a check of this user does not end; or it does again."""
        file = self.users / (user + '.slow')
        if is_slow:
            file.touch()
        else:
            file.unlink()

    def log(self):
        """What the script was asked and has answered."""
        return self.log_path.read_text()

    def settings(self):
        """For the server under test."""
        return {'auth.backend': 'pam', 'auth.pam_dir': f'"{self.path}"',
                'auth.outside_paths': f'["{self.path}"]'}
