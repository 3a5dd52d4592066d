"""The lines of a status about the node itself: the headline, and what is wrong with its components.

ns1  dnslb-backend 1.2.3, up 3h12m, ready
PURGE: control socket failing: no such file; 3 names wait: PowerDNS may answer from its cache
CONFIG: running is not what is on disk, reload refused 4m ago: dnslb.toml: …
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from rich.text import Text

from dnslb_backend.cli.pages import age, span, wrapped

Details = dict[str, Any]


def node_lines(status: dict[str, Any], now: datetime, width: int) -> Iterator[Text]:
    """The headline, and a warning for each component that is not well."""
    uptime = age(datetime.fromisoformat(status["started"]), now)
    ready = ("ready", "green") if status["ready"] else ("not ready", "bold yellow")
    yield Text.assemble(
        (status["node"], "bold"), f"  dnslb-backend {status['version']}, up {uptime}, ", ready
    )
    for component, detail in status["details"].items():
        if isinstance(detail, str):
            yield from wrapped(f"{component.upper()}: {detail}", width, style="bold yellow")
        elif component in _READERS:
            for line in _READERS[component](detail):
                yield from wrapped(line, width, style="bold yellow")
    if stale := sum(member["stale"] for member in status["members"]):
        line = f"STALE: {stale} members have no recent result and are served as before"
        yield from wrapped(line, width, style="bold yellow")


def _brake(brake: Details) -> Iterator[str]:
    """That answers do not follow the checks at present; nothing where they do."""
    if "silent_for" not in brake:
        return
    silent = f"no canary has answered for {span(brake['silent_for'])}"
    held = "DOWNs are applied again" if brake["spent"] else f"{brake['held']} DOWN held"
    yield f"BRAKE: {silent}, {held}"


def _purge(purge: Any) -> Iterator[str]:
    if isinstance(purge, dict):
        yield f"PURGE: off, no [pdns] channel is configured: {purge['advice']}"
        return
    for channel in purge:
        waiting = f"{channel['unpurged']} to purge for {span(channel['oldest'])}"
        yield (
            f"PURGE: {channel['channel']} failing, {waiting}: {channel['error']};"
            " PowerDNS may answer from its cache"
        )


def _stores(mirror: Details) -> Iterator[str]:
    if mirror["is_volatile"]:
        yield "STORE: the local file cannot be used, a restart loses the state of this node"
    for store in mirror["mirrors"]:
        if not store["is_connected"]:
            behind = f"{span(store['lag'])} behind, {store['backlog']} changes wait"
            yield f"STORE: {store['store']} unavailable, {behind}: {store['last_error']}"
        if other := store["duplicate_instance"]:
            yield (
                f"NODE NAME: another daemon (instance {other}) uses it in {store['store']}:"
                " give every daemon its own global.node"
            )


def _config(config: Details) -> Iterator[str]:
    more = f" (and {config['problems'] - 1} more)" if config["problems"] > 1 else ""
    ago = f"reload refused {span(config['refused_for'])} ago"
    yield f"CONFIG: running is not what is on disk, {ago}: {config['problem']}{more}"


def _quorum(quorum: Details) -> Iterator[str]:
    """That this node cannot decide with others now, or that they say otherwise."""
    if quorum["abstains"]:
        yield f"QUORUM: this node abstains: {quorum['abstains']}"
    if quorum["obstacle"]:
        yield f"QUORUM: this fleet cannot decide together: {quorum['obstacle']}"
    if quorum["held"] or quorum["own"]:
        held, own = f"{quorum['held']} targets held", f"{quorum['own']} by this node alone"
        yield f"QUORUM: too few nodes vote on some targets: {held}, {own}"
    if quorum["outvoted"]:
        yield f"OUTVOTED: this node says otherwise of {quorum['outvoted']} targets"
    if quorum["error"]:
        yield f"QUORUM: votes are not exchanged: {quorum['error']}"


_READERS: dict[str, Callable[[Any], Iterator[str]]] = {
    "brake": _brake,
    "purge": _purge,
    "mirror": _stores,
    "config": _config,
    "quorum": _quorum,
}
