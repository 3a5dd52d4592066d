"""What the functions of LUA records return, as destinations and keys of a balanced record.

| function | policy | check |
|---|---|---|
| ifportup, ifurlup, ifurlextup | as `selector` says; random by default | tcp, http |
| pickrandom, pickrandomsample, pickwrandom | weighted | static |
| pickhashed, pickwhashed, pickchashed | sticky, by the whole address | static |
| all, a table, a text | all | static |
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from dnslb_backend.core.model.names import canonical_address
from dnslb_backend.importers.draft import NAME_TYPES, UNASKED, Table
from dnslb_backend.importers.lua_expression import FunctionCall, LuaError, LuaTable, Value

REDIRECTS = 10
"""PowerDNS follows redirects without a limit of its own."""

WHOLE_ADDRESS = {"policy": "sticky", "sticky": {"ipv4": 32, "ipv6": 128}}
RANDOM = {"policy": "weighted"}
STATIC = {"check": {"type": "static"}}

SELECTORS: Mapping[str, Table] = {"random": RANDOM, "hashed": WHOLE_ADDRESS, "all": {}}


@dataclass(slots=True)
class Answer:
    """One branch of a record. The remarks are on options that have no equal."""

    dests: list[Table]
    keys: Table = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def answer_of(value: Value, qtype: str) -> Answer:
    """What a record of this type answers that returns `value`. Raises LuaError."""
    if isinstance(value, FunctionCall):
        if value.function not in FUNCTIONS:
            raise LuaError(f"{value.function}() has no equal")
        answer = FUNCTIONS[value.function](value)
    else:
        answer = _plain(value)
    if qtype not in NAME_TYPES:
        for dest in answer.dests:
            if canonical_address(str(dest["host"])) is None:
                raise LuaError(f"{dest['host']!r} is no address")
        return answer
    if answer.keys.get("check") != STATIC["check"]:
        raise LuaError(f"a record of type {qtype} gives no address to check")
    answer.dests = [_named(dest, qtype) for dest in answer.dests]
    return answer


def _named(dest: Table, qtype: str) -> Table:
    """A destination that serves a name, as its host or in its content."""
    content = f"{str(dest.pop('host')).removesuffix('.')}."
    host = {"host": content.split()[-1]}
    served = {} if qtype == "CNAME" else {"content": content}
    return {**host, **served, "check_address": UNASKED, **dest}


def _plain(value: Value) -> Answer:
    texts = [value] if isinstance(value, str) else _texts(value)
    return Answer([{"host": text} for text in texts], dict(STATIC))


def _all(call: FunctionCall) -> Answer:
    return _plain(_only(call))


def _pick(keys: Table) -> Callable[[FunctionCall], Answer]:
    """The functions that pick one of some texts."""
    return lambda call: Answer([{"host": text} for text in _texts(_only(call))], {**keys, **STATIC})


def _pick_weighted(keys: Table) -> Callable[[FunctionCall], Answer]:
    """The functions that pick one of some {weight, text}."""

    def answer(call: FunctionCall) -> Answer:
        pairs = [_pair(item) for item in _items(_only(call))]
        return Answer([{"host": text, "weight": w} for w, text in pairs], {**keys, **STATIC})

    return answer


def _sample(call: FunctionCall) -> Answer:
    count, values = _arguments(call, 2)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise LuaError(f"{call.function}(): the number of values is {count!r}")
    keys = {**RANDOM, "max_answers": count, **STATIC}
    return Answer([{"host": text} for text in _texts(values)], keys)


def _port_up(call: FunctionCall) -> Answer:
    port, sets = _arguments(call, 2, options=True)
    if not isinstance(port, int) or isinstance(port, bool):
        raise LuaError(f"ifportup(): the port is {port!r}")
    return _checked(call, _tiers(sets), {"type": "tcp", "port": port})


def _url_up(call: FunctionCall) -> Answer:
    url, sets = _arguments(call, 2, options=True)
    return _checked(call, _tiers(sets), _http_check(_quoted_url(url), _options(call, 2)))


def _url_ext_up(call: FunctionCall) -> Answer:
    """Each address has a URL of its own; here that is one URL, asked at an address of its own."""
    (groups,) = _arguments(call, 1, options=True)
    dests: list[Table] = []
    urls: set[str] = set()
    listed = _items(groups)
    for prio, group in zip(range(len(listed), 0, -1), listed, strict=True):
        if not isinstance(group, LuaTable) or group.items or not group.fields:
            raise LuaError("ifurlextup(): a group is a table of ['ADDRESS'] = 'URL'")
        for address, url in group.fields.items():
            text = _quoted_url(url)
            probed = canonical_address(urlsplit(text).hostname or "")
            if probed is None:
                raise LuaError(f"ifurlextup(): the host of {url!r} is no address")
            urls.add(_with_any_address(text))
            dests.append({"host": address, "check_address": probed, **_prio(prio, len(listed))})
    if len(urls) != 1:
        raise LuaError("ifurlextup(): the URLs differ in more than their addresses")
    return _checked(call, dests, _http_check(urls.pop(), _options(call, 1)), options_at=1)


def _with_any_address(url: str) -> str:
    host = urlsplit(url).netloc
    port = re.search(r":\d+$", host)
    return url.replace(host, f"%(address)s{port[0] if port else ''}", 1)


FUNCTIONS: Mapping[str, Callable[[FunctionCall], Answer]] = {
    "ifportup": _port_up,
    "ifurlup": _url_up,
    "ifurlextup": _url_ext_up,
    "all": _all,
    "pickrandom": _pick(RANDOM),
    "pickrandomsample": _sample,
    "pickhashed": _pick(WHOLE_ADDRESS),
    "pickwrandom": _pick_weighted(RANDOM),
    "pickwhashed": _pick_weighted(WHOLE_ADDRESS),
    "pickchashed": _pick_weighted(WHOLE_ADDRESS),
}

_HTTP_OPTIONS = frozenset({"stringmatch", "useragent", "httpcode"})
_EQUAL = frozenset(
    {
        "selector",
        "backupSelector",
        "timeout",
        "interval",
        "minimumFailures",
        "failOnIncompleteCheck",
    }
)
"""failOnIncompleteCheck is what always happens here: SERVFAIL until the first check has ended."""


def _http_check(url: str, options: Mapping[str, Value]) -> Table:
    """As PowerDNS asks: 200 is fine, redirects are followed, certificates are not verified."""
    status = _whole("httpcode", options.get("httpcode", 200))
    check: Table = {"type": "http", "url": url, "status": [status], "redirects": REDIRECTS}
    if 300 <= status < 400:
        del check["redirects"]
    if "stringmatch" in options:
        check["body"] = re.escape(str(options["stringmatch"])).replace("\\ ", " ")
    if "useragent" in options:
        check["headers"] = {"User-Agent": str(options["useragent"])}
    if url.startswith("https:"):
        check["verify"] = False
    return check


def _quoted_url(url: Value) -> str:
    """The URL as a template, in which a per cent sign is written twice."""
    if not isinstance(url, str):
        raise LuaError(f"a URL is a text, not {url!r}")
    try:
        urlsplit(url)
    except ValueError as error:
        raise LuaError(f"{url!r} is not a URL: {error}") from error
    return url.replace("%", "%%")


def _checked(call: FunctionCall, dests: list[Table], check: Table, options_at: int = 2) -> Answer:
    options = _options(call, options_at)
    known = _EQUAL | (_HTTP_OPTIONS if check["type"] == "http" else frozenset())
    remarks = [
        f"the option {key} = {given!r} has no equal"
        for key, given in options.items()
        if key not in known
    ]
    keys = _selection(options, remarks)
    for key, name in (
        ("interval", "interval"),
        ("timeout", "timeout"),
        ("minimumFailures", "fall"),
    ):
        number = _whole(key, options.get(key, 0))
        if number:
            keys[name] = number
    return Answer(dests, {**keys, "check": check}, remarks)


def _selection(options: Mapping[str, Value], remarks: list[str]) -> Table:
    """Who is picked of those that are up, and of all if none is."""
    selector = str(options.get("selector", "random"))
    backup = str(options.get("backupSelector", "random"))
    if selector not in SELECTORS:
        remarks.append(f"selector = {selector!r} has no equal: picked at random")
        selector = "random"
    if backup == "empty":
        return {**SELECTORS[selector], "all_down": "nodata"}
    if backup != selector:
        remarks.append(
            f"backupSelector is {backup!r}: when all are down, {selector!r} picks here as well"
        )
    return {**SELECTORS[selector], "all_down": "all"}


def _tiers(value: Value) -> list[Table]:
    """Addresses, or sets of them, of which the first that has one which is up is used."""
    items = _items(value)
    if not all(isinstance(item, LuaTable) for item in items):
        return [{"host": text} for text in _texts(value)]
    return [
        {"host": text, **_prio(prio, len(items))}
        for prio, item in zip(range(len(items), 0, -1), items, strict=True)
        for text in _texts(item)
    ]


def _prio(prio: int, count: int) -> Table:
    return {"prio": prio} if count > 1 else {}


def _only(call: FunctionCall) -> Value:
    (value,) = _arguments(call, 1)
    return value


def _arguments(call: FunctionCall, count: int, *, options: bool = False) -> tuple[Value, ...]:
    """The arguments without the options that may follow."""
    found = call.arguments
    if options and len(found) == count + 1:
        found = found[:-1]
    if len(found) != count:
        raise LuaError(f"{call.function}() takes {count} arguments, not {len(call.arguments)}")
    return found


def _options(call: FunctionCall, at: int) -> Mapping[str, Value]:
    if len(call.arguments) <= at:
        return {}
    found = call.arguments[at]
    if not isinstance(found, LuaTable) or found.items:
        raise LuaError(f"{call.function}(): the options are no table of names")
    return found.fields


def _items(value: Value) -> tuple[Value, ...]:
    if not isinstance(value, LuaTable) or value.fields or not value.items:
        raise LuaError("a table with values belongs here, without names")
    return value.items


def _texts(value: Value) -> list[str]:
    items = _items(value)
    if not all(isinstance(item, str) for item in items):
        raise LuaError("a table of texts belongs here")
    return [str(item) for item in items]


def _pair(value: Value) -> tuple[int, str]:
    items = _items(value)
    if len(items) != 2 or not isinstance(items[1], str):
        raise LuaError("a {weight, text} belongs here")
    return _whole("weight", items[0]), items[1]


def _whole(name: str, value: Value) -> int:
    """PowerDNS takes numbers as text as well."""
    try:
        if isinstance(value, int | str) and not isinstance(value, bool):
            return int(value)
    except ValueError:
        pass
    raise LuaError(f"{name} = {value!r} is no whole number")
