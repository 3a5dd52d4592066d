"""Results are stored and exported: their codes never change their meaning."""

import pytest

from dnslb_backend.core.health.results import Code, Outcome, Result, check_error, failed, passed


def test_the_codes_are_those_of_the_documents() -> None:
    assert {code.name: int(code) for code in Code} == {
        "PASS": 0,
        "NO_MATCH": -1,
        "TIMEOUT": -2,
        "INTERNAL_ERROR": -3,
        "REFUSED": -4,
        "TLS": -5,
        "STATUS": -6,
    }


def test_each_outcome_has_its_code_and_a_text_of_one_line() -> None:
    long = "x" * 5000
    results = [passed(long), failed(7, long), check_error(long)]
    assert [(result.outcome, result.code) for result in results] == [
        (Outcome.PASS, 0),
        (Outcome.FAIL, 7),
        (Outcome.ERROR, -3),
    ]
    assert {len(result.text) for result in results} == {len(results[0].text)}
    assert 0 < len(results[0].text) < 256, "a column of the database"


@pytest.mark.parametrize("result", [passed(), failed(1, "no"), check_error("no such program")])
def test_a_result_has_no_duration_until_its_probe_was_measured(result: Result) -> None:
    assert (result.duration, result.report, result.is_stall) == (0, None, False)


def test_a_result_with_its_duration_keeps_all_else() -> None:
    whole = Result(Outcome.ERROR, -3, "text", 1, 2, 0.5, 3, True, 4.0)
    timed = whole.lasting(0.25)
    assert timed._asdict() == {**whole._asdict(), "duration": 0.25}
    assert None not in whole
