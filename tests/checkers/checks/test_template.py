import pytest

from dnslb_backend.checkers.checks.template import check_template, render


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("%(address)s", "::1"),
        ("-H=%(address)s:80", "-H=::1:80"),
        ("[%(address)-6s]", "[::1   ]"),
        ("[%(address)6s]", "[   ::1]"),
        ("%(address).2s", "::"),
        ("%(address)r", "'::1'"),
        ("100%% of %%(address)s", "100% of %(address)s"),
        ("%%99999", "%99999"),
        ("no place", "no place"),
        ("", ""),
    ],
)
def test_formats_of_the_original_are_filled(template: str, filled: str) -> None:
    assert render(check_template(template), "::1") == filled


@pytest.mark.parametrize(
    "template",
    [
        "%s",
        "%r",
        "%d",
        "%",
        "100%",
        "100% sure",
        "%(port)s",
        "%(address)",
        "%(address)d",
        "%(address)*s",
        "%()s",
        "%c",
        "%(address)1000s",
        "%(address)99999999999999999999s",
        "%(address).1000s",
        "%(address)s and %s",
    ],
)
def test_what_would_fail_or_print_more_than_the_address_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="bad format"):
        check_template(template)


@pytest.mark.parametrize("template", ["-pSECRET%d", "-p%dSECRET", "SECRET%(address)1000sSECRET"])
def test_a_refusal_does_not_quote_the_whole(template: str) -> None:
    with pytest.raises(ValueError, match="bad format") as refused:
        check_template(template)
    assert "SECRET" not in str(refused.value)
    assert refused.value.__cause__ is None
