"""OpenLDAP's slapd from Debian, unpacked aside, as the directory of an organisation.

    with Directory(folder) as directory:
        directory.add("jiro", "a password")      # uid=jiro,ou=people,dc=example,dc=jp
        server = Server(settings=directory.settings())

Nobody may read it but the entry `cn=mail` (SERVICE, SERVICE_PASSWORD); whoever binds may only bind.
It listens on ldap://, ldaps:// (with a certificate for 127.0.0.1, of an authority of its own:
libldap looks for the machine's own name where it reads `localhost`) and
ldapi://.
"""
import base64
import os
import pathlib
import shutil
import subprocess
import urllib.parse

import peers
from cryptography.x509.oid import ExtendedKeyUsageOID
from hikyaku import die_with_parent, free_port, is_free, until
from pki import Authority

BASE = 'dc=example,dc=jp'
PEOPLE = f'ou=people,{BASE}'
SERVICE, SERVICE_PASSWORD = f'cn=mail,{BASE}', 'of the mail server'

CONF = """\
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
modulepath {root}/usr/lib/ldap
moduleload back_mdb
pidfile {dir}/pid
argsfile {dir}/args
TLSCACertificateFile {ca}
TLSCertificateFile {chain}
TLSCertificateKeyFile {key}
database mdb
suffix "{base}"
rootdn "cn=admin,{base}"
rootpw admin
directory {dir}/db
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{service}" read by * none
"""
FIRST = """\
dn: {base}
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: {people}
objectClass: organizationalUnit
ou: people

dn: {service}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: mail
userPassword: {password}
"""


def _line(key, value):
    """A line of LDIF (RFC 2849) with any value."""
    return f'{key}:: {base64.b64encode(value.encode()).decode()}\n'


class Directory:
    """A running slapd with its certificate, database and log in a folder."""

    def __init__(self, folder):
        self.root = peers.unpack('slapd')
        self.dir = pathlib.Path(folder)
        (self.dir / 'db').mkdir(parents=True)
        self.authority = Authority(self.dir, 'directory-authority')
        self.port, self.tls_port = free_port(), free_port()
        self.process, self.users = None, set()
        certificate = self.authority.issue('directory', addresses=['127.0.0.1'],
                                           usage=ExtendedKeyUsageOID.SERVER_AUTH)
        (self.dir / 'conf').write_text(CONF.format(
            schema=self.root / 'etc/ldap/schema', root=self.root, dir=self.dir, base=BASE,
            ca=self.authority.path, chain=certificate.chain, key=certificate.key, service=SERVICE))
        self.password_file = self.dir / 'password'
        self.password_file.write_text(SERVICE_PASSWORD + '\n')
        self.password_file.chmod(0o600)
        self._run('slapadd', FIRST.format(base=BASE, people=PEOPLE, service=SERVICE,
                                          password=SERVICE_PASSWORD))

    def _run(self, name, text):
        run = subprocess.run([self.root / 'usr/sbin/slapd', '-T', name.removeprefix('slap'), '-f',
                              self.dir / 'conf'], input=text.encode(),
                             env=peers.environment(self.root), capture_output=True, timeout=60,
                             check=False)
        assert run.returncode == 0, run.stderr.decode()

    @property
    def socket_url(self):
        """ldapi:// with the path of the socket."""
        return 'ldapi://' + urllib.parse.quote(str(self.dir / 'socket'), safe='')

    def start(self):
        """Runs it until stop()."""
        urls = (f'ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port} '
                f'{self.socket_url}')
        with open(self.dir / 'stderr', 'ab') as stderr:
            self.process = subprocess.Popen(
                [self.root / 'usr/sbin/slapd', '-d', 'stats', '-f', self.dir / 'conf', '-h', urls],
                env=peers.environment(self.root), stdin=subprocess.DEVNULL, stdout=stderr,
                stderr=stderr, preexec_fn=die_with_parent)
        until(lambda: self.process.poll() is None and not is_free(self.port), 20, 'slapd to listen')
        os.chmod(self.dir / 'socket', 0o777)
        return self

    def stop(self):
        """Ends it."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    def _modify(self, text):
        modify = peers.unpack('ldap-utils')
        run = subprocess.run([modify / 'usr/bin/ldapmodify', '-x', '-H',
                              f'ldap://127.0.0.1:{self.port}', '-D', f'cn=admin,{BASE}', '-w',
                              'admin'], input=text.encode(), env=peers.environment(modify),
                             capture_output=True, timeout=20, check=False)
        assert run.returncode == 0, run.stderr.decode()

    def add(self, user, password=None, mails=(), name=None):
        """An entry of a person."""
        dn = f'cn={name or user},{PEOPLE}' if name else f'uid={user},{PEOPLE}'
        lines = [_line('dn', dn), 'changetype: add\n', 'objectClass: inetOrgPerson\n',
                 _line('uid', user), _line('cn', name or user), _line('sn', user)]
        lines += [_line('mail', mail) for mail in mails]
        if password is not None:
            lines.append(_line('userPassword', password))
        self._modify(''.join(lines))

    def put(self, user, password):
        """An entry with this password, whether there was one or not."""
        if user in self.users:
            self.set_password(f'uid={user},{PEOPLE}', password)
        else:
            self.add(user, password)
            self.users.add(user)

    def set_password(self, dn, password):
        """Another one."""
        self._modify(_line('dn', dn) + 'changetype: modify\nreplace: userPassword\n'
                     + _line('userPassword', password))

    def binds(self, dn):
        """How often somebody tried to be this."""
        return (self.dir / 'stderr').read_text(errors='replace').count(f'BIND dn="{dn}" method')

    def settings(self, **more):
        """For the server under test."""
        return {'auth.backend': 'ldap', 'auth.ldap_urls': f'["ldap://127.0.0.1:{self.port}"]',
                'auth.ldap_bind_dn': f'"uid=%u,{PEOPLE}"',
                'tls.ca_file': f'"{self.authority.path}"',
                **{f'auth.ldap_{key}': value for key, value in more.items()}}

    def searching(self, **more):
        """The same, where the entry is searched for."""
        found = {'bind_dn': '""', 'base': f'"{PEOPLE}"', 'service_dn': f'"{SERVICE}"',
                 'service_password_file': f'"{self.password_file}"'}
        return self.settings(**found | more)

    def remove(self):
        """Ends it and removes its files."""
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
