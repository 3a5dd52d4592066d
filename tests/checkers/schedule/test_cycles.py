"""The check cycles of very many records that wait for one target."""

from dnslb_backend.checkers.schedule.cycles import CYCLES_PER_TURN, Cycles
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.model.records import RecordKey
from tests.core.building import ZONE
from tests.rigs.waiting import until

TARGET = TargetKey("10.0.0.1", None, "check")
KEYS = [RecordKey(ZONE, f"n{number}.{ZONE}", "A") for number in range(3 * CYCLES_PER_TURN)]


async def test_they_end_over_several_turns_each_once() -> None:
    ended: list[RecordKey] = []
    cycles = Cycles(ended.append)
    for key in KEYS:
        cycles.begin(key, (), [TARGET])
    cycles.target_done(TARGET)
    assert len(ended) == CYCLES_PER_TURN
    await until(lambda: len(ended) == len(KEYS))
    assert sorted(ended) == sorted(KEYS)


async def test_the_next_cycle_of_a_record_waits_for_its_own_probe() -> None:
    ended: list[RecordKey] = []
    cycles = Cycles(ended.append)
    for key in KEYS:
        cycles.begin(key, (), [TARGET])
    cycles.target_done(TARGET)
    late = next(key for key in KEYS if key not in ended)
    # A reload has changed it.
    cycles.drop(late)
    cycles.begin(late, (), [TARGET])
    await until(lambda: len(ended) == len(KEYS) - 1)
    assert late in cycles
    cycles.target_done(TARGET)
    assert ended[-1] == late


async def test_a_cycle_that_cannot_end_keeps_no_later_turn_from_ending() -> None:
    ended: list[RecordKey] = []

    def end(key: RecordKey) -> None:
        ended.append(key)
        if len(ended) == 1:
            raise ZeroDivisionError

    cycles = Cycles(end)
    for key in KEYS:
        cycles.begin(key, (), [TARGET])
    try:
        cycles.target_done(TARGET)
    except ZeroDivisionError:
        await until(lambda: len(ended) == len(KEYS) - CYCLES_PER_TURN + 1)
