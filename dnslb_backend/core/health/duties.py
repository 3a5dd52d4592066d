"""Which nodes probe a target where not all do: chosen alike by every node that knows the same ones.

By rendezvous hashing, so that a node that leaves moves its own duties and no others. One of each
site comes first. Where those whose duty it is do not vote for too long, others stand in for them.
"""

import hashlib
from collections.abc import Container, Iterable

from dnslb_backend.core.model.quorum import CheckQuestion, QuestionKind


def probers(row: str, nodes: Iterable[tuple[str, str]], count: int) -> list[str]:
    """Those of these nodes, each given with its site, that probe what has this row key."""
    ranked = sorted(nodes, key=lambda each: _score(each[0], row), reverse=True)
    firsts = {site: node for node, site in reversed(ranked)}
    chosen = [node for node, site in ranked if firsts[site] == node]
    chosen += [node for node, site in ranked if firsts[site] != node]
    return chosen[:count]


def _score(node: str, row: str) -> bytes:
    return hashlib.blake2b(f"{node}\0{row}".encode(), digest_size=8).digest()


class Duties:
    """The duties of this node; `count` is how many nodes probe each target, None for all."""

    def __init__(self, node: str, site: str, count: int | None) -> None:
        self.count = count
        self._node = node
        self._nodes: tuple[tuple[str, str], ...] = ((node, site),)
        self._chosen: dict[str, list[str]] = {}
        self._short: dict[str, float] = {}
        self._stood_in: set[str] = set()

    def choose_from(self, nodes: tuple[tuple[str, str], ...], count: int | None) -> None:
        """From now on these nodes, this one among them, share the targets."""
        if (nodes, count) != (self._nodes, self.count):
            self._nodes, self.count = nodes, count
            self._chosen.clear()

    def is_mine(self, row: str, question: CheckQuestion) -> bool:
        """Whether this node is to probe it, or stands in for those who are."""
        if self.count is None or question.kind is not QuestionKind.PROBED or row in self._stood_in:
            return True
        return self._node in self.probers(row, question)

    def is_short(self, row: str, question: CheckQuestion, voters: Container[str]) -> bool:
        """Whether some that are to probe it do not vote: this node may not withdraw then."""
        if self.count is None:
            return False
        return any(node not in voters for node in self.probers(row, question))

    def probers(self, row: str, question: CheckQuestion) -> list[str]:
        """Those whose duty it is, without who stands in for them."""
        if (found := self._chosen.get(row)) is None:
            nodes = [each for each in self._nodes if question.may_judge(*each)]
            count = len(nodes) if self.count is None else self.count
            found = self._chosen[row] = probers(row, nodes, count)
        return found

    def note(self, row: str, question: CheckQuestion, voters: Container[str], mono: float) -> None:
        """These other nodes vote on what has this row key now."""
        if not self.is_short(row, question, voters):
            self._stood_in.discard(row)
            self._short.pop(row, None)
        elif self.is_mine(row, question):
            self._short.pop(row, None)
        elif mono - self._short.setdefault(row, mono) > question.patience:
            self._stood_in.add(row)

    def waiting(self) -> list[str]:
        """Row keys for which `note` is to be called again: time passes."""
        return [row for row in self._short if row not in self._stood_in]

    def forget(self, row: str) -> None:
        """No record asks this any more."""
        self._chosen.pop(row, None)
        self._short.pop(row, None)
        self._stood_in.discard(row)
