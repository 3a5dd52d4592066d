"""What a lookup costs inside the daemon, by policy and by number of views.

    python -m tests.bench.answers

The ways are timed in turn, many times over, so that a busy machine slows all of them alike;
printed is the median, and how many times the first way it is. Every lookup comes from another
client than the one before, as from a resolver that sends subnets along.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from statistics import median

from dnslb_backend.core.decision import Decision, Kind, Pool
from dnslb_backend.core.layout import lay_out
from dnslb_backend.core.records import Policy
from dnslb_backend.core.snapshot import build_snapshot
from dnslb_backend.core.views import View
from dnslb_backend.pdns.responder import Responder
from dnslb_backend.pdns.rows import render_rows
from tests.core.building import KEY, plan, record

ROUNDS = 100
LOOKUPS = 500
CLIENTS = 2000
MEMBERS = tuple(f"192.0.2.{number}" for number in range(1, 5))
VIEWS = ("near", "far")


@dataclass(frozen=True, slots=True)
class Way:
    """A policy, and how many networks the views of its record have; 0 is without views."""

    policy: Policy
    networks: int = 0

    def __str__(self) -> str:
        return f"{self.policy}, {self.networks or 'no'} networks"


WAYS = (
    Way(Policy.ALL),
    Way(Policy.WEIGHTED),
    Way(Policy.STICKY),
    *(Way(policy, networks) for policy in Policy for networks in (10, 10_000)),
)


def lookups(way: Way) -> Callable[[], None]:
    """So many lookups of one name, each from another client."""
    seen_by = VIEWS if way.networks else ()
    base = record(*MEMBERS)
    dests = tuple(replace(dest, views=seen_by) for dest in base.dests)
    balanced = replace(base, policy=way.policy, dests=dests)
    weights = (1, 2, 3, 4)
    pools = tuple(Pool(view, MEMBERS, weights) for view in seen_by)
    decision = Decision(Kind.SERVE, MEMBERS, 1, weights, pools)
    built = replace(plan(balanced), views=views(way.networks))
    snapshot, _ = build_snapshot(lay_out(built), lambda _: decision, render_rows, 1.0)
    responder = Responder(lambda: snapshot)
    remotes = itertools.cycle(
        f"{IPv4Address((10 << 24) + 65536 * 37 * n % (1 << 24))}/24" for n in range(CLIENTS)
    )
    name = f"{KEY.name}."

    def run() -> None:
        for remote in itertools.islice(remotes, LOOKUPS):
            responder.lookup(name, "ANY", lambda: remote)  # noqa: B023 - it is called at once

    return run


def views(networks: int) -> dict[str, View]:
    """Two views that take turns over 10.0.0.0/8 in blocks of one size."""
    size = (1 << 24) // max(networks, 1)
    bits = 32 - size.bit_length() + 1
    blocks = [f"{IPv4Address((10 << 24) + (n << (32 - bits)))}/{bits}" for n in range(networks)]
    return {view: View(view, tuple(blocks[start::2])) for start, view in enumerate(VIEWS)}


def measure() -> dict[Way, float]:
    """Microseconds of one lookup, each way."""
    timed: dict[Way, list[float]] = {way: [] for way in WAYS}
    runs = {way: lookups(way) for way in WAYS}
    for _ in range(ROUNDS):
        for way, run in runs.items():
            began = time.perf_counter()
            run()
            timed[way].append((time.perf_counter() - began) / LOOKUPS * 1e6)
    return {way: median(found) for way, found in timed.items()}


if __name__ == "__main__":
    found = measure()
    first = found[WAYS[0]]
    for way, cost in found.items():
        print(f"{way!s:28} {cost:7.2f} us  {cost / first:5.2f} x")
