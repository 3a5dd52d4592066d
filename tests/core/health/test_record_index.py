"""The records of a key, and the first of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.health.record_index import RecordIndex
from dnslb_backend.core.model.records import RecordKey
from tests.core.building import ZONE

RECORDS = [RecordKey(ZONE, f"{letter}.{ZONE}", "A") for letter in "abcd"]
STEP = st.tuples(st.sampled_from(["add", "discard"]), st.sampled_from(RECORDS))


@given(st.lists(STEP, max_size=20))
def test_it_is_a_set_of_records_that_knows_its_first(steps: list[tuple[str, RecordKey]]) -> None:
    index, model = RecordIndex[str](), set[RecordKey]()
    for step, record in steps:
        if step == "add":
            index.add("key", record)
            model.add(record)
        else:
            index.discard("key", record)
            model.discard(record)
        assert set(index.of("key")) == model
        assert ("key" in index) == bool(model)
        if model:
            assert index.first("key") == min(model)
        else:
            with pytest.raises(KeyError):
                index.first("key")
