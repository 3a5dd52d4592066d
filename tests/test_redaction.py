"""Secrets in texts that others wrote."""

import json
import re

import pytest

from dnslb_backend.redaction import redact, redact_userinfo

SECRET = 'pa"ss\\wörd/1'


@pytest.mark.parametrize(
    "text",
    [
        f"said {SECRET}, twice {SECRET}",
        json.dumps({"said": SECRET}),
        json.dumps({"said": SECRET}, ensure_ascii=False),
        repr([SECRET]),
        "GET /?key=pa%22ss%5Cw%C3%B6rd%2F1 HTTP/1.1",
    ],
)
def test_a_secret_is_redacted_however_it_is_spelled(text: str) -> None:
    shown = redact(text, "", SECRET)
    assert "***" in shown
    assert not re.search(r"rd(/|%2F|\\\\?/)1", shown)


def test_a_secret_that_is_cut_off_is_redacted() -> None:
    assert redact("echo: hunter22-and-m", "hunter22-and-more") == "echo: ***"


def test_a_secret_that_repeats_itself_is_redacted_as_a_whole() -> None:
    assert redact("no: hush hush", "hush hush") == "no: ***"


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert redact("Basic aHVudGVy", "aHVudGVy", "Basic aHVudGVy") == "***"


def test_a_short_secret_tears_no_holes_into_a_text() -> None:
    assert redact("dial tcp: timed out", "t", "", "out") == "dial tcp: timed out"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("'http://u:p@h:80/x' is wrong", "'http://***@h:80/x' is wrong"),
        ("//u@h and ftp://a:b@c@d/e@f", "//***@h and ftp://***@d/e@f"),
        ("http://h/a@b root@host", "http://h/a@b root@host"),
    ],
)
def test_users_and_passwords_of_urls_are_redacted(text: str, shown: str) -> None:
    assert redact_userinfo(text) == shown
