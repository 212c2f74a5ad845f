"""A certificate authority for one test, made with openssl, and what it signs.

    authority = Authority(tmp_path)
    certificate = authority.issue('mx.example.net')
    ... certificate.chain, certificate.key: files in PEM; authority.file: what to trust
"""
import shutil
import subprocess
import typing

EXPIRED = -1


class Certificate(typing.NamedTuple):
    """Two files in PEM."""
    chain: str
    key: str


def openssl(*args):
    """Runs openssl, which must succeed."""
    run = subprocess.run(['openssl', *map(str, args)], capture_output=True, text=True, timeout=60,
                         check=False)
    assert run.returncode == 0, run.stderr


def new_key(path):
    """A key that whoever runs a peer may read."""
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', path)
    path.chmod(0o644)


def self_signed(folder, host):
    """A certificate that nobody vouches for."""
    chain, key = folder / f'{host}.own.pem', folder / f'{host}.own.key'
    new_key(key)
    openssl('req', '-x509', '-new', '-key', key, '-days', 30, '-subj', f'/CN={host}', '-addext',
            f'subjectAltName=DNS:{host}', '-out', chain)
    return Certificate(chain, key)


def as_own(certificate, folder):
    """For Server(config=...): the server's own certificate is this one, in a new folder, in
    certbot's layout."""
    folder.mkdir()
    shutil.copyfile(certificate.chain, folder / 'fullchain.pem')
    shutil.copyfile(certificate.key, folder / 'privkey.pem')
    (folder / 'privkey.pem').chmod(0o600)

    def change(text):
        begin = text.index('certificate "own" {')
        return (f'{text[:begin]}certificate "own" {{\n    folder = "{folder}"\n'
                f'{text[text.index("}", begin):]}')
    return change


class Authority:
    """It keeps its files in a folder, which others may read."""

    def __init__(self, folder):
        self.folder = folder
        folder.chmod(0o755)
        self.file, self.key = folder / 'authority.pem', folder / 'authority.key'
        new_key(self.key)
        openssl('req', '-x509', '-new', '-key', self.key, '-days', 30, '-subj',
                '/CN=Test authority', '-addext', 'keyUsage=critical,keyCertSign,cRLSign', '-out',
                self.file)

    def issue(self, host, days=30, extensions=''):
        """A certificate for the host; with EXPIRED days, one that is over. `extensions` are more
        lines as x509v3_config(5) has them."""
        stem = self.folder / (f'{host}.expired' if days < 0 else host)
        key, request, more = (stem.with_name(stem.name + end) for end in ('.key', '.csr', '.ext'))
        leaf, chain = (stem.with_name(stem.name + end) for end in ('.leaf', '.pem'))
        new_key(key)
        more.write_text(f'subjectAltName=DNS:{host}\nbasicConstraints=critical,CA:FALSE\n'
                        'extendedKeyUsage=serverAuth,clientAuth\n' + extensions)
        openssl('req', '-new', '-key', key, '-subj', f'/CN={host}', '-out', request)
        openssl('x509', '-req', '-in', request, '-CA', self.file, '-CAkey', self.key, '-days', days,
                '-extfile', more, '-out', leaf)
        chain.write_text(leaf.read_text() + self.file.read_text())
        return Certificate(chain, key)
