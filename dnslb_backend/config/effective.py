"""The configuration of a balanced record after inheritance, and where each key is from."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, SecretStr

from dnslb_backend.checkers.checks.kinds.exec import words_without_secrets
from dnslb_backend.checkers.checks.registry import parse_check
from dnslb_backend.config.files import ConfigPaths, read_toml
from dnslb_backend.config.load import load_with_origins
from dnslb_backend.config.models import RecordSettings
from dnslb_backend.config.problems import Cursor
from dnslb_backend.config.validation import default_of, dotted
from dnslb_backend.core.model.names import canonical_name, name_below
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.errors import UnresolvedNameError
from dnslb_backend.redaction import HIDDEN, redact_userinfo

Source = Literal["record", "[default]", "built-in"]


@dataclass(frozen=True, slots=True)
class EffectiveKey:
    """One key of a record: its value as TOML has it, without secrets, and where it is from."""

    name: str
    value: object
    source: Source


@dataclass(frozen=True, slots=True)
class EffectiveRecord:
    """A balanced record; `path` is its table in `file`."""

    key: RecordKey
    file: str
    path: str
    keys: tuple[EffectiveKey, ...]


def effective_records(sources: ConfigPaths, name: str, record_type: str) -> list[EffectiveRecord]:
    """The records of a name, absolute or relative to a zone; `record_type` "" is every type.

    Raises ConfigError, UnresolvedNameError, NameFormatError.
    """
    config, origins = load_with_origins(sources)
    full = _resolve(name, config.plan.zones, {key.name for key in origins})
    found = [key for key in sorted(origins) if key.name == full]
    if record_type:
        found = [key for key in found if key.type == record_type.upper()]
    if not found:
        raise UnresolvedNameError(f"{name} {record_type}", ())
    default = read_toml(sources.main).get("default", {})
    return [_effective(key, origins[key], default) for key in found]


def _resolve(written: str, zones: Iterable[str], names: set[str]) -> str:
    absolute = canonical_name(f"{written.removesuffix('.')}.")
    if absolute in names:
        return absolute
    below = () if written.endswith(".") else (name_below(written, zone) for zone in zones)
    found = sorted(names.intersection(below))
    if len(found) != 1:
        raise UnresolvedNameError(written, tuple(found))
    return found[0]


def _effective(key: RecordKey, origin: Cursor, default: Mapping[str, Any]) -> EffectiveRecord:
    table: Any = read_toml(Path(origin.file))
    for step in origin.path:
        table = table[step]
    keys = tuple(_keys(table, default))
    return EffectiveRecord(key, origin.file, dotted(*origin.path), keys)


def _keys(own: Mapping[str, Any], default: Mapping[str, Any]) -> Iterator[EffectiveKey]:
    """The keys in the order of the reference; those that are unset and have no value left out."""
    has_checks = "check" in own or "checks" in own
    for name, field in RecordSettings.model_fields.items():
        if name in own:
            yield EffectiveKey(name, _shown(name, own[name]), "record")
        elif name in default and not (has_checks and name in ("check", "checks")):
            yield EffectiveKey(name, _shown(name, default[name]), "[default]")
        elif (value := default_of(field)) is not None:
            plain = value.model_dump() if isinstance(value, BaseModel) else value
            yield EffectiveKey(name, plain, "built-in")


def _shown(name: str, written: Any) -> object:
    if name == "check":
        return _without_secrets(written)
    if name == "checks":
        return [_without_secrets(each) for each in written]
    return _redacted(written)


def _without_secrets(check: Any) -> object:
    """A check as written, with its secrets hidden; a list is the command of an exec check."""
    if not isinstance(check, dict):
        return words_without_secrets(check)
    parsed = parse_check(check)
    return {name: _check_value(parsed, name, value) for name, value in check.items()}


def _check_value(parsed: BaseModel, name: str, value: object) -> object:
    if isinstance(getattr(parsed, name, None), SecretStr):
        return HIDDEN
    if name == "headers" and isinstance(value, dict):
        # Any of them may be a credential.
        return dict.fromkeys(value, HIDDEN)
    if name == "argv":
        return words_without_secrets(list(cast(list[str], value)))
    if name == "url" and isinstance(value, str) and "?" in value:
        # As may a parameter of the query.
        return redact_userinfo(f"{value.partition('?')[0]}?{HIDDEN}")
    return _redacted(value)


def _redacted(value: Any) -> object:
    """The value without users and passwords in its URLs."""
    if isinstance(value, dict):
        return {key: _redacted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_redacted(each) for each in value]
    return redact_userinfo(value) if isinstance(value, str) else value
