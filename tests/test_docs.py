"""What the documents point at exists: files, headings, targets of make; what they show is tried.

| block | |
|---|---|
| `console` | run against the demo, with the output it shows (tests/system/test_documents.py) |
| `python` | run against a webhook's request (tests/notifications/test_webhook.py) |
| `sql` | run in MariaDB (tests/store/test_questions.py) |
| `toml` | read here, and loaded where it is a whole configuration |
| `json`, `yaml`, `ini`, `text`, none | an example, or a drawing |
"""

import re
import tomllib
from pathlib import Path

import pytest

from dnslb_backend.config import ConfigPaths, load
from dnslb_backend.config.load import SECTIONS

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PICTURE = re.compile(r'\bsrc(?:set)?="([^"]+)"')
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```([a-z]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAMED = re.compile(
    r"(?<![\w/.$-])(?![\w/.-]*(?:NAME|000N))(?:[\w-]+/)*(?:[\w-]+/|[\w-]+\.(?:py|js|css|sql|toml|yml))"
    r"(?![\w/.])"
)
"""A file, or a folder with a slash behind it."""

TREE = [
    ROOT / name for name in ("configs", "dnslb_backend", "docs", "pdns", "sql", "tests", "typings")
]
TRIED = {"console", "python", "sql", "toml"}
EXAMPLES = {"json", "yaml", "ini", "text", ""}
TOML = [
    (str(path.relative_to(ROOT)), text)
    for path in DOCUMENTS
    for kind, text in BLOCK.findall(path.read_text())
    if kind == "toml"
]
WHOLE = [(path, text) for path, text in TOML if "domain_name" in text and "[records" in text]


def anchors(document: Path) -> set[str]:
    """The fragments that the headings of a document can be reached by."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(document: Path, link: str) -> bool:
    path, _, fragment = link.partition("#")
    target = document.parent / path if path else document
    if not target.exists():
        return True
    return bool(fragment) and target.suffix == ".md" and fragment not in anchors(target)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_within_the_tree_lead_somewhere(document: Path) -> None:
    text = FENCE.sub("", document.read_text())
    links = [link for link in (*LINK.findall(text), *PICTURE.findall(text)) if ":" not in link]
    assert [link for link in links if broken(document, link)] == []


@pytest.mark.parametrize(
    "document", ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/where-to-change.md"]
)
def test_files_and_folders_that_are_named_exist(document: str) -> None:
    """A name may leave out the folders above it; NAME and 000N stand for what is to be added."""
    there = {f"/{path.relative_to(ROOT)}" for top in TREE for path in [top, *top.rglob("*")]}
    there |= {f"{path}/" for path in there}
    named = NAMED.findall((ROOT / document).read_text())
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in there)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_targets_of_make_that_are_named_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^ *\$? *)make ([a-z-]+)", document.read_text(), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_block_is_tried_or_an_example(document: Path) -> None:
    text = document.read_text()
    assert {kind for kind, _ in BLOCK.findall(text)} <= TRIED | EXAMPLES
    assert len(re.findall("^ *```", text, re.MULTILINE)) % 2 == 0
    for kind, block in BLOCK.findall(text):
        assert kind != "console" or block.startswith("$ "), block
        assert kind == "console" or not block.startswith("$ dnslb-backend") or kind == "text"


@pytest.mark.parametrize(("document", "text"), TOML)
def test_what_is_shown_of_a_configuration_can_be_read(document: str, text: str) -> None:
    tables = tomllib.loads(text)
    assert all(not isinstance(value, dict) or name in (*SECTIONS, "check", "sticky")
               for name, value in tables.items()), document  # fmt: skip


@pytest.mark.parametrize(("document", "text"), WHOLE)
def test_a_whole_configuration_loads(document: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "dnslb.toml").write_text(text)
    assert load(ConfigPaths(tmp_path / "dnslb.toml")).plan.records, document


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert [page for page in sorted(pages) if f"({page})" not in index] == []


def test_every_alert_leads_to_something_to_do() -> None:
    rules = (ROOT / "configs/prometheus/dnslb.rules.yml").read_text()
    table = (ROOT / "docs/operations.md").read_text().partition("\n## ")[0]
    alerts = set(re.findall(r"alert: (\w+)", rules))
    assert alerts == set(re.findall(r"`(Dnslb\w+)`", table))


def test_the_units_that_documents_name_are_shipped() -> None:
    shipped = {path.name.split(".")[0] for path in (ROOT / "configs/systemd").glob("dnslb-*")}
    named = {
        name
        for path in DOCUMENTS
        for name in re.findall(r"(?:journalctl.*? -u|systemctl \w+) (dnslb\S*)", path.read_text())
        if path.name != "migration.md"
    }
    assert {name.strip("`)").removesuffix(".socket") for name in named} <= shipped
