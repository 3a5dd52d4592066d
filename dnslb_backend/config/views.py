"""From the tables of views to views, with warnings of what no client would be in."""

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

from dnslb_backend.config.countries import wrong_continents, wrong_countries
from dnslb_backend.config.models import ViewSettings
from dnslb_backend.config.problems import Cursor
from dnslb_backend.core.model.views import View


def build_views(tables: Any, where: Cursor, *, has_geo: bool) -> dict[str, View]:
    """The views by name; `where` is the table of all of them."""
    if not isinstance(tables, dict):
        where.refuse("must be a table of views")
        return {}
    found: dict[str, View] = {}
    for name, table in tables.items():
        parsed = where.at(name).parse(ViewSettings, table)
        # One that was refused is known all the same: members may name it.
        view = parsed or ViewSettings()
        found[name] = View(
            name,
            tuple(view.networks),
            frozenset(view.countries),
            frozenset(view.continents),
            frozenset(view.asns),
        )
        if parsed is not None:
            _advise(parsed, where.at(name))
    placed = [view.name for view in found.values() if view.needs_location]
    if placed and not has_geo:
        where.at(placed[0]).refuse("has countries, continents or asns, which need [geo] database")
    _advise_networks(found.values(), where)
    return found


def _advise(view: ViewSettings, where: Cursor) -> None:
    if not (view.networks or view.countries or view.continents or view.asns):
        where.warn("has no networks, countries, continents or asns, so no client is in it")
    for message in wrong_countries(view.countries):
        where.at("countries").warn(message)
    for message in wrong_continents(view.continents):
        where.at("continents").warn(message)


def _advise_networks(views: Iterable[View], where: Cursor) -> None:
    """Warn of networks that are listed twice, in one view or in two."""
    first: dict[str, str] = {}
    for view in views:
        for index, text in enumerate(view.networks):
            owner = first.setdefault(network := str(ip_network(text)), view.name)
            if owner != view.name:
                message = f"{network} is a network of view {owner} as well"
                where.at(view.name, "networks", index).warn(message)
            elif network in [str(ip_network(each)) for each in view.networks[:index]]:
                where.at(view.name, "networks", index).warn(f"{network} is listed twice")
