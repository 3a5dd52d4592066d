"""What every store can do: write rows in transactions, and read them by queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from dnslb_backend.store.database.tables import Table, TableRow, Value

Operator = Literal["=", "<>", "<", "<=", ">", ">=", "is", "is not", "older", "contains"]


@dataclass(frozen=True, slots=True)
class Upsert:
    """Insert these rows, or update those that exist."""

    table: Table
    rows: Sequence[TableRow]


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the rows with these keys, if they exist."""

    table: Table
    keys: Sequence[TableRow]


WriteOp = Upsert | Delete


@dataclass(frozen=True, slots=True)
class Where:
    """A condition on one column; "older" is by more than `value` seconds of the store's clock,
    "contains" is for a text.
    """

    column: str
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class Select:
    """Rows of one table for which every condition holds.

    `columns` are names, or expressions that mean the same everywhere, like COUNT(*).
    """

    table: Table
    columns: tuple[str, ...]
    where: tuple[Where, ...] = ()
    order: str = ""
    is_descending: bool = False
    limit: int | None = None
    offset: int = 0


class Store(Protocol):
    """A place for rows. Every method raises StoreError."""

    @property
    def name(self) -> str:
        """For logs and metrics."""
        ...

    @property
    def losses(self) -> int:
        """How often, so far, rows that had been written may have been lost."""
        ...

    @property
    def newer_schema(self) -> int | None:
        """The version of its schema, as of the last connection, if that is newer than this
        program's; it is used if it says that this program can.
        """
        ...

    async def open(self) -> None:
        """Connect and check the tables, unless that is done. Raises SchemaError where they do not
        fit.
        """
        ...

    async def close(self) -> None:
        """Disconnect; it can be opened again."""
        ...

    async def write(self, works: Sequence[WriteOp]) -> None:
        """Do all of this in one transaction, or nothing.

        Raises RetryableError or BadRowError where that is what went wrong; after anything else the
        store is closed.
        """
        ...

    async def read(self, query: Select) -> list[TableRow]:
        """Times come as text in UTC. After an error the store is closed."""
        ...
