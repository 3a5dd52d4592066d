"""The web page before ten thousand members: how soon it shows something, and what changes."""

import json
import tempfile
import time
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from playwright.async_api import Browser

from tests.bench.beating import LargeDaemon
from tests.rigs.browser import Visit, chromium, visiting
from tests.rigs.daemon import Daemon
from tests.rigs.waiting import until

MEMBERS_OF_A_RECORD = 4
TOKEN = "operate-0123456789abcdef"
FLIPPING = "192.0.2.1"

WATCH = """
window.watched = {shift: 0, rows: 0, whole: 0, seen: [], longest: 0};
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (!entry.hadRecentInput) watched.shift += entry.value;
  }
}).observe({type: "layout-shift", buffered: true});
new PerformanceObserver((list) => {
  for (const {duration} of list.getEntries()) watched.longest = Math.max(watched.longest, duration);
}).observe({type: "longtask", buffered: true});
new MutationObserver(() => {
  const painted = (then) => requestAnimationFrame(() => setTimeout(then));
  if (!watched.rows && document.querySelector(".row.member")) {
    watched.rows = 1;
    painted(() => { watched.rows = performance.now(); });
  }
  if (!watched.whole && document.querySelector("#link[data-state=live]")) {
    watched.whole = 1;
    painted(() => { watched.whole = performance.now(); });
  }
  const row = [...document.querySelectorAll(".row.member")].find(
    (each) => each.querySelector(".content").textContent.startsWith("192.0.2.1"));
  const kind = row && row.dataset.kind;
  if (kind && kind !== watched.kind) {
    watched.kind = kind;
    painted(() => watched.seen.push([kind, performance.timeOrigin + performance.now()]));
  }
}).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
"""
"""What the browser notes of itself, from before the first byte of the page."""


class PageFigures(NamedTuple):
    """Milliseconds: until anything is painted, until members are, until all of them are known;
    from a transition to its paint, and the longest time the page did not react.

    `shift` is Chromium's figure for how much moved by itself, `nodes` how many elements exist.
    """

    members: int
    first_paint: float
    first_rows: float
    whole: float
    change: float
    slowest_change: float
    longest_task: float
    shift: float
    nodes: int


def configuration(members: int, directory: Path) -> str:
    """So many members, all well for ever, but for one: what it is stands in a file."""
    (directory / FLIPPING).write_text("up")
    (directory / "192.0.2.2").write_text("up")
    lines = [
        '[global]\ndomain_name = "lb.example"\nnode = "ns1"',
        f"[admin]\ntoken_file = {json.dumps(str(write_token(directory)))}",
        "[default]\nttl = 5\ninterval = 300\ntimeout = 2\ndns_timeout = 1",
        'check = { type = "static" }',
        f'[records."a-first".A]\ninterval = 0.5\ndest = ["{FLIPPING}", "192.0.2.2"]',
        f'check = {{ type = "file", path = "{directory}/%(address)s", expect = "up" }}',
    ]
    for number in range((members - 2) // MEMBERS_OF_A_RECORD + 1):
        host = f"10.{number >> 8}.{number & 255}"
        dests = ", ".join(f'"{host}.{last}"' for last in range(1, MEMBERS_OF_A_RECORD + 1))
        lines.append(f'[records."n{number:05}".A]\ndest = [{dests}]')
    return "\n".join(lines) + "\n"


def write_token(directory: Path) -> Path:
    path = directory / "tokens"
    path.write_text(f"operate {TOKEN} bench\n")
    path.chmod(0o600)
    return path


async def measure_page(members: int, *, loads: int = 5, changes: int = 10) -> PageFigures:
    """The medians of several loads, and of several changes."""
    with tempfile.TemporaryDirectory() as directory:
        config = configuration(members, Path(directory))
        async with LargeDaemon(config, ready=False) as daemon, chromium() as browser:
            await daemon.ready(within=120)
            found = [await _load(browser, daemon) for _ in range(loads)]
            delays, last = await _change(browser, daemon, changes, Path(directory))
    return PageFigures(
        members=members,
        first_paint=median(each["paint"] for each in found),
        first_rows=median(each["rows"] for each in found),
        whole=median(each["whole"] for each in found),
        change=median(delays),
        slowest_change=max(delays),
        longest_task=max(each["longest"] for each in found),
        shift=max([last["shift"], *(each["shift"] for each in found)]),
        nodes=int(last["nodes"]),
    )


async def order(daemon: Daemon, *, is_drain: bool) -> None:
    """Drain the member that everybody looks at, or take that back."""
    if is_drain:
        body = {"target": FLIPPING, "action": "drain"}
        status, told = await daemon.request("POST", "/api/v1/overrides", body, token=TOKEN)
    else:
        path = f"/api/v1/overrides?target={FLIPPING}"
        status, told = await daemon.request("DELETE", path, token=TOKEN)
    assert status in (200, 201), told


async def _load(browser: Browser, daemon: Daemon) -> dict[str, float]:
    async with visiting(browser, f"http://{daemon.admin}") as visit:
        await visit.page.add_init_script(WATCH)
        await visit.open()
        return await figures(visit)


async def _change(
    browser: Browser, daemon: Daemon, changes: int, directory: Path
) -> tuple[list[float], dict[str, float]]:
    """From each transition to its paint, in ms; and the figures of the page at the end."""
    delays = []
    async with visiting(browser, f"http://{daemon.admin}") as visit:
        await visit.page.add_init_script(WATCH)
        await visit.open()
        for number in range(changes):
            kind = "down" if number % 2 == 0 else "up"
            replacement = directory / "next"
            replacement.write_text(kind)
            replacement.rename(directory / FLIPPING)
            since = time.time()
            seen = await _seen(visit, kind)
            delays.append(seen - 1000 * await _moved(daemon, since))
        return delays, await figures(visit)


async def _moved(daemon: Daemon, since: float) -> float:
    """When the member has changed since then (Unix time); the history may be behind."""
    found = 0.0

    async def is_written() -> bool:
        nonlocal found
        _, told = await daemon.get("/api/v1/history?name=a-first&event=transition&limit=1")
        found = datetime.fromisoformat(told["events"][0]["at"]).timestamp()
        return found >= since

    await until(is_written, within=120)
    return found


async def _seen(visit: Visit, kind: str) -> float:
    """When the page had painted the member as said, Unix time in ms."""

    async def is_seen() -> bool:
        return bool(await visit.page.evaluate("(watched.seen.at(-1) || [])[0]") == kind)

    await until(is_seen, within=30)
    seen: float = await visit.page.evaluate("watched.seen.at(-1)[1]")
    return seen


async def figures(visit: Visit) -> dict[str, float]:
    """What the page noted of itself."""
    await until(lambda: visit.page.evaluate("watched.rows > 1 && watched.whole > 1"), within=30)
    found: dict[str, Any] = await visit.page.evaluate(
        """() => ({
          paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
          rows: watched.rows,
          whole: watched.whole,
          shift: watched.shift,
          longest: watched.longest,
          nodes: document.querySelectorAll("*").length,
        })"""
    )
    return found
