"""The JSON Schema of configuration files, made from the models that read them.

Editors complete and check with it; it refuses unknown keys, wrong types and numbers out of range.
What takes more than one value to judge is left to `check-config`.
"""

from functools import cache, reduce
from operator import or_
from typing import Annotated, Any

from pydantic import BaseModel, Field, create_model
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.checkers.checks.base import Check
from dnslb_backend.checkers.checks.registry import KINDS, check_class
from dnslb_backend.config import models
from dnslb_backend.config.load import SECTIONS
from dnslb_backend.config.records import TYPES
from dnslb_backend.notifications.settings import (
    CommandSettings,
    NotifySettings,
    WebhookSettings,
)
from dnslb_backend.pdns.settings import PdnsSettings, ServerSettings
from dnslb_backend.store.settings import MysqlSettings, StateSettings

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The newest one that editors of TOML agree on."""

DECIMAL = r"^[+-]?[0-9]{1,18}(\.[0-9]{1,18})?$"
WHOLE = r"^[+-]?[0-9]{1,18}$"
STATUSES = r"^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$"

ALSO_WRITTEN: dict[str, JsonSchemaValue | None] = {
    "_as_tuple": None,
    "_list": None,
    "_integer": {"type": "string", "pattern": WHOLE},
    "_lower": {"enum": ["DEBUG", "INFO", "WARNING", "ERROR"]},
    "_one_or_more": {"type": "string"},
    "_seconds": {"type": "string", "pattern": DECIMAL},
    "_switch": {"enum": [0, 1]},
}
"""What else may be written, by the function that turns it into what the model holds."""

WRITTEN: dict[str, JsonSchemaValue] = {
    "_pairs": {"type": "object", "additionalProperties": {"type": "string"}},
    "_presets": {"type": "array", "items": {"type": ["string", "object"]}},
    "_statuses": {
        "type": "array",
        "minItems": 1,
        "items": {
            "anyOf": [
                {"type": "integer", "minimum": 100, "maximum": 599},
                {"type": "string", "pattern": STATUSES},
            ]
        },
    },
}
"""What is written instead of what the model holds, by that function."""


def main_file() -> JsonSchemaValue:
    """The schema of a whole configuration file."""
    tables: dict[str, Any] = {name: (model, None) for name, model in _sections().items()}
    assert tables.keys() == set(SECTIONS)
    return _render(_table("Configuration", tables), "A configuration of dnslb-backend")


def record_file() -> JsonSchemaValue:
    """The schema of a file of `load_records`: the records of a zone, by name and type."""
    found = _render(_types(), "Balanced records of dnslb-backend")
    types = {key: found.pop(key) for key in ("type", "properties", "additionalProperties")}
    return found | {"type": "object", "additionalProperties": types}


def _sections() -> dict[str, Any]:
    types: Any = _types()
    fields: dict[str, Any] = {"records": (dict[str, types], {})}
    zone = create_model("Zone", __base__=models.ZoneSettings, **fields)
    receivers: dict[str, Any] = {
        "webhooks": (dict[str, WebhookSettings], {}),
        "commands": (dict[str, CommandSettings], {}),
    }
    return {
        "global": models.GlobalSettings,
        "default": _record(),
        "records": dict[str, types],
        "zones": dict[str, zone],
        "views": dict[str, models.ViewSettings],
        "geo": models.GeoSettings,
        "server": ServerSettings,
        "pdns": PdnsSettings,
        "admin": AdminSettings,
        "brake": models.BrakeSettings,
        "quorum": models.QuorumSettings,
        "state": StateSettings,
        "mysql": MysqlSettings,
        "notify": create_model("Notify", __base__=NotifySettings, **receivers),
    }


@cache
def _types() -> type[BaseModel]:
    """What is below the name of a record: a table for each type."""
    return _table("RecordTypes", {name: (_record(), None) for name in TYPES})


@cache
def _record() -> type[BaseModel]:
    """A record whose checks are those of the registry, rather than any table."""
    kinds: Any = reduce(or_, dict.fromkeys(map(check_class, KINDS)))
    check: Any = list[str] | Annotated[kinds, Field(discriminator="type")]
    fields: dict[str, Any] = {
        "check": (check | None, None),
        "checks": (Annotated[list[check], Field(min_length=1)] | None, None),
    }
    return create_model("Record", __base__=models.RecordSettings, **fields)


def _table(name: str, fields: dict[str, Any]) -> type[BaseModel]:
    return create_model(name, __base__=models.ConfigTable, **fields)


def _render(model: type[BaseModel], title: str) -> JsonSchemaValue:
    made = model.model_json_schema(schema_generator=_Generator)
    return {"$schema": DIALECT, "title": title} | made


class _Generator(GenerateJsonSchema):
    """Describes what is written in the file, with the docstrings of the models."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        model = schema["cls"]
        words = _words(model)
        properties = made.get("properties", {})
        described = {name: _described(value, words.get(name)) for name, value in properties.items()}
        required = [*made.get("required", []), *(["type"] if issubclass(model, Check) else [])]
        kept = {"type": "object", "additionalProperties": False, "properties": described}
        return kept | ({"required": required} if required else {})

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """TOML has no null: what may be left out is no other value."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Without what is no value in a file: none, and tables, whose keys have defaults."""
        made = super().default_schema(schema)
        if schema.get("default_factory") is list:
            made["default"] = []
        if made.get("default") is None or isinstance(made["default"], dict):
            made.pop("default", None)
        return made

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        """Without the keyword of OpenAPI, which is none of JSON Schema's."""
        made = super().tagged_union_schema(schema)
        made.pop("discriminator", None)
        return made

    def function_before_schema(
        self, schema: core_schema.BeforeValidatorFunctionSchema
    ) -> JsonSchemaValue:
        name = schema["function"]["function"].__name__
        if name in WRITTEN:
            return WRITTEN[name]
        made, other = super().function_before_schema(schema), ALSO_WRITTEN[name]
        return made if other is None else {"anyOf": [made, other]}

    def field_title_should_be_set(self, schema: object) -> bool:
        """No titles: they would only repeat the keys."""
        return False


def _described(value: JsonSchemaValue, words: str | None) -> JsonSchemaValue:
    """A key with its docstring; beside $ref readers ignore everything, below allOf they do not."""
    made = dict(value)
    if words is not None:
        made["description"] = words
    if "$ref" in made and len(made) > 1:
        made["allOf"] = [{"$ref": made.pop("$ref")}]
    return made


def _words(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings of a model's keys, or of the model that one made here is based on."""
    bases = (base for base in model.__mro__ if issubclass(base, BaseModel))
    documented = next(base for base in bases if base.__module__ != __name__)
    return {
        name: " ".join(field.description.split())
        for name, field in documented.model_fields.items()
        if field.description
    }
