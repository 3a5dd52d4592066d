import pytest

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.registry import parse_check
from dnslb_backend.checkers.resources.resources import CheckResources
from tests.checkers.probing import probe


@pytest.mark.parametrize(
    ("table", "outcome", "code"),
    [({}, "pass", 0), ({"result": "pass"}, "pass", 0), ({"result": "fail"}, "fail", -6)],
)
async def test_it_does_as_it_is_told(
    tools: CheckResources, table: dict[str, str], outcome: str, code: int
) -> None:
    result = await probe(tools, {"type": "static", **table})
    assert (result.outcome, result.code, result.text) == (
        outcome,
        code,
        f"configured to {outcome}",
    )


def test_description() -> None:
    assert parse_check({"type": "static"}).describe(ProbeEndpoint("::1")) == "nothing: always pass"
