"""What is to be noticed about targets that are voted on."""

import pytest

from dnslb_backend.core.health.cases import Case, Figures
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.results import passed
from dnslb_backend.core.health.tally import AgreedHealth, Basis, Tally
from dnslb_backend.core.health.target import Health, TargetState
from dnslb_backend.core.model.quorum import CheckQuestion

UP, DOWN, UNKNOWN = Health.UP, Health.DOWN, Health.UNKNOWN
TARGET = TargetKey("192.0.2.1", None, "check")


def case(own: Health, verdict: AgreedHealth, *, report: int | None = None) -> Case:
    result = passed()
    if report is not None:
        result = type(result)(result.outcome, result.code, report=report)
    state = TargetState(own, result=result)
    return Case("row", CheckQuestion("q"), own=state, verdict=verdict, is_heard=True)


def noticed(found: Case, *, has_others: bool = True) -> set[str]:
    figures = Figures()
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
    assert noticed(case(own, verdict)) == expected


def test_alone_nothing_is_unshared() -> None:
    alone = case(UP, AgreedHealth(Basis.OWN, UP, Tally(1, 0)))
    assert noticed(alone, has_others=False) == {"own"}


def test_what_is_over_is_noticed_no_more() -> None:
    figures = Figures()
    figures.note(TARGET, case(DOWN, AgreedHealth(Basis.HELD, UP)), has_others=True)
    assert list(figures.held) == list(figures.outvoted) == [TARGET]
    figures.note(TARGET, case(UP, AgreedHealth(Basis.AGREED, UP, Tally(2, 0))), has_others=True)
    assert not figures.held
    assert not figures.outvoted
    figures.note(TARGET, case(UP, AgreedHealth(Basis.OWN, UP, Tally(1, 0))), has_others=True)
    figures.forget(TARGET)
    assert not figures.own
    assert not figures.unshared


def test_a_node_knows_of_a_target_what_a_result_of_this_run_said() -> None:
    agreed = AgreedHealth(Basis.AGREED, UP, Tally(2, 0))
    known = case(UP, agreed)
    assert known.is_known
    known.is_heard = False
    assert not known.is_known
    assert not case(UNKNOWN, agreed).is_known
    assert case(DOWN, agreed, report=3).is_known
    assert not case(DOWN, agreed, report=0).is_known
