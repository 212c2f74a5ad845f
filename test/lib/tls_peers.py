"""Postfix and Exim with TLS and logins, for both directions; see peers.py for what they are beside.

Starting one costs seconds, so one instance has several faces: ports that differ in their
certificate, in what they can of TLS, and in how a client has to log in.

    faces = {'good': Face(authority.issue(HOST)), 'expired': Face(authority.issue(HOST, EXPIRED))}
    with TlsPostfix(faces, hostname=HOST, domains=[DOMAIN]) as peer:
        ... peer.ports['good'] ...

Postfix logs in, and lets others log in, by Cyrus SASL, which Debian's Exim cannot: also by SCRAM.
"""
import shutil
import subprocess
import typing

from authority import Certificate
from hikyaku import free_port
from peers import Exim, Postfix, environment


class Face(typing.NamedTuple):
    """A port of a peer: offers STARTTLS with the certificate; if is_outdated, up to TLS 1.1; with
    `mechanisms` (names with blanks between) it takes mail only from who logs in by one of them."""
    certificate: Certificate | None = None
    is_outdated: bool = False
    mechanisms: str = ''


class Faces:
    """For a Peer: its faces, their ports, copies of their certificates."""

    def __init__(self, faces, login):
        self.faces, self.login = faces, login
        self.ports = {name: free_port() for name in faces}

    def copy_certificates(self, folder, user):
        """Into this folder, as PORT.chain and PORT.key, which the user may read."""
        folder.mkdir()
        for name, face in self.faces.items():
            for part in ('chain', 'key') if face.certificate else ():
                path = folder / f'{self.ports[name]}.{part}'
                shutil.copyfile(getattr(face.certificate, part), path)
                path.chmod(0o600)
                shutil.chown(path, user)


SMTPD = '127.0.0.1:{port} inet n - n - - smtpd'
SMTPD_TLS = """
  -o smtpd_tls_security_level=may
  -o {{ smtpd_tls_chain_files = {dir}/certificates/{port}.key, {dir}/certificates/{port}.chain }}
  -o {{ smtpd_tls_protocols = {protocols} }}"""
SMTPD_LOGIN = """
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_path={name}
  -o smtpd_tls_auth_only=yes
  -o {{ smtpd_recipient_restrictions = permit_sasl_authenticated, reject }}"""
# Debian's Postfix looks for it in the folder sasl beside main.cf.
SASL_CONF = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {dir}/data/sasldb
mech_list: {mechanisms}
"""
POSTFIX_TLS = """\
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
smtp_tls_loglevel = 1
"""


class TlsPostfix(Postfix):
    """See above. `login` is a name and a password for the faces that want one, and for what it
    sends itself by `routes`: {recipient: (port here, {setting of postconf(5): value})}."""
    package = 'postfix+libsasl2-modules+libsasl2-modules-db+sasl2-bin'

    def __init__(self, faces=None, login=None, routes=None, **more):
        self.faces = Faces(faces or {}, login)
        self.routes = routes or {}
        super().__init__(extra=POSTFIX_TLS + self._tables(), **more)
        self.faces.copy_certificates(self.dir / 'certificates', 'root')
        (self.dir / 'etc/sasl').mkdir()
        with open(self.dir / 'etc/master.cf', 'a', encoding='utf-8') as file:
            for name, face in self.faces.faces.items():
                file.write(self._service(name, face) + '\n')
            for number, (_, options) in enumerate(self.routes.values()):
                file.write(f'route{number} unix - - n - - smtp\n' + ''.join(
                    f'  -o {{ {name} = {value} }}\n' for name, value in options.items()))
        if login and faces:
            self._add_login(*login)

    @property
    def ports(self):
        """The port of each face."""
        return self.faces.ports

    def _tables(self):
        """Settings by which it finds its routes, and what it logs in with there."""
        routes = ' '.join(f'{{ {to} = route{number}:[127.0.0.1]:{port} }}'
                          for number, (to, (port, _)) in enumerate(self.routes.items()))
        ports = {port for port, _ in self.routes.values()}
        logins = ' '.join(f'{{ [127.0.0.1]:{port} = {":".join(self.faces.login)} }}'
                          for port in ports) if self.faces.login else ''
        return (f'transport_maps = inline:{{ {routes} }}\n' if routes else '') + \
            (f'smtp_sasl_password_maps = inline:{{ {logins} }}\n' if logins else '')

    def _variables(self):
        plugins = next(self.root.glob('usr/lib/*-linux-gnu*/sasl2'))
        return f'{super()._variables()} SASL_PATH={plugins}'

    def _service(self, name, face):
        values = dict(dir=self.dir, name=name, port=self.ports[name],
                      protocols='<=TLSv1.1' if face.is_outdated else '>=TLSv1.2')
        text = SMTPD.format(**values)
        if face.certificate:
            text += SMTPD_TLS.format(**values)
        if face.mechanisms:
            text += SMTPD_LOGIN.format(**values)
            (self.dir / f'etc/sasl/{name}.conf').write_text(
                SASL_CONF.format(dir=self.dir, mechanisms=face.mechanisms))
        return text

    def _add_login(self, name, password):
        database = self.dir / 'data/sasldb'
        subprocess.run([self.root / 'usr/sbin/saslpasswd2', '-p', '-c', '-f', database, '-u',
                        self.hostname, name], env=environment(self.root), input=password.encode(),
                       capture_output=True, timeout=30, check=True)
        shutil.chown(database, 'postfix')


EXIM_MAIN = r"""
tls_advertise_hosts = ${{if inlist{{$received_port}}{{{tls}}}{{*}}}}
tls_certificate = {dir}/certificates/$received_port.chain
tls_privatekey = {dir}/certificates/$received_port.key
tls_require_ciphers = NORMAL\
  ${{if inlist{{$received_port}}{{{outdated}}}{{:-VERS-ALL:+VERS-TLS1.1}}}}
acl_smtp_mail = mail
"""
EXIM_ACL = """\
mail:
  deny condition = ${{if inlist{{$received_port}}{{{login}}}}}
       !authenticated = *
       message = log in first
  accept
"""
EXIM_SECTIONS = """\
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{name}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
  server_advertise_condition = ${{if def:tls_in_cipher}}
"""


class TlsExim(Exim):
    """See above. Of mechanisms it has PLAIN alone."""

    def __init__(self, faces=None, login=None, **more):
        self.faces = Faces(faces or {}, login)
        super().__init__(**more)
        self.faces.copy_certificates(self.dir / 'certificates', self.user)

    @property
    def ports(self):
        """The port of each face."""
        return self.faces.ports

    def _ports_of(self, test):
        """The ports of the faces that pass, as a list of Exim's."""
        return ' : '.join(str(self.ports[name]) for name, face in self.faces.faces.items()
                          if test(face))

    def _more(self):
        name, password = self.faces.login or ('', '')
        values = dict(dir=self.dir, name=name, password=password,
                      tls=self._ports_of(lambda face: face.certificate),
                      outdated=self._ports_of(lambda face: face.is_outdated),
                      login=self._ports_of(lambda face: face.mechanisms))
        return {'ports': f'{self.port} : {self._ports_of(lambda face: True)}'.rstrip(' :'),
                'main': EXIM_MAIN.format(**values), 'acl': EXIM_ACL.format(**values),
                'sections': EXIM_SECTIONS.format(**values)}
