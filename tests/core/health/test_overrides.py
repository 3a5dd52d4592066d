"""Which override applies to a member, and until when."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.health.coverage import Coverage
from dnslb_backend.core.health.overrides import Action, ActiveOverrides, Override, next_change
from dnslb_backend.core.model.records import RecordKey

ALIASES = ["192.0.2.1", "192.0.2.2", "web.example", "db.example", "dc=fra", "rack=1"]
TARGETS = [*ALIASES, "192.0.2.?", "*.example", "[dw]*", "*", "*1", "dc=*", "*=*"]
NAMES = ["www.lb.example", "db.lb.example"]
OVERRIDES = st.lists(
    st.builds(
        lambda number, target, name, created: Override(
            str(number), target, Action.DRAIN, name=name, created=created
        ),
        st.integers(0, 99),
        st.sampled_from(TARGETS),
        st.sampled_from(["", *NAMES]),
        st.sampled_from([1.0, 2.0]),
    ),
    max_size=8,
    unique_by=lambda override: override.id,
)


def rank(override: Override) -> tuple[bool, bool, float, str]:
    is_specific = override.target in ALIASES and "=" not in override.target
    return bool(override.name), is_specific, override.created, override.id


def is_match(target: str, alias: str) -> bool:
    """Globs over addresses and hosts match no label."""
    return fnmatchcase(alias, target) and ("=" in target or "=" not in alias)


@given(OVERRIDES, st.sampled_from(NAMES), st.lists(st.sampled_from(ALIASES), min_size=1))
def test_the_more_specific_and_then_the_newer_override_applies(
    overrides: list[Override], name: str, aliases: list[str]
) -> None:
    matching = [
        override
        for override in overrides
        if override.name in ("", name)
        and any(is_match(override.target, alias) for alias in aliases)
    ]
    found = ActiveOverrides(overrides).effective(name, *aliases)
    assert found == max(matching, key=rank, default=None)
    for override in overrides:
        assert override.matches(name, *aliases) is (override in matching)


def test_weights_and_health_are_overridden_apart() -> None:
    drained = Override("1", "dc=fra", Action.DRAIN)
    weight = Override("2", "192.0.2.1", Action.WEIGHT, created=9.0, weight=20)
    older = Override("3", "192.0.2.*", Action.WEIGHT, created=1.0, weight=5)
    active = ActiveOverrides([drained, weight, older])
    aliases = ("192.0.2.1", "web.example", "dc=fra")
    assert active.effective(NAMES[0], *aliases) is drained
    assert active.weighting(NAMES[0], *aliases) is weight
    assert active.weighting(NAMES[0], "192.0.2.2") is older
    assert active.effective(NAMES[0], "192.0.2.2") is None


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.sets(st.sampled_from(ALIASES))), max_size=6),
    OVERRIDES,
)
def test_an_override_covers_the_records_whose_last_aliases_it_matches(
    puts: list[tuple[str, set[str]]], overrides: list[Override]
) -> None:
    coverage = Coverage()
    latest: dict[str, set[str]] = {}
    for name, aliases in puts:
        coverage.put(RecordKey("lb.example", name, "A"), aliases)
        latest[name] = aliases
    for override in overrides:
        assert {key.name for key in coverage.covered(override)} == {
            name for name, aliases in latest.items() if override.matches(name, *aliases)
        }


@pytest.mark.parametrize(
    ("expires", "wall", "is_live"),
    [(None, 1e12, True), (5.0, 4.9, True), (5.0, 5.0, False), (5.0, 6.0, False)],
)
def test_an_override_ends_when_it_expires(
    expires: float | None, wall: float, is_live: bool
) -> None:
    override = Override("1", "*", Action.UP, expires=expires)
    assert override.is_live(wall) is is_live
    assert next_change([override], wall) == (expires if is_live else None)


@pytest.mark.parametrize(
    ("target", "is_glob"),
    [("192.0.2.1", False), ("192.0.2.*", True), ("192.0.2.?", True), ("[ab].example", True)],
)
def test_a_glob_has_a_sign(target: str, is_glob: bool) -> None:
    assert Override("1", target, Action.UP).is_glob is is_glob


@pytest.mark.parametrize(
    ("starts", "expires", "is_overlap"),
    [(1000.0, 2000.0, False), (899.0, 2000.0, True), (None, 500.0, False), (None, 501.0, True)],
)
def test_overrides_overlap_where_both_are_in_force(
    starts: float | None, expires: float, is_overlap: bool
) -> None:
    """From when they begin, which is when they were given unless they say when."""
    one = Override("1", "*", Action.DRAIN, created=0.0, starts=starts, expires=expires)
    other = Override("2", "*", Action.DRAIN, created=500.0, expires=900.0)
    assert one.overlaps(other) is other.overlaps(one) is is_overlap
