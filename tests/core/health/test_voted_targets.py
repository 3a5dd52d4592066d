"""What is to be noticed about targets that are voted on."""

import pytest

from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.results import passed
from dnslb_backend.core.health.tally import AgreedHealth, Basis, Tally
from dnslb_backend.core.health.target import Health, TargetState
from dnslb_backend.core.health.voted_targets import VotedTarget, VoteFigures
from dnslb_backend.core.model.quorum import CheckQuestion

UP, DOWN, UNKNOWN = Health.UP, Health.DOWN, Health.UNKNOWN
TARGET = TargetKey("192.0.2.1", None, "check")


def voted(own: Health, verdict: AgreedHealth, *, report: int | None = None) -> VotedTarget:
    result = passed()
    if report is not None:
        result = type(result)(result.outcome, result.code, report=report)
    state = TargetState(own, result=result)
    return VotedTarget("row", CheckQuestion("q"), own=state, verdict=verdict, has_result=True)


def noticed(found: VotedTarget, *, has_others: bool = True) -> set[str]:
    figures = VoteFigures()
    figures.note(TARGET, found, has_others=has_others)
    names = ("held", "own", "outvoted", "unshared")
    return {name for name in names if TARGET in getattr(figures, name)}


@pytest.mark.parametrize(
    ("own", "verdict", "expected"),
    [
        (UP, AgreedHealth(Basis.AGREED, UP, Tally(2, 0)), set()),
        (UP, AgreedHealth(Basis.AGREED, DOWN, Tally(1, 2)), {"outvoted"}),
        (UNKNOWN, AgreedHealth(Basis.AGREED, DOWN, Tally(1, 2)), set()),
        (DOWN, AgreedHealth(Basis.HELD, DOWN, Tally(0, 0)), {"held"}),
        (UP, AgreedHealth(Basis.OWN, UP, Tally(1, 0)), {"own", "unshared"}),
        (DOWN, AgreedHealth(Basis.OWN, DOWN, Tally(0, 1)), {"own", "unshared"}),
        (UNKNOWN, AgreedHealth(Basis.AGREED, UP, Tally(1, 0)), set()),
    ],
)
def test_what_is_noticed(own: Health, verdict: AgreedHealth, expected: set[str]) -> None:
    assert noticed(voted(own, verdict)) == expected


def test_alone_nothing_is_unshared() -> None:
    alone = voted(UP, AgreedHealth(Basis.OWN, UP, Tally(1, 0)))
    assert noticed(alone, has_others=False) == {"own"}


def test_what_is_over_is_noticed_no_more() -> None:
    figures = VoteFigures()
    figures.note(TARGET, voted(DOWN, AgreedHealth(Basis.HELD, UP)), has_others=True)
    assert list(figures.held) == list(figures.outvoted) == [TARGET]
    figures.note(TARGET, voted(UP, AgreedHealth(Basis.AGREED, UP, Tally(2, 0))), has_others=True)
    assert not figures.held
    assert not figures.outvoted
    figures.note(TARGET, voted(UP, AgreedHealth(Basis.OWN, UP, Tally(1, 0))), has_others=True)
    figures.forget(TARGET)
    assert not figures.own
    assert not figures.unshared


def test_a_node_knows_of_a_target_what_a_result_of_this_run_said() -> None:
    agreed = AgreedHealth(Basis.AGREED, UP, Tally(2, 0))
    known = voted(UP, agreed)
    assert known.is_known
    known.has_result = False
    assert not known.is_known
    assert not voted(UNKNOWN, agreed).is_known
    assert voted(DOWN, agreed, report=3).is_known
    assert not voted(DOWN, agreed, report=0).is_known
