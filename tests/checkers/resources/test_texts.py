import pytest

from dnslb_backend.checkers.resources.texts import one_line
from dnslb_backend.core.health.results import TEXT_LIMIT


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("", ""),
        ("\n\n  \n", ""),
        ("\n  OK\nmore\n", "OK"),
        ("a\tb\x0bc", "a b"),
        ("red \x1b[31mtext\x00", "red ?[31mtext?"),
        ("grüße\u202eevil", "grüße?evil"),
    ],
)
def test_one_line_is_printable(said: str, shown: str) -> None:
    assert one_line(said) == shown


def test_one_line_is_bounded() -> None:
    assert one_line("x" * 10**6) == "x" * TEXT_LIMIT
