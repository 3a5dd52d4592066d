"""A zone file (RFC 1035) as rows, or what `pdnsutil list-zone` prints.

dnspython reads the data of every type that it knows. It ends at the first one that it does not, and
knows no LUA; so the lines are cut here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.ttl

from dnslb_backend.core.model.names import IDNA
from dnslb_backend.errors import SourceError

MOST_ROWS = 1_000_000

_WORD = re.compile(
    r"""[ \t\r]+ | ;[^\n]*
    | (?P<quoted>"(?:[^"\\\n]|\\.)*")
    | (?P<paren>[()]) | (?P<newline>\n)
    | (?P<plain>(?:[^\s"();\\]|\\.)+)""",
    re.VERBOSE,
)
LUA_NUMBER = "TYPE65402"


@dataclass(frozen=True, slots=True)
class Row:
    """A row with its line; the names in it are absolute. Of a LUA row `content` is the Lua, and
    `lua_type` the type that it is for.
    """

    line: int
    name: dns.name.Name
    ttl: int
    type: str
    content: str
    lua_type: str = ""


@dataclass(frozen=True, slots=True)
class Unread:
    """A line that says something else than a row that can be read."""

    line: int
    text: str
    original: str


def read_rows(text: str, file: str, origin: dns.name.Name | None) -> Iterator[Row | Unread]:
    """The rows in their order. Raises SourceError where the text is no zone file."""
    return _ZoneFileReader(file, origin).rows(text)


class _ZoneFileReader:
    """One reading; what the lines before said: $ORIGIN, $TTL, the last name and TTL."""

    def __init__(self, file: str, origin: dns.name.Name | None) -> None:
        self._file = file
        self._origin = origin
        self._name: dns.name.Name | None = None
        self._default_ttl: int | None = None
        self._last_ttl: int | None = None

    def rows(self, text: str) -> Iterator[Row | Unread]:
        for count, (line, is_indented, words) in enumerate(_lines(text, self._file)):
            if count >= MOST_ROWS:
                raise SourceError(f"{self._file}:{line}: has more than {MOST_ROWS} rows")
            try:
                if words[0].startswith("$") and not is_indented:
                    self._directive(words)
                else:
                    yield self._row(line, is_indented, words)
            except (dns.exception.DNSException, ValueError, UnicodeError) as error:
                yield Unread(line, _sentence(error), " ".join(words))

    def _directive(self, words: list[str]) -> None:
        name = words[0].upper()
        if name == "$ORIGIN" and len(words) == 2:
            self._origin = self._absolute(words[1])
        elif name == "$TTL" and len(words) == 2:
            self._default_ttl = dns.ttl.from_text(words[1])
        else:
            raise ValueError(f"{name} is not followed: write its rows out")

    def _row(self, line: int, is_indented: bool, words: list[str]) -> Row | Unread:
        rest = list(words)
        if not is_indented:
            self._name = self._absolute(rest.pop(0))
        if self._name is None:
            raise ValueError("the first row has no name")
        ttl = self._ttl(rest)
        if not rest:
            raise ValueError("a row has a type and data")
        rdtype = rest.pop(0).upper()
        if ttl is None:
            ttl = self._default_ttl if self._default_ttl is not None else self._last_ttl
        if ttl is None and rdtype == "SOA":
            ttl = self._default_ttl = dns.ttl.from_text(rest[-1]) if rest else 0
        if ttl is None:
            raise ValueError("there is no TTL, here or in $TTL")
        self._last_ttl = ttl
        if rdtype in ("LUA", LUA_NUMBER):
            lua_type, code = _generic_lua(rest) if rest[:1] == ["\\#"] else _lua(rest)
            return Row(line, self._name, ttl, "LUA", code, lua_type)
        return Row(line, self._name, ttl, rdtype, self._data(rdtype, rest))

    def _ttl(self, rest: list[str]) -> int | None:
        """TTL and class, in any order, are taken away."""
        ttl: int | None = None
        while rest:
            if rest[0].upper() == "IN":
                rest.pop(0)
            elif rest[0].upper() in ("CH", "HS"):
                raise ValueError(f"the class {rest[0]} is not served")
            elif ttl is None and rest[0][0].isdigit():
                ttl = dns.ttl.from_text(rest.pop(0))
            else:
                break
        return ttl

    def _data(self, rdtype: str, words: list[str]) -> str:
        number = dns.rdatatype.from_text(rdtype)
        text = " ".join(words)
        try:
            rdata = dns.rdata.from_text(
                dns.rdataclass.IN,
                number,
                text,
                origin=self._origin,
                relativize=False,
                idna_codec=IDNA,
            )
        except (dns.exception.DNSException, ValueError, UnicodeError) as error:
            raise ValueError(f"{text!r} is no data for {rdtype}: {error}") from error
        return rdata.to_text()

    def _absolute(self, word: str) -> dns.name.Name:
        name = dns.name.from_text(word, self._origin, IDNA) if word != "@" else self._origin
        if name is None or not name.is_absolute():
            raise SourceError(f"{self._file}: has relative names: name the zone with --zone NAME")
        return name


Line: TypeAlias = tuple[int, bool, list[str]]
"""Its number, whether it begins with a blank, and its words."""


def _lines(text: str, file: str) -> Iterator[Line]:
    """The lines that say something; those in parentheses are one.

    A last line without its end may be half an address, and is refused.
    """
    words: list[str] = []
    number, depth = 1, 0
    begin, is_indented = 1, text[:1] in (" ", "\t")
    for kind, word, at in _words(text, file):
        if kind == "newline":
            number += 1
            if depth:
                continue
            if words:
                yield begin, is_indented, words
                words = []
            begin, is_indented = number, text[at + 1 : at + 2] in (" ", "\t")
        elif kind == "paren":
            depth += 1 if word == "(" else -1
            if depth not in (0, 1):
                raise SourceError(f"{file}:{number}: a parenthesis is not in its place")
        else:
            words.append(word)
    if depth:
        raise SourceError(f"{file}:{begin}: a parenthesis is not closed: is the file cut off?")
    if words:
        raise SourceError(f"{file}:{begin}: the last line does not end: is the file cut off?")


def _words(text: str, file: str) -> Iterator[tuple[str, str, int]]:
    """Kind, text and position of whatever is neither a blank nor a comment."""
    at = 0
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            line = text.count("\n", 0, at) + 1
            shown = text[at : at + 20]
            raise SourceError(f"{file}:{line}: a quoted text does not end: {shown!r}")
        if found.lastgroup:
            yield found.lastgroup, found[0], at
        at = found.end()


_ESCAPED = re.compile(r"\\(\d{3}|.)")


def _plain(word: str) -> str:
    """What is between quotes, without the escapes of a zone file."""
    return _ESCAPED.sub(lambda e: chr(int(e[1])) if len(e[1]) == 3 else e[1], word[1:-1])


def _lua(words: list[str]) -> tuple[str, str]:
    """The type that a LUA row is for, and its Lua.

    PowerDNS put a blank between texts before 5.0, and puts none since. It makes no difference but
    for a text that was cut because it was too long.
    """
    if len(words) < 2 or not all(word.startswith('"') for word in words[1:]):
        raise ValueError("LUA has a type, and Lua in quotes")
    return words[0].upper(), _joined([_plain(word) for word in words[1:]])


def _generic_lua(words: list[str]) -> tuple[str, str]:
    """The same, as other programs print it: \\# LENGTH HEX."""
    data = bytes.fromhex("".join(words[2:]))
    rdtype = dns.rdatatype.to_text(dns.rdatatype.RdataType.make(int.from_bytes(data[:2])))
    texts: list[str] = []
    at = 2
    while at < len(data):
        end = at + 1 + data[at]
        texts.append(data[at + 1 : end].decode())
        at = end
    return rdtype, _joined(texts)


LONGEST_TEXT = 255


def _joined(texts: list[str]) -> str:
    return "".join(text if len(text) == LONGEST_TEXT else f"{text} " for text in texts).strip()


def _sentence(error: Exception) -> str:
    if isinstance(error, dns.rdatatype.UnknownRdatatype):
        return "the type has no equal"
    return str(error) or type(error).__name__
