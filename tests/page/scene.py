"""A node with something of everything to look at: real targets, and a daemon that probes them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rigs.daemon import Daemon
from tests.rigs.targets import HttpTarget, farm
from tests.rigs.waiting import until

READ_TOKEN = "read-0123456789abcdef"
OPERATE_TOKEN = "operate-0123456789abcdef"
TOKENS = f"read {READ_TOKEN} prometheus\noperate {OPERATE_TOKEN} night-shift\n"

TARGETS = 9

CONFIG = """\
[global]
domain_name = "shop.example"
node        = "ns1"

[admin]
token_file = "TOKENS"

[zones."shop.example"]
soa = { mname = "ns1.shop.example.", rname = "hostmaster.shop.example." }
ns  = ["ns1.shop.example."]

[zones."api.example"]
soa = { mname = "ns1.shop.example.", rname = "hostmaster.shop.example." }
ns  = ["ns1.shop.example."]

[views.office]
networks = ["10.0.0.0/8"]

[default]
ttl         = 5
interval    = INTERVAL
timeout     = 5      # far beyond the interval: a busy machine must not look like an outage
dns_timeout = 1
check       = { type = "http", url = "http://%(address)s:PORT/health" }

[records."www".A]
dest = [
    { host = "192.0.2.11", check_address = "127.0.0.2", labels = { dc = "fra", rack = "11" } },
    { host = "192.0.2.12", check_address = "127.0.0.3", labels = { dc = "fra", rack = "12" } },
    { host = "192.0.2.13", check_address = "127.0.0.4", labels = { dc = "iad" } },
]

[records."www".AAAA]
dest = [
    { host = "2001:db8:0:1::11", check_address = "127.0.0.2" },
    { host = "2001:db8:0:1::12", check_address = "127.0.0.3" },
]

[records."db".A]
dest = [
    { host = "192.0.2.31", prio = 2, check_address = "127.0.0.5" },
    { host = "192.0.2.32", prio = 1, check_address = "127.0.0.6" },
]

[records."intra".A]
dest = [
    { host = "198.51.100.21", check_address = "127.0.0.2" },
    { host = "10.20.0.21", views = ["office"], check_address = "127.0.0.7" },
]

[records."cart".A]
failback = "manual"
dest = [
    { host = "192.0.2.41", check_address = "127.0.0.8" },
    { host = "192.0.2.42", check_address = "127.0.0.9" },
]

[zones."api.example".records."v1".A]
policy = "weighted"
dest = [
    { host = "203.0.113.51", weight = 80, check_address = "127.0.0.2", labels = { dc = "fra" } },
    { host = "203.0.113.52", weight = 20, check_address = "127.0.0.3" },
]

[zones."api.example".records."search".A]
fallback = "203.0.113.99"
dest = [
    { host = "203.0.113.61", check_address = "127.0.0.10" },
    { host = "203.0.113.62", check_address = "127.0.0.10" },
]
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """`targets` are by the last number of their address, from 2 on."""

    daemon: Daemon
    targets: dict[int, HttpTarget]
    config: str

    @property
    def url(self) -> str:
        return f"http://{self.daemon.admin}"

    async def override(self, target: str, action: str, **more: object) -> None:
        body = {"target": target, "action": action, **more}
        status, told = await self.daemon.request(
            "POST", "/api/v1/overrides", body, token=OPERATE_TOKEN
        )
        assert status == 201, told

    async def overrides(self) -> list[dict[str, Any]]:
        _, told = await self.daemon.get("/api/v1/overrides", token=OPERATE_TOKEN)
        return list(told["overrides"])

    async def reload(self, old: str = "", new: str = "") -> None:
        """Read the configuration again, with one text replaced by another."""
        assert old in self.config
        self.daemon.configure(self.config.replace(old, new, 1))
        status, told = await self.daemon.request("POST", "/api/v1/reload", {}, token=OPERATE_TOKEN)
        assert status == 200, told

    async def clear(self) -> None:
        """As it was at the start: no override is in force, and all are well."""
        for target in self.targets.values():
            target.heal()
            await target.start()

        async def is_calm() -> bool:
            # Also who waits to return is let in by this.
            path = "/api/v1/overrides?target=*&force=true"
            await self.daemon.request("DELETE", path, token=OPERATE_TOKEN)
            _, told = await self.daemon.get("/api/v1/status", token=OPERATE_TOKEN)
            return all(row["effective"] == "UP" and not row["waiting"] for row in told["members"])

        await until(is_calm, what="all are well")

    async def stands(self, content: str, effective: str) -> None:
        """Wait until a member is as said."""

        async def found() -> bool:
            _, told = await self.daemon.get("/api/v1/status", token=OPERATE_TOKEN)
            return any(
                row["content"] == content and row["effective"] == effective
                for row in told["members"]
            )

        await until(found, what=f"{content} {effective}")


def write_tokens(directory: Path) -> Path:
    path = directory / "admin.tokens"
    path.write_text(TOKENS)
    path.chmod(0o600)
    return path


@asynccontextmanager
async def scene(directory: Path, *, interval: float = 0.3) -> AsyncIterator[Scene]:
    """All are well, and probed every `interval` seconds."""
    async with farm(TARGETS) as targets:
        config = (
            CONFIG.replace("PORT", str(targets[0].port))
            .replace("INTERVAL", str(interval))
            .replace('"TOKENS"', json.dumps(str(write_tokens(directory))))
        )
        async with Daemon(config) as daemon:
            yield Scene(daemon, dict(enumerate(targets, start=2)), config)
