"""The tables [mysql] and [state]: where the map is mirrored, and how long it is good for."""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

DEFAULT_DATABASE = "dnslb"

DAY = 86400.0


def _default_state() -> Path:
    """systemd makes $STATE_DIRECTORY for us; it may name several, the first is ours."""
    directory = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(directory) / "state.sqlite" if directory else Path("dnslb-state.sqlite")


def _check_path(path: Path) -> Path:
    if "\0" in str(path) or not path.name:
        raise ValueError("must name a file")
    return path


FilePath = Annotated[Path, Field(strict=False), AfterValidator(_check_path)]
Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class StateSettings(_Settings):
    """`[state]`: the local copy. `max_age` is in seconds; 0 restores no health at all."""

    path: FilePath = Field(default_factory=_default_state)
    max_age: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 300.0


class TlsSettings(_Settings):
    """`ssl` as a table, with the keys of PyMySQL. Without a CA nothing is verified, as there."""

    ca: FilePath | None = None
    capath: FilePath | None = None
    cert: FilePath | None = None
    key: FilePath | None = None
    password: SecretStr | None = None
    check_hostname: bool = True
    verify_mode: bool | Text | None = None
    cipher: Text | None = None


class _DriverKeys(_Settings):
    """What PyMySQL, MySQLdb or aiomysql take as well, and what has no effect here.

    A configuration of the original may hold any of them: they are named in a warning.
    """

    auth_plugin_map: Any = None
    autocommit: Any = None
    binary_prefix: Any = None
    bind_address: Any = None
    client_flag: Any = None
    collation: Any = None
    compress: Any = None
    conv: Any = None
    cursorclass: Any = None
    defer_connect: Any = None
    echo: Any = None
    local_infile: Any = None
    loop: Any = None
    max_allowed_packet: Any = None
    multi_statements: Any = None
    named_pipe: Any = None
    read_timeout: Any = None
    server_public_key: Any = None
    server_public_key_path: Any = None
    sql_mode: Any = None
    ssl_mode: Any = None
    use_unicode: Any = None
    write_timeout: Any = None


IGNORED_KEYS = frozenset(_DriverKeys.model_fields)


class MysqlSettings(_DriverKeys):
    """`[mysql]`: the server to mirror into. Times are in seconds.

    `db` is another word for `database`, `passwd` for `password`. Text always travels as utf8mb4,
    whatever `charset` says: it holds every other one.
    """

    unix_socket: Text | None = None
    host: Text | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = 3306
    user: Text | None = None
    password: SecretStr | None = None
    passwd: SecretStr | None = None
    password_file: FilePath | None = None
    database: Text | None = None
    db: Text | None = None
    charset: Text = "utf8mb4"
    connect_timeout: Seconds = 10.0
    read_default_file: FilePath | None = None
    read_default_group: Text = "client"
    init_command: Text | None = None
    auth_plugin: Text | None = None
    program_name: Text = "dnslb-backend"
    ssl: bool | TlsSettings | None = None
    ssl_ca: FilePath | None = None
    ssl_cert: FilePath | None = None
    ssl_key: FilePath | None = None
    ssl_key_password: SecretStr | None = None
    ssl_disabled: bool = False
    ssl_verify_cert: bool | None = None
    ssl_verify_identity: bool | None = None
    refresh: Seconds = 5.0
    history_max_age: Seconds = 30 * DAY
    history_max_rows: Annotated[int, Field(ge=1)] = 1_000_000

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> "MysqlSettings":
        given = [name for name in ("password", "passwd", "password_file") if name in self._given]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(f'`{name}`' for name in given)}: keep one of them")
        if self.db and self.database and self.db != self.database:
            raise ValueError("`database` and `db` mean the same thing and differ: keep one")
        if self.ssl is not None and any(name.startswith("ssl_") for name in self._tls_keys):
            raise ValueError("`ssl` and `ssl_*` say the same thing: keep one of them")
        return self

    @property
    def name(self) -> str:
        """The database."""
        return self.database or self.db or DEFAULT_DATABASE

    @property
    def secret(self) -> SecretStr | None:
        """The password, where it stands in the configuration itself."""
        return self.password or self.passwd

    @property
    def tls(self) -> TlsSettings | None:
        """How to encrypt; None where the connection is plain."""
        if self.ssl_disabled or self.ssl is False:
            return None
        if isinstance(self.ssl, TlsSettings):
            return self.ssl
        if self.ssl is None and not self._tls_keys:
            return None
        return TlsSettings(
            ca=self.ssl_ca,
            cert=self.ssl_cert,
            key=self.ssl_key,
            password=self.ssl_key_password,
            check_hostname=self._verifies(self.ssl_verify_identity),
            verify_mode=self._verifies(self.ssl_verify_cert),
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an operator should know about these settings, a sentence each."""
        found = [f"`{name}` has no effect here" for name in sorted(self._given & IGNORED_KEYS)]
        tls = self.tls
        if tls is not None and not verifies(tls):
            found.append("the server's certificate is not verified: `ssl` names no `ca`")
        return tuple(found)

    @property
    def _given(self) -> set[str]:
        return self.model_fields_set

    @property
    def _tls_keys(self) -> set[str]:
        return {name for name in self._given - IGNORED_KEYS if name.startswith("ssl_")}

    def _verifies(self, said: bool | None) -> bool:
        """`ssl = true` verifies by the CAs of the system; `ssl_*` verify what they name."""
        return self.ssl is True if said is None else said


def verifies(tls: TlsSettings) -> bool:
    """Whether the certificate must be signed by a CA that we trust (PyMySQL's rules)."""
    if isinstance(tls.verify_mode, bool):
        return tls.verify_mode
    if tls.verify_mode is not None:
        return tls.verify_mode.lower() not in ("0", "false", "no", "none", "optional")
    return tls.ca is not None or tls.capath is not None
