"""Collecting what is wrong with a configuration, so that one run names every place."""

from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dnslb_backend.config.validation import dotted, problems_of
from dnslb_backend.errors import ConfigError, ConfigProblem
from dnslb_backend.redaction import redact_userinfo

Model = TypeVar("Model", bound=BaseModel)
Path = tuple[str | int, ...]


@dataclass(slots=True)
class Problems:
    """Problems stop the program; warnings are shown and it runs."""

    problems: list[ConfigProblem] = field(default_factory=list)
    warnings: list[ConfigProblem] = field(default_factory=list)

    def refuse(self, file: str, path: Path, message: str) -> None:
        self.problems.append(ConfigProblem(file, dotted(*path), redact_userinfo(message)))

    def warn(self, file: str, path: Path, message: str) -> None:
        self.warnings.append(ConfigProblem(file, dotted(*path), message))

    def parse(self, model: type[Model], value: Any, file: str, path: Path) -> Model | None:
        """`value` as a `model`, or None after noting what is wrong with it."""
        if not isinstance(value, dict):
            self.refuse(file, path, f"must be a table, not {type(value).__name__}")
            return None
        try:
            return model.model_validate(value)
        except ValidationError as error:
            self.problems += problems_of(error, file, path, model)
        except ConfigError as error:
            self.problems += error.problems
        return None

    def raise_if_refused(self) -> None:
        if self.problems:
            raise ConfigError(self.problems)
