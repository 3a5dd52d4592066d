"""compose.yaml at work: its images built, its services started in their order, DNS asked."""

import subprocess
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dnslb_backend import __version__
from tests.packaging.images import Image, run
from tests.packaging.services import HTTP_VARIANT, ROOT, Service, read_compose
from tests.rigs.dig import Answer, ask
from tests.rigs.mariadb import MariaDB
from tests.rigs.namespaces import Namespace
from tests.rigs.server import executable
from tests.rigs.waiting import until

# Images are built, from twenty packages.
pytestmark = [pytest.mark.soak, pytest.mark.timeout(240)]

WEB = ["172.30.53.11", "172.30.53.12"]
COMMAND = """
[global]
domain_name = "lb.example"
[server]
http = ""
unix = ""
[records."www".A]
ttl = 5
interval = 1
timeout = 0.5
dns_timeout = 0.2
dest = ["192.0.2.1"]
check  = ["sh", "-c", "echo \\"user $(id -u)\\""]
expect = "user 10053"
"""


class Database(MariaDB):
    """MariaDB as the service of that name: at its port, with the root password of the secret."""

    def __init__(self, namespace: Namespace, password: str) -> None:
        super().__init__(tcp=True)
        self.inside = namespace.inside
        self.port = 3306
        self.password = password

    async def start(self) -> None:
        await super().start()
        await self.query("CREATE DATABASE dnslb")
        await self.query(f"CREATE OR REPLACE USER root@127.0.0.1 IDENTIFIED BY '{self.password}'")
        await self.query("GRANT ALL ON *.* TO root@127.0.0.1 WITH GRANT OPTION")


class Composed:
    """The services of a compose file in a network of their own."""

    def __init__(
        self, compose: dict[str, Any], images: dict[str, Image], folder: Path, space: Namespace
    ) -> None:
        self.services = compose["services"]
        self.images = images
        self.folder = folder
        self.space = space

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text().strip()

    def service(self, name: str) -> Service:
        """A service by its name; what the image of MariaDB brings along is here anyway."""
        described = self.services[name]
        image = self.images.get(described["image"], self.images["dnslb-backend"])
        return Service(described, image, self.folder, inside=self.space.inside)

    async def ask(self, name: str, *, tcp: bool = False) -> Answer:
        return await ask((self.space.inner, 5300), name, tcp=tcp)

    def addresses(self, order: str, *addresses: str) -> None:
        """Give the network these addresses, or take them away."""
        for address in addresses:
            place = [executable("ip"), "-n", self.space.name]
            run(*place, "address", order, f"{address}/32", "dev", "lo")


def test_an_image_has_the_program_and_nothing_to_build_with(images: dict[str, Image]) -> None:
    image = images["dnslb-backend"]
    command = image.command(["dnslb-backend", "--version"], user=image.stage.last("USER").text)
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stdout) == (0, f"dnslb-backend {__version__}\n"), shown.stderr
    installed = {path.name for path in (image.root / "opt/dnslb").rglob("*")}
    assert {"dnslb_backend", "maxminddb", "h2", "0001_schema.sql"} <= installed
    assert not {"pip", "setuptools", "hatchling", "tests"} & installed
    assert not (image.root / "build").exists()


async def test_it_serves_and_follows(
    images: dict[str, Image], tmp_path: Path, namespace: Namespace
) -> None:
    async with AsyncExitStack() as stack:
        daemon, pdns, world = await _start(stack, images, tmp_path, namespace)
        await until(lambda: _answers(world, set(WEB)), what="both servers")
        assert (await world.ask("ns1.lb.example", tcp=True)).addresses == {"192.0.2.53"}
        world.addresses("del", WEB[1])
        await until(lambda: _answers(world, {WEB[0]}), what="the one that is left")
        await _operate(world)
        await _mirror(world, daemon)
        code, said = await pdns.run(["pdnsutil", "secure-zone", "lb.example"])
        assert code == 0, said
        assert (await daemon.run(["dnslb-backend", "ping", "--ready"]))[1] == "ready\n"
        # tini says of PowerDNS what a shell would: ended by SIGTERM.
        assert [await each.stop() for each in (pdns, daemon)] == [128 + 15, 0]
        assert "too open" not in daemon.log


async def test_it_serves_over_http_as_well(
    images: dict[str, Image], tmp_path: Path, namespace: Namespace
) -> None:
    async with AsyncExitStack() as stack:
        _, _, world = await _start(stack, images, tmp_path, namespace, HTTP_VARIANT)
        await until(lambda: _answers(world, set(WEB)), what="both servers")
        world.addresses("del", WEB[0])
        await until(lambda: _answers(world, {WEB[1]}), what="the one that is left")


async def _start(
    stack: AsyncExitStack,
    images: dict[str, Image],
    folder: Path,
    space: Namespace,
    *overrides: Path,
) -> tuple[Service, Service, Composed]:
    """Secrets, then the services one after the other, each when the one before is healthy."""
    run(str(ROOT / "configs/container/make-secrets"), str(folder / "secrets"))
    world = Composed(read_compose(*overrides), images, folder, space)
    world.addresses("add", *WEB)
    await stack.enter_async_context(world.service("web1"))
    daemon = await stack.enter_async_context(world.service("dnslb"))
    pdns = await stack.enter_async_context(world.service("pdns"))
    return daemon, pdns, world


async def _answers(world: Composed, addresses: set[str]) -> bool:
    return (await world.ask("www.lb.example")).addresses == addresses


async def _operate(world: Composed) -> None:
    """Whoever is not in `allow` needs a token; the one that make-secrets made may operate."""
    url = f"http://{world.space.inner}:8054"
    _, token, _ = world.secret("admin_tokens").split()
    order = {"target": WEB[0], "action": "drain", "force": True}
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/livez") as response:
            assert response.status == 200
        async with session.get(f"{url}/api/v1/status") as response:
            assert response.status == 401
        bearer = {"Authorization": f"Bearer {token}"}
        async with session.post(f"{url}/api/v1/overrides", json=order, headers=bearer) as response:
            assert response.status == 201
    await until(lambda: _answers(world, set()), what="nobody is left")


async def _mirror(world: Composed, daemon: Service) -> None:
    """MariaDB comes late, without tables; the daemon writes as soon as it may."""
    async with Database(world.space, world.secret("mariadb_root")) as database:
        for name in ("schema", "users"):
            service = world.service(name)
            await service.launch()
            assert await service.wait(20) == 0, service.log

        async def rows() -> list[dict[str, Any]]:
            return await database.query("SELECT address FROM lb_state", database="dnslb")

        found = await until(rows, within=20, what="rows in the mirror")
        assert {row["address"] for row in found} == set(WEB), daemon.log
        grants = await database.query("SHOW GRANTS FOR 'dnslb'@'%'")
        said = [str(next(iter(row.values()))) for row in grants]
        tables = await database.query(
            "SHOW FULL TABLES WHERE Tables_in_dnslb LIKE 'lb\\_%' AND (Table_type = 'BASE TABLE'"
            " OR Tables_in_dnslb = 'lb_differences')",
            database="dnslb",
        )
        assert len([line for line in said if " ON `dnslb`.`lb_" in line]) == len(tables)
        assert [line for line in said if " ON `dnslb`.`lb_" not in line] == [said[0]]
        assert said[0].startswith("GRANT USAGE ON *.*")


async def test_a_command_can_be_a_check(
    images: dict[str, Image], tmp_path: Path, namespace: Namespace
) -> None:
    (tmp_path / "dnslb.toml").write_text(COMMAND)
    volumes = [f"{tmp_path}/dnslb.toml:/etc/dnslb/dnslb.toml:ro"]
    service = {"read_only": True, "tmpfs": ["/tmp"], "volumes": [*volumes, "state:/var/lib/dnslb"]}
    image = images["dnslb-backend"]
    async with Service(service, image, tmp_path, inside=namespace.inside) as daemon:

        async def is_ready() -> bool:
            return (await daemon.run(["dnslb-backend", "ping", "--ready"]))[0] == 0

        await until(is_ready, what="a first round")
        code, shown = await daemon.run(["dnslb-backend", "status"])
        assert code == 0
        assert "1 of 1 served" in shown
        assert (tmp_path / "volumes/state/state.sqlite").stat().st_uid == 10053
