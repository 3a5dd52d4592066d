"""Ways to reach and to enter a MariaDB server."""

import os
import re
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.interface import Select, Upsert
from dnslb_backend.store.database.mariadb import MariaStore
from dnslb_backend.store.database.mariadb_connection import MariaConnection
from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.database.tables import STATIC
from dnslb_backend.store.settings import MysqlSettings
from tests.rigs.mariadb import MariaDB
from tests.rigs.mariadb_impostor import (
    OK,
    WHOLE_LOGIN,
    Impostor,
    error,
    hello,
    serving,
    switch,
    table,
)

PASSWORD = "pass 'word\" \u00fc\\"


@pytest.fixture(
    scope="module", params=[("asyncio", {"debug": True}), ("asyncio", {"use_uvloop": True})]
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """The daemon runs on uvloop, and TLS is where loops differ."""
    found: tuple[str, dict[str, bool]] = request.param
    return found


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Path:
    """ca.pem, and cert.pem with key.pem of the server and of a client."""
    directory = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(directory / "ca.pem")
    for name, identity in (("server", "127.0.0.1"), ("client", "dnslb")):
        leaf = authority.issue_cert(identity, common_name=identity)
        leaf.private_key_pem.write_to_path(directory / f"{name}.key")
        leaf.cert_chain_pems[0].write_to_path(directory / f"{name}.pem")
    trustme.CA().cert_pem.write_to_path(directory / "other.pem")
    (directory / "password").write_text(f"{PASSWORD}\n")
    return directory


@pytest.fixture(scope="module")
async def rig(files: Path) -> AsyncIterator[MariaDB]:
    tls = [f"--ssl-{key}={files / name}" for key, name in _TLS.items()]
    async with MariaDB(tcp=True, options=tls) as server:
        await server.query("CREATE DATABASE dnslb")
        await apply(MysqlSettings(unix_socket=str(server.socket), user="root"))
        for who, needs in (("plain", ""), ("secret", "REQUIRE SSL"), ("known", "REQUIRE X509")):
            escaped = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
            await server.query(f"CREATE USER {who} IDENTIFIED BY '{escaped}' {needs}")
            await server.query(f"GRANT ALL ON dnslb.* TO {who}")
        yield server


_TLS = {"ca": "ca.pem", "cert": "server.pem", "key": "server.key"}


def login(rig: MariaDB, user: str, **more: Any) -> MysqlSettings:
    whole = {"host": "127.0.0.1", "port": rig.port, "user": user, "password": PASSWORD} | more
    return MysqlSettings.model_validate({k: v for k, v in whole.items() if v is not None})


async def cipher(settings: MysqlSettings) -> str:
    connection = await MariaConnection.open(settings)
    rows = [row async for row in connection.rows("SHOW STATUS LIKE 'Ssl_cipher'")]
    await connection.close()
    return str(rows[0][1])


async def test_a_password_of_any_characters(rig: MariaDB, files: Path) -> None:
    assert await cipher(login(rig, "plain")) == ""
    assert await cipher(login(rig, "plain", password=None, passwd=PASSWORD)) == ""
    from_file = login(rig, "plain", password=None, password_file=str(files / "password"))
    assert await cipher(from_file) == ""


@pytest.mark.parametrize(
    "tls",
    [
        {"ssl": {"ca": "ca.pem"}},
        {"ssl": {}},
        {"ssl_ca": "ca.pem", "ssl_verify_cert": True, "ssl_verify_identity": True},
        {"ssl": {"ca": "ca.pem", "check_hostname": False, "cipher": "ECDHE+AESGCM"}},
    ],
)
async def test_a_connection_is_encrypted(rig: MariaDB, files: Path, tls: dict[str, Any]) -> None:
    settings = login(rig, "secret", **placed(tls, files))
    assert await cipher(settings)
    store = MariaStore(settings)
    row = ("ns1", "k", "s", "z", "n", "TXT", "x" * 200_000, 5, 1)
    await store.write([Upsert(STATIC, [row])])
    assert await store.read(Select(STATIC, STATIC.columns)) == [row]
    await store.close()


async def test_a_client_shows_its_certificate(rig: MariaDB, files: Path) -> None:
    tls = {"ssl": {"ca": "ca.pem", "cert": "client.pem", "key": "client.key"}}
    assert await cipher(login(rig, "known", **placed(tls, files)))
    with pytest.raises(StoreError, match="Access denied"):
        await cipher(login(rig, "known", **placed({"ssl": {"ca": "ca.pem"}}, files)))


def placed(tls: dict[str, Any], files: Path) -> dict[str, Any]:
    """The settings with the paths of the files that they name."""

    def place(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: place(item) for key, item in value.items()}
        is_file = isinstance(value, str) and (files / value).exists()
        return str(files / value) if is_file else value

    return {key: place(value) for key, value in tls.items()}


@pytest.mark.parametrize(
    ("tls", "complaint"),
    [
        ({"ssl": {"ca": "other.pem"}}, "certificate verify failed"),
        ({"ssl": True}, "certificate verify failed"),
        ({"ssl": {"ca": "ca.pem", "cipher": "nonsense"}}, "cannot be used"),
        ({"ssl": {"ca": "/nonexistent.pem"}}, "cannot be used"),
    ],
)
async def test_a_server_that_cannot_be_trusted_is_not_used(
    rig: MariaDB, files: Path, tls: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(StoreError, match=complaint):
        await cipher(login(rig, "plain", **placed(tls, files)))


async def test_a_server_of_another_name_is_not_used(rig: MariaDB, files: Path) -> None:
    tls = placed({"ssl": {"ca": "ca.pem"}}, files)
    with pytest.raises(StoreError, match="match"):
        await cipher(login(rig, "plain", host="localhost", **tls))


async def test_a_server_that_does_not_encrypt_is_not_used(files: Path) -> None:
    async with MariaDB(tcp=True, options=["--skip-ssl"]) as rig:
        await rig.query("CREATE DATABASE dnslb")
        await rig.query("CREATE USER plain")
        await rig.query("GRANT ALL ON dnslb.* TO plain")
        tls = placed({"ssl": {"ca": "ca.pem"}}, files)
        with pytest.raises(StoreError, match="does not offer TLS"):
            await cipher(login(rig, "plain", password=None, **tls))


async def test_a_file_of_mysql_options(rig: MariaDB, tmp_path: Path) -> None:
    """Keys without a value and inclusions, as they stand in many of them."""
    path = tmp_path / "my.cnf"
    write(
        path,
        f"!includedir /etc/mysql/conf.d/\n[client]\nuser = plain\npassword = '{PASSWORD}'\n"
        f"socket = {rig.socket}\nquick\n[other]\nuser = nobody\n",
    )
    settings = MysqlSettings(read_default_file=path)
    store = MariaStore(settings)
    await store.open()
    await store.close()
    with pytest.raises(StoreError, match="denied"):
        await cipher(settings.model_copy(update={"read_default_group": "other", "port": rig.port}))


def write(path: Path, text: str) -> None:
    path.write_text(text)


async def test_a_wrong_word_is_told_without_it(rig: MariaDB) -> None:
    wrong = login(rig, "plain").model_copy(update={"password": SecretStr("no-such-password")})
    with pytest.raises(StoreError, match="Access denied") as caught:
        await cipher(wrong)
    assert "no-such-password" not in str(caught.value)


@pytest.mark.parametrize(
    ("password", "shown"), [("hush hush", "denied for 'dnslb': ***"), ("dnslb", "'dnslb': dnslb")]
)
async def test_a_password_that_the_server_sends_is_redacted_unless_it_is_a_name(
    password: str, shown: str
) -> None:
    """Where the user's name is the password, the text stays readable."""
    refusal = error(1045, f"Access denied for 'dnslb': {password}")
    async with serving(Impostor(login=[refusal])) as impostor:
        settings = MysqlSettings(
            host="127.0.0.1", port=impostor.port, user="dnslb", password=SecretStr(password)
        )
        with pytest.raises(StoreError, match=re.escape(shown)) as caught:
            await MariaStore(settings).open()
    assert "hush" not in "".join(traceback.format_exception(caught.value))


async def test_what_is_run_first(rig: MariaDB) -> None:
    settings = login(rig, "plain", init_command="SET @hello = 42")
    connection = await MariaConnection.open(settings)
    assert [row async for row in connection.rows("SELECT @hello")] == [(42,)]
    await connection.close()


async def test_a_server_that_falls_silent_in_an_answer_is_told(rig: MariaDB) -> None:
    connection = await MariaConnection.open(login(rig, "plain"))
    connection.answer_limit = 0.2
    try:
        with pytest.raises(StoreError, match="did not answer in time"):
            assert [row async for row in connection.rows("SELECT SLEEP(3)")] == []
        with pytest.raises(StoreError):
            await connection.run("DO 1")
    finally:
        connection.abort()


# -- who gets the password ----------------------------------------------------------------

CLEAR, SHA, CACHED = "mysql_clear_password", "sha256_password", "caching_sha2_password"


@pytest.mark.parametrize(
    ("greeting", "login_"),
    [
        (hello(CLEAR), [OK]),
        (hello(), [switch(CLEAR), OK]),
        (hello(), [switch("mysql_old_password"), OK]),
        (hello(), [switch(SHA), b"\1-----BEGIN PUBLIC KEY-----", OK]),
        (hello(), [switch(CACHED), WHOLE_LOGIN, b"\1-----BEGIN PUBLIC KEY-----", OK]),
    ],
)
async def test_a_password_is_not_sent_in_a_form_that_others_can_read(
    greeting: bytes, login_: list[bytes]
) -> None:
    async with serving(Impostor(greeting=greeting, login=login_)) as impostor:
        settings = MysqlSettings(
            host="127.0.0.1", port=impostor.port, user="dnslb", password=SecretStr("hush hush")
        )
        for attempt in (MariaStore(settings).open(), apply(settings)):
            with pytest.raises(StoreError, match="not sent without TLS; see `ssl`"):
                await attempt
        assert b"hush hush" not in impostor.received
        assert impostor.connections == 2
        assert not impostor.statements


async def test_what_is_configured_to_be_sent_in_clear_needs_tls() -> None:
    async with serving(Impostor()) as impostor:
        settings = MysqlSettings(host="127.0.0.1", port=impostor.port, auth_plugin=CLEAR)
        with pytest.raises(StoreError, match="not sent without TLS"):
            await MariaStore(settings).open()
        assert impostor.received == b""


@pytest.mark.parametrize("tls", [True, {"verify_mode": True}, {"verify_mode": False}])
async def test_without_the_tls_that_is_configured_there_is_no_login(tls: Any) -> None:
    async with serving(Impostor()) as impostor:
        settings = MysqlSettings.model_validate(
            {"host": "127.0.0.1", "port": impostor.port, "user": "dnslb", "ssl": tls}
        )
        for attempt in (MariaStore(settings).open(), apply(settings)):
            with pytest.raises(StoreError, match="does not offer TLS"):
                await attempt
        assert impostor.received == b""


@pytest.mark.parametrize("method", [SHA, CACHED])
async def test_a_unix_socket_is_private_enough_for_some_methods(
    method: str, tmp_path: Path
) -> None:
    login_ = [switch(method), WHOLE_LOGIN, OK] if method == CACHED else [switch(method), OK]
    answers: Any = {"SELECT @@": table("x", rows=((b"16777216",),))}
    path = str(tmp_path / "socket")
    async with serving(Impostor(login=login_, answers=answers), path) as impostor:
        settings = MysqlSettings(unix_socket=path, user="dnslb", password=SecretStr("hush hush"))
        await (await MariaConnection.open(settings)).close()
        assert b"hush hush" in impostor.received
    async with serving(Impostor(login=[switch(CLEAR), OK]), f"{path}2") as impostor:
        settings = settings.model_copy(update={"unix_socket": f"{path}2"})
        with pytest.raises(StoreError, match="not sent without TLS"):
            await MariaConnection.open(settings)
        assert b"hush hush" not in impostor.received


# -- files --------------------------------------------------------------------------------


async def test_marks_of_byte_order_are_no_part_of_a_password(rig: MariaDB, tmp_path: Path) -> None:
    password, options = tmp_path / "password", tmp_path / "my.cnf"
    write(password, f"\ufeff{PASSWORD}\r\na second line\n")
    write(options, f"\ufeff[client]\npassword = '{PASSWORD}'\n")
    assert await cipher(login(rig, "plain", password=None, password_file=str(password))) == ""
    assert await cipher(login(rig, "plain", password=None, read_default_file=str(options))) == ""


@pytest.mark.parametrize("key", ["password_file", "read_default_file", "ssl_ca", "ssl_cert"])
async def test_files_that_cannot_be_read_are_named(key: str, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, why in ((fifo, "is not a regular file"), (Path("/dev/zero"), "is not a regular file"),
                      (tmp_path / "none", "No such file")):  # fmt: skip
        settings = MysqlSettings.model_validate({"host": "127.0.0.1", key: str(path)})
        with pytest.raises(StoreError, match=f"cannot be used: {path}: {why}"):
            await MariaConnection.open(settings)


async def test_what_is_in_a_file_of_passwords_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "my.cnf"
    for text in ("hush hush\n[client]\n", "[client]\nport = hush hush\n"):
        write(path, text)
        with pytest.raises(StoreError, match="cannot be used") as caught:
            await MariaConnection.open(MysqlSettings(read_default_file=path))
        assert "hush" not in str(caught.value)
