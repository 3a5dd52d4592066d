"""The tables [mysql] and [state]: where the health map is stored, and how long it is valid."""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from dnslb_backend.tls_client import TlsClientSettings

DEFAULT_DATABASE = "dnslb"

DAY = 86400.0


def _default_state() -> Path:
    """systemd creates $STATE_DIRECTORY; it may name several folders, of which the first is used."""
    directory = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(directory) / "state.sqlite" if directory else Path("dnslb-state.sqlite")


def _check_path(path: Path) -> Path:
    if "\0" in str(path) or not path.name:
        raise ValueError("must name a file")
    return path


def _check_db_hosts(written: str | tuple[str, ...]) -> str | tuple[str, ...]:
    for text in _listed(_check_servers(written)):
        if any(c.isspace() or c in "@/?#" for c in text):
            # It is not quoted: what looks like a URL may hold a password.
            raise ValueError("must be a host name or address, without user, password, or path")
    return written


def _check_servers(written: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if not _listed(written) or not all(_listed(written)):
        raise ValueError("must name a server, or several in a list")
    return written


def _listed(written: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (written,) if isinstance(written, str) else written or ()


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


FilePath = Annotated[Path, Field(strict=False), AfterValidator(_check_path)]
Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Servers = str | Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class _StoreSettings(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


class StateSettings(_StoreSettings):
    """`[state]`: the local copy. `max_age` is in seconds; 0 restores no health at all."""

    path: FilePath = Field(default_factory=_default_state)
    """The local copy of the health map. Default: `$STATE_DIRECTORY/state.sqlite` where that is set,
    else `dnslb-state.sqlite` in the working directory. Example: `"/var/lib/dnslb/state.sqlite"`"""
    max_age: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 300.0
    """Seconds after which restored health counts as UNKNOWN; 0 restores none at all."""


class MysqlTlsSettings(_StoreSettings):
    """`ssl` as a table, with the keys of PyMySQL. Without a CA nothing is verified, as there."""

    ca: FilePath | None = None
    """A PEM file with the authorities to trust. Without `ca` and `capath` nothing is verified.
    Example: `"/etc/dnslb/mariadb-ca.pem"`"""
    capath: FilePath | None = None
    """A folder of such files, named by hash. Example: `"/etc/ssl/certs"`"""
    cert: FilePath | None = None
    """A PEM file with our own certificate. Example: `"/etc/dnslb/mariadb-cert.pem"`"""
    key: FilePath | None = None
    """A PEM file with its key. Example: `"/etc/dnslb/mariadb-key.pem"`"""
    password: SecretStr | None = None
    """The password of the key. Example: `"secret"`"""
    check_hostname: bool = True
    """Whether the certificate must be made out to `host`."""
    verify_mode: bool | Text | None = None
    """Whether the certificate must be signed by an authority that is trusted. Default: where `ca`
    or `capath` is given. Example: `true`"""
    cipher: Text | None = None
    """Ciphers, as OpenSSL writes them. Default: those of OpenSSL. Example: `"ECDHE+AESGCM"`"""

    @property
    def is_verified(self) -> bool:
        """Whether the certificate must be signed by an authority that is trusted (as PyMySQL)."""
        if isinstance(self.verify_mode, bool):
            return self.verify_mode
        if self.verify_mode is not None:
            return self.verify_mode.lower() not in ("0", "false", "no", "none", "optional")
        return self.ca is not None or self.capath is not None

    @property
    def client_settings(self) -> TlsClientSettings:
        return TlsClientSettings(
            verify=self.is_verified,
            ca_file=str(self.ca or ""),
            ca_path=str(self.capath or ""),
            client_cert=str(self.cert or ""),
            client_key=str(self.key or ""),
            key_password=self.password.get_secret_value() if self.password else "",
            check_hostname=self.check_hostname,
            ciphers=self.cipher or "",
        )


class _DriverKeys(_StoreSettings):
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

    unix_socket: Annotated[Servers, AfterValidator(_check_servers)] | None = None
    """The server's socket, on the same host; of several in a list the first that can be used.
    Example: `"/run/mysqld/mysqld.sock"`"""
    host: Annotated[Servers, AfterValidator(_check_db_hosts)] | None = None
    """The server's address or name; or those of several that hold the same data and can be written
    to (Galera), in a list: at every connect they are tried in its order, `connect_timeout` for
    each. Default: localhost, where there is no `unix_socket`.
    Example: `["127.0.0.1", "db2.example"]`"""
    port: Annotated[int, Field(ge=1, le=65535)] = 3306
    """Its port."""
    user: Text | None = None
    """Who to log in as. Default: the user that the process runs as. Example: `"dnslb"`"""
    password: SecretStr | None = None
    """Their password. Better in `password_file`. Example: `"secret"`"""
    passwd: SecretStr | None = None
    """Another word for `password`. Example: `"secret"`"""
    password_file: FilePath | None = None
    """A file whose first line is the password. Example: `"/etc/dnslb/mysql.password"`"""
    database: Text | None = None
    """The database, which must exist. Default: dnslb. Example: `"dnslb"`"""
    db: Text | None = None
    """Another word for `database`. Example: `"dnslb"`"""
    charset: Text = "utf8mb4"
    """Accepted for the original's sake: text always travels as utf8mb4."""
    connect_timeout: Seconds = 10.0
    """Seconds that connecting may take."""
    read_default_file: FilePath | None = None
    """An option file of MariaDB's clients, for what is not said here.
    Example: `"/etc/dnslb/my.cnf"`"""
    read_default_group: Text = "client"
    """The section of that file."""
    init_command: Text | None = None
    """A statement that is run on every new connection.
    Example: `"SET SESSION innodb_lock_wait_timeout = 5"`"""
    auth_plugin: Text | None = None
    """How to log in, where the server does not say; methods that show the password need `ssl`.
    Example: `"mysql_native_password"`"""
    program_name: Text = "dnslb-backend"
    """The name of the program that the server is sent."""
    ssl: bool | MysqlTlsSettings | None = None
    """`true`: encrypt, and verify by the authorities of the system; or a table, below. There is no
    login on a connection that is not encrypted then. Default: plain.
    Example: `{ ca = "/etc/dnslb/mariadb-ca.pem" }`"""
    ssl_ca: FilePath | None = None
    """As `ssl.ca`. Example: `"/etc/dnslb/mariadb-ca.pem"`"""
    ssl_cert: FilePath | None = None
    """As `ssl.cert`. Example: `"/etc/dnslb/mariadb-cert.pem"`"""
    ssl_key: FilePath | None = None
    """As `ssl.key`. Example: `"/etc/dnslb/mariadb-key.pem"`"""
    ssl_key_password: SecretStr | None = None
    """As `ssl.password`. Example: `"secret"`"""
    ssl_disabled: bool = False
    """Plain, whatever else is said."""
    ssl_verify_cert: bool | None = None
    """As `ssl.verify_mode`. Example: `true`"""
    ssl_verify_identity: bool | None = None
    """As `ssl.check_hostname`. Example: `true`"""
    refresh: Seconds | None = None
    """An unchanged row is written again every so many seconds, or every `interval` if that is
    longer. Default: 5; with `[quorum]` 300, and the heartbeat says every 5 s that it still
    holds. Example: `60`"""
    history_max_age: Seconds = 30 * DAY
    """Seconds that history (transitions and decisions) is kept."""
    history_max_rows: Annotated[int, Field(ge=1)] = 1_000_000
    """So many rows of each of the two are kept, of all nodes together."""

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
    def hosts(self) -> tuple[str, ...]:
        """Those in `host`, in the order in which they are tried."""
        return _listed(self.host)

    @property
    def unix_sockets(self) -> tuple[str, ...]:
        """Those in `unix_socket`, likewise."""
        return _listed(self.unix_socket)

    @property
    def secret(self) -> SecretStr | None:
        """The password, where it is in the configuration itself."""
        return self.password or self.passwd

    @property
    def tls(self) -> MysqlTlsSettings | None:
        """How to encrypt; None where the connection is plain."""
        if self.ssl_disabled or self.ssl is False:
            return None
        if isinstance(self.ssl, MysqlTlsSettings):
            return self.ssl
        if self.ssl is None and not self._tls_keys:
            return None
        return MysqlTlsSettings(
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
        if tls is not None and not tls.is_verified:
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
