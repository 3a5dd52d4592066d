"""PowerGSLB's views. A client is given what all of its views hold there, what one holds here."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from dnslb_backend.importers.draft import Table
from dnslb_backend.importers.powergslb_checks import NoEqualError

ALL = frozenset({"0.0.0.0/0", "::/0"})

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Rule:
    """A view as its rule says it: networks, or places."""

    name: str
    networks: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    continents: tuple[str, ...] = ()

    @property
    def is_for_all(self) -> bool:
        return set(self.networks) >= ALL

    @property
    def needs_places(self) -> bool:
        return bool(self.countries or self.continents)

    @property
    def table(self) -> Table:
        keys = ("networks", "countries", "continents")
        return {key: list(getattr(self, key)) for key in keys if getattr(self, key)}

    def is_within(self, other: "Rule") -> bool:
        """Whether every client of this view is surely in the other one, too."""
        outer = [ip_network(text) for text in other.networks]
        return (
            set(self.countries) <= set(other.countries)
            and set(self.continents) <= set(other.continents)
            and all(_lies_in(ip_network(text), outer) for text in self.networks)
        )


def _lies_in(network: Network, others: Iterable[Network]) -> bool:
    return any(
        network.version == other.version
        and network.network_address in other
        and network.prefixlen >= other.prefixlen
        for other in others
    )


def parse_rule(view: str, rule: str) -> Rule:
    """A rule: networks, `country:XX` and `continent:XX`. Raises NoEqualError."""
    networks: list[str] = []
    places: dict[str, list[str]] = {"country": [], "continent": []}
    for word in rule.split():
        kind, colon, code = word.partition(":")
        if colon and kind.lower() in places and re.fullmatch(r"[A-Za-z]{2}", code):
            places[kind.lower()].append(code.upper())
            continue
        try:
            networks.append(str(ip_network(word, strict=False)))
        except ValueError as error:
            raise NoEqualError(
                f"the view {view!r} has a rule that is not understood: {error}"
            ) from error
    return Rule(view, tuple(networks), tuple(places["country"]), tuple(places["continent"]))


def views_of(rule: Rule, rules: Sequence[Rule]) -> list[str]:
    """The views whose clients are given an answer of the view `rule`, of all that a name has.

    A client is looked up in its narrowest view alone, so that this view has to list what the wider
    ones hold as well. Empty where the answer is for everybody and there are no other views.
    """
    if len(rules) == 1 and rule.is_for_all:
        return []
    if rule.is_for_all and any(other.needs_places for other in rules):
        # A view of all networks would be tried before those of places.
        return []
    return [other.name for other in rules if other.is_within(rule)]
