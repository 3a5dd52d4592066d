"""A load of questions from a process of its own: python -m tests.chaos.asker HOST PORT RATE NAME..

It asks for the A records of the names, RATE a second in all, for as long as its standard input is
open, and writes one JSON object a line, with times of the monotonic clock:

    {"at": 1.5, "took": 0.01, "name": "a.example", "rcode": 0, "addresses": ["127.0.1.1"]}
                                                                      another answer
    {"at": 2.0, "slow": [[1.91, 0.25]], "answered": 2000, "lost": 0}                every second

`slow` are the answers that took over SLOW seconds: when they were asked for, and how long. A
question without an answer after LOST seconds is lost, and counts as slow with that time.
"""

import asyncio
import json
import re
import struct
import sys
import time
from collections import deque
from typing import cast

import dns.message

TICK = 0.005
SLOW = 0.05
LOST = 3.0

WEIGHTED = re.compile(r"w\d+\.")
"""The names of weighted records: each answer is another one, `*` stands for all of them."""


class Asker(asyncio.DatagramProtocol):
    def __init__(self, names: list[str]) -> None:
        self.names = names
        self._wires = [dns.message.make_query(name, "A").to_wire()[2:] for name in names]
        self._under_way: dict[int, tuple[float, int]] = {}
        self._order: deque[int] = deque()
        self._next = 0
        self._latest: dict[str, tuple[int, tuple[str, ...]]] = {}
        self.slow: list[tuple[float, float]] = []
        self.answered = self.lost = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def error_received(self, exc: Exception) -> None:
        """A port that refuses: its question is lost."""

    def ask(self, count: int, now: float) -> None:
        assert self._transport is not None
        for _ in range(count):
            number = self._next = (self._next + 1) % 65536
            which = number % len(self.names)
            self._under_way[number] = now, which
            self._order.append(number)
            self._transport.sendto(number.to_bytes(2, "big") + self._wires[which])

    def give_up(self, now: float) -> None:
        while self._order:
            begun = self._under_way.get(self._order[0])
            if begun is not None and now - begun[0] < LOST:
                return
            if begun is not None:
                del self._under_way[self._order[0]]
                self.lost += 1
                self.slow.append((begun[0], LOST))
            self._order.popleft()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        now = time.monotonic()
        begun = self._under_way.pop(int.from_bytes(data[:2], "big"), None)
        if begun is None:
            return
        asked, which = begun
        self.answered += 1
        if now - asked > SLOW:
            self.slow.append((asked, round(now - asked, 3)))
        name = self.names[which]
        served = tuple(sorted(addresses(data)))
        found = data[3] & 15, ("*",) if WEIGHTED.match(name) and served else served
        if self._latest.get(name) != found:
            self._latest[name] = found
            # What was asked before a change may be answered after it: its own time counts.
            took = round(now - asked, 3)
            change = {"name": name, "rcode": found[0], "addresses": found[1]}
            say({"at": asked, "took": took, **change})

    def report(self) -> None:
        figures = {"slow": self.slow, "answered": self.answered, "lost": self.lost}
        say({"at": time.monotonic(), **figures})
        self.slow, self.answered, self.lost = [], 0, 0


def addresses(wire: bytes) -> list[str]:
    """The A records of an answer (RFC 1035, 4.1)."""
    count = int.from_bytes(wire[6:8], "big")
    place = wire.index(b"\0", 12) + 5
    found = []
    for _ in range(count):
        while wire[place] < 0xC0 and wire[place]:
            place += wire[place] + 1
        place += 2 if wire[place] >= 0xC0 else 1
        kind, length = struct.unpack_from("!HxxxxxxH", wire, place)
        place += 10
        if kind == 1:
            found.append(".".join(map(str, wire[place : place + 4])))
        place += length
    return found


def say(line: object) -> None:
    print(json.dumps(line), flush=True)  # noqa: T201 - this is what the process is for


async def main(host: str, port: int, rate: int, names: list[str]) -> None:
    loop = asyncio.get_running_loop()
    transport, asker = await loop.create_datagram_endpoint(
        lambda: Asker(names), remote_addr=(host, port)
    )
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    began = last = time.monotonic()
    asked = 0
    while not ended.is_set():
        now = time.monotonic()
        # After a pause of this process itself nothing is made up for.
        due = min(int((now - began) * rate) - asked, rate // 10)
        asked = int((now - began) * rate)
        asker.ask(due, now)
        asker.give_up(now)
        if now - last >= 1:
            asker.report()
            last = now
        await asyncio.sleep(TICK)  # noqa: TID251 - this is the beat of the load
    transport.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
