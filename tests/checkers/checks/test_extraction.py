import pytest

from dnslb_backend.checkers.checks.extraction import (
    NUMBER_LIMIT,
    Output,
    OutputCheck,
    Scalar,
    json_at,
    priority_of,
    weight_of,
)
from dnslb_backend.checkers.checks.registry import parse_check
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Result


@pytest.mark.parametrize(
    ("text", "priority", "weight"),
    [
        (None, -1, None),
        ("@", None, None),
        ("5", 5, 5),
        (" 5 ", 5, 5),
        ("0", 0, 0),
        ("-3", -3, 0),
        ("", 1, 1),
        ("+", 2, 2),
        ("+++", 4, 4),
        ("1.5", 4, 4),
        ("9" * 20, NUMBER_LIMIT, NUMBER_LIMIT),
        ("-" + "9" * 20, -NUMBER_LIMIT, 0),
        ("9" * 5000, 5001, 5001),
    ],
)
def test_numbers_are_read_as_the_original_reads_them(
    text: str | None, priority: int | None, weight: int | None
) -> None:
    assert priority_of(text) == priority
    assert weight_of(text) == weight


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ('{"a": 1}', "a", 1),
        ('{"a": {"b": [10, {"c": "x"}]}}', "a.b.1.c", "x"),
        ('{"a": true}', "a", True),
        ('{"0": 1.5}', "0", 1.5),
        ("[7]", "0", 7),
    ],
)
def test_a_scalar_is_found_in_json(text: str, path: str, value: Scalar) -> None:
    assert json_at(text, path) == value


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "a"),
        ("nonsense", "a"),
        ("[" * 60_000, "a"),
        ('{"a": ' + "9" * 60_000 + "}", "a"),
        ('{"a": 1}', "b"),
        ('{"a": 1}', "a.b"),
        ('{"a": [1]}', "a.1"),
        ('{"a": [1]}', "a.-1"),
        ('{"a": [1]}', "a.²"),
        ('{"a": [1]}', "a"),
        ('{"a": null}', "a"),
    ],
)
def test_what_is_no_scalar_in_json_is_a_lookup_error(text: str, path: str) -> None:
    with pytest.raises(LookupError):
        json_at(text, path)


@pytest.mark.parametrize(
    ("table", "text", "priority", "weight"),
    [
        ({"priority": {"regex": "p=(.*)"}}, "p=7", 7, None),
        ({"priority": {"regex": "p=(.*)"}}, "q=7", -1, None),
        ({"priority": {"regex": "p(=.)?"}}, "p", -1, None),
        ({"weight": {"regex": "w=(.*)"}}, "w=7", None, 7),
        ({"weight": {"regex": "w=(.*)"}}, "nothing", None, None),
        (
            {"priority": {"json_path": "p"}, "weight": {"json_path": "w"}},
            '{"p":2,"w":"@"}',
            2,
            None,
        ),
        ({"priority": {"json_path": "p"}}, '{"p": 2.9}', 2, None),
        ({"priority": {"json_path": "p"}}, '{"p": true}', 1, None),
        ({"priority": {"json_path": "p"}}, '{"p": "+++"}', 4, None),
        ({"priority": {"json_path": "p"}}, '{"p": Infinity}', NUMBER_LIMIT, None),
        ({"priority": {"json_path": "p"}}, "no json", -1, None),
        ({"priority": {"header": "X-Load"}}, "", 9, None),
        ({"priority": {"header": "X-Missing"}}, "", -1, None),
    ],
)
async def test_every_source_of_a_number(
    tools: CheckResources, table: dict[str, object], text: str, priority: int, weight: int
) -> None:
    result = await judge(table, Output(text, headers={"x-load": "9"}), tools)
    assert (result.code, result.priority, result.weight) == (0, priority, weight)


async def test_nothing_is_read_from_an_unexpected_answer(tools: CheckResources) -> None:
    result = await judge({"priority": {"regex": "(.)"}}, Output("7"), tools, expect="^8")
    assert (result.code, result.priority) == (-1, None)
    assert result.text == "reply does not match '^8': '7'"


async def judge(
    table: dict[str, object], output: Output, tools: CheckResources, expect: str = ""
) -> Result:
    check = parse_check({"type": "http", "url": "http://%(address)s/", **table})
    assert isinstance(check, OutputCheck)
    return await check.evaluate(output, tools, expect=expect, text="")
