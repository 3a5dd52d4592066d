"""Views: named groups of clients, matched by network or location.

The networks of all views are split into ranges that do not overlap, so that a lookup is one
binary search, however many there are. The views of a client are in the order in which they are
tried: longest prefix first, then AS number, country, continent.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from itertools import groupby
from typing import NamedTuple

from dnslb_backend.core.model.clients import BITS, ClientSubnet


@dataclass(frozen=True, slots=True)
class View:
    """The clients of a view; `networks` in CIDR form, the rest as in GeoIP databases."""

    name: str
    networks: tuple[str, ...] = ()
    countries: frozenset[str] = frozenset()
    continents: frozenset[str] = frozenset()
    asns: frozenset[int] = frozenset()

    @property
    def needs_location(self) -> bool:
        return bool(self.countries or self.continents or self.asns)


class ViewMatch(NamedTuple):
    """The views of a client, in the order in which they are tried.

    `scope` is the shortest prefix of its address within which all clients have the same views.
    """

    views: tuple[str, ...]
    scope: int


class _Range(NamedTuple):
    """A range of addresses with the same networks around all of them.

    `networks` are those, longest prefix first: (bits, view), and `views` are theirs, once each.
    `first` and `end` bound the adjacent ranges with the same views.
    """

    networks: tuple[tuple[int, str], ...]
    views: tuple[str, ...] = ()
    first: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class ViewTable:
    """Matches clients to views."""

    views: tuple[View, ...]
    _starts: Mapping[int, list[int]] = field(default_factory=dict)
    _ranges: Mapping[int, list[_Range]] = field(default_factory=dict)
    needs_location: bool = False

    def match(self, client: ClientSubnet) -> ViewMatch:
        """The views of a client. A network longer than its known prefix does not match."""
        bits = BITS[client.version]
        index = bisect_right(self._starts[client.version], client.value) - 1
        found = self._ranges[client.version][index]
        scope = _scope(client.value, found.first, found.end, bits)
        views = found.views
        if views and client.prefix_length < found.networks[0][0]:
            fitting = (view for length, view in found.networks if length <= client.prefix_length)
            views = tuple(dict.fromkeys(fitting))
        if self.needs_location and client.prefix_length:
            views = tuple(dict.fromkeys((*views, *self._views_of_location(client))))
            scope = max(scope, client.location.bits)
        return ViewMatch(views, scope)

    def _views_of_location(self, client: ClientSubnet) -> Iterable[str]:
        location = client.location
        yield from (view.name for view in self.views if location.asn in view.asns)
        yield from (view.name for view in self.views if location.country in view.countries)
        yield from (view.name for view in self.views if location.continent in view.continents)


def build_table(views: Iterable[View]) -> ViewTable:
    """The table of these views, whose networks may contain each other."""
    listed = tuple(views)
    starts: dict[int, list[int]] = {}
    ranges: dict[int, list[_Range]] = {}
    for version, bits in BITS.items():
        starts[version], ranges[version] = _cut(listed, version, bits)
    return ViewTable(listed, starts, ranges, any(view.needs_location for view in listed))


def _cut(views: tuple[View, ...], version: int, bits: int) -> tuple[list[int], list[_Range]]:
    """The first address of each range, and the networks that contain the range."""
    sweep = _Sweep(1 << bits)
    for first, length, end, name in sorted(_blocks(views, version)):
        sweep.close_until(first)
        sweep.open(first, length, end, name)
    sweep.close_until(1 << bits)
    return sweep.starts, list(_bounded(sweep.starts, sweep.ranges, 1 << bits))


def _bounded(starts: list[int], ranges: list[_Range], limit: int) -> Iterable[_Range]:
    """The ranges with their bounds, which span adjacent ranges with the same views."""
    index = 0
    for views, group in groupby(ranges, key=_views):
        members = list(group)
        first, index = starts[index], index + len(members)
        end = starts[index] if index < len(starts) else limit
        yield from (_Range(found.networks, views, first, end) for found in members)


def _views(found: _Range) -> tuple[str, ...]:
    return tuple(dict.fromkeys(view for _, view in found.networks))


def _blocks(views: tuple[View, ...], version: int) -> Iterable[tuple[int, int, int, str]]:
    """Every network as (first address, prefix length, first address after it, view)."""
    for view in views:
        for text in view.networks:
            network = ip_network(text)
            if network.version == version:
                first = int(network.network_address)
                yield first, network.prefixlen, first + network.num_addresses, view.name


class _Sweep:
    """Sweeps the address space once; `_open` are the networks around the address, inner last."""

    def __init__(self, limit: int) -> None:
        self.starts = [0]
        self.ranges = [_Range(())]
        self._limit = limit
        self._open: list[tuple[int, int, str]] = []

    def open(self, first: int, length: int, end: int, name: str) -> None:
        self._open.append((end, length, name))
        self._begin_range(first)

    def close_until(self, address: int) -> None:
        while self._open and self._open[-1][0] <= address:
            end = self._open[-1][0]
            while self._open and self._open[-1][0] == end:
                self._open.pop()
            self._begin_range(end)

    def _begin_range(self, address: int) -> None:
        inside = _Range(tuple((length, name) for _, length, name in reversed(self._open)))
        if self.starts[-1] == address:
            self.ranges[-1] = inside
        elif self.ranges[-1] != inside and address < self._limit:
            self.starts.append(address)
            self.ranges.append(inside)


def _scope(address: int, start: int, end: int, bits: int) -> int:
    """The shortest prefix of `address` that lies in [start, end)."""
    scope = 0
    if start > 0:
        scope = bits - (address ^ (start - 1)).bit_length() + 1
    if end < 1 << bits:
        scope = max(scope, bits - (address ^ end).bit_length() + 1)
    return scope
