"""The JSON Schema of the configuration: up to date, true to the loader, of use to an editor."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from dnslb_backend.checkers.checks.registry import KINDS
from dnslb_backend.config.json_schema import main_file, record_file
from dnslb_backend.config.load import SECTIONS
from dnslb_backend.config.reference import SECTIONS as PAGES
from dnslb_backend.config.reference import options
from tests.cli.command import run
from tests.test_docs import TOML

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
MAIN, RECORDS = Draft7Validator(main_file()), Draft7Validator(record_file())
SHIPPED = {"dnslb.schema.json": MAIN, "records.schema.json": RECORDS}
EXAMPLES = sorted(CONFIGS.rglob("*.toml"))
RECORD = '[records."www".A]\ndest = ["192.0.2.1"]\n'


def complaints(validator: Draft7Validator, text: str) -> list[str]:
    """Where the schema refuses a file."""
    return [str(error.json_path) for error in validator.iter_errors(tomllib.loads(text))]


def named(path: Path) -> str:
    """The file that the first line of an example names as its schema."""
    found = re.match(r"#:schema (\S+)\n", path.read_text())
    assert found, path
    return found[1]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_file_is_made_of_the_models_of_today(name: str) -> None:
    assert json.loads((CONFIGS / name).read_text()) == SHIPPED[name].schema, "make docs makes it"


@pytest.mark.parametrize("validator", SHIPPED.values(), ids=SHIPPED)
def test_it_is_a_schema_that_describes_every_table(validator: Draft7Validator) -> None:
    Draft7Validator.check_schema(validator.schema)
    text = json.dumps(validator.schema)
    for table in PAGES if validator is MAIN else PAGES[1:2]:
        for option in options(table.model):
            assert json.dumps(option.meaning.split(". ")[0])[1:-2] in text, option
    assert [kind for kind in KINDS if f'"{kind}"' not in text] == []


async def test_the_command_prints_what_is_shipped() -> None:
    for words, name in (((), "dnslb.schema.json"), (("records",), "records.schema.json")):
        shown = await run("schema", "config", *words)
        assert (shown.code, json.loads(shown.out)) == (0, SHIPPED[name].schema)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_every_example_names_its_schema_and_passes(path: Path) -> None:
    name = named(path)
    if path.parent.name == "debian":
        assert name == "/usr/share/dnslb-backend/configs/dnslb.schema.json"
    else:
        assert (path.parent / name).resolve().parent == CONFIGS
    assert complaints(SHIPPED[Path(name).name], path.read_text()) == []


@pytest.mark.parametrize(("document", "text"), TOML)
def test_what_documents_show_passes(document: str, text: str) -> None:
    tables = tomllib.loads(text)
    record = {key: tables.pop(key) for key in list(tables) if key not in SECTIONS}
    if record:
        tables["default"] = record
    assert [error.message for error in MAIN.iter_errors(tables)] == [], document


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[globl]\n", "$"),
        ('[global]\ndomain = "lb.example"\n', "$.global"),
        ("[global]\ndomain_name = 5\n", "$.global.domain_name"),
        ("[global]\nmax_record_checks = 0\n", "$.global.max_record_checks"),
        ('[global]\nload_records = "records.d/*.toml"\n', "$.global.load_records"),
        ('[global]\nloglevel = "loud"\n', "$.global.loglevel"),
        (f"{RECORD}ttl = true\n", "$.records.www.A.ttl"),
        (f'{RECORD}interval = "soon"\n', "$.records.www.A.interval"),
        (f"{RECORD}intervall = 5\n", "$.records.www.A"),
        (f'{RECORD}policy = "random"\n', "$.records.www.A.policy"),
        (f'{RECORD}check = {{ type = "tpc", port = 80 }}\n', "$.records.www.A.check"),
        (f'{RECORD}check = {{ type = "tcp", prot = 80 }}\n', "$.records.www.A.check"),
        (f"{RECORD}check = {{ port = 80 }}\n", "$.records.www.A.check"),
        (f'{RECORD}check = {{ type = "http" }}\n', "$.records.www.A.check"),
        (f"{RECORD}dest = []\n".replace('dest = ["192.0.2.1"]\n', ""), "$.records.www.A.dest"),
        ('[records."www".TXT]\ndest = ["a"]\n', "$.records.www"),
        ('[zones.a.records."www".A]\nttl = -1\n', "$.zones.a.records.www.A.ttl"),
        ("[pdns]\ncontrol_socket = 5\n", "$.pdns.control_socket"),
        ("[mysql]\nport = 70000\n", "$.mysql.port"),
        ('[notify.webhooks.a]\nurl = "http://a"\nevent = 1\n', "$.notify.webhooks.a"),
    ],
)
def test_a_mistake_is_refused_where_it_is(text: str, place: str) -> None:
    found = complaints(MAIN, text)
    assert found == [place]


@pytest.mark.parametrize(
    "text",
    [
        '[default]\nttl = "5"\ninterval = "2.5"\n',
        "[global]\ndelete_unknowns = 1\nmax_record_checks = 5.0\n",
        '[global]\nloglevel = "INFO"\n',
        '[pdns]\ncontrol_socket = "/run/pdns/pdns.controlsocket"\n',
        '[pdns]\ncontrol_socket = ["/run/a", "/run/b"]\n',
        '[default]\ncheck = { type = "http", url = "http://a/", status = [200, "300-399"] }\n',
        '[default]\ncheck = { type = "http", url = "http://a/", headers = { "X-A" = "1" } }\n',
        '[default.check]\ntype = "mariadb"\nuser = "a"\nstates = ["replica"]\n',
    ],
)
def test_what_the_loader_takes_in_another_form_passes(text: str) -> None:
    assert complaints(MAIN, text) == []


def test_a_drop_in_is_no_main_file() -> None:
    drop_in = (CONFIGS / "records.d/mail.toml").read_text()
    assert complaints(RECORDS, drop_in) == []
    assert complaints(MAIN, drop_in) == ["$"]
    assert complaints(RECORDS, RECORD) != []
