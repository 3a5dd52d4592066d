"""docs/checks.md says all that the registry knows, and its examples are accepted."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dnslb_backend.checkers.checks.extraction import Extractor
from dnslb_backend.checkers.checks.registry import KINDS, check_class, parse_check
from dnslb_backend.core.health.results import Code

PAGE = (Path(__file__).parents[2] / "docs" / "checks.md").read_text()


def section(name: str) -> str:
    """The section of a kind: from its heading to the next one of the same level."""
    heading = {"https": "http"}.get(name, name)
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/checks.md has no section for {name}"
    return found[1]


def examples(text: str) -> list[dict[str, Any]]:
    blocks = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [tomllib.loads(block) for block in blocks]


@pytest.mark.parametrize("name", KINDS)
def test_every_parameter_of_every_kind_is_explained(name: str) -> None:
    rows = "\n".join(line for line in section(name).splitlines() if line.startswith("| `"))
    missing = [key for key in check_class(name).model_fields if f"`{key}`" not in rows]
    assert not missing


@pytest.mark.parametrize("name", KINDS)
def test_every_default_is_true(name: str) -> None:
    """Where the page shows a plain value as the default of one key, the key has that default."""
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", section(name), re.MULTILINE)
    fields = check_class(name).model_fields
    for key, shown in rows:
        default = fields[key].default
        value = tomllib.loads(f"value = {shown}")["value"]
        if key == "status":
            assert parse_check({"type": "http", "url": "http://x/", "status": value}) == (
                parse_check({"type": "http", "url": "http://x/"}).model_copy()
            )
        else:
            assert (list(default) if isinstance(default, tuple) else default) == value


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_has_an_example_that_works(name: str) -> None:
    shown = examples(section(name))
    assert shown
    for example in shown:
        check = parse_check(
            example["check"],
            expect=example.get("expect", ""),
            prio_regex=example.get("prio_regex", ""),
        )
        assert isinstance(check, check_class(name))


def test_all_examples_work() -> None:
    for example in examples(PAGE):
        record = example.get("records", {}).get("www", {}).get("A", example)
        parse_check(record["check"])


def test_every_source_of_a_number_is_explained() -> None:
    for name in Extractor.model_fields:
        assert f"| `{name}` |" in PAGE


def test_every_code_is_explained() -> None:
    for code in Code:
        assert f"| {int(code)} |" in PAGE


def test_every_kind_is_in_the_list() -> None:
    for name in KINDS:
        assert f"`{name}`" in PAGE.partition("## Common to all kinds")[0]
