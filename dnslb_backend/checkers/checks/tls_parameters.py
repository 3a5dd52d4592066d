"""The parameters of checks that speak TLS."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Self

from pydantic import model_validator

from dnslb_backend.checkers.checks.base import Check
from dnslb_backend.checkers.checks.parameters import Path, ServerName
from dnslb_backend.tls_client import TlsClientSettings, TlsVersion

TLS_KEYS = ("sni", "verify", "ca_file", "client_cert", "client_key", "tls_min")


class TlsCheckParameters(Check):
    """A check that may speak TLS; `sni` is the name asked for, and verified in the certificate."""

    sni: ServerName = ""
    verify: bool = True
    ca_file: Path = ""
    client_cert: Path = ""
    client_key: Path = ""
    tls_min: TlsVersion = "1.2"

    @property
    def tls_settings(self) -> TlsClientSettings:
        """For the context; a server name is given with each connection."""
        return TlsClientSettings(
            self.verify, self.ca_file, self.client_cert, self.client_key, tls_min=self.tls_min
        )

    @abstractmethod
    def problems(self) -> Iterator[str]:
        """Which parameters do not fit together, those of TLS included."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for problem in self.problems():
            raise ValueError(problem)
        return self

    def problems_of_tls(self, *, used: bool) -> Iterator[str]:
        """What does not fit together; `used` is false when this check does not use TLS."""
        given = [key for key in TLS_KEYS if key in self.model_fields_set]
        if given and not used:
            yield f"{', '.join(given)}: this check does not use TLS"
        if self.client_key and not self.client_cert:
            yield "client_key needs client_cert"
