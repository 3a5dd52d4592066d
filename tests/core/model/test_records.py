"""Balanced records: the views of shared addresses, and who may be left without data."""

from dataclasses import replace

import pytest

from dnslb_backend.core.model.records import AllDown, Dest, Record, joined_views
from tests.core.building import dest, record

A, B = "192.0.2.1", "192.0.2.2"


@pytest.mark.parametrize(
    ("one", "other", "joined"),
    [
        (("a",), ("b", "a"), ("a", "b")),
        (("a",), (), ()),
        ((), ("a",), ()),
        ((), (), ()),
    ],
)
def test_an_address_of_two_destinations_is_for_the_views_of_both(
    one: tuple[str, ...], other: tuple[str, ...], joined: tuple[str, ...]
) -> None:
    assert joined_views(one, other) == joined


def test_each_host_name_is_resolved_once() -> None:
    item = record("b.example", A, "a.example", "b.example@2", fallback=["a.example", "c.example"])
    assert item.host_names() == ["b.example", "a.example", "c.example"]


def viewed(*dests: Dest, fallback: tuple[str, ...] = (), all_down: AllDown) -> Record:
    item = record(fallback=fallback, all_down=all_down)
    return replace(item, dests=dests)


NEAR = replace(dest(A), views=("near",))
COMMON, NAMED = dest(B), dest("web.example")


@pytest.mark.parametrize(
    ("item", "may_miss"),
    [
        (viewed(COMMON, all_down=AllDown.NODATA), False),
        (viewed(NEAR, all_down=AllDown.NODATA), True),
        (viewed(NEAR, COMMON, all_down=AllDown.NODATA), True),
        (viewed(NEAR, COMMON, all_down=AllDown.LAST), True),
        (viewed(NEAR, COMMON, all_down=AllDown.SERVFAIL), False),
        (viewed(NEAR, COMMON, all_down=AllDown.ALL), False),
        (viewed(NEAR, NAMED, all_down=AllDown.ALL), True),
        (viewed(NEAR, all_down=AllDown.ALL), True),
        (viewed(NEAR, fallback=(B,), all_down=AllDown.FALLBACK), False),
        (viewed(NEAR, fallback=("sorry.example",), all_down=AllDown.FALLBACK), True),
    ],
)
def test_some_clients_may_miss_what_others_get(item: Record, may_miss: bool) -> None:
    assert item.may_miss_some is may_miss
