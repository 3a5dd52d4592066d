from asyncio import StreamWriter
from collections.abc import Mapping
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from aiomysql.cursors import Cursor
from aiomysql.utils import _ContextManager

_C = TypeVar("_C", bound=Cursor[Any])

def connect(
    host: str = "localhost",
    user: str | None = None,
    password: str = "",
    db: str | None = None,
    port: int = 3306,
    unix_socket: str | None = None,
    charset: str = "",
    sql_mode: str | None = None,
    read_default_file: str | None = None,
    conv: Mapping[int, Any] = ...,
    use_unicode: bool | None = None,
    client_flag: int = 0,
    cursorclass: type[Cursor[Any]] = ...,
    init_command: str | None = None,
    connect_timeout: float | None = None,
    read_default_group: str | None = None,
    autocommit: bool | None = False,
    echo: bool = False,
    local_infile: bool = False,
    *,
    ssl: SSLContext | None = None,
    auth_plugin: str = "",
    program_name: str = "",
    server_public_key: bytes | None = None,
) -> _ContextManager[Connection]: ...

class Connection:
    # What a subclass must know to look before a password is sent, and to count what is read.
    _ssl_context: SSLContext | None
    _client_auth_plugin: str
    _server_auth_plugin: str
    # The query that was sent last.
    _result: Any
    server_capabilities: int
    async def _connect(self) -> None: ...
    async def _request_authentication(self) -> None: ...
    async def _execute_command(self, command: int, sql: str | bytes) -> None: ...
    async def _read_packet(self, packet_type: type[Any] = ...) -> Any: ...
    async def _read_bytes(self, num_bytes: int) -> bytes: ...
    # None once it is closed. There is no other way to drop what has not been sent yet.
    _writer: StreamWriter | None
    def __init__(
        self,
        host: str = "localhost",
        user: str | None = None,
        password: str = "",
        db: str | None = None,
        port: int = 3306,
        unix_socket: str | None = None,
        charset: str = "",
        *,
        conv: Mapping[int, Any] = ...,
        autocommit: bool | None = False,
        ssl: SSLContext | None = None,
        auth_plugin: str = "",
        program_name: str = "",
    ) -> None: ...
    @property
    def closed(self) -> bool: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def unix_socket(self) -> str | None: ...
    @property
    def db(self) -> str | None: ...
    @property
    def user(self) -> str: ...
    @property
    def charset(self) -> str: ...
    def close(self) -> None: ...
    async def ensure_closed(self) -> None: ...
    async def autocommit(self, value: bool) -> None: ...
    def get_autocommit(self) -> bool: ...
    async def begin(self) -> None: ...
    async def commit(self) -> None: ...
    async def rollback(self) -> None: ...
    async def select_db(self, db: str) -> None: ...
    async def ping(self, reconnect: bool = True) -> None: ...
    def escape_string(self, s: str) -> str: ...
    async def query(self, sql: str | bytes, unbuffered: bool = False) -> int: ...
    def thread_id(self) -> int: ...
    def get_server_info(self) -> str: ...
    def get_transaction_status(self) -> bool: ...
    @overload
    def cursor(self) -> _ContextManager[Cursor]: ...
    @overload
    def cursor(self, cursor: type[_C], /) -> _ContextManager[_C]: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None: ...
