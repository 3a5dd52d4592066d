# What connect(), create_pool(), Connection.cursor() and Pool.acquire() give back: to be awaited,
# or entered.

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")

class _ContextManager(Coroutine[Any, Any, _T], Generic[_T]):
    def send(self, value: Any) -> Any: ...
    def throw(self, typ: Any, val: Any = None, tb: TracebackType | None = None, /) -> Any: ...
    def close(self) -> None: ...
    def __await__(self) -> Generator[Any, Any, _T]: ...
    async def __aenter__(self) -> _T: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None: ...
