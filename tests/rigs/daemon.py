"""dnslb-backend itself, as `serve` in its own process."""

import json
import signal
import sys
import tomllib
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import aiohttp

from tests.rigs.child import Child
from tests.rigs.dig import Answer
from tests.rigs.ports import free_port
from tests.rigs.powerdns import PowerDNS
from tests.rigs.server import Server
from tests.rigs.waiting import until

ROOT = Path(__file__).parent.parent.parent


class Daemon(Server):
    """`dnslb-backend serve` with `config`, the text of a dnslb.toml.

    What the text leaves out is set so that daemons do not meet: the listeners of PowerDNS and of
    operators on free ports, the state in a file of the rig's directory. `async with` waits until
    it is live, and with `ready` until every first check cycle has ended as well. With its own
    namespace or environment it gets a fresh interpreter.
    """

    name = "dnslb"
    request_limit: ClassVar[float] = 5.0
    """Seconds for a request of an operator."""
    packages: ClassVar[Path] = ROOT
    """Where the package is that runs."""

    def __init__(
        self,
        config: str,
        *,
        ready: bool = True,
        host: str = "127.0.0.1",
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        inside: Sequence[str] = (),
    ) -> None:
        path = dict.fromkeys((str(self.packages), str(ROOT)))
        extra = {"PYTHONPATH": ":".join(path), "PYTHONUNBUFFERED": "1"}
        super().__init__(inside=inside, environment=extra | dict(environment or {}))
        self.is_fresh = bool(inside or environment) or len(path) > 1
        self.wants_ready = ready
        self.arguments = list(arguments)
        self._own = {
            "server": {"http": f"{host}:{free_port()}"},
            "admin": {"listen": f"{host}:{free_port()}"},
            "state": {"path": str(self.directory / "state.sqlite")},
        }
        self.configure(config)

    @property
    def config_file(self) -> Path:
        return self.directory / "dnslb.toml"

    @property
    def http(self) -> str:
        """HOST:PORT of the remote HTTP connector."""
        return str(self.config["server"]["http"])

    @property
    def admin(self) -> str:
        """HOST:PORT of the admin listener; empty if it is disabled."""
        return str(self.config["admin"]["listen"])

    def configure(self, config: str) -> None:
        """Write another configuration, for the next start or reload."""
        for table, keys in self._own.items():
            for key, value in keys.items():
                config = with_setting(config, table, key, value)
        self.config: dict[str, Any] = tomllib.loads(config)
        self.config_file.write_text(config)

    def reload(self) -> None:
        """Make it reload its configuration; its log has the result."""
        self.signal(signal.SIGHUP)

    def command(self) -> list[str]:
        return [sys.executable, "-m", "dnslb_backend", *self._words()]

    def _words(self) -> list[str]:
        return ["serve", "-c", str(self.config_file), *self.arguments]

    async def begin(self, log: int) -> Process | Child:
        if self.is_fresh:
            return await super().begin(log)
        return await Child.born(self._words(), self.environment, self.directory, out=log, err=log)

    async def answers(self) -> bool:
        return await self.health("/livez")

    async def up(self) -> None:
        await super().up()
        if self.wants_ready:
            await self.ready()

    async def ready(self, *, within: float = 60.0) -> None:
        """Wait until every balanced record had its first check cycle."""
        await until(lambda: self.health("/readyz"), within=within, what=f"{self.name} ready")

    async def health(self, path: str) -> bool:
        """Whether `/livez` or `/readyz` says yes."""
        try:
            status, _ = await self.get(path)
        except (aiohttp.ClientConnectionError, TimeoutError):
            return False
        return status == 200

    async def get(self, path: str, *, token: str = "") -> tuple[int, Any]:
        """Status and body of an admin request: parsed if it is JSON, else its text."""
        return await self.request("GET", path, token=token)

    async def request(
        self, method: str, path: str, body: object = None, *, token: str = ""
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self.request_limit)
            ) as session,
            session.request(
                method, f"http://{self.admin}{path}", json=body, headers=headers
            ) as response,
        ):
            text = await response.text()
            is_json = response.content_type.endswith("json")
            return response.status, json.loads(text) if is_json else text

    def powerdns(self, **settings: object) -> PowerDNS:
        """A PowerDNS connected to this daemon over HTTP; `_` in a setting's name means `-`."""
        remote = f"http:url=http://{self.http}/dns,timeout=2000"
        named = {key.replace("_", "-"): value for key, value in settings.items()}
        return PowerDNS({"launch": "remote", "remote-connection-string": remote} | named)


async def follows(
    pdns: PowerDNS,
    name: str,
    addresses: set[str],
    type: str = "A",  # noqa: A002 - what DNS calls it
    *,
    within: float = 30.0,
) -> Answer:
    """Query DNS until the answer has exactly `addresses`, and return that answer."""

    async def followed() -> Answer | None:
        answer = await pdns.ask(name, type)
        return answer if answer.addresses == addresses else None

    what = f"{name} {type} = {sorted(addresses)}"
    answer = await until(followed, within=within, what=what)
    assert answer is not None
    return answer


def with_setting(config: str, table: str, key: str, value: str | bool) -> str:
    """The text with `key` set in `[table]`, unless it is set there already."""
    if key in tomllib.loads(config).get(table, {}):
        return config
    header, line = f"[{table}]\n", f"{key} = {json.dumps(value)}\n"
    if table in tomllib.loads(config):
        if header not in config:
            raise ValueError(f"write [{table}] on a line of its own")
        return config.replace(header, header + line, 1)
    return f"{config.rstrip()}\n\n{header}{line}"
