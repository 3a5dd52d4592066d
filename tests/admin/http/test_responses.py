"""Reports that are rendered in slices read as if they had been rendered whole."""

import json

from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.responses import render_with_rows


class Row(ApiModel):
    """An element of an array."""

    number: int


class Report(ApiModel):
    """Arrays before, between and behind other fields, of which the last holds what looks alike."""

    first: tuple[Row, ...] = ()
    title: str = "]}"
    second: tuple[Row, ...] = ()
    nested: dict[str, list[dict[str, int]]] = {"a": [{}]}  # noqa: RUF012 - pydantic copies it


class OnlyRows(ApiModel):
    """Nothing beside its array."""

    rows: tuple[Row, ...] = ()


async def test_arrays_replace_the_fields_of_their_names_wherever_these_are() -> None:
    rows = (Row(number=1), Row(number=2))
    body = await render_with_rows(Report(), first=rows, second=iter(rows[:1]))
    whole = Report(first=rows, second=rows[:1])
    assert json.loads(body) == json.loads(whole.model_dump_json())


async def test_elements_may_be_json_already_and_an_array_may_be_empty() -> None:
    body = await render_with_rows(Report(), first=[b'{"number":7}'], second=())
    found = json.loads(body)
    assert (found["first"], found["second"]) == ([{"number": 7}], [])


async def test_a_report_may_have_nothing_but_its_rows() -> None:
    assert await render_with_rows(OnlyRows(), rows=[Row(number=1)]) == b'{"rows":[{"number":1}]}'
