"""docs/configuration.md, made from the models: `python -m dnslb_backend.config.reference`.

What an option is for is written in the docstring below it, as MEANING [Default: WORDS.] [Example:
`TOML`]; its type, its default and its limits are those that the model enforces. An option without a
docstring, or of a type that has no words here, is an error: it cannot be forgotten.
"""

import re
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, SecretStr, Tag
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.config import models
from dnslb_backend.config.validation import default_of
from dnslb_backend.notifications.settings import (
    CommandSettings,
    NotifySettings,
    WebhookSettings,
    WebhookTlsSettings,
)
from dnslb_backend.pdns.settings import PdnsSettings, ServerSettings
from dnslb_backend.store.settings import (
    IGNORED_KEYS,
    MysqlSettings,
    MysqlTlsSettings,
    StateSettings,
)

HEAD = """\
# Configuration

<!-- Made by `make docs` from the models in dnslb_backend/; what is changed here is lost. -->

One TOML file, `/etc/dnslb/dnslb.toml` unless `-c` or `DNSLB_CONFIG` names another, and files with
more records (`load_records`, `-r`). Every table, with comments, is in
[configs/dnslb.toml](../configs/dnslb.toml); `dnslb-backend check-config` says what is wrong with a
file, where, and what is allowed there. A key that is not on this page is refused. Times are in
seconds, fractions are allowed where a number is. Secrets may be in files of their own (the keys
that end in `_file`) and never appear in logs.

Editors that know JSON Schema (Even Better TOML for VS Code, or any with the taplo language server)
complete keys, show what they mean, and mark mistakes, if the first line of the file names the
schema: `#:schema PATH/dnslb.schema.json`, in a file of `load_records`
`#:schema PATH/records.schema.json`. Both are in [configs/](../configs/), and
`dnslb-backend schema config` prints them.
"""


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the file: its name in TOML, its model, and what is to be said first."""

    title: str
    model: type[BaseModel]
    text: str


SECTIONS = (
    Section("[global]", models.GlobalSettings, "The node, and where records come from."),
    Section(
        '[records."NAME".TYPE]',
        models.RecordSettings,
        "A balanced record: NAME is relative to `global.domain_name` (`@` is the zone itself, `*` "
        "a wildcard), TYPE is A, AAAA, CNAME, MX or SRV. What a record leaves out is taken from "
        "`[default]`, which has the same keys.",
    ),
    Section("dest = [{ … }]", models.DestSettings, "A destination as a table."),
    Section("sticky = { … }", models.StickySettings, 'For `policy = "sticky"`.'),
    Section("damping = { … }", models.DampingSettings, "When a member counts as flapping."),
    Section(
        '[zones."NAME"]',
        models.ZoneSettings,
        "A zone. For `global.domain_name` the table is optional; every further zone has one.",
    ),
    Section("soa = { … }", models.SoaSettings, "The SOA of a zone; its serial follows changes."),
    Section("static = [{ … }]", models.StaticSettings, "A row that does not depend on health."),
    Section(
        "[views.NAME]",
        models.ViewSettings,
        "Clients that are given members of their own; NAME is what destinations say in `views`.",
    ),
    Section("[geo]", models.GeoSettings, "The location database that views may use."),
    Section(
        "[server]",
        ServerSettings,
        "What PowerDNS talks to; see [PowerDNS](powerdns.md).",
    ),
    Section(
        "[pdns]",
        PdnsSettings,
        "How PowerDNS's own caches are kept right: names that changed are purged. Without this "
        "table they must be off.",
    ),
    Section("[admin]", AdminSettings, "What operators talk to; see [the API](api.md)."),
    Section(
        "[brake]",
        models.BrakeSettings,
        "For the time when our own network fails: then no target goes DOWN.",
    ),
    Section(
        "[quorum]",
        models.QuorumSettings,
        "Present: nodes decide together what is UP, by votes in the database of `[mysql]`.",
    ),
    Section(
        "[notify]",
        NotifySettings,
        "Who is notified when a record or a member changes; see [notifications](notifications.md).",
    ),
    Section("[notify.webhooks.NAME]", WebhookSettings, "A URL that events are posted to."),
    Section("tls = { … }", WebhookTlsSettings, "How a webhook with https is met."),
    Section("[notify.commands.NAME]", CommandSettings, "A command that is run with events."),
    Section("[state]", StateSettings, "The local copy of the health map, always kept."),
    Section(
        "[mysql]",
        MysqlSettings,
        "Present: the health map is mirrored into MariaDB, see [SQL](sql.md). Keys of other "
        f"drivers have no effect: {', '.join(f'`{key}`' for key in sorted(IGNORED_KEYS))}.",
    ),
    Section("ssl = { … }", MysqlTlsSettings, "How the connection to MariaDB is encrypted."),
)
"""In the order of the page. A table of tables (`check`) has a page of its own."""

WORDS: dict[str, str] = {
    "check_canary": "ADDRESS:PORT",
    "_check_argument": "text",
    "_check_control_socket": "path",
    "_check_db_hosts": "host name, or list of host name",
    "check_listen": "ADDRESS:PORT, or empty",
    "_check_mode": "octal permissions",
    "check_network": "network",
    "_check_path": "path",
    "_check_secret": "text",
    "_check_servers": "path, or list of path",
    "_check_url": "URL",
    "_check_webhook_url": "URL",
    "check_host": "host name",
    "check_word": "key of a label",
    "_regexp": "regular expression",
    "check_secondary": "address, or ADDRESS:PORT",
}
"""What a text is, by the function that checks it."""

PLAIN: dict[Any, str] = {
    str: "text",
    SecretStr: "text",
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One key of a table, as the page shows it."""

    name: str
    type: str
    default: str
    meaning: str
    example: str


def options(model: type[BaseModel]) -> Iterator[Option]:
    """The keys of a model. Raises LookupError for one that is not explained."""
    for name, field in model.model_fields.items():
        if name in IGNORED_KEYS and issubclass(model, MysqlSettings):
            continue
        if not field.description:
            raise LookupError(f"{model.__name__}.{name} has no docstring")
        text, _, example = " ".join(field.description.split()).partition(" Example: ")
        meaning, _, words = text.partition(" Default: ")
        default = _default(field)
        if words:
            words, _, rest = words.partition(". ")
            default = words.removesuffix(".")
            meaning = f"{meaning} {rest}".strip()
        yield Option(name, words_of(field), default, meaning, example or default)


def words_of(field: FieldInfo) -> str:
    """What may be written there, in words."""
    return _type(
        Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    )


def render() -> str:
    """The whole page."""
    return "\n".join([HEAD, *map(_section, SECTIONS)])


def _section(section: Section) -> str:
    lines = [f"## {section.title}", "", *textwrap.wrap(section.text, 100), ""]
    lines += ["| key | value | default | |", "|---|---|---|---|"]
    for option in options(section.model):
        shown = "" if option.example == option.default else f" Example: {option.example}"
        cells = (option.type, option.default, f"{option.meaning}{shown}")
        escaped = " | ".join(cell.replace("|", "\\|") for cell in cells)
        lines.append(f"| `{option.name}` | {escaped} |")
    return "\n".join([*lines, ""])


def _default(field: FieldInfo) -> str:
    value = default_of(field)
    if value is PydanticUndefined:
        return "required"
    return "none" if value is None else f"`{toml(value)}`"


def toml(value: object) -> str:
    """A value as TOML writes it."""
    match value:
        case bool():
            return str(value).lower()
        case str() | PurePath():
            return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
        case float():
            return f"{value:.12g}"
        case list() | tuple():
            return f"[{', '.join(map(toml, value))}]"
        case BaseModel():
            pairs = {name: getattr(value, name) for name in type(value).model_fields}
            inner = ", ".join(f"{k} = {toml(v)}" for k, v in pairs.items() if v is not None)
            return f"{{ {inner} }}"
    return str(value)


def _type(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        return _annotated(inner, metadata)
    if origin in (Union, types.UnionType):
        parts = dict.fromkeys(
            _type(part) for part in get_args(annotation) if part is not type(None)
        )
        return ", or ".join(parts)
    if origin is Literal:
        return ", ".join(f"`{toml(value)}`" for value in get_args(annotation))
    if origin in (list, tuple):
        each = _type(get_args(annotation)[0])
        return f"list of ({each})" if "," in each else f"list of {each}"
    if origin is dict or annotation is dict:
        return "table"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    if isinstance(annotation, type) and issubclass(annotation, PurePath):
        return "path"
    return PLAIN[annotation]


def _annotated(inner: Any, metadata: list[Any]) -> str:
    text = _type(inner)
    limits: dict[str, Any] = {}
    for item in metadata:
        if isinstance(item, AfterValidator) and not isinstance(item.func, type):
            text = _checked(item.func, text)
        for source in (item, *getattr(item, "metadata", ())):
            for name in ("gt", "ge", "le", "min_length", "max_length"):
                if getattr(source, name, None) is not None:
                    limits[name] = getattr(source, name)
        if isinstance(item, Tag):
            continue
    return text + _limits(limits, text)


def _checked(function: Callable[..., Any], text: str) -> str:
    """The words of a check for text; for a path or a number they are known already."""
    return text if text in ("path", "number") else WORDS[function.__name__]


def _limits(limits: dict[str, Any], text: str) -> str:
    if "gt" in limits:
        return f" above {limits['gt']:g}"
    if "ge" in limits and "le" in limits:
        return f", {limits['ge']} to {limits['le']}"
    if "ge" in limits:
        return f" from {limits['ge']:g}"
    if "max_length" in limits:
        return f", {limits.get('min_length', 0)} to {limits['max_length']} characters"
    return ", not empty" if "min_length" in limits and re.match("text|list", text) else ""


if __name__ == "__main__":
    sys.stdout.write(render())
