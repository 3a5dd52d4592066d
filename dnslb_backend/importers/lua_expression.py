"""The part of Lua that LUA records are written in: calls with texts, numbers and tables.

    chunk      = expression | ";" {statement} result
    statement  = ["local"] NAME "=" expression | "include" "(" STRING ")"
    result     = "return" expression
               | "if" condition "then" "return" expression {"elseif" …} ["else" …] "end"
    condition  = call {"or" call}
    expression = STRING | NUMBER | "true" | "false" | NAME | call | table

Nothing is run. A name is what a statement before gave it; everything else is refused.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

T = TypeVar("T")

DEEPEST = 20
"""Calls and tables within each other."""

_TOKEN = re.compile(
    r"""\s+ | --(?!\[)[^\n]*
    | (?P<string>'(?:[^'\\\n]|\\.)*' | "(?:[^"\\\n]|\\.)*")
    | (?P<number>\d+(?:\.\d+)?(?![\w.]))
    | (?P<name>[A-Za-z_]\w*)
    | (?P<sign>[-+*/%\#<>~={}\[\]();:,.^|&])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t", "r": "\r"}
_KEYWORDS = frozenset(
    "and break do else elseif end for function goto if in local not or repeat return "  # noqa: SIM905 - one a line would be twenty
    "then until while nil".split()
)


class LuaError(ValueError):
    """A text is no Lua, or more of it than is understood here."""


@dataclass(frozen=True, slots=True)
class FunctionCall:
    function: str
    arguments: tuple["Value", ...]


@dataclass(frozen=True, slots=True)
class LuaTable:
    """`items` are its values without a key, `fields` those with one, as written."""

    items: tuple["Value", ...] = ()
    fields: Mapping[str, "Value"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Branch:
    """What is returned if one of the conditions holds; without any, in all other cases."""

    conditions: tuple[FunctionCall, ...]
    value: "Value"


Value: TypeAlias = str | int | float | bool | FunctionCall | LuaTable
Names: TypeAlias = Mapping[str, Value]


def parse_record(text: str, includes: Mapping[str, Names]) -> list[Branch]:
    """What a record returns, by cases; `includes` are the names that other records give.

    Raises LuaError.
    """
    parser = _Parser(text, includes)
    branches = parser.result() if parser.takes(";") else [Branch((), parser.expression())]
    parser.takes(";")
    parser.end()
    return branches


def parse_settings(text: str) -> Names:
    """The names that a record of settings (LUA LUA) gives. Raises LuaError."""
    parser = _Parser(text, {})
    parser.takes(";")
    while parser.statement():
        pass
    parser.end()
    return parser.names


def _tokens(text: str) -> list[tuple[str, str]]:
    """Kind and text of each token, and one of kind "end"."""
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise LuaError(f"{text[at : at + 20]!r} is not understood")
        if token.lastgroup:
            found.append((token.lastgroup, token[0]))
        at = token.end()
    return [*found, ("end", "the end")]


class _Parser:
    def __init__(self, text: str, includes: Mapping[str, Names]) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0
        self._includes = includes
        self.names: dict[str, Value] = {}

    def result(self) -> list[Branch]:
        while self.statement():
            pass
        if self.takes("return"):
            return [Branch((), self.expression())]
        self._need("if")
        return self._cases()

    def statement(self) -> bool:
        """Whether there was one more statement that gives names."""
        is_local = self.takes("local")
        kind, word = self._tokens[self._at]
        follows = self._tokens[min(self._at + 1, len(self._tokens) - 1)][1]
        if kind != "name" or word in _KEYWORDS or follows not in ("=", "("):
            if is_local:
                raise self._unexpected()
            return False
        if word == "include" and follows == "(":
            self._include()
        elif follows == "=":
            self._at += 2
            self.names[word] = self.expression()
        else:
            raise LuaError(f"{word}(…) is called without a use for what it returns")
        self.takes(";")
        return True

    def expression(self) -> Value:
        kind, word = self._tokens[self._at]
        if kind == "sign" and word == "{":
            return self._deeper(self._table)
        if kind == "string":
            self._at += 1
            return _unquoted(word)
        if kind == "number":
            self._at += 1
            return _number(word)
        if kind != "name" or word in _KEYWORDS:
            raise self._unexpected()
        self._at += 1
        if word in ("true", "false"):
            return word == "true"
        if self._tokens[self._at][1] == "(":
            return self._deeper(lambda: self._call(word))
        if word not in self.names:
            raise LuaError(f"the name {word!r} is not defined")
        return self.names[word]

    def takes(self, word: str) -> bool:
        """Whether the next token is `word`, which is then behind us."""
        kind, found = self._tokens[self._at]
        if kind in ("string", "end") or found != word:
            return False
        self._at += 1
        return True

    def end(self) -> None:
        if self._tokens[self._at][0] != "end":
            raise self._unexpected()

    def _cases(self) -> list[Branch]:
        found = [self._case()]
        while self.takes("elseif"):
            found.append(self._case())
        if self.takes("else"):
            found.append(Branch((), self._returned()))
        self._need("end")
        return found

    def _case(self) -> Branch:
        conditions = self._conditions()
        self._need("then")
        return Branch(conditions, self._returned())

    def _returned(self) -> Value:
        self._need("return")
        value = self.expression()
        self.takes(";")
        return value

    def _conditions(self) -> tuple[FunctionCall, ...]:
        found = self._condition()
        while self.takes("or"):
            found += self._condition()
        return found

    def _condition(self) -> tuple[FunctionCall, ...]:
        if self.takes("("):
            found = self._deeper(self._conditions)
            self._need(")")
            return found
        condition = self.expression()
        if not isinstance(condition, FunctionCall):
            raise LuaError("a condition is no call such as country('NZ')")
        return (condition,)

    def _include(self) -> None:
        self._at += 1
        call = self._call("include")
        name = call.arguments[0] if len(call.arguments) == 1 else None
        if not isinstance(name, str) or name not in self._includes:
            raise LuaError(f"include({name!r}): there is no such LUA record of settings")
        self.names.update(self._includes[name])

    def _call(self, function: str) -> FunctionCall:
        self._need("(")
        arguments: list[Value] = []
        while not self.takes(")"):
            arguments.append(self.expression())
            if not self.takes(","):
                self._need(")")
                break
        return FunctionCall(function, tuple(arguments))

    def _table(self) -> LuaTable:
        self._need("{")
        items: list[Value] = []
        fields: dict[str, Value] = {}
        while not self.takes("}"):
            key = self._field()
            value = self.expression()
            if key is None:
                items.append(value)
            else:
                fields[key] = value
            if not self.takes(",") and not self.takes(";"):
                self._need("}")
                break
        return LuaTable(tuple(items), fields)

    def _field(self) -> str | None:
        """The key of `NAME =` or `['TEXT'] =`, None where there is only a value."""
        kind, word = self._tokens[self._at]
        if self.takes("["):
            key = self.expression()
            self._need("]")
            self._need("=")
            return str(key)
        if kind == "name" and self._tokens[self._at + 1] == ("sign", "="):
            self._at += 2
            return word
        return None

    def _deeper(self, read: Callable[[], T]) -> T:
        self._depth += 1
        if self._depth > DEEPEST:
            raise LuaError(f"calls and tables are nested more than {DEEPEST} deep")
        found = read()
        self._depth -= 1
        return found

    def _need(self, word: str) -> None:
        if not self.takes(word):
            raise self._unexpected(word)

    def _unexpected(self, wanted: str = "") -> LuaError:
        shown = self._tokens[self._at][1][:40]
        return LuaError(f"{shown!r} is not understood{f' where {wanted!r} belongs' * bool(wanted)}")


def _number(word: str) -> int | float:
    if len(word) > 18:
        raise LuaError(f"the number {word[:18]}… is too large")
    return float(word) if "." in word else int(word)


def _unquoted(word: str) -> str:
    def plain(found: re.Match[str]) -> str:
        if found[1] not in _ESCAPES:
            raise LuaError(f"the escape {found[0]!r} is not understood")
        return _ESCAPES[found[1]]

    return _ESCAPE.sub(plain, word[1:-1])
