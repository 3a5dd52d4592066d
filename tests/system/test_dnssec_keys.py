"""Keys outlive a daemon, its database and trouble with the disk; logs and the API know none."""

import re
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

from dnslb_backend.store.database.migrate import apply
from dnslb_backend.store.settings import MysqlSettings
from tests.rigs.daemon import Daemon
from tests.rigs.mariadb import MariaDB
from tests.rigs.powerdns import PowerDNS
from tests.rigs.validators import Anchor, anchors, delv
from tests.rigs.waiting import until
from tests.system.signed import ZONE, signed

CONFIG = """
[global]
domain_name = "lb.example"
loglevel = "debug"

[default]
ttl = 1
interval = 0.5
timeout = 0.2
dns_timeout = 0.1
check = { type = "static", result = "pass" }

[records.www.A]
dest = ["127.0.0.1"]
"""


def secrets_of(daemon: Daemon) -> list[str]:
    """The private parts of the keys in the file of a daemon."""
    with closing(sqlite3.connect(daemon.directory / "state.sqlite")) as database:
        rows = database.execute("SELECT content FROM lb_key UNION SELECT content FROM lb_tsig")
        contents = [content for (content,) in rows]
    return [word for text in contents for word in re.findall(r"\S{20,}", text)]


def modes(folder: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in folder.glob("state.sqlite*")}


async def test_keys_outlive_the_daemon_and_are_told_to_nobody() -> None:
    async with signed("on", CONFIG) as made:
        daemon, pdns = made.daemon, made.pdns
        await made.util("generate-tsig-key", "peer", "hmac-sha256")
        before = await made.util("show-zone", ZONE)
        for end in (daemon.stop, daemon.kill):
            await end()
            await daemon.start()
            assert await made.util("show-zone", ZONE) == before
            assert (await delv(pdns, made.trusted, f"www.{ZONE}")).is_valid
            assert (await delv(pdns, made.trusted, f"nope.{ZONE}")).is_valid
        assert modes(daemon.directory) == {0o600}
        # Neither a request that makes no sense nor one that cannot be kept shows what is in it.
        secrets = secrets_of(daemon)
        assert len(secrets) == 2
        for path in ("/api/v1/status", "/api/v1/history", "/metrics", "/readyz", "/"):
            _, text = await daemon.get(path)
            assert not any(secret in str(text) for secret in secrets), path
        with closing(sqlite3.connect(daemon.directory / "state.sqlite")) as other:
            other.execute("BEGIN EXCLUSIVE")
            code, _ = await pdns.util("import-tsig-key", "peer2", "hmac-sha256", secrets[0])
            assert code != 0
        assert not any(secret in daemon.log for secret in secrets)


async def test_nodes_share_their_keys_through_the_database_and_sign_without_it() -> None:
    async with MariaDB() as mariadb:
        await mariadb.query("CREATE DATABASE mirror")
        settings = MysqlSettings(unix_socket=str(mariadb.socket), user="root", database="mirror")
        await apply(settings)
        config = f"""{CONFIG}
[mysql]
unix_socket = "{mariadb.socket}"
user = "root"
database = "mirror"
"""
        second = config.replace("[global]", '[global]\nnode = "second"')
        async with (
            signed("on", config) as one,
            signed("on", second, is_secured=False) as two,
        ):

            async def same() -> bool:
                return await anchors(two.pdns, ZONE) == one.trusted

            await until(same, within=5, what="the keys of the other node")
            await two.util("set-nsec3", ZONE, "1 0 0 -", "narrow")

            async def narrow() -> bool:
                return "NARROW" in await one.util("show-zone", ZONE)

            await until(narrow, within=5, what="the metadata of the other node")
            await mariadb.kill()
            await two.daemon.restart()
            for each in (one, two):
                await until(partial(valid, each.pdns, one.trusted), what="signed answers")


async def valid(pdns: PowerDNS, trusted: list[Anchor]) -> bool:
    verdicts = [await delv(pdns, trusted, f"{name}.{ZONE}") for name in ("www", "nope")]
    return all(verdict.is_valid for verdict in verdicts)
