"""docs/configuration.md is what the models say, and what it shows as examples is accepted."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, create_model

from dnslb_backend.config import models
from dnslb_backend.config.load import SECTIONS as KNOWN
from dnslb_backend.config.reference import SECTIONS, Option, options, render
from dnslb_backend.store.settings import MysqlSettings

PAGE = Path(__file__).parents[2] / "docs/configuration.md"
EVERY = [(section.model, option) for section in SECTIONS for option in options(section.model)]


def test_the_page_is_made_of_the_models_of_today() -> None:
    assert PAGE.read_text() == render(), "make docs makes it anew"


def test_every_table_is_on_the_page() -> None:
    titles = " ".join(section.title for section in SECTIONS) + " [default]"
    assert [name for name in KNOWN if f"[{name}" not in titles] == []
    tables = {
        each
        for each in vars(models).values()
        if isinstance(each, type)
        and issubclass(each, models.ConfigTable)
        and each is not models.ConfigTable
    }
    assert tables <= {section.model for section in SECTIONS}


@pytest.mark.parametrize(
    ("model", "option"), EVERY, ids=[f"{model.__name__}.{option.name}" for model, option in EVERY]
)
def test_an_option_has_an_example_that_is_accepted(model: type[BaseModel], option: Option) -> None:
    written = option.example.strip("`")
    value = tomllib.loads(f"value = {written}")["value"]
    field = model.model_fields[option.name]
    definition: dict[str, Any] = {option.name: (field.annotation, field)}
    alone = create_model("Alone", __config__=model.model_config, **definition)
    alone.model_validate({option.name: value})


def test_an_option_without_a_docstring_is_an_error() -> None:
    class Settings(models.ConfigTable):
        explained: int = 1
        """Something. Default: else. More. Example: `2`"""
        unexplained: int = 1

    with pytest.raises(LookupError, match="unexplained"):
        list(options(Settings))
    del Settings.model_fields["unexplained"]
    assert list(options(Settings)) == [
        Option("explained", "whole number", "else", "Something. More.", "`2`")
    ]


def test_what_an_original_may_say_in_vain_is_named() -> None:
    page = render()
    ignored = MysqlSettings.model_fields.keys() - {option.name for _, option in EVERY}
    assert [name for name in ignored if f"`{name}`" not in page] == []
