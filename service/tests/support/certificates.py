"""Certificates for tests: an authority, and what it signs, as files."""

import json
from pathlib import Path

import trustme


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

    def table(self, *, client_ca: bool) -> str:
        """Return the table `tls` of a listener as JSON."""
        table = {"certificate": self.certificate, "private_key": self.private_key}
        return json.dumps(table | ({"client_ca": self.client_ca} if client_ca else {}))
