"""Collecting what is wrong with a configuration, so that one run names every place."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

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

    def at(self, file: str, *path: str | int) -> "Cursor":
        """A place to report problems of."""
        return Cursor(self, file, path)

    def raise_if_refused(self) -> None:
        if self.problems:
            raise ConfigError(self.problems)


class Cursor(NamedTuple):
    """One key of a configuration file; what is wrong with it is added to `problems`."""

    # No dataclass: a record makes a dozen, and a frozen one takes much longer to make.

    problems: Problems
    file: str
    path: Path = ()

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.file, dotted(*self.path))))

    def at(self, *path: str | int) -> "Cursor":
        """A key below this one."""
        return Cursor(self.problems, self.file, (*self.path, *path))

    @property
    def parent(self) -> "Cursor":
        return Cursor(self.problems, self.file, self.path[:-1])

    def refuse(self, message: str) -> None:
        self.problems.problems.append(self._problem(message))

    def warn(self, message: str) -> None:
        self.problems.warnings.append(self._problem(message))

    def refuse_invalid(self, error: ValidationError, model: type[BaseModel]) -> None:
        """Report what pydantic found wrong with a `model` that is written here."""
        self.problems.problems += problems_of(error, self.file, self.path, model)

    def parse(self, model: type[Model], value: Any) -> Model | None:
        """`value` as a `model`, or None after reporting what is wrong with it."""
        if not isinstance(value, dict):
            self.refuse(f"must be a table, not {type(value).__name__}")
            return None
        try:
            return model.model_validate(value)
        except ValidationError as error:
            self.refuse_invalid(error, model)
        except ConfigError as error:
            self.problems.problems += error.problems
        return None

    def _problem(self, message: str) -> ConfigProblem:
        return ConfigProblem(self.file, dotted(*self.path), redact_userinfo(message))
