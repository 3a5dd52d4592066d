"""The `[admin]` table: where operators are served, and who may read without a token."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dnslb_backend.core.model.labels import check_word
from dnslb_backend.http_hosts import check_host
from dnslb_backend.network import (
    LOOPBACK,
    AddressPort,
    Network,
    check_listen,
    check_network,
    parse_address_port,
    parse_network,
)

MAX_METRIC_LABELS = 8

RecordMetrics = Literal["all", "problems"]


class AdminSettings(BaseModel):
    """`[admin]` as it was written, checked."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True
    )

    listen: Annotated[str, AfterValidator(check_listen)] = "127.0.0.1:8054"
    """Where operators, Prometheus and health checks are served: the page, the API, `/metrics`,
    `/livez`, `/readyz`."""

    # Strict would refuse the list that TOML has in place of a tuple, and the text of a path.
    allow: Annotated[
        tuple[Annotated[str, AfterValidator(check_network)], ...], Field(strict=False)
    ] = LOOPBACK
    """Networks whose peers may read without a token. `/livez` and `/readyz` answer everybody."""

    hosts: Annotated[
        tuple[Annotated[str, AfterValidator(check_host)], ...], Field(strict=False)
    ] = ()
    """Names with a dot by which browsers and Prometheus may ask without a token. Addresses,
    `localhost`, names without a dot and this host's own name are always good; under any other a
    web page from elsewhere could read what is served here (DNS rebinding).
    Example: `["ns1.example.com"]`"""

    token_file: Annotated[Path, Field(strict=False)] | None = None
    """A file with lines `ROLE TOKEN [NAME]`, ROLE being `read` or `operate`. Without it nothing can
    be changed over the API. Example: `"/etc/dnslb/admin.tokens"`"""

    metric_labels: Annotated[
        tuple[Annotated[str, AfterValidator(check_word)], ...],
        Field(strict=False, max_length=MAX_METRIC_LABELS),
    ] = ()
    """Keys of labels of destinations by whose values `/metrics` counts members: with `["dc"]` those
    of each data centre. Of a key with more than 100 values the rest are counted as one.
    Example: `["dc"]`"""

    record_metrics: RecordMetrics = "all"
    """The balanced records with series of their own in `/metrics` (`dnslb_record_*`, six of each):
    all, or only those in trouble, up to 1,000: a decision other than `serve`, a member that is not
    UP, is drained or flaps, a certificate that expires within 30 days. Alerts work with both."""

    @property
    def endpoint(self) -> AddressPort | None:
        """Where to listen; None where that is turned off."""
        return parse_address_port(self.listen) if self.listen else None

    @property
    def networks(self) -> tuple[Network, ...]:
        return tuple(map(parse_network, self.allow))
