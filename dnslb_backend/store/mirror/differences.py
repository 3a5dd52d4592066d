"""Reads what the nodes of a fleet answer differently, as their mirrors in one database have it."""

import json
from collections.abc import Mapping
from typing import Any

from dnslb_backend.core.health.decision import DecisionKind
from dnslb_backend.core.health.differences import DifferingRecord, FleetAnswers, NodeAnswer
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.store.database.interface import Select, Store, Where
from dnslb_backend.store.database.tables import NODE, Table
from dnslb_backend.store.mirror.reading import read_rows, record_key, text
from dnslb_backend.store.mirror.record_rows import read_pool

DIFFERENCES = Table(
    "lb_differences",
    ("zone", "name", "type", "node", "decision", "answer"),
    key=("zone", "name", "type", "node"),
)

SILENT = 30
"""Seconds without a heartbeat after which a node is not compared: as in the view."""

MOST_ROWS = 5000
"""Rows of the view that are read: one for each node and record."""


async def read_differences(store: Store) -> FleetAnswers:
    """The nodes that live, and the records that they do not answer alike. Raises StoreError."""
    everyone = await store.read(Select(NODE, ("node",), order="node"))
    silent = await store.read(Select(NODE, ("node",), (Where("heartbeat", "older", SILENT),)))
    rows = await store.read(
        Select(DIFFERENCES, DIFFERENCES.columns, order="name", limit=MOST_ROWS + 1)
    )
    found: dict[RecordKey, list[NodeAnswer]] = {}
    for key, answer in read_rows(DIFFERENCES, rows[:MOST_ROWS], _read, key="name"):
        found.setdefault(key, []).append(answer)
    nodes = [str(node) for (node,) in everyone if (node,) not in silent]
    records = (
        DifferingRecord(key, tuple(sorted(answers, key=lambda each: each.node)))
        for key, answers in sorted(found.items())
    )
    return FleetAnswers(tuple(nodes), tuple(records), len(rows) > MOST_ROWS)


def _read(columns: Mapping[str, Any]) -> tuple[RecordKey, NodeAnswer]:
    key, node = record_key(columns), text(columns["node"])
    if columns["decision"] is None:
        return key, NodeAnswer(node, None)
    pools = tuple(map(read_pool, json.loads(text(columns["answer"]))))
    return key, NodeAnswer(node, DecisionKind(columns["decision"]), pools)
