"""An authority for certificates of users, as a school or company has one.

    authority = Authority(tmp_path)
    taro = authority.issue('taro', emails=['taro@example.jp'])     # taro.chain, taro.key: files
    authority.call_back(taro)
"""
import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


class Certificate:
    """A certificate and its key, in files."""

    def __init__(self, folder, name, certificate, key):
        self.certificate, self.private = certificate, key
        self.chain, self.key = folder / f'{name}.pem', folder / f'{name}.key'
        self.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.key.write_bytes(key.private_bytes(serialization.Encoding.PEM,
                                               serialization.PrivateFormat.PKCS8,
                                               serialization.NoEncryption()))


class Authority:
    """Signs, calls back. `path` is its certificate, `crl_path` the list of what was called back."""

    def __init__(self, folder, name='Authority'):
        self.folder = pathlib.Path(folder)
        self.revoked = []
        own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(own, own, key, -1, 30).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.own = Certificate(self.folder, name, builder.sign(key, hashes.SHA256()), key)
        self.path = self.own.chain
        self.crl_path = self.folder / f'{name}.crl'
        self.write_crl()

    @staticmethod
    def _builder(subject, issuer, key, from_days, to_days):
        now = datetime.datetime.utcnow()
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
                .public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now + from_days * DAY).not_valid_after(now + to_days * DAY))

    def issue(self, name, emails=(), hosts=(), addresses=(), subject_email=None, from_days=-1,
              to_days=10, usage=ExtendedKeyUsageOID.CLIENT_AUTH):
        """A certificate for these mail addresses, host names or addresses of hosts."""
        parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        if subject_email:
            parts.append(x509.NameAttribute(NameOID.EMAIL_ADDRESS, subject_email))
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name(parts), self.own.certificate.subject, key, from_days,
                                to_days)
        names = [*map(x509.RFC822Name, emails), *map(x509.DNSName, hosts),
                 *(x509.IPAddress(ipaddress.ip_address(one)) for one in addresses)]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return Certificate(self.folder, name, builder.sign(self.own.private, hashes.SHA256()), key)

    def call_back(self, certificate):
        """It is good no more."""
        self.revoked.append(certificate.certificate.serial_number)
        self.write_crl()

    def write_crl(self, from_days=-1, to_days=10):
        """The list anew."""
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateRevocationListBuilder()
                   .issuer_name(self.own.certificate.subject)
                   .last_update(now + from_days * DAY).next_update(now + to_days * DAY))
        for serial in self.revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial)
                .revocation_date(now - DAY).build())
        crl = builder.sign(self.own.private, hashes.SHA256())
        self.crl_path.write_bytes(crl.public_bytes(serialization.Encoding.PEM))
