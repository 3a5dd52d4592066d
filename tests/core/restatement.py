"""The original's rules once more, in the plainest words, to hold the core against.

Nothing here is shared with the code under test.
"""

import re


def command_priority(
    exit_code: int, output: str, expect: str, prio_regex: str, static: int
) -> tuple[int, int | None]:
    """Result code and priority of one finished command check."""
    if exit_code != 0:
        return exit_code, None
    if re.search(expect, output) is None:
        return -1, None
    if not prio_regex or re.compile(prio_regex).groups == 0:
        return 0, static
    match = re.search(prio_regex, output)
    if match is None:
        return 0, -1
    word = match.group(1)
    if word == "@":
        return 0, static
    try:
        return 0, int(word)
    except ValueError:
        return 0, len(word) + 1


def enabled(priorities: dict[str, int | None], min_count: int) -> set[str]:
    """Which addresses serve: tiers are opened from the top until enough are in."""
    healthy = {a: p for a, p in priorities.items() if p is not None and p > 0}
    chosen: set[str] = set()
    for priority in sorted(set(healthy.values()), reverse=True):
        chosen |= {a for a, p in healthy.items() if p == priority}
        if len(chosen) >= min_count:
            break
    return chosen
