"""Searching and reading outside of the event loop."""

import asyncio
import os
from pathlib import Path

import pytest

from dnslb_backend.checkers.errands import WHOLE_LIMIT, Errands, Found
from dnslb_backend.checkers.failures import ProbeError
from dnslb_backend.checkers.tools import Tools
from dnslb_backend.core.results import Outcome
from tests.checkers.probing import probe
from tests.rigs.processes import children, end
from tests.rigs.waiting import until

WORKER = "worker.py"
EXPONENTIAL = r"^(a+)+$"
HOSTILE = "a" * 40 + "!"


async def test_every_pattern_is_answered(tools: Tools) -> None:
    found = await tools.errands.search("load=5", "load=(.*)", "^x", "l.a", "(x)?load")
    assert found == [Found("5"), None, Found(None), Found(None)]


async def test_plain_words_need_no_process(tools: Tools) -> None:
    assert await tools.errands.search("all OK", "OK", "KO", "") == [Found(None), None, Found(None)]
    assert not children(WORKER)


@pytest.mark.parametrize(
    ("pattern", "text"), [(EXPONENTIAL, HOSTILE), ("a*b", "a" * 65536)], ids=["2^n", "n^2"]
)
async def test_a_search_that_explodes_is_our_fault_and_holds_up_no_other(
    tools: Tools, pattern: str, text: str
) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    hostile = asyncio.create_task(tools.errands.search(text, pattern))
    meanwhile = 0
    while not hostile.done():
        assert await tools.errands.search("load=5", "load=(.)") == [Found("5")]
        meanwhile += not hostile.done()
    # How many depends on how fast this machine starts another worker; one that waits is none.
    assert meanwhile, "the others had to wait for it"
    with pytest.raises(ProbeError, match="searching takes too long"):
        await hostile
    assert loop.time() - started < WHOLE_LIMIT


async def test_what_exploded_once_goes_to_the_slow_lane(tools: Tools) -> None:
    with pytest.raises(ProbeError):
        await tools.errands.search(HOSTILE, EXPONENTIAL)
    await tools.errands.search("a", "a.?")
    await until(lambda: len(children(WORKER)) == 1)
    [fast] = children(WORKER)
    with pytest.raises(ProbeError):
        await tools.errands.search(HOSTILE, EXPONENTIAL)
    await until(lambda: len(children(WORKER)) == 1)
    assert children(WORKER) == [fast]


async def test_an_exploding_expect_is_no_failure_of_the_target(tools: Tools) -> None:
    check = {"type": "exec", "argv": ["echo", HOSTILE], "expect": EXPONENTIAL}
    for _ in range(2):
        result = await probe(tools, check)
        assert result.outcome is Outcome.ERROR
        assert result.text.startswith("searching takes too long")


async def test_a_cancelled_search_leaves_the_lane_free(tools: Tools) -> None:
    await tools.errands.search("a", "a.?")
    task = asyncio.create_task(tools.errands.search(HOSTILE, EXPONENTIAL))
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.01)
    assert await tools.errands.search("abc", "a.c") == [Found(None)]


async def test_a_worker_that_was_killed_is_started_again(tools: Tools) -> None:
    await tools.errands.search("a", "a.?")
    end(children(WORKER))

    async def works_again() -> bool:
        try:
            return await tools.errands.search("a", "a.?") == [Found(None)]
        except ProbeError:
            return False

    await until(works_again)


async def test_only_the_start_of_a_text_is_searched(tools: Tools) -> None:
    assert await tools.errands.search("a" * 65535 + "b", "b$") == [Found(None)]
    assert await tools.errands.search("a" * 65536 + "b", "b$") == [None]


async def test_a_file_is_read_with_its_age(tools: Tools, tmp_path: Path) -> None:
    file = tmp_path / "state"
    file.write_bytes(b"up\xff\n")
    os.utime(file, (0, 0))
    content = await tools.errands.read(str(file))
    assert content is not None
    assert (content.text, content.cut) == ("up\n", False)
    assert content.age > 10**9


async def test_a_long_file_is_cut(tools: Tools, tmp_path: Path) -> None:
    file = tmp_path / "state"
    file.write_bytes(b"x" * 65536)
    content = await tools.errands.read(str(file))
    assert content is not None
    assert (len(content.text), content.cut) == (65536, False)
    file.write_bytes(b"x" * 65537)
    content = await tools.errands.read(str(file))
    assert content is not None
    assert (len(content.text), content.cut) == (65536, True)


async def test_a_file_that_is_not_there(tools: Tools, tmp_path: Path) -> None:
    assert await tools.errands.read(str(tmp_path / "none")) is None
    (tmp_path / "file").touch()
    assert await tools.errands.read(str(tmp_path / "file" / "below")) is None


async def test_what_cannot_be_read_is_our_fault(tools: Tools, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        with pytest.raises(ProbeError, match="not a regular file"):
            await tools.errands.read(str(path))


async def test_closing_ends_a_search_that_explodes() -> None:
    errands = Errands()
    task = asyncio.create_task(errands.search(HOSTILE, EXPONENTIAL))
    await until(lambda: children(WORKER))
    await errands.close()
    assert not children(WORKER)
    with pytest.raises(ProbeError):
        await task
