"""What the tests of the probing edge share."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from dnslb_backend.checkers.tools import Tools


@pytest.fixture
async def tools() -> AsyncIterator[Tools]:
    async with Tools() as tools:
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
