"""What the scenes of a fleet hold for wrong is wrong."""

import time

from tests.chaos.load import Change
from tests.system.fleet_truth import Truth

NAME = "all"
A, B = frozenset({"a"}), frozenset({"b"})


def truth(*times: tuple[float, frozenset[str]]) -> Truth:
    return Truth({NAME: lambda well: well}, list(times))


def change(at: float, addresses: frozenset[str], rcode: int = 0, took: float = 0.0) -> Change:
    return Change(at, NAME, rcode, addresses, took)


def test_answers_are_wrong_that_were_never_true_or_not_any_more() -> None:
    began = time.monotonic() - 100
    told = truth((began - 50, A | B), (began + 20, A))
    follows = [change(began - 40, A | B), change(began + 22, A)]
    assert not told.wrong(follows, began, 5)
    # A target goes that is well, comes back; one that is ill stays for too long; nothing comes.
    assert len(told.wrong([follows[0], change(began + 3, B), change(began + 4, A | B)], began, 5))
    assert told.wrong(follows[:1], began, 5) == [f"25.00 {NAME}: 0 ['a', 'b']"]
    assert told.wrong([*follows, change(began + 30, frozenset(), rcode=2)], began, 5)
    assert not told.wrong(
        [*follows, change(began + 30, frozenset(), rcode=2), change(began + 31, A)],
        began,
        5,
        [(began + 29, began + 32)],
    )


def test_an_answer_may_be_as_new_as_it_was_slow() -> None:
    began = time.monotonic() - 100
    told = truth((began - 50, A | B), (began + 20, A))
    early = [change(began - 40, A | B), change(began + 19.9, A, took=0.2)]
    assert not told.wrong(early, began, 5)
    assert told.wrong([early[0], early[1]._replace(took=0.05)], began, 5)
