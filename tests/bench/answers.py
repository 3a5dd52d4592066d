"""What a lookup costs inside the daemon, by policy and by number of views.

    python -m tests.bench.answers

The ways are timed in turn, many times over, in processor time; printed is the median, and how
many times the first way it is. Every lookup comes from another client than the one before: from
one of some hundred that ask all the time, as resolvers do, or from one that was never seen. It
is measured alone, and from the bytes of a request to those of its answer, as the unix connector
has it where it does not know the answer to just that request from before.
"""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from statistics import median

from dnslb_backend.core.answers.name_index import build_name_index
from dnslb_backend.core.answers.snapshot import build_snapshot
from dnslb_backend.core.health.decision import Decision, DecisionKind, Pool
from dnslb_backend.core.model.records import Policy
from dnslb_backend.core.model.views import View
from dnslb_backend.pdns.connectors.line_protocol import parse_lookup
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.pdns.wire.rows import render_rows
from tests.core.building import KEY, plan, record

ROUNDS = 40
LOOKUPS = 500
RESOLVERS = 300
MEMBERS = tuple(f"192.0.2.{number}" for number in range(1, 5))
VIEWS = ("near", "far")
NAME = f"{KEY.name}."


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


def responder(way: Way) -> Responder:
    """One that answers a single name in this way."""
    seen_by = VIEWS if way.networks else ()
    base = record(*MEMBERS)
    dests = tuple(replace(dest, views=seen_by) for dest in base.dests)
    balanced = replace(base, policy=way.policy, dests=dests)
    weights = (1, 2, 3, 4)
    pools = tuple(Pool(view, MEMBERS, weights) for view in seen_by)
    decision = Decision(DecisionKind.SERVE, MEMBERS, 1, weights, pools)
    built = replace(plan(balanced), views=views(way.networks))
    snapshot, _ = build_snapshot(build_name_index(built), lambda _: decision, render_rows, 1.0)
    return Responder(lambda: snapshot)


def remotes(known: int) -> Iterator[str]:
    """So many clients in turn; 0: always another one, until all of 10.0.0.0/8 have been."""
    numbers = itertools.cycle(range(known)) if known else itertools.count()
    return (f"{IPv4Address((10 << 24) + 65537 * 37 * n % (1 << 24))}/32" for n in numbers)


def alone(way: Way, clients: Iterator[str]) -> Callable[[], float]:
    """Seconds of one lookup that was read already."""
    answering = responder(way)

    def run() -> float:
        asking = [*itertools.islice(clients, LOOKUPS)]
        began = time.thread_time()
        for remote in asking:
            answering.lookup(NAME, "ANY", lambda: remote)  # noqa: B023 - it is called at once
        return (time.thread_time() - began) / LOOKUPS

    return run


def whole(way: Way, clients: Iterator[str]) -> Callable[[], float]:
    """Seconds from the line that asks to the line that answers."""
    answering = responder(way)

    def run() -> float:
        lines = [request(remote) for remote in itertools.islice(clients, LOOKUPS)]
        began = time.thread_time()
        for line in lines:
            found = parse_lookup(line)
            assert found is not None
            answering.lookup(*found) + b"\n"
        return (time.thread_time() - began) / LOOKUPS

    return run


def request(remote: str) -> bytes:
    parameters = {
        "local": "127.0.0.1",
        "qname": NAME,
        "qtype": "ANY",
        "real-remote": remote,
        "remote": "127.0.0.1",
        "zone-id": -1,
    }
    line = {"method": "lookup", "parameters": parameters}
    return json.dumps(line, separators=(", ", ": ")).encode() + b"\n"


def views(networks: int) -> dict[str, View]:
    """Two views that take turns over 10.0.0.0/8 in blocks of one size."""
    size = (1 << 24) // max(networks, 1)
    bits = 32 - size.bit_length() + 1
    blocks = [f"{IPv4Address((10 << 24) + (n << (32 - bits)))}/{bits}" for n in range(networks)]
    return {view: View(view, tuple(blocks[start::2])) for start, view in enumerate(VIEWS)}


def measure(time_one: Callable[[Way, Iterator[str]], Callable[[], float]], known: int) -> None:
    """Print what one lookup costs, each way."""
    timed: dict[Way, list[float]] = {way: [] for way in WAYS}
    runs = {way: time_one(way, remotes(known)) for way in WAYS}
    for _ in range(ROUNDS):
        for way, run in runs.items():
            timed[way].append(run())
    first = median(timed[WAYS[0]])
    print(f"\n{time_one.__name__}, {known or 'never the same'} clients")
    for way, found in timed.items():
        print(f"{way!s:28} {median(found) * 1e6:7.2f} us  {median(found) / first:5.2f} x")


if __name__ == "__main__":
    for time_one in (alone, whole):
        for known in (RESOLVERS, 0):
            measure(time_one, known)
