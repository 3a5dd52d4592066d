"""A mapping in layers: what it holds after any number of changes, and that none is expensive."""

from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.answers.layered import DEEPEST, Layered

KEYS = [f"k{number}" for number in range(2 * DEEPEST)]


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), st.integers(), max_size=200), max_size=8))
def test_every_version_keeps_its_values(steps: list[dict[str, int]]) -> None:
    expected = [dict.fromkeys(KEYS, 0)]
    versions = [Layered(expected[0])]
    for step in steps:
        expected.append({**expected[-1], **step})
        versions.append(versions[-1].replaced(step))
    for version, values in zip(versions, expected, strict=True):
        assert dict(version) == values
        assert [version[key] for key in KEYS] == list(values.values())
        assert len(version) == len(KEYS)
        assert version.get("unknown") is None


def test_a_change_copies_few_values_however_many_there_are() -> None:
    first = layered = Layered(dict.fromkeys(KEYS, 0))
    for number in range(DEEPEST):
        layered = layered.replaced({KEYS[number]: number})
        assert layered.base is first.base
    assert layered.replaced({KEYS[-1]: 1}).base == {**layered, KEYS[-1]: 1}


def test_what_is_above_the_rest_stays_small() -> None:
    layered = Layered(dict.fromkeys(KEYS, 0))
    for key in KEYS:
        layered = layered.replaced({key: 1})
        assert len(layered.changed) <= DEEPEST
