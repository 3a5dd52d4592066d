"""The table [notify]: who is notified of which events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from yarl import URL

from dnslb_backend.tls_client import TlsClientSettings, TlsVersion

SHORTEST_SECRET = 16
"""Characters."""

EventWord = Literal["decision", "up", "down", "unknown", "served", "unserved"]


def _check_webhook_url(text: str) -> str:
    # It is never quoted: the path of many webhooks is a secret.
    allowed = "must be a URL with http or https, like https://alerts.example/hooks/dnslb"
    try:
        url = URL(text)
        is_good = url.scheme in ("http", "https") and bool(url.raw_host) and url.port != 0
    except ValueError:
        raise ValueError(allowed) from None
    if not is_good or not text.isprintable() or " " in text:
        raise ValueError(allowed)
    if url.raw_user is not None or url.raw_password is not None:
        raise ValueError(f"{allowed}, without user and password: `secret` signs the requests")
    return text


def _check_secret(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < SHORTEST_SECRET:
        raise ValueError(f"must have at least {SHORTEST_SECRET} characters")
    return secret


def _check_argument(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain NUL")
    return text


class _NotifyTable(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


class ReceiverSettings(_NotifyTable):
    """What webhooks and commands have in common."""

    events: Annotated[list[EventWord], Field(min_length=1)] = ["decision"]
    """What is sent: changes of a record's decision, and members that become UP, DOWN or UNKNOWN, or
    that begin or cease to be served. Example: `["decision", "down"]`"""
    records: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] = ["*"]
    """Names of records, with `*` (also across dots), `?` and `[abc]`.
    Example: `["*.lb.example"]`"""
    timeout: Annotated[float, Field(gt=0, le=300, allow_inf_nan=False)] = 10.0
    """Seconds for one attempt."""
    max_events: Annotated[int, Field(ge=1, le=1000)] = 200
    """So many events at most are sent at once."""
    queue_size: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    """So many events at most wait; one more drops the oldest."""
    max_age: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3600.0
    """Seconds for which an event is retried; then it is discarded."""


class WebhookTlsSettings(_NotifyTable):
    """`tls` of a webhook."""

    verify: bool = True
    """Whether the certificate must be valid for the host and signed by a trusted authority."""
    ca_file: str = ""
    """A PEM file with the authorities to trust. Default: those of the system.
    Example: `"/etc/dnslb/alerts-ca.pem"`"""
    client_cert: str = ""
    """A PEM file with the client's certificate. Default: none.
    Example: `"/etc/dnslb/alerts-client.pem"`"""
    client_key: str = ""
    """A PEM file with its key. Default: the file of the certificate.
    Example: `"/etc/dnslb/alerts-client.key"`"""
    tls_min: TlsVersion = "1.2"
    """The lowest version of TLS."""

    @model_validator(mode="after")
    def _key_has_certificate(self) -> "WebhookTlsSettings":
        if self.client_key and not self.client_cert:
            raise ValueError("`client_key` has no use without `client_cert`")
        return self

    @property
    def client_settings(self) -> TlsClientSettings:
        return TlsClientSettings(
            verify=self.verify,
            ca_file=self.ca_file,
            client_cert=self.client_cert,
            client_key=self.client_key,
            tls_min=self.tls_min,
        )


class WebhookSettings(ReceiverSettings):
    """[notify.webhooks.NAME]"""

    url: Annotated[str, AfterValidator(_check_webhook_url), Field(repr=False)]
    """Where events are posted. It is never logged. Example: `"https://alerts.example/dnslb"`"""
    secret: Annotated[SecretStr, AfterValidator(_check_secret)] | None = None
    """Signs each request (HMAC-SHA256). Better in `secret_file`. Default: requests are not signed.
    Example: `"9d3b1f2a7c64e580"`"""
    secret_file: Annotated[Path, Field(strict=False)] | None = None
    """A file whose first line is the secret; a reload reads it again.
    Example: `"/etc/dnslb/webhook.secret"`"""
    tls: WebhookTlsSettings | None = None
    """For https, below. Default: verify with the system's authorities.
    Example: `{ ca_file = "/etc/dnslb/alerts-ca.pem" }`"""

    @model_validator(mode="after")
    def _has_one_secret(self) -> "WebhookSettings":
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("`secret` and `secret_file`: keep one of them")
        return self

    @model_validator(mode="after")
    def _uses_tls(self) -> "WebhookSettings":
        if self.tls is not None and not self.is_encrypted:
            raise ValueError("`tls` has no use for a URL with http")
        return self

    @property
    def is_encrypted(self) -> bool:
        return URL(self.url).scheme == "https"

    @property
    def client_settings(self) -> TlsClientSettings:
        return (self.tls or WebhookTlsSettings()).client_settings


class CommandSettings(ReceiverSettings):
    """[notify.commands.NAME]"""

    argv: Annotated[list[Annotated[str, AfterValidator(_check_argument)]], Field(min_length=1)]
    """The command and its arguments; run without a shell, as the daemon's user, with the events on
    standard input. Example: `["/usr/local/bin/page-oncall", "--team", "dns"]`"""

    @model_validator(mode="after")
    def _can_run(self) -> "CommandSettings":
        if not self.argv[0]:
            raise ValueError("argv: the first element names the command and cannot be empty")
        return self


ReceiverName = Annotated[str, Field(min_length=1, max_length=64)]


class NotifySettings(_NotifyTable):
    """[notify]"""

    webhooks: dict[ReceiverName, dict[str, Any]] = {}
    """Webhooks by name, below. Example: `{ chat = { url = "https://chat.example/hook" } }`"""
    commands: dict[ReceiverName, dict[str, Any]] = {}
    """Commands by name, below. Example: `{ page = { argv = ["/usr/local/bin/page-oncall"] } }`"""


@dataclass(frozen=True, slots=True)
class Receivers:
    """The receivers of [notify], by their names."""

    webhooks: Mapping[str, WebhookSettings] = field(default_factory=dict)
    commands: Mapping[str, CommandSettings] = field(default_factory=dict)
