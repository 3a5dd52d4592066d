"""Lua as it is read: what is understood, and that the rest is refused rather than guessed."""

import pytest

from dnslb_backend.importers.lua_expression import (
    DEEPEST,
    Branch,
    FunctionCall,
    LuaError,
    LuaTable,
    Value,
    parse_record,
    parse_settings,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'192.0.2.1'", "192.0.2.1"),
        (r'"a\"b\\c"', 'a"b\\c'),
        ("{'a', \"b\",}", LuaTable(("a", "b"))),
        ("{15, 'a'; 1.5}", LuaTable((15, "a", 1.5))),
        ("{x=1, ['192.0.2.1']='u', true}", LuaTable((True,), {"x": 1, "192.0.2.1": "u"})),
        ("f()", FunctionCall("f", ())),
        ("f(443, {'a'}) -- a comment", FunctionCall("f", (443, LuaTable(("a",))))),
        (
            "f(g({}), {a='b'});",
            FunctionCall("f", (FunctionCall("g", (LuaTable(),)), LuaTable((), {"a": "b"}))),
        ),
        ("; return 'a'", "a"),
        (";x={'a'} local y='b'; return f(x, y)", FunctionCall("f", (LuaTable(("a",)), "b"))),
    ],
)
def test_what_a_record_returns_is_read(text: str, value: Value) -> None:
    assert parse_record(text, {}) == [Branch((), value)]


def test_cases_are_read_in_their_order() -> None:
    text = (
        ";if(country('NZ') or (country({'AU'}))) then return 'a' "
        "elseif asnum(64500) then return 'b'; else return 'c' end"
    )
    assert parse_record(text, {}) == [
        Branch(
            (FunctionCall("country", ("NZ",)), FunctionCall("country", (LuaTable(("AU",)),))), "a"
        ),
        Branch((FunctionCall("asnum", (64500,)),), "b"),
        Branch((), "c"),
    ]


def test_settings_of_another_record_are_included() -> None:
    settings = parse_settings("EU={'192.0.2.1'} opts={timeout=1}")
    (branch,) = parse_record(";include('config') return f(EU, opts)", {"config": settings})
    assert branch.value == FunctionCall(
        "f", (LuaTable(("192.0.2.1",)), LuaTable((), {"timeout": 1}))
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "f(",
        "f('a'",
        "{'a' 'b'}",
        "'a' .. 'b'",
        "1 + 1",
        "nil",
        "f(x)",
        "f('a')[1]",
        "'unclosed",
        r"'\x41'",
        "--[[ a comment ]] 'a'",
        "os.execute('true')",
        "f{'a'}",
        "function() end",
        ";while true do end",
        ";f('a')",
        ";if f() then return 'a'",
        ";if 'a' then return 'a' end",
        ";if f() and g() then return 'a' end",
        ";if not f() then return 'a' end",
        ";include('nowhere') return 'a'",
        ";return 'a' return 'b'",
        "9999999999999999999999",
        "{" * (DEEPEST + 1) + "}" * (DEEPEST + 1),
        ";if " + "(" * 10_000 + "f() then return 'a' end",
        "\x00",
        "'é' é",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(LuaError):
        parse_record(text, {})


def test_a_long_chain_of_conditions_is_read_without_recursion() -> None:
    text = ";if " + " or ".join(["country('NZ')"] * 10_000) + " then return 'a' end"
    (branch,) = parse_record(text, {})
    assert len(branch.conditions) == 10_000
