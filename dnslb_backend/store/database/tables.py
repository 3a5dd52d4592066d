"""The tables, the same in every store: names, columns and keys."""

from dataclasses import dataclass, field

Value = str | int | float | None
TableRow = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """`key` identifies a row; its last column differs within the rows of one node.

    `stamped` columns are filled in by the store, with its own clock. Rows of an `is_log` table are
    only added: one whose `key` exists already is left as it is.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...] = ("node", "row_key")
    stamped: tuple[str, ...] = ()
    is_log: bool = False
    key_indexes: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        indexes = tuple(self.columns.index(name) for name in self.key)
        object.__setattr__(self, "key_indexes", indexes)

    def key_of(self, row: TableRow) -> TableRow:
        return tuple(row[index] for index in self.key_indexes)


STATE = Table(
    "lb_state",
    (
        *("node", "row_key", "session", "zone", "name", "type", "content", "address", "dest"),
        *("served", "health", "effective", "priority", "weight", "result_code", "result_text"),
        *("override", "reason", "last_check", "last_change", "last_up", "duration_ms", "ttl"),
        *("views", "fallback", "standing", "streak", "check_priority", "check_weight", "checks"),
        *("labels", "own", "stale", "check_interval"),
    ),
)

RECORD = Table(
    "lb_record",
    (
        *("node", "row_key", "session", "zone", "name", "type"),
        *("ttl", "decision", "threshold", "answer", "last_good"),
    ),
)

HOST = Table(
    "lb_host",
    (
        *("node", "row_key", "session", "zone", "name", "type", "host"),
        *("addresses", "resolved", "answered", "last_answer", "last_text"),
    ),
)

ZONE = Table(
    "lb_zone",
    ("node", "row_key", "session", "zone", "id", "soa", "soa_ttl", "serial"),
)

STATIC = Table(
    "lb_static",
    ("node", "row_key", "session", "zone", "name", "type", "content", "ttl", "auth"),
)

NODE_TABLES = (STATE, RECORD, HOST, ZONE, STATIC)
"""What every node writes about itself, refreshes, and deletes."""

TRANSITION = Table(
    "lb_transition",
    (
        *("event", "at", "node", "zone", "name", "type", "content", "address"),
        *("from_health", "to_health", "from_served", "to_served"),
        *("from_priority", "to_priority", "reason", "labels"),
    ),
    key=("event",),
    is_log=True,
)

DECISION = Table(
    "lb_decision",
    (
        *("event", "at", "node", "zone", "name", "type", "from_decision", "to_decision"),
        *("severity", "served", "total", "up", "reason"),
    ),
    key=("event",),
    is_log=True,
)

HISTORY_TABLES = (TRANSITION, DECISION)
"""What every node adds to. The store assigns an `id` to each row, in the order of arrival."""

CHECKPOINT = Table("lb_checkpoint", ("log", "number"), key=("log",))
"""Of the local file only: the `id` of the last row of each history table that the database has."""

OVERRIDE = Table(
    "lb_override",
    (
        *("id", "node", "target", "zone", "name", "action", "reason", "author"),
        *("created", "expires", "cleared", "cleared_by", "min_version", "starts"),
        "weight",
    ),
    key=("id",),
)

NODE = Table(
    "lb_node",
    (
        *("node", "instance", "version", "started", "config_hash", "restored"),
        *("seen", "uptime", "boot", "session"),
    ),
    key=("node",),
    stamped=("heartbeat",),
)

KEY = Table(
    "lb_key",
    (
        *("row_key", "zone", "id", "flags", "active", "published"),
        *("content", "version", "gone", "min_version"),
    ),
    key=("row_key",),
)

METADATA = Table(
    "lb_metadata",
    ("row_key", "zone", "kind", "content", "version", "gone", "min_version"),
    key=("row_key",),
)

TSIG = Table(
    "lb_tsig",
    ("row_key", "name", "algorithm", "content", "version", "gone", "min_version"),
    key=("row_key",),
)

SIGNING_TABLES = (KEY, METADATA, TSIG)
"""What all nodes share of signed zones: of two copies of a row the higher version is kept."""

VOTER = Table(
    "lb_voter",
    ("node", "instance", "site", "beat", "seq", "abstains", "ballot", "protocol"),
    key=("node",),
    stamped=("heartbeat",),
)

VOTE = Table(
    "lb_vote",
    (
        *("node", "row_key", "seq", "address", "asked"),
        *("says", "code", "text", "priority", "weight", "since"),
    ),
)

VOTE_TABLES = (VOTER, VOTE)
"""What nodes that decide together exchange; each writes its own rows only."""

SCHEMA_VERSION = Table("lb_schema_version", ("version", "applied", "min_version"), key=("version",))

OLDEST_PROGRAM = "MAX(COALESCE(min_version, version))"
"""The oldest version of the schema whose programs may use these tables."""

TABLES = (
    *(*NODE_TABLES, *HISTORY_TABLES, OVERRIDE, NODE, *SIGNING_TABLES),
    *(*VOTE_TABLES, SCHEMA_VERSION),
)
