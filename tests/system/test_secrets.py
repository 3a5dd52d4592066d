"""No secret of the configuration gets out, however what it is for fails."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.checkers.servers import ScriptedServer
from tests.rigs.daemon import Daemon
from tests.rigs.mariadb_impostor import Impostor, error, serving
from tests.rigs.ports import free_port
from tests.system.writing import config, record, table

MYSQL, KEY, OPERATE = "mirror-s3cret", "api-key-s3cret", "operate-s3cret-0123456789"
PASSWORD, TOKEN, HEADER, QUERY = "probe-s3cret", "bearer-s3cret", "x-api-key-s3cret", "query-s3cret"
DATABASE, PUSH = "check-s3cret", "push-s3cret-0123456789"
SECRETS = (
    *(MYSQL, KEY, OPERATE, PASSWORD, TOKEN, HEADER, QUERY, DATABASE, PUSH),
    base64.b64encode(f"probe:{PASSWORD}".encode()).decode(),
)

PAGES = (
    *("/readyz", "/metrics", "/api/v1/status", "/api/v1/status/lines", "/api/v1/history"),
    *(
        f"/api/v1/explain?name={name}&type=A"
        for name in ("basic", "bearer", "header", "db", "push")
    ),
)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Refuses each request in its own words."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return
    said = " | ".join(head.splitlines())
    body = json.dumps({"error": said})
    writer.write(f"HTTP/1.1 401 {said}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


def http(port: int, **keys: object) -> dict[str, object]:
    return {"type": "http", "url": f"http://%(address)s:{port}/?key={QUERY}", **keys}


def write(folder: Path) -> None:
    (folder / "key").write_text(KEY)
    (folder / "tokens").write_text(f"operate {OPERATE} day-shift\n")


def text(folder: Path, target: int, database: int, mirror: int) -> str:
    check = {"type": "mariadb", "port": database, "user": "probe", "password": DATABASE}
    checks: dict[str, object] = {
        "basic": http(target, user="probe", password=PASSWORD),
        "bearer": http(target, token=TOKEN, status=[401], body="never"),
        "header": http(target, headers={"X-Api-Key": HEADER}),
        "closed": http(free_port(), token=TOKEN),
        "db": check,
        "push": {"type": "push", "token": PUSH, "max_silence": 0.1},
    }
    records = (record(name, dest=["127.0.0.1"], check=check) for name, check in checks.items())
    return config(
        table("admin", token_file=str(folder / "tokens")),
        table("pdns", api=f"http://127.0.0.1:{target}", api_key_file=str(folder / "key")),
        table("mysql", host="127.0.0.1", port=mirror, user="mirror", password=MYSQL),
        *records,
        loglevel="debug",
    )


@asynccontextmanager
async def failing(folder: Path) -> AsyncIterator[Daemon]:
    """A daemon whose every peer refuses it, with the secret in the refusal."""
    await asyncio.to_thread(write, folder)
    async with AsyncExitStack() as stack:
        target = await stack.enter_async_context(ScriptedServer(echo))
        refusals = [error(1045, f"no: {secret}") for secret in (DATABASE, MYSQL)]
        database, mirror = [
            await stack.enter_async_context(serving(Impostor(login=[refusal])))
            for refusal in refusals
        ]
        written = text(folder, target.port, database.port, mirror.port)
        yield await stack.enter_async_context(Daemon(written))


async def test_no_secret_gets_out_however_what_it_is_for_fails(tmp_path: Path) -> None:
    async with failing(tmp_path) as daemon:
        await daemon.logged("HTTP 401")
        await daemon.logged("no: ***")
        pages = [str(await daemon.get(page, token=OPERATE)) for page in PAGES]
        probed = await daemon.request("POST", "/api/v1/probe", {"name": "basic"}, token=OPERATE)
        refused = await daemon.request("POST", "/api/v1/push", {"up": True}, token=f"{PUSH}x")
        await malformed(daemon, f"Authorization: Bearer {OPERATE}\0")
        bad = daemon.config_file.read_text().replace(
            "[pdns]\n", f'[pdns]\ncontrol_socket = "http://u:{KEY}@127.0.0.1"\n'
        )
        await asyncio.to_thread(daemon.config_file.write_text, bad)
        daemon.reload()
        await daemon.logged("reload refused: ")
        argv = await asyncio.to_thread(Path(f"/proc/{daemon.pid}/cmdline").read_bytes)
        shown = "\n".join([*pages, str(probed), str(refused), daemon.log, argv.decode()])
    assert "401" in shown
    assert [secret for secret in SECRETS if secret in shown] == []


async def malformed(daemon: Daemon, header: str) -> None:
    """Two requests on one connection, the second of which no parser accepts."""
    host, port = daemon.admin.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    good = "GET /livez HTTP/1.1\r\nHost: localhost\r\n"
    writer.write(f"{good}\r\n{good}{header}\r\n\r\n".encode())
    await reader.read()
    writer.close()
