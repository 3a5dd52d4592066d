"""Labels of destinations: which are allowed, and how the stores keep them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.model.labels import (
    build_labels,
    check_word,
    is_label,
    joined_labels,
    label_in_json,
    labels_by_key,
    parse_labels,
    render_labels,
)

WORDS = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?", fullmatch=True)
LABELS = st.dictionaries(WORDS, WORDS, max_size=5)


@given(LABELS)
def test_labels_come_back_from_the_store_as_they_were(labels: dict[str, str]) -> None:
    built = build_labels(labels)
    assert labels_by_key(built) == labels
    assert parse_labels(render_labels(built)) == built
    assert all(map(is_label, built))


@given(LABELS, WORDS, WORDS)
def test_a_label_is_found_in_the_stored_text_and_no_other_is(
    labels: dict[str, str], key: str, value: str
) -> None:
    text = render_labels(build_labels(labels))
    assert (label_in_json(f"{key}={value}") in text) is (labels.get(key) == value)


@given(WORDS)
def test_every_allowed_word_is_accepted(word: str) -> None:
    assert check_word(word) == word


@pytest.mark.parametrize(
    "text", ["", "Fra", "a b", "a=b", "-a", "a-", ".", "a,b", "\u00e9", "a*", "x" * 64, "a\n"]
)
def test_what_is_not_allowed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed are 1 to 63 of a-z, 0-9"):
        check_word(text)


def test_a_long_word_is_not_repeated_in_full() -> None:
    with pytest.raises(ValueError, match="has 1000 characters") as caught:
        check_word("x" * 1000)
    assert len(str(caught.value)) < 120


def test_an_address_of_two_destinations_has_the_labels_of_both() -> None:
    assert joined_labels(("dc=fra", "rack=1"), ("dc=ams", "rack=1")) == (
        *("dc=ams", "dc=fra", "rack=1"),
    )


@pytest.mark.parametrize("text", ["", "[]", "1", '{"a":1}', "{"])
def test_a_stored_text_that_holds_no_labels_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_labels(text)
