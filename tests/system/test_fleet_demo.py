"""`demo --fleet`: what it proves on a machine of its own user."""

import sys

import pytest

from tests.rigs.capture import capture


@pytest.mark.soak
@pytest.mark.timeout(180)
async def test_the_demo_of_a_fleet_proves_that_no_answer_changes() -> None:
    command = [sys.executable, "-m", "dnslb_backend", "demo", "--fleet", "--once"]
    code, out, errors = await capture(*command, within=150)
    said = out.decode()
    assert code == 0, said + errors.decode()
    assert "cut ns3 off" in said
    assert "no answer was wrong while ns3 was cut off" in said
