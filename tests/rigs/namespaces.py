"""A network namespace, connected to this machine by a veth pair, with its own resolv.conf."""

import contextlib
import itertools
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.rigs.server import executable

PREFIX = "dnslb-test"
_numbers = itertools.count(1)


class ForbiddenError(Exception):
    """Namespaces cannot be created here; the text says why."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network that reaches this machine at `outer`, and is reached at `inner`.

    `inside` is what goes before a command line to run it there: Server(inside=...). Its resolver
    is the one at `outer`, until resolve_with() names others.
    """

    name: str
    outer: str
    inner: str
    cable: str

    @property
    def inside(self) -> list[str]:
        return [executable("ip"), "netns", "exec", self.name]

    @property
    def resolv_conf(self) -> Path:
        return Path("/etc/netns") / self.name / "resolv.conf"

    def resolve_with(self, *servers: str, options: str = "timeout:1 attempts:1") -> None:
        """Set its name servers; running programs reread the file when they resolve."""
        # Written in place: a running program has this very file mounted over its own.
        lines = [*(f"nameserver {server}" for server in servers), f"options {options}"]
        self.resolv_conf.write_text("\n".join(lines) + "\n")

    def cut(self) -> None:
        """Drop all packets, in both directions, without any error."""
        ip("link", "set", self.cable, "down")

    def unplug(self) -> None:
        """Its programs get an error at once: network unreachable."""
        ip("-n", self.name, "link", "set", "cable", "down")

    def swallow(self, network: str) -> None:
        """Drop all packets to `network`, in CIDR form, from now on."""
        make_hole(self.name)
        ip("-n", self.name, "route", "add", network, "dev", "hole")

    def heal(self) -> None:
        """Undo cut() and unplug()."""
        ip("link", "set", self.cable, "up")
        ip("-n", self.name, "link", "set", "cable", "up")
        ip("-n", self.name, "route", "replace", "default", "via", self.outer)
        # A permanent neighbour: while cut, packets are dropped instead of refused after ARP.
        for place, device, address in (
            ((), self.cable, self.inner),
            (("-n", self.name), "cable", self.outer),
        ):
            mac = _hardware_address(address)
            ip(
                *place,
                "neigh",
                "replace",
                address,
                "lladdr",
                mac,
                "dev",
                device,
                "nud",
                "permanent",
            )


@contextmanager
def namespace() -> Iterator[Namespace]:
    """A namespace, removed afterwards; ForbiddenError if it cannot be created."""
    if os.geteuid() != 0:
        raise ForbiddenError("only root may make network namespaces")
    _remove_orphans()
    with _network() as network:
        space = _place(os.getpid(), next(_numbers), network)
        try:
            ip("netns", "add", space.name)
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            raise ForbiddenError(f"network namespaces: {error}") from None
        try:
            _lay_cable(space)
            yield space
        finally:
            _remove(space.name, space.cable)


@contextmanager
def _network() -> Iterator[int]:
    """The first address of a /30 in 198.18.0.0/15 (RFC 2544) that no other test uses meanwhile."""
    with reserved("network", 1 << 15) as block:
        yield (198 << 24) + (18 << 16) + block * 4


@contextmanager
def reserved(what: str, count: int) -> Iterator[int]:
    """One of the numbers from 0 to `count` that no other test uses meanwhile.

    An abstract socket reserves it among all test processes of this machine, and is released however
    its process ends.
    """
    for number in range(count):
        with socket.socket(socket.AF_UNIX) as reservation:
            try:
                reservation.bind(f"\0{PREFIX}-{what}-{number}")
            except OSError:
                continue
            yield number
            return
    raise ForbiddenError(f"every {what} for tests is in use")


def _place(pid: int, number: int, network: int) -> Namespace:
    outer, inner = (
        ".".join(str(network + host >> shift & 255) for shift in (24, 16, 8, 0)) for host in (1, 2)
    )
    return Namespace(f"{PREFIX}-{pid}-{number}", outer, inner, _cable(pid, number))


def _cable(pid: int, number: int) -> str:
    """The name of an interface, which may have 15 bytes."""
    return f"lb{pid % 10**7}-{number}"


def _lay_cable(space: Namespace) -> None:
    space.resolv_conf.parent.mkdir(parents=True, exist_ok=True)
    space.resolve_with(space.outer)
    here = ("link", "add", space.cable, "address", _hardware_address(space.outer))
    there = ("peer", "name", "cable", "address", _hardware_address(space.inner))
    ip(*here, "type", "veth", *there, "netns", space.name)
    ip("address", "add", f"{space.outer}/30", "dev", space.cable)
    ip("-n", space.name, "address", "add", f"{space.inner}/30", "dev", "cable")
    ip("-n", space.name, "link", "set", "lo", "up")
    space.heal()


def _hardware_address(address: str) -> str:
    """A locally administered one, with the IPv4 address in it."""
    return "02:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))


def _remove(name: str, cable: str) -> None:
    """Remove a namespace and its veth pair.

    The kernel removes the pair only after the last process and socket inside are gone: until then
    this machine would have the address twice, if the network were used again.
    """
    with contextlib.suppress(subprocess.CalledProcessError):
        ip("link", "delete", cable)
    ip("netns", "delete", name)
    folder = Path("/etc/netns") / name
    (folder / "resolv.conf").unlink(missing_ok=True)
    folder.rmdir()


def _remove_orphans() -> None:
    """Namespaces of test processes that were killed before they could tidy up."""
    for path in Path("/run/netns").glob(f"{PREFIX}-*"):
        owner = re.fullmatch(rf"{PREFIX}-(\d+)-(\d+)", path.name)
        if owner and not Path("/proc", owner[1]).exists():
            _remove(path.name, _cable(int(owner[1]), int(owner[2])))


def make_hole(namespace: str) -> None:
    """A device of a namespace, `hole`: whatever is routed to it is gone."""
    # A cable that ends nowhere, without ARP.
    ip("-n", namespace, "link", "add", "hole", "type", "veth", "peer", "name", "bottom")
    for end in ("hole", "bottom"):
        ip("-n", namespace, "link", "set", end, "arp", "off", "up")


def ip(*words: str) -> None:
    """Run ip(8); CalledProcessError if it fails."""
    command = [executable("ip"), *words]
    subprocess.run(command, check=True, capture_output=True, text=True)
