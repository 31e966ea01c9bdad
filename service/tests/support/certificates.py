"""Certificates for tests: an authority, and what it signs, as files."""

import json
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """An authority with a certificate for the daemon, in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.ca = trustme.CA()
        self.certificate = str(folder / "server.crt")
        self.private_key = str(folder / "server.key")
        self.client_ca = str(folder / "ca.crt")
        self.ca.cert_pem.write_to_path(self.client_ca)
        self.renew()

    def renew(self) -> None:
        """Sign another certificate for the daemon, in the place of the one before."""
        leaf = self.ca.issue_cert("localhost", "127.0.0.1")
        self.write(leaf, "server")

    def write(self, leaf: trustme.LeafCert, name: str) -> tuple[str, str]:
        """Write a certificate and its key as two files; return their paths."""
        paths = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
        paths[0].write_bytes(chain)
        leaf.private_key_pem.write_to_path(str(paths[1]))
        return str(paths[0]), str(paths[1])

    def nameless(self) -> tuple[str, str]:
        """Sign a certificate that names nobody; return the paths of it and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer_key = serialization.load_pem_private_key(self.ca.private_key_pem.bytes(), None)
        assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
        issuer = x509.load_pem_x509_certificate(self.ca.cert_pem.bytes())
        company = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "nobody")
        certificate = (
            x509.CertificateBuilder(issuer.subject, x509.Name([company]), key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(issuer.not_valid_before_utc)
            .not_valid_after(issuer.not_valid_after_utc)
            .sign(issuer_key, hashes.SHA256())
        )
        paths = self.folder / "nameless.crt", self.folder / "nameless.key"
        pem = serialization.Encoding.PEM
        paths[0].write_bytes(certificate.public_bytes(pem))
        form = serialization.PrivateFormat.PKCS8
        paths[1].write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
        return str(paths[0]), str(paths[1])

    def table(self, *, client_ca: bool) -> str:
        """Return the table `tls` of a listener as JSON."""
        table = {"certificate": self.certificate, "private_key": self.private_key}
        return json.dumps(table | ({"client_ca": self.client_ca} if client_ca else {}))
