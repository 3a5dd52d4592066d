"""The tables of PowerGSLB, of all its versions, as answers: one a row of its table `records`.

| | tables | names | when all are down |
|---|---|---|---|
| first 1.x | records | absolute | fallback |
| 1.x | records, names_types, names, contents, contents_monitors | absolute | fallback |
| first 2.x | records, rrsets | relative | fallback |
| 2.x | records, rrsets, routings | relative | all are taken for up |
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from dnslb_backend.errors import SourceError
from dnslb_backend.importers.sql_dump import SqlRow, SqlValue, Tables

TABLES = frozenset(
    {
        "contents",
        "contents_monitors",
        "domains",
        "lbmethods",
        "monitors",
        "names",
        "names_types",
        "records",
        "routings",
        "rrsets",
        "types",
        "views",
    }
)

NO_MONITOR = '{"type": "none"}'


@dataclass(frozen=True, slots=True)
class GslbAnswer:
    """One row of `records` with all that it refers to."""

    id: int
    domain: str
    name: str
    type: str
    ttl: int
    content: str
    monitor: str
    view: str
    rule: str
    disabled: bool
    weight: int
    fallback: bool = False
    persistence: int = 0
    policy: str = ""
    """What `routings` says, as JSON; before 2.2 there is none."""
    method: str = ""
    """`lbmethods` of a fork."""

    @property
    def original(self) -> str:
        parts = [f"{self.name} {self.ttl} {self.type} {self.content!r} of {self.domain}"]
        parts += [f"weight {self.weight}", f"view {self.view!r} ({self.rule})", self.monitor]
        return ", ".join(parts)


def domains(tables: Tables, source: str) -> list[str]:
    """The names of the zones. Raises SourceError where the tables are not PowerGSLB's."""
    if missing := sorted({"domains", "records"} - tables.keys()):
        listed = ", ".join(missing)
        raise SourceError(f"{source}: no database of PowerGSLB: without the table {listed}")
    names = [str(row.get("domain", row.get("name"))) for row in tables["domains"]]
    if not names:
        raise SourceError(f"{source}: has no domains")
    return names


def answers(tables: Tables, source: str) -> Iterator[GslbAnswer]:
    """The answers by their ids. Raises SourceError where they are not written as PowerGSLB does."""
    try:
        yield from _TableReader(tables).answers()
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{source}: no database of PowerGSLB that is known: {error}") from error


class _TableReader:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._indexes: dict[tuple[str, str], Mapping[SqlValue, SqlRow]] = {}

    def answers(self) -> Iterator[GslbAnswer]:
        for row in sorted(self._tables["records"], key=lambda row: _number(row, "id")):
            if "rrset_id" in row:
                yield self._of_rrset(row)
            elif "name_type_id" in row:
                yield self._of_name_type(row)
            else:
                yield self._flat(row)

    def _of_rrset(self, row: SqlRow) -> GslbAnswer:
        rrset = self._row("rrsets", row["rrset_id"])
        domain = _text(self._row("domains", rrset["domain_id"]), "domain")
        answer = self._answer(row, rrset, row["monitor_id"], domain, _text(rrset, "name"))
        routing = rrset.get("routing_id")
        if routing is None:
            return answer
        return replace(answer, policy=_text(self._row("routings", routing), "policy_json"))

    def _of_name_type(self, row: SqlRow) -> GslbAnswer:
        name_type = self._row("names_types", row["name_type_id"])
        name = self._row("names", name_type["name_id"])
        checked = self._row("contents_monitors", row["content_monitor_id"])
        content = self._row("contents", checked["content_id"])
        domain = _text(self._row("domains", name["domain_id"]), "domain")
        relative = _relative(_text(name, "name"), domain)
        whole = {**row, "content": content["content"]}
        answer = self._answer(whole, name_type, checked["monitor_id"], domain, relative)
        method = name_type.get("lbmethod_id")
        if method is None:
            return answer
        return replace(answer, method=_text(self._row("lbmethods", method), "lbmethod"))

    def _flat(self, row: SqlRow) -> GslbAnswer:
        domain = _text(self._row("domains", row["domain_id"]), "name")
        return GslbAnswer(
            id=_number(row, "id"),
            domain=domain,
            name=_relative(_text(row, "name"), domain),
            type=_text(row, "type"),
            ttl=_number(row, "ttl"),
            content=_text(row, "content"),
            monitor=str(row["monitor"] or NO_MONITOR),
            view="",
            rule="0.0.0.0/0 ::/0",
            disabled=bool(row["disabled"]),
            weight=_number(row, "weight"),
            fallback=bool(row["fallback"]),
            persistence=_number(row, "persistence"),
        )

    def _answer(
        self, row: SqlRow, rrset: SqlRow, monitor: SqlValue, domain: str, name: str
    ) -> GslbAnswer:
        view = self._row("views", row["view_id"])
        return GslbAnswer(
            id=_number(row, "id"),
            domain=domain,
            name=name,
            type=_text(self._row("types", rrset["type_value"], "value"), "type"),
            ttl=_number(rrset, "ttl"),
            content=_text(row, "content"),
            monitor=_text(self._row("monitors", monitor), "monitor_json"),
            view=_text(view, "view"),
            rule=_text(view, "rule"),
            disabled=bool(row.get("disabled")),
            weight=int(str(row.get("weight") or 0)),
            fallback=bool(row.get("fallback")),
            persistence=int(str(rrset.get("persistence") or 0)),
        )

    def _row(self, table: str, key: SqlValue, column: str = "id") -> SqlRow:
        """The row that another one refers to. Raises ValueError."""
        index = self._indexes.get((table, column))
        if index is None:
            index = {row[column]: row for row in self._tables.get(table, [])}
            self._indexes[table, column] = index
        if key not in index:
            raise ValueError(f"{table} has no row with {column} {key}")
        return index[key]


def _relative(name: str, domain: str) -> str:
    if name == domain:
        return "@"
    return name.removesuffix(f".{domain}") if name.endswith(f".{domain}") else f"{name}."


def _text(row: SqlRow, column: str) -> str:
    return str(row[column])


def _number(row: SqlRow, column: str) -> int:
    return int(str(row[column]))
