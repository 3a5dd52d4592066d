"""A real pdns_server."""

import asyncio
import re
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from dnslb_backend.pdns.settings import parse_version
from tests.rigs.capture import capture
from tests.rigs.dig import Answer, ask
from tests.rigs.ports import free_port
from tests.rigs.server import Server, executable

NAMES_BEFORE_45 = {"primary": "master", "xfr-cycle-interval": "slave-cycle-interval"}
CACHES_OFF: dict[str, object] = {"cache-ttl": 0, "query-cache-ttl": 0, "negquery-cache-ttl": 0}


@cache
def installed_version() -> str:
    """The version of the pdns_server of this machine, like 4.7.3."""
    done = subprocess.run(
        [executable("pdns_server"), "--version"], capture_output=True, text=True, check=False
    )
    found = re.search(r"Server ([0-9]+\.[0-9]+[.0-9]*)", done.stdout + done.stderr)
    assert found is not None, done
    return found[1]


def is_older_than(major: int, minor: int) -> bool:
    """Whether the pdns_server of this machine is."""
    return (parse_version(installed_version()) or (0, 0)) < (major, minor)


def name_here(name: str) -> str:
    """What the PowerDNS of this machine calls a setting, or a role."""
    return NAMES_BEFORE_45.get(name, name) if is_older_than(4, 5) else name


def conf_here(conf: str) -> str:
    """A pdns.conf for the pdns_server of this machine, which an unknown setting would stop."""
    if not is_older_than(4, 5):
        return conf
    for name in NAMES_BEFORE_45:
        conf = re.sub(f"^{name}=", f"{name_here(name)}=", conf, flags=re.MULTILINE)
    return re.sub("^zone-cache-refresh-interval=.*\n?", "", conf, flags=re.MULTILINE)


class PowerDNS(Server):
    """pdns_server on a free port of 127.0.0.1, with `settings` as in pdns.conf.

    `settings` come after what keeps it apart from any other on this machine, and win over it.
    `conf` is the text of a pdns.conf, put before both. Its caches are off unless they are set:
    what a test asks for is what its backend says.
    """

    name = "pdns"

    def __init__(
        self,
        settings: Mapping[str, object],
        *,
        conf: str = "",
        host: str = "127.0.0.1",
        inside: Sequence[str] = (),
    ) -> None:
        super().__init__(inside=inside)
        self.host = host
        self.port = free_port() if inside else free_port(host)
        self.settings = self._isolation() | CACHES_OFF | dict(settings)
        self.conf = conf

    def _isolation(self) -> dict[str, object]:
        return {
            "socket-dir": str(self.directory),
            "local-address": self.host,
            "local-port": self.port,
            "daemon": "no",
            "guardian": "no",
            "write-pid": "no",
            "disable-syslog": "yes",
            "security-poll-suffix": "",  # else it queries the Internet
            "consistent-backends": "no",
        }

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def control_socket(self) -> Path:
        return self.directory / "pdns.controlsocket"

    def command(self) -> list[str]:
        settings = "".join(f"{key}={value}\n" for key, value in self.settings.items())
        (self.directory / "pdns.conf").write_text(conf_here(f"{self.conf}\n{settings}"))
        return [executable("pdns_server"), f"--config-dir={self.directory}"]

    async def answers(self) -> bool:
        """It fetches the zones of its backends before this line."""
        return "ready to distribute questions" in self.latest_log

    async def ask(
        self,
        name: str,
        type: str = "A",  # noqa: A002 - what DNS calls it
        *,
        ecs: str | None = None,
        tcp: bool = False,
    ) -> Answer:
        return await ask(self.address, name, type, ecs=ecs, tcp=tcp)

    async def control(self, command: str) -> str:
        """The output of pdns_control for `command`."""
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_unix_connection(self.control_socket)
            try:
                writer.write(f"{command}\n".encode())
                return (await reader.read()).decode().strip()
            finally:
                writer.close()
                await writer.wait_closed()

    async def util(self, *words: str) -> tuple[int, str]:
        """Exit code and all that pdnsutil prints, with the settings of this server."""
        code, output, _ = await capture(
            executable("pdnsutil"), f"--config-dir={self.directory}", *words, merge=True
        )
        return code, output.decode()

    async def purge(self, name: str) -> int:
        """Purge `name` from the caches, or `name$` with everything below; returns the count."""
        return int(await self.control(f"purge {name}"))
