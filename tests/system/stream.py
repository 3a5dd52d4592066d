"""Questions that never end, to see what a change does to those who ask meanwhile."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from tests.rigs.powerdns import PowerDNS
from tests.rigs.waiting import until


class Stream:
    """Several clients ask, each one question after the other, some hundred a second in all.

    `expected` are the addresses of each (name, type). Every answer that is another one, and every
    question that nobody answers, goes to `wrong`; at the end there must be none.
    """

    def __init__(
        self, pdns: PowerDNS, expected: Mapping[tuple[str, str], set[str]], *, clients: int = 3
    ) -> None:
        self.pdns = pdns
        self.expected = expected
        self.count = 0
        self.wrong: list[str] = []
        self._clients = clients
        self._tasks: list[asyncio.Task[None]] = []
        self._is_over = False

    async def goes_on(self, times: int = 100) -> None:
        """Wait for so many answers more."""
        goal = self.count + times
        await until(lambda: self.count >= goal, what=f"{times} answers")

    async def _ask_on(self) -> None:
        while not self._is_over:
            for (name, qtype), addresses in self.expected.items():
                try:
                    answer = await self.pdns.ask(name, qtype)
                except TimeoutError as error:
                    self.wrong.append(str(error))
                    continue
                if answer.addresses != addresses:
                    self.wrong.append(f"{name} {qtype}: {answer.rcode} {set(answer.addresses)}")
                self.count += 1

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._ask_on()) for _ in range(self._clients)]
        await self.goes_on()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Each hears its last answer: nothing that was asked is left out.
        self._is_over = True
        await asyncio.gather(*self._tasks)
        if error is None:
            assert not self.wrong, self.wrong[:10]
