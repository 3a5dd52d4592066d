"""What the nodes of a fleet answer, compared."""

from dataclasses import dataclass

from dnslb_backend.core.health.decision import DecisionKind, Pool
from dnslb_backend.core.model.records import RecordKey


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """What a node answers for a record: the answer for everybody, and those of views.

    `kind` is None where it has no such record.
    """

    node: str
    kind: DecisionKind | None
    pools: tuple[Pool, ...] = ()


@dataclass(frozen=True, slots=True)
class DifferingRecord:
    """A record that nodes do not answer alike, with the answer of each."""

    key: RecordKey
    answers: tuple[NodeAnswer, ...]


@dataclass(frozen=True, slots=True)
class FleetAnswers:
    """The nodes that were compared, and the records on which they differ.

    `is_cut`: there are more of these.
    """

    nodes: tuple[str, ...]
    records: tuple[DifferingRecord, ...]
    is_cut: bool
