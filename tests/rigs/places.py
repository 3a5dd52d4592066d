"""Places of a fleet: network namespaces on one bridge, each cut from the others or from targets.

    .1, .2, ..   the places        .100   this machine        .129, .130, ..   targets

All of them are addresses of one network of 100.64.0.0/10 (RFC 6598) that no other test has.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.rigs.namespaces import PREFIX, ForbiddenError, ip, make_hole, reserved
from tests.rigs.server import executable

ROOT = Path(__file__).parent.parent.parent
CABLE = "cable"


@dataclass(frozen=True, slots=True)
class Place:
    """A network of its own at `address`. `inside` goes before a command line to run it there.

    A cut is silence: what is sent is dropped, and whoever sends it is not told.
    """

    name: str
    address: str
    _slow: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def inside(self) -> list[str]:
        return [executable("ip"), "netns", "exec", self.name]

    def cut(self, *networks: str) -> None:
        """Drop all packets to `networks`, addresses or in CIDR form, until heal()."""
        for network in networks:
            ip("-n", self.name, "route", "replace", network, "dev", "hole")

    def delay(self, seconds: float, *networks: str) -> None:
        """Delay each packet to `networks`, until heal()."""
        words = [*self.inside, sys.executable, "-m", "tests.rigs.slow_link"]
        link = subprocess.Popen(
            [executable("setpriv"), "--pdeathsig", "KILL", *words, str(seconds), CABLE, *networks],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        self._slow.append(link)
        assert link.stdout is not None
        if link.stdout.readline() != b"ready\n":
            raise RuntimeError(f"no delay at {self.name}: its output is above")

    def heal(self) -> None:
        """Undo cut() and delay()."""
        ip("-n", self.name, "route", "flush", "dev", "hole")
        while self._slow:
            # The device ends with its process, and all routes to it with the device.
            self._slow.pop().communicate()
        with suppress(subprocess.CalledProcessError):
            ip("-n", self.name, "route", "flush", "dev", CABLE, "metric", "2")


@dataclass(frozen=True, slots=True)
class Bridge:
    """This machine is at `here`; `targets` are addresses to listen on, all in `target_network`."""

    here: str
    places: Sequence[Place]
    targets: Sequence[str]
    target_network: str

    def others(self, place: Place) -> list[str]:
        return [other.address for other in self.places if other is not place]


@contextmanager
def places(count: int, *, targets: int = 4) -> Iterator[Bridge]:
    """So many places, removed afterwards; ForbiddenError if they cannot be made."""
    if os.geteuid() != 0:
        raise ForbiddenError("only root may make network namespaces")
    remove_orphans()
    with reserved("bridge", 1 << 14) as number:
        network = f"100.{64 + number // 256}.{number % 256}"
        places = [
            Place(f"{PREFIX}-{os.getpid()}-place{n}", f"{network}.{n}") for n in range(1, count + 1)
        ]
        hosts = [f"{network}.{129 + n}" for n in range(targets)]
        bridge = Bridge(f"{network}.100", places, hosts, f"{network}.128/25")
        with _built(bridge):
            yield bridge


@contextmanager
def _built(bridge: Bridge) -> Iterator[None]:
    device = f"lb{os.getpid()}"
    try:
        ip("link", "add", device, "type", "bridge")
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise ForbiddenError(f"a bridge: {error}") from None
    try:
        for address in (bridge.here, *bridge.targets):
            ip("address", "add", f"{address}/24", "dev", device)
        ip("link", "set", device, "up")
        for number, place in enumerate(bridge.places, 1):
            _connect(place, device, f"{device}p{number}")
        yield
    finally:
        for number, place in enumerate(bridge.places, 1):
            # A namespace goes later than its name does; its cable must not stay as long.
            with suppress(subprocess.CalledProcessError):
                ip("link", "delete", f"{device}p{number}")
            _remove(place.name)
        ip("link", "delete", device)


def _connect(place: Place, bridge: str, port: str) -> None:
    ip("netns", "add", place.name)
    ip("link", "add", port, "type", "veth", "peer", "name", CABLE, "netns", place.name)
    ip("link", "set", port, "master", bridge, "up")
    ip("-n", place.name, "link", "set", "lo", "up")
    ip("-n", place.name, "address", "add", f"{place.address}/24", "dev", CABLE)
    ip("-n", place.name, "link", "set", CABLE, "up")
    make_hole(place.name)


def _remove(name: str) -> None:
    with suppress(subprocess.CalledProcessError):
        ip("netns", "delete", name)


def remove_orphans() -> None:
    """Places and bridges of test processes that were killed before they could tidy up."""
    for path in Path("/run/netns").glob(f"{PREFIX}-*-place*"):
        if not _lives(path.name, rf"{PREFIX}-(\d+)-place\d+"):
            _remove(path.name)
    for path in Path("/sys/class/net").glob("lb*/bridge"):
        if not _lives(path.parent.name, r"lb(\d+)"):
            ip("link", "delete", path.parent.name)


def _lives(name: str, pattern: str) -> bool:
    owner = re.fullmatch(pattern, name)
    return owner is None or Path("/proc", owner[1]).exists()
