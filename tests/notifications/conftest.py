"""What the tests of notifications share with those of checks."""

from tests.checkers.conftest import authority

__all__ = ["authority"]
