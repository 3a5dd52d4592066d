"""What `make matrix` writes to docs/compatibility.md, and what it takes from a report."""

from pathlib import Path

from tests.matrix.environment import lowest_dependencies, read_report
from tests.matrix.table import BEGIN, END, HEADS, PAGE, Result, Row, replace_rows
from tests.matrix.variants import SUITES, VARIANTS
from tests.packaging.debian_system import ROOT

VERSIONS = {"PowerDNS": "4.9.18", "Python": "3.13.5", "MariaDB": "11.8.3", "date": "2026-01-31"}
EMPTY = f"before\n\n{BEGIN}\n\n| {' | '.join(HEADS)} |\n|---|\n\n{END}\n\nafter\n"


def cells(page: str, system: str) -> dict[str, str]:
    (line,) = [line for line in page.splitlines() if line.startswith(f"| {system} |")]
    return dict(zip(HEADS, (cell.strip() for cell in line.strip("|").split("|")), strict=True))


def test_a_run_replaces_its_own_row_and_cells_and_nothing_else() -> None:
    first = Row("trixie", VERSIONS, {"purge": Result(7), "transfer": Result(0, ("a::b",))})
    other = Row("sid", {**VERSIONS, "PowerDNS": "5.1.5"}, {"purge": Result(6, is_whole=False)})
    page = replace_rows(replace_rows(EMPTY, [first]), [other])
    assert page.startswith("before\n")
    assert page.endswith("\nafter\n")
    assert cells(page, "trixie")["purge"] == "7 passed"
    assert cells(page, "trixie")["transfer"] == "0 passed, **1 failed**"
    assert cells(page, "trixie")["system"] == "not run"
    assert cells(page, "sid")["purge"] == "6 passed, stopped"
    again = Row("trixie", {**VERSIONS, "date": "2026-02-01"}, {"transfer": Result(3)})
    page = replace_rows(page, [again])
    assert cells(page, "trixie")["purge"] == "7 passed"
    assert cells(page, "trixie")["transfer"] == "3 passed"
    assert cells(page, "trixie")["date"] == "2026-02-01"
    assert cells(page, "sid")["PowerDNS"] == "5.1.5"


def test_a_run_is_green_if_nothing_failed_and_nothing_was_stopped() -> None:
    assert Row("sid", VERSIONS, {"purge": Result(1)}).is_green
    assert not Row("sid", VERSIONS, {"purge": Result(1, ("a::b",))}).is_green
    assert not Row("sid", VERSIONS, {"purge": Result(1, is_whole=False)}).is_green


def test_a_report_names_what_failed(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite><testcase classname="tests.pdns.test_a" name="one"/>'
        '<testcase classname="tests.pdns.test_a" name="two[x]"><failure message="no"/></testcase>'
        '<testcase classname="tests.pdns.test_a" name="three"><error message="no"/></testcase>'
        '<testcase classname="tests.pdns.test_a" name="four"><skipped/></testcase>'
        "</testsuite></testsuites>"
    )
    assert read_report(report) == Result(1, ("test_a::two[x]", "test_a::three"))


def test_the_lowest_dependencies_are_exact() -> None:
    pins = lowest_dependencies()
    assert "pydantic==2.12" in pins
    assert "aiohttp==3.14.4" in pins
    assert "dnspython[idna]==2.9" in pins
    assert "h2==4.2" in pins
    assert all(pin.count("==") == 1 for pin in pins)


def test_every_suite_is_there_and_the_page_has_its_row() -> None:
    assert [name for files in SUITES.values() for name in files if not (ROOT / name).exists()] == []
    assert len({str(variant) for variant in VARIANTS}) == len(VARIANTS)
    assert {suite for variant in VARIANTS for suite in variant.suites} == set(SUITES)
    page = PAGE.read_text()
    assert [suite for suite in SUITES if f"\n| {suite} | " not in page.partition(END)[2]] == []
