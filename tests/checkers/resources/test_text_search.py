"""Searching and reading outside of the event loop."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from dnslb_backend.checkers.resources import file_reader, helper_process
from dnslb_backend.checkers.resources.classify import ProbeError, TargetError
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.resources.text_search import WHOLE_LIMIT, Found, TextWorkers
from dnslb_backend.core.health.results import Code, Outcome
from tests.checkers.probing import probe
from tests.rigs.hung_storage import hung
from tests.rigs.processes import children, end, thread_count
from tests.rigs.waiting import until

WORKER = "/text_worker.py"
FILE_WORKER = "/file_worker.py"
EXPONENTIAL = r"^(a+)+$"
HOSTILE = "a" * 40 + "!"


async def test_every_pattern_is_answered(tools: CheckResources) -> None:
    found = await tools.text.search("load=5", "load=(.*)", "^x", "l.a", "(x)?load")
    assert found == [Found("5"), None, Found(None), Found(None)]


async def test_plain_words_need_no_process(tools: CheckResources) -> None:
    assert await tools.text.search("all OK", "OK", "KO", "") == [Found(None), None, Found(None)]
    assert not children(WORKER)


@pytest.mark.parametrize(
    ("pattern", "text"), [(EXPONENTIAL, HOSTILE), ("a*b", "a" * 65536)], ids=["2^n", "n^2"]
)
async def test_a_search_that_explodes_is_the_fault_of_its_text_and_holds_up_no_other(
    tools: CheckResources, pattern: str, text: str
) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    hostile = asyncio.create_task(tools.text.search(text, pattern))
    meanwhile = 0
    while not hostile.done():
        assert await tools.text.search("load=5", "load=(.)") == [Found("5")]
        meanwhile += not hostile.done()
    # How many depends on how fast this machine starts another worker; one that waits is none.
    assert meanwhile, "the others had to wait for it"
    with pytest.raises(TargetError, match="searching its answer takes too long"):
        await hostile
    assert loop.time() - started < WHOLE_LIMIT


async def test_what_exploded_once_goes_to_the_slow_lane(tools: CheckResources) -> None:
    with pytest.raises(TargetError):
        await tools.text.search(HOSTILE, EXPONENTIAL)
    await tools.text.search("a", "a.?")
    await until(lambda: len(children(WORKER)) == 1)
    [fast] = children(WORKER)
    with pytest.raises(TargetError):
        await tools.text.search(f"{HOSTILE}!", EXPONENTIAL)
    await until(lambda: len(children(WORKER)) == 1)
    assert children(WORKER) == [fast]


async def test_a_text_that_exploded_is_not_searched_again(tools: CheckResources) -> None:
    with pytest.raises(TargetError):
        await tools.text.search(HOSTILE, EXPONENTIAL)
    await until(lambda: not children(WORKER))
    with pytest.raises(TargetError):
        await tools.text.search(HOSTILE, EXPONENTIAL)
    assert not children(WORKER)


async def test_an_exploding_expect_is_a_failure_of_the_target(tools: CheckResources) -> None:
    """A dead target must not stay in because its last words are hard to search."""
    check = {"type": "exec", "argv": ["echo", HOSTILE], "expect": EXPONENTIAL}
    for _ in range(2):
        result = await probe(tools, check)
        assert (result.outcome, result.code) == (Outcome.FAIL, Code.NO_MATCH)
        assert result.text.startswith("searching its answer takes too long")


async def test_a_text_that_takes_too_much_memory_is_a_failure_of_the_target(
    tools: CheckResources,
) -> None:
    pattern = "(a?)" * 4000 + "(?:b|(c))*d"
    # On a slow machine the limit of time comes first.
    with pytest.raises(TargetError, match=r"takes too (much memory|long)"):
        await tools.text.search("b" * 65536, pattern)


async def test_a_worker_that_does_not_run_is_our_fault_and_is_restarted(
    tools: CheckResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tools.text.search("a", "a.?")
    [stopped] = children(WORKER)
    os.kill(stopped, signal.SIGSTOP)
    with pytest.raises(ProbeError, match="the search helper does not answer"):
        await tools.text.search("a", "a.?")
    assert await tools.text.search("a", "a.?") == [Found(None)]


async def test_a_cancelled_search_leaves_the_lane_free(tools: CheckResources) -> None:
    await tools.text.search("a", "a.?")
    task = asyncio.create_task(tools.text.search(HOSTILE, EXPONENTIAL))
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.01)
    assert await tools.text.search("abc", "a.c") == [Found(None)]


async def test_a_worker_that_was_killed_is_started_again(tools: CheckResources) -> None:
    await tools.text.search("a", "a.?")
    end(children(WORKER))

    async def works_again() -> bool:
        try:
            return await tools.text.search("a", "a.?") == [Found(None)]
        except ProbeError:
            return False

    await until(works_again)


async def test_only_the_start_of_a_text_is_searched(tools: CheckResources) -> None:
    assert await tools.text.search("a" * 65535 + "b", "b$") == [Found(None)]
    assert await tools.text.search("a" * 65536 + "b", "b$") == [None]


async def test_a_file_is_read_with_its_age(tools: CheckResources, tmp_path: Path) -> None:
    file = tmp_path / "state"
    file.write_bytes(b"up\xff\n")
    os.utime(file, (0, 0))
    content = await tools.text.read(str(file))
    assert content is not None
    assert (content.text, content.cut) == ("up\n", False)
    assert content.age > 10**9


async def test_a_long_file_is_cut(tools: CheckResources, tmp_path: Path) -> None:
    file = tmp_path / "state"
    file.write_bytes(b"x" * 65536)
    content = await tools.text.read(str(file))
    assert content is not None
    assert (len(content.text), content.cut) == (65536, False)
    file.write_bytes(b"x" * 65537)
    content = await tools.text.read(str(file))
    assert content is not None
    assert (len(content.text), content.cut) == (65536, True)


async def test_a_file_that_is_not_there(tools: CheckResources, tmp_path: Path) -> None:
    assert await tools.text.read(str(tmp_path / "none")) is None
    (tmp_path / "file").touch()
    assert await tools.text.read(str(tmp_path / "file" / "below")) is None


async def test_what_cannot_be_read_is_our_fault(tools: CheckResources, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        with pytest.raises(ProbeError, match="not a regular file"):
            await tools.text.read(str(path))


async def test_storage_that_hangs_holds_up_only_its_own_files(
    tools: CheckResources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_reader, "READ_LIMIT", 0.3)
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("up")
    bad.write_text("up")
    check = {"type": "file", "path": str(bad), "up": ["up"]}
    with hung(bad):
        stuck = asyncio.create_task(probe(tools, check, limit=0.1))
        while not stuck.done():
            assert (await probe(tools, {**check, "path": str(good)})).outcome is Outcome.PASS
            assert await tools.text.search("load=5", "load=(.)") == [Found("5")]
        result = await stuck
        assert result.outcome is Outcome.ERROR
        assert result.text == f"cannot read {bad}: its storage does not answer"
        [pid] = children(FILE_WORKER)
        threads = thread_count(pid)
        assert (await probe(tools, check)).outcome is Outcome.ERROR
        waiting = thread_count(pid)
        assert waiting == threads, "a file is waited for once"
    assert (await probe(tools, check)).outcome is Outcome.PASS


async def test_a_read_that_hangs_is_killed_and_tried_again(
    tools: CheckResources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when another storage was mounted in its place."""
    monkeypatch.setattr(file_reader, "READ_LIMIT", 0.1)
    monkeypatch.setattr(file_reader, "RETRY_AFTER", 0.15)
    file = tmp_path / "state"
    file.write_text("old")
    with hung(file):
        with pytest.raises(ProbeError):
            await tools.text.read(str(file))
        other = tmp_path / "other"
        other.write_text("new")
        other.rename(file)

        async def text() -> bool:
            try:
                content = await tools.text.read(str(file))
            except ProbeError:
                return False
            return content is not None and content.text == "new"

        await until(text)
    assert len(children(FILE_WORKER)) == 1


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
async def test_a_file_helper_that_does_not_run_is_our_fault_and_is_restarted(
    tools: CheckResources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(helper_process, "PING_LIMIT", 0.2)
    file = tmp_path / "state"
    file.write_text("up")
    check = {"type": "file", "path": str(file)}
    assert (await probe(tools, check)).outcome is Outcome.PASS
    monkeypatch.setattr(file_reader, "READ_LIMIT", 0.2)
    [pid] = children(FILE_WORKER)
    os.kill(pid, number)
    seen = {(await probe(tools, check)).outcome}
    assert seen == {Outcome.ERROR}

    async def works_again() -> bool:
        seen.add((await probe(tools, check)).outcome)
        return Outcome.PASS in seen

    await until(works_again)
    assert Outcome.FAIL not in seen


async def test_closing_ends_a_search_that_explodes() -> None:
    errands = TextWorkers()
    task = asyncio.create_task(errands.search(HOSTILE, EXPONENTIAL))
    await until(lambda: children(WORKER))
    await errands.close()
    assert not children(WORKER)
    with pytest.raises(ProbeError):
        await task
