"""Conditions on the client as views, and the branches behind them as one balanced record."""

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from dnslb_backend.importers.draft import Table
from dnslb_backend.importers.lua_answers import Answer, answer_of
from dnslb_backend.importers.lua_expression import Branch, FunctionCall, LuaError, LuaTable, Value

EVERYBODY = ("0.0.0.0/0", "::/0")

CONDITIONS = {
    "netmask": "networks",
    "asnum": "asns",
    "country": "countries",
    "continent": "continents",
}
"""The key of a view for each function, in the order in which views are tried."""


class Views:
    """The views that records ask for, each once; `places`: whether there is a database of them."""

    def __init__(self, *, places: bool) -> None:
        self._places = places
        self.tables: dict[str, Table] = {}

    def name_of(self, table: Table) -> str:
        """The name of the view with these keys, which is made if there is none."""
        if not self._places and set(table) - {"networks"}:
            raise LuaError("the client's place needs --geo-database FILE")
        for name, known in self.tables.items():
            if known == table:
                return name
        name = self._free(_spelled(table))
        self.tables[name] = table
        return name

    def _free(self, wish: str) -> str:
        number = 2
        name = wish
        while name in self.tables:
            name = f"{wish}_{number}"
            number += 1
        return name


def combined(branches: list[Branch], qtype: str, views: Views) -> Answer:
    """All branches as one answer, whose destinations name their views. Raises LuaError."""
    branches = [each for branch in branches for each in _pairs_of_view(branch)]
    answers = [answer_of(branch.value, qtype) for branch in branches]
    first = answers[0]
    if any(answer.keys != first.keys for answer in answers):
        raise LuaError("what is checked, or who picks, differs from case to case")
    tables = [_view(branch.conditions) for branch in branches]
    _check_order(tables)
    _tell_apart(tables, answers)
    merged: dict[str, Table] = {}
    for table, answer in zip(tables, answers, strict=True):
        hosts = [str(dest["host"]) for dest in answer.dests]
        if len(hosts) != len(set(hosts)):
            raise LuaError("a value is listed twice")
        name = views.name_of(table) if table else ""
        for dest in answer.dests:
            _add(merged, dest, name)
    remarks = list(dict.fromkeys(remark for answer in answers for remark in answer.remarks))
    return Answer(list(merged.values()), dict(first.keys), remarks)


def _pairs_of_view(branch: Branch) -> list[Branch]:
    """view() lists pairs of networks and values: each is a branch."""
    call = branch.value
    if not isinstance(call, FunctionCall) or call.function != "view":
        return [branch]
    table = call.arguments[0] if len(call.arguments) == 1 else None
    if branch.conditions or not isinstance(table, LuaTable) or not table.items:
        raise LuaError("view() takes a table of pairs, and no condition")
    return [_pair(item) for item in table.items]


def _pair(value: Value) -> Branch:
    if not isinstance(value, LuaTable) or len(value.items) != 2:
        raise LuaError("view(): each pair is { {NETWORKS}, {VALUES} }")
    networks, values = value.items
    return Branch((FunctionCall("netmask", (networks,)),), FunctionCall("pickrandom", (values,)))


def _view(conditions: tuple[FunctionCall, ...]) -> Table:
    """The keys of the view for these conditions; empty for everybody."""
    found: dict[str, list[str] | list[int]] = {}
    for condition in conditions:
        if condition.function not in CONDITIONS or len(condition.arguments) != 1:
            raise LuaError(f"the condition {condition.function}() has no equal")
        key = CONDITIONS[condition.function]
        for text in _listed(condition.arguments[0]):
            found.setdefault(key, []).append(_member(key, text))  # type: ignore[arg-type]
    table = {key: list(dict.fromkeys(found[key])) for key in CONDITIONS.values() if key in found}
    # IPv6 clients are given what all others are, too: views are for both families.
    is_all = set(table.get("networks", ())) & set(EVERYBODY)
    return {} if is_all else table


def _listed(value: Value) -> list[str]:
    items = value.items if isinstance(value, LuaTable) else (value,)
    if not items or not all(isinstance(item, str | int) for item in items):
        raise LuaError("a condition takes a text, a number, or a table of them")
    return [str(item) for item in items]


def _member(key: str, text: str) -> str | int:
    if key == "networks":
        return str(_network(text))
    if key == "asns":
        if not re.fullmatch(r"[0-9]{1,10}", text):
            raise LuaError(f"{text!r} is no number of an autonomous system")
        return int(text)
    return text.upper()


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise LuaError(f"{text!r} is no network: {error}") from error


def _check_order(tables: list[Table]) -> None:
    """There the first case that fits is taken, here the longest prefix, AS, country, continent.

    Raises LuaError where that may be another one.
    """
    ranks = list(CONDITIONS.values())
    highest = 0
    seen: list[IPv4Network | IPv6Network] = []
    for table in tables:
        if highest == len(ranks):
            raise LuaError("a case follows the one for everybody")
        positions = [ranks.index(key) for key in table] or [len(ranks)]
        if positions[0] < highest:
            raise LuaError(f"{ranks[positions[0]]} are tried before {ranks[highest]} here")
        highest = positions[-1]
        networks = [_network(text) for text in table.get("networks", ())]
        for network in networks:
            if any(network.version == other.version and network.subnet_of(other) for other in seen):  # type: ignore[arg-type]
                raise LuaError(f"{network} lies in a network that an earlier case is for")
        seen += networks


def _tell_apart(tables: list[Table], answers: list[Answer]) -> None:
    """Give everybody else a view, where a destination of theirs is in another case as well.

    A destination without a view is for them alone; one that names two views is for both.
    """
    if not tables or tables[-1]:
        return
    others = {str(dest["host"]) for answer in answers[:-1] for dest in answer.dests}
    if not others.intersection(str(dest["host"]) for dest in answers[-1].dests):
        return
    if any(set(table) - {"networks"} for table in tables):
        raise LuaError("a value is in the case for everybody, and in one for a place")
    tables[-1] = {"networks": list(EVERYBODY)}


def _add(merged: dict[str, Table], dest: Mapping[str, object], view: str) -> None:
    host = str(dest["host"])
    known = merged.setdefault(host, {**dest, "views": []} if view else dict(dest))
    if {**known, "views": 0} != {**dest, "views": 0}:
        raise LuaError(f"{host} has another weight or place in another case")
    if view and view not in known["views"]:
        known["views"].append(view)


def _spelled(table: Table) -> str:
    words = [str(word) for values in table.values() for word in values]
    if words == list(EVERYBODY):
        return "everybody"
    spelled = re.sub(r"[^A-Za-z0-9]+", "_", "_".join([*table, *words])).strip("_")
    return spelled[:60]
