"""What the tests of the probing edge share."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dnslb_backend.checkers.resources.resources import CheckResources


@pytest.fixture
async def tools() -> AsyncIterator[CheckResources]:
    async with CheckResources() as tools:
        yield tools


@dataclass(frozen=True)
class Authority:
    """A certificate authority that only the tests trust; `ca_file` is what checks are given."""

    ca: trustme.CA
    directory: Path

    @property
    def ca_file(self) -> str:
        path = self.directory / "ca.pem"
        if not path.exists():
            self.ca.cert_pem.write_to_path(str(path))
        return str(path)

    def server(self, *names: str, days: float = 30, clients: bool = False) -> ssl.SSLContext:
        """For a server of these names; `days` until it expires, negative: since.

        With `clients` it admits only those whose certificate this authority has issued.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ends = datetime.now(UTC) + timedelta(days=days)
        starts = min(datetime.now(UTC), ends) - timedelta(days=1)
        self.ca.issue_cert(*names, not_before=starts, not_after=ends).configure_cert(context)
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            self.ca.configure_trust(context)
        return context

    def server_below(self, name: str, *, days: float) -> ssl.SSLContext:
        """For a server whose certificate, valid for 90 days, is from an intermediate authority.

        `days` until that of the authority, CN=Intermediate, expires.
        """
        model, now = self.ca.create_child_ca(), datetime.now(UTC)
        known = x509.load_pem_x509_certificate(model.cert_pem.bytes())
        root_key = serialization.load_pem_private_key(self.ca.private_key_pem.bytes(), None)
        assert isinstance(root_key, ec.EllipticCurvePrivateKey)
        certificate = x509.CertificateBuilder(
            known.issuer,
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Intermediate")]),
            known.public_key(),
            x509.random_serial_number(),
            now - timedelta(days=1),
            now + timedelta(days=days),
            list(known.extensions),
        ).sign(root_key, hashes.SHA256())
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        middle = trustme.CA.from_pem(pem, model.private_key_pem.bytes())
        leaf = middle.issue_cert(name, not_after=now + timedelta(days=90))
        path = self.directory / "chain.pem"
        path.write_bytes(leaf.private_key_and_cert_chain_pem.bytes() + pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def client_file(self) -> str:
        """A file with the certificate and key of a client."""
        path = self.directory / "client.pem"
        self.ca.issue_cert("probe@lb.example").private_key_and_cert_chain_pem.write_to_path(
            str(path)
        )
        return str(path)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(trustme.CA(), tmp_path)
