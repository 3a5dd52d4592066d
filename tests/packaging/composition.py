"""A compose file with networks, brought up without an engine.

Each service is in a place of its own (tests/rigs/places.py), and has an address there in each of
its networks: the one that the file gives it, or the next of the subnet; of a network without a
subnet that of the place itself. In its /etc/hosts are the services of these networks.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tests.packaging.images import Image
from tests.packaging.services import Service
from tests.rigs.namespaces import ip
from tests.rigs.places import CABLE, Bridge, Place
from tests.rigs.server import Server


class Composition:
    """The services of a compose file that has networks; `stack` ends those that were started.

    What the image of MariaDB brings along is in the image `dnslb-backend` as well, except the
    server: put servers that stand for its services into `running`.
    """

    def __init__(
        self,
        compose: Mapping[str, Any],
        images: Mapping[str, Image],
        folder: Path,
        bridge: Bridge,
        stack: AsyncExitStack,
    ) -> None:
        self._compose = compose
        self._images = images
        self._folder = folder
        self._stack = stack
        self.running: dict[str, Server] = {}
        self.places: dict[str, Place] = dict(zip(compose["services"], bridge.places, strict=True))
        self.addresses = {name: self._distribute(name) for name in compose["networks"]}
        for network, members in self.addresses.items():
            for name in members:
                self.connect(network, name)

    def service(self, name: str) -> Service:
        """A service that runs in an image of ours."""
        running = self.running[name]
        assert isinstance(running, Service)
        return running

    def secret(self, name: str) -> str:
        return (self._folder / "secrets" / name).read_text().strip()

    async def up(self, *names: str) -> None:
        """Start these services, and first all that they depend on, in the state that they want.

        Returns when they are started, healthy or not. With restarts on failure an engine is more
        lenient: here the first run of what should complete has to.
        """
        for name in names:
            if name in self.running:
                continue
            for other, how in self._compose["services"][name].get("depends_on", {}).items():
                await self.up(other)
                await self._reach(self.running[other], how["condition"])
            service = self._service(name)
            self._stack.push_async_exit(service)
            await service.launch()
            self.running[name] = service

    async def _reach(self, server: Server, condition: str) -> None:
        if condition == "service_healthy":
            await server.up()
        elif condition == "service_completed_successfully":
            assert await server.wait(server.start_limit) == 0, server.log

    def connect(self, network: str, name: str) -> None:
        """`docker network connect`."""
        address = self._interface(network, name)
        ip("-n", self.places[name].name, "address", "replace", address, "dev", CABLE)

    def disconnect(self, network: str, name: str) -> None:
        """`docker network disconnect`: the service has no route to the others any more."""
        address = self._interface(network, name)
        ip("-n", self.places[name].name, "address", "delete", address, "dev", CABLE)

    def _interface(self, network: str, name: str) -> str:
        return f"{self.addresses[network][name]}/24"

    def _distribute(self, network: str) -> dict[str, str]:
        """The address of each service in a network."""
        services = self._compose["services"].items()
        members = {name: one["networks"] for name, one in services if network in one["networks"]}
        given = {
            name: networks[network]["ipv4_address"]
            for name, networks in members.items()
            if isinstance(networks, dict)
        }
        free = self._free(network, set(given.values()))
        return {name: given.get(name) or next(free, self.places[name].address) for name in members}

    def _free(self, network: str, given: set[str]) -> Iterator[str]:
        """The addresses of its subnets that an engine may choose: the first one is its own."""
        for config in (self._compose["networks"][network].get("ipam") or {}).get("config", []):
            _, *others = map(str, ipaddress.ip_network(config["subnet"]).hosts())
            yield from (address for address in others if address not in given)

    def _service(self, name: str) -> Service:
        described = dict(self._compose["services"][name])
        described["volumes"] = [*described.get("volumes", []), f"{self._hosts(name)}:/etc/hosts:ro"]
        image = self._images.get(described["image"], self._images["dnslb-backend"])
        return Service(described, image, self._folder, inside=self.places[name].inside)

    def _hosts(self, name: str) -> Path:
        """The /etc/hosts of a service, with the names of those it shares a network with."""
        lines = ["127.0.0.1 localhost"]
        for network in self._compose["services"][name]["networks"]:
            lines += [f"{address} {other}" for other, address in self.addresses[network].items()]
        path = self._folder / f"hosts-{name}"
        path.write_text("\n".join(lines) + "\n")
        return path
