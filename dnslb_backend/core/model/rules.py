""""""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Damping:
    """When a target counts as flapping, and for how long it is then held DOWN; in seconds."""

    flips: int = 6
    window: float = 300.0
    hold: float = 60.0
    max_hold: float = 3600.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What it takes to turn a target: passes and fails in a row, and damping, None for none."""

    rise: int = 1
    fall: int = 1
    damping: Damping | None = None


DEFAULT_THRESHOLDS = Thresholds()
