"""The layers of ARCHITECTURE.md, read off the imports of every module.

    cli -> { daemon | importers } -> config -> { pdns | checkers | store | admin | notifications }
        -> { core, logs, metrics } -> errors

A module may import its own layer and every layer below it. Layers of one row do not know each
other, and the core knows nothing but errors. Inside a folder the same holds for its rooms (ROOMS).
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "dnslb_backend"
ROOT = Path(__file__).parent.parent / PACKAGE

ROWS = (
    {"cli"},
    {"daemon", "importers"},
    {"config"},
    {"pdns", "checkers", "store", "admin", "notifications"},
    {"clock", "http"},
    {"core", "logs", "metrics"},
    {"errors"},
)

# Where the modules and folders at the top of the package belong. One that is not here fails.
HOMES = {
    "__main__": "cli",
    "cli": "cli",
    "demo": "cli",
    "daemon": "daemon",
    "systemd": "daemon",
    "clock": "clock",
    "importers": "importers",
    "config": "config",
    "pdns": "pdns",
    "checkers": "checkers",
    "store": "store",
    "admin": "admin",
    "notifications": "notifications",
    "core": "core",
    "logs": "logs",
    "network": "logs",
    "redaction": "logs",
    "throttle": "logs",
    "tls_client": "logs",
    "sockets": "logs",
    "http_server": "http",
    "http_hosts": "logs",
    "files": "logs",
    "blocking": "logs",
    "slices": "logs",
    "mariadb_protocol": "logs",
    "metrics": "metrics",
    "component_log": "metrics",
    "tasks": "metrics",
    "errors": "errors",
}

# Directions inside the folders: a module may import those that stand before it, and its own room.
# Names are folders or modules; a module of a folder that is in no row fails.
ROOMS = {
    "core": ({"model"}, {"health"}, {"answers"}),
    "checkers": ({"resources"}, {"checks"}, {"schedule"}),
    "store": (
        {"settings"},
        {"database"},
        {"mirror", "shared"},
        {"votes"},
        {"replica"},
        {"persistence"},
    ),
    "pdns": ({"peers"}, {"settings"}, {"wire"}, {"methods"}, {"connectors", "cache"}),
    "admin": ({"settings", "control"}, {"http"}, {"api"}, {"app"}, {"server"}),
    "notifications": (
        {"settings", "decisions", "name_resolver"},
        {"events"},
        {"event_queue", "payload"},
        {"receiver"},
        {"webhook", "command", "worker"},
        {"dispatcher"},
    ),
    "importers": (
        {"draft"},
        {"toml", "zone_file", "sql_dump", "lua_expression"},
        {"acceptance", "lua_answers", "powergslb_checks", "powergslb_tables"},
        {"lua_views", "powergslb_views", "sources"},
        {"powergslb_records", "database"},
        {"lua", "powergslb"},
    ),
}

# What the core may use of the world: nothing here waits, looks at a clock, or depends on chance.
PURE = {
    "abc",
    "base64",
    "bisect",
    "collections",
    "collections.abc",
    "dataclasses",
    "enum",
    "fnmatch",
    "functools",
    "hashlib",
    "heapq",
    "ipaddress",
    "itertools",
    "json",
    "math",
    "operator",
    "re",
    "types",
    "typing",
    "zlib",
    "dns.exception",
    "dns.name",
    "dns.rdata",
    "dns.rdataclass",
    "dns.rdatatype",
    "dns.tokenizer",
}

# Built-ins that reach out of the core; hash() of a text differs from one run to the next.
IMPURE_CALLS = {"breakpoint", "exec", "eval", "hash", "input", "open", "print", "__import__"}

# The driver trusts every server with the password: one module knows it, and looks before it sends.
ONE_IMPORTER = {"aiomysql": {"mariadb_protocol"}, "pymysql": {"mariadb_protocol"}}

# PowerDNS starts one of these per thread, and again whenever it breaks: it must start at once.
STDLIB_ONLY = {f"{PACKAGE}.pdns.connectors.coprocess"}


def modules() -> dict[str, str]:
    """Dotted name and source of every module of the package."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path.read_text()
    return found


def layer_of(module: str) -> str | None:
    """The layer of a module of ours; "" for the package itself, None where nobody said."""
    parts = module.split(".")
    return HOMES.get(parts[1]) if len(parts) > 1 else ""


def below(layer: str) -> set[str]:
    """The layers that `layer` may import besides itself."""
    if layer == "core":
        return {"errors"}
    row = next(number for number, layers in enumerate(ROWS) if layer in layers)
    return set().union(*ROWS[row + 1 :])


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of all that a module imports, also inside functions and for types."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, name) for name in names_of(node))


def names_of(node: ast.ImportFrom) -> list[str]:
    """The modules that one `from` line names: `from dnslb_backend import daemon` is one, too."""
    module = "." * node.level + (node.module or "")
    if module == PACKAGE or module == "dns":
        return [f"{module}.{alias.name}" for alias in node.names]
    return [module]


def faults(module: str, source: str) -> list[str]:
    """One line for each thing that `module` may not do, with its place."""
    layer = layer_of(module)
    if layer is None:
        return [f"{module} belongs to no layer: give it one in HOMES"]
    tree = ast.parse(source)
    found = [
        f"{module}:{line} imports {name}: {why}"
        for line, name in imports(tree)
        if (why := objection(module, layer, name))
    ]
    if layer == "core":
        found += [f"{module}:{line} {why}" for line, why in impurities(tree)]
    return found


def objection(module: str, layer: str, name: str) -> str:
    """Why a module of `layer` may not import `name`; empty where it may."""
    top = name.split(".")[0]
    if name.startswith("."):
        return "imports are absolute"
    if module in STDLIB_ONLY and top not in sys.stdlib_module_names:
        return "the coprocess starts with the standard library alone"
    if top in ONE_IMPORTER and module.removeprefix(f"{PACKAGE}.") not in ONE_IMPORTER[top]:
        return f"{top} is for {' and '.join(sorted(ONE_IMPORTER[top])) or 'nobody'}"
    if top != PACKAGE:
        return "" if layer != "core" or name in PURE else "the core is pure (PURE has what it may)"
    return direction(module, layer, name)


def direction(module: str, layer: str, name: str) -> str:
    """Why a module of `layer` may not import our module `name`; empty where it may."""
    target = layer_of(name)
    if name == f"{PACKAGE}.__version__":
        return ""
    if target == layer:
        return inner_direction(module, name)
    if target is None:
        return "it belongs to no layer"
    if layer == "":
        return "the package itself imports nothing"
    allowed = below(layer)
    return (
        "" if target in allowed else f"{layer} may import {', '.join(sorted(allowed)) or 'nothing'}"
    )


def room_of(module: str) -> tuple[str, str]:
    """The folder and the room of a module; the room is "" for the folder itself."""
    parts = module.split(".")
    return (parts[1] if len(parts) > 1 else "", parts[2] if len(parts) > 2 else "")


def inner_direction(module: str, name: str) -> str:
    """Why a module may not import another one of its own folder; empty where it may."""
    folder, room = room_of(module)
    other_folder, other = room_of(name)
    if folder not in ROOMS or folder != other_folder or room == other:
        return ""
    rows = {each: number for number, row in enumerate(ROOMS[folder]) for each in row}
    if room not in rows or other not in rows:
        return f"{room if room not in rows else other} is no room of {folder}: give it one in ROOMS"
    return "" if rows[other] < rows[room] else f"in {folder}, {room} does not import {other}"


def impurities(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield node.lineno, "waits: the core is called, and returns"
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in IMPURE_CALLS
        ):
            yield node.lineno, f"calls {node.func.id}(): the core is pure"


TASKS = {"create_task", "ensure_future"}


def ownerless_tasks(tree: ast.Module) -> Iterator[int]:
    """Lines that start a task which neither a TaskGroup nor BackgroundTasks owns."""
    groups = {
        item.optional_vars.id
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncWith)
        for item in node.items
        if isinstance(item.context_expr, ast.Call)
        and ast.unparse(item.context_expr.func) == "asyncio.TaskGroup"
        and isinstance(item.optional_vars, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            owner = ast.unparse(node.value) if isinstance(node, ast.Attribute) else ""
            if name in TASKS and owner not in groups:
                yield node.lineno


def uncounted_exceptions(tree: ast.Module) -> Iterator[int]:
    """Lines that log an unexpected exception in a log that does not count it."""
    counting = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "ComponentLog"
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "exception"
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id.startswith("log")
            and node.func.value.id not in counting
        ):
            yield node.lineno


def test_every_task_has_an_owner() -> None:
    found = [
        f"{name}:{line} starts a task without an owner: use a TaskGroup, or BackgroundTasks"
        for name, source in modules().items()
        if name != f"{PACKAGE}.tasks"
        for line in ownerless_tasks(ast.parse(source))
    ]
    assert not found, "\n" + "\n".join(found)


def test_every_unexpected_exception_that_is_logged_is_counted() -> None:
    found = [
        f"{name}:{line} logs an exception and does not count it: use a ComponentLog"
        for name, source in modules().items()
        for line in uncounted_exceptions(ast.parse(source))
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "asyncio.create_task(f())",
        "asyncio.ensure_future(f())",
        "loop.create_task(f())",
        "group.create_task(f())",
        "from asyncio import create_task\ncreate_task(f())",
        "start = asyncio.create_task",
        "async def g():\n    async with other() as group:\n        group.create_task(f())",
    ],
)
def test_a_task_without_an_owner_is_found(source: str) -> None:
    assert list(ownerless_tasks(ast.parse(source)))


def test_a_task_of_a_group_has_an_owner() -> None:
    source = (
        "async def g():\n    async with asyncio.TaskGroup() as group:\n"
        "        group.create_task(f())\n"
    )
    assert not list(ownerless_tasks(ast.parse(source)))


def test_a_log_that_does_not_count_is_found() -> None:
    uncounted = "log = logging.getLogger(__name__)\nlog.exception('x')"
    assert list(uncounted_exceptions(ast.parse(uncounted))) == [2]
    counted = "log = ComponentLog(__name__, 'check')\nlog.exception('x')"
    assert not list(uncounted_exceptions(ast.parse(counted)))


def test_every_module_keeps_to_its_layer() -> None:
    found = [line for name, source in modules().items() for line in faults(name, source)]
    assert not found, "\n" + "\n".join(found)


def test_the_packages_around_the_coprocess_import_nothing_that_costs_time() -> None:
    sources = modules()
    for name in STDLIB_ONLY & sources.keys():
        parts = name.split(".")
        packages = [".".join(parts[:number]) for number in range(1, len(parts))]
        costly = [
            imported
            for package in packages
            for _, imported in imports(ast.parse(sources[package]))
            if imported.split(".")[0] not in sys.stdlib_module_names
        ]
        assert not costly, f"{costly} is imported before {name}"


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        (
            "pdns.connectors.http",
            "from dnslb_backend.store.mirror.rows import Row",
            "pdns may import",
        ),
        ("pdns.connectors.http", "import dnslb_backend.store.mirror.rows", "pdns may import"),
        ("pdns.connectors.http", "from dnslb_backend import admin", "pdns may import"),
        (
            "pdns.connectors.http",
            "def f():\n    from dnslb_backend.admin import page",
            "pdns may import",
        ),
        ("store.database.sqlite", "from dnslb_backend.config.models import X", "store may import"),
        ("core.model.names", "from dnslb_backend.metrics import X", "core may import errors"),
        ("core.model.names", "import asyncio", "core is pure"),
        ("core.model.names", "from time import monotonic", "core is pure"),
        ("core.model.names", "import dns.resolver", "core is pure"),
        ("core.model.names", "from dns import asyncquery", "core is pure"),
        ("core.model.names", "async def f(): ...", "waits"),
        ("core.model.names", "hash('x')", "hash()"),
        ("core.model.names", "from . import records", "absolute"),
        ("logs", "from dnslb_backend.core.model.names import Name", "logs may import errors"),
        ("errors", "from dnslb_backend.core.model import names", "errors may import nothing"),
        ("daemon", "from dnslb_backend.cli import app", "daemon may import"),
        ("daemon.life", "from dnslb_backend.importers.lua import X", "daemon may import"),
        ("importers.lua", "from dnslb_backend.daemon.life import X", "importers may import"),
        ("config.load", "from dnslb_backend.importers.draft import X", "config may import"),
        ("admin.api.rows", "import aiomysql", "aiomysql is for mariadb_protocol"),
        ("store.database.mariadb", "import pymysql", "pymysql is for mariadb_protocol"),
        (
            "pdns.connectors.coprocess",
            "from dnslb_backend.errors import DnslbError",
            "standard library",
        ),
        ("pdns.connectors.coprocess", "import aiohttp", "standard library"),
        (
            "core.model.names",
            "from dnslb_backend.core.health.ttl import X",
            "in core, model does not",
        ),
        ("core.health.ttl", "from dnslb_backend.core.answers.nsec import X", "health does not"),
        ("checkers.checks.base", "from dnslb_backend.checkers.schedule.brake import X", "checks"),
        ("store.shared.dnssec", "from dnslb_backend.store.mirror.rows import X", "shared does not"),
        ("pdns.cache.purger", "from dnslb_backend.pdns.connectors.http import X", "cache does not"),
        ("admin.http.auth", "from dnslb_backend.admin.api.rows import X", "http does not"),
        ("importers.toml", "from dnslb_backend.importers.lua import X", "toml does not"),
        (
            "notifications.command",
            "from dnslb_backend.checkers.resources.commands import X",
            "notifications may import",
        ),
        (
            "notifications.events",
            "from dnslb_backend.notifications.worker import X",
            "events does not",
        ),
        ("store.odd", "from dnslb_backend.store.mirror.rows import X", "no room of store"),
        ("surprise", "", "belongs to no layer"),
        ("pdns.connectors.http", "from dnslb_backend.surprise import X", "belongs to no layer"),
    ],
)
def test_a_breach_is_found(module: str, source: str, complaint: str) -> None:
    (fault,) = faults(f"{PACKAGE}.{module}", source)
    assert complaint in fault


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("cli.main", "from dnslb_backend.daemon import Daemon\nimport typer"),
        ("config.load", "from dnslb_backend.pdns.settings import ServerSettings"),
        ("pdns.connectors.http", "import asyncio\nfrom dnslb_backend.core.model.names import Name"),
        ("core.model.names", "import dns.name\nfrom dnslb_backend.errors import NameFormatError"),
        ("admin.api.rows", "from dnslb_backend import __version__"),
        ("mariadb_protocol", "import aiomysql"),
        ("pdns.connectors.coprocess", "import socket\nimport sys"),
    ],
)
def test_what_goes_down_is_allowed(module: str, source: str) -> None:
    assert faults(f"{PACKAGE}.{module}", source) == []
