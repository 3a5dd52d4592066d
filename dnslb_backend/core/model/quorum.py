"""How nodes decide together: the rules of [quorum], and the questions that votes answer."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from dnslb_backend.core.model.records import Record

Needed = Literal["majority", "all", "any"] | int
"""How many of the sites that vote must say DOWN."""


@dataclass(frozen=True, slots=True)
class QuorumRules:
    """`site` is that of this node. Times are in seconds.

    `fresh`: without a sign of life for so long, votes count no more. `hold`: so long the last
    agreed health is kept once too few vote. A node without `votes` probes nothing and follows.
    `probers`: how many nodes probe each target, None for all.
    """

    site: str
    down: Needed = "majority"
    fresh: float = 10.0
    hold: float = 30.0
    votes: bool = True
    probers: int | None = None


class QuestionKind(StrEnum):
    PROBED = "probed"
    REPORTED = "reported"
    """The target reports itself: wherever a report arrives, it proves life."""
    LOCAL = "local"
    """It asks nothing that other nodes could answer: it is never voted on."""


@dataclass(frozen=True, slots=True)
class CheckQuestion:
    """What a check asks of a target: `text` is equal on all nodes that ask the same.

    `voters` are the nodes or sites that may judge; none is all of them. A prober that has not voted
    after `patience` seconds is stood in for.
    """

    text: str
    kind: QuestionKind = QuestionKind.PROBED
    voters: tuple[str, ...] = ()
    patience: float = 0.0

    def may_judge(self, node: str, site: str) -> bool:
        """Whether this node, or its site, may judge."""
        return not self.voters or node in self.voters or site in self.voters


def obstacle(nodes: Mapping[str, str], questions: Iterable[CheckQuestion]) -> str:
    """Why these nodes, names with sites, cannot agree whatever they vote; empty: they can."""
    voters = {each.voters for each in questions if each.kind is not QuestionKind.LOCAL}
    sites = set(nodes.values())
    if len(nodes) > 1 and len(sites) == 1 and any(len(names) != 1 for names in voters):
        site = sites.pop()
        return f"all {len(nodes)} nodes are of site {site}: that is one vote, and it takes two"
    for names in sorted(filter(None, voters)):
        if not any({node, site} & {*names} for node, site in nodes.items()):
            those = " or ".join(names)
            return f"no node is, or is of, {those} (voters): no node probes its targets"
    return ""


def judged_by(check: str, voters: tuple[str, ...]) -> str:
    """The fingerprint of a check whose targets only these may judge."""
    return f"{check}@{','.join(voters)}" if voters else check


def ballot(records: Iterable[Record], questions: Mapping[str, CheckQuestion]) -> str:
    """Identifies all questions of a configuration, its destinations as they are written."""
    asked = {
        f"{dest.check_address or dest.host}\0{dest.check_port or ''}\0{questions[check].text}"
        for record in records
        for check in record.checks
        for dest in record.dests
    }
    return hashlib.blake2b("\n".join(sorted(asked)).encode(), digest_size=8).hexdigest()
