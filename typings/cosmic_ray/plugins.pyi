from collections.abc import Iterable
from typing import Protocol

class Operator(Protocol):
    def mutation_positions(
        self, node: object
    ) -> Iterable[tuple[tuple[int, int], tuple[int, int]]]: ...

def get_operator(name: str) -> type[Operator]: ...
