"""Which of several nodes probe a target, and who stands in for them."""

from collections.abc import Container

from dnslb_backend.core.health.duties import Duties, probers
from dnslb_backend.core.model.quorum import CheckQuestion, QuestionKind

NODES = (("ns1", "dc1"), ("ns2", "dc2"), ("ns3", "dc3"))
QUESTION = CheckQuestion("q", patience=10.0)
EVERYBODY = {"ns1", "ns2", "ns3"}


def row_without(node: str) -> str:
    """A row key that one of the others alone is to probe."""
    rows = (f"{number:032x}" for number in range(1000))
    return next(row for row in rows if node not in probers(row, NODES, 1))


def sharing(node: str = "ns1", count: int | None = 1) -> Duties:
    duties = Duties(node, "dc1", count)
    duties.choose_from(NODES, count)
    return duties


ROW = row_without("ns1")
(OTHER,) = probers(ROW, NODES, 1)


def test_one_of_each_site_comes_first() -> None:
    nodes = (("a1", "a"), ("a2", "a"), ("b1", "b"))
    for number in range(50):
        first, second, third = probers(f"{number}", nodes, 3)
        assert {first[0], second[0]} == {"a", "b"}
        assert third[0] == "a"


def test_without_a_number_every_target_is_for_all() -> None:
    duties = sharing(count=None)
    assert duties.is_mine(ROW, QUESTION)
    assert not duties.is_short(ROW, QUESTION, ())


def test_what_reports_itself_is_for_all() -> None:
    duties = sharing()
    assert not duties.is_mine(ROW, QUESTION)
    assert duties.is_mine(ROW, CheckQuestion("q", QuestionKind.REPORTED))


def test_a_node_alone_has_every_duty_until_it_knows_others() -> None:
    duties = Duties("ns1", "dc1", 1)
    assert duties.is_mine(ROW, QUESTION)
    duties.choose_from(NODES, 1)
    assert not duties.is_mine(ROW, QUESTION)
    duties.choose_from(NODES, 3)
    assert duties.is_mine(ROW, QUESTION)


def test_only_those_who_may_judge_are_chosen() -> None:
    duties = sharing()
    assert duties.is_mine(ROW, CheckQuestion("q", voters=("dc1",)))


def after(*seconds: float, voters: Container[str] = ()) -> Duties:
    duties = sharing()
    for mono in seconds:
        duties.note(ROW, QUESTION, voters, mono)
    return duties


def test_a_node_stands_in_once_the_others_have_not_voted_for_too_long() -> None:
    assert not after(0, 10).is_mine(ROW, QUESTION)
    assert after(0, 10).waiting() == [ROW]
    assert after(0, 10.5).is_mine(ROW, QUESTION)
    assert after(0, 10.5).waiting() == []
    assert not after(0, 11, voters=EVERYBODY).is_mine(ROW, QUESTION)


def test_it_stands_back_when_they_vote_again_and_is_as_patient_as_before() -> None:
    duties = after(0, 11)
    duties.note(ROW, QUESTION, {OTHER}, 12)
    assert not duties.is_mine(ROW, QUESTION)
    assert duties.waiting() == []
    duties.note(ROW, QUESTION, (), 13)
    duties.note(ROW, QUESTION, (), 23)
    assert not duties.is_mine(ROW, QUESTION)
    duties.note(ROW, QUESTION, (), 23.5)
    assert duties.is_mine(ROW, QUESTION)


def test_one_whose_duty_it_is_waits_for_nobody() -> None:
    duties = sharing(OTHER)
    for mono in (0, 11):
        duties.note(ROW, QUESTION, (), mono)
    assert duties.is_short(ROW, QUESTION, ())
    assert duties.waiting() == []


def test_a_target_that_comes_again_is_waited_for_as_at_first() -> None:
    duties = after(0, 11)
    duties.forget(ROW)
    assert not duties.is_mine(ROW, QUESTION)
    duties.note(ROW, QUESTION, (), 12)
    assert not duties.is_mine(ROW, QUESTION)
