"""When results change the health of a target."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Damping:
    """When a target counts as flapping, and how long it is then held DOWN; in seconds."""

    flips: int = 6
    window: float = 300.0
    hold: float = 60.0
    max_hold: float = 3600.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Passes and fails in a row that change a target's health, and damping, None for none."""

    rise: int = 1
    fall: int = 1
    damping: Damping | None = None


DEFAULT_THRESHOLDS = Thresholds()
