"""Limits of a rule: in words for people, and what they say of a moment. Pure: the moment is given."""

from __future__ import annotations

import re

from sentinel.domain import Limit

HOUR_MS = 3_600_000
DAY_MIN = 24 * 60
MAX_COOL_DOWN_S = 7 * 86_400
_TIME = r"([01]\d|2[0-3]):([0-5]\d)"
_HOURS = re.compile(rf"{_TIME}-{_TIME}")


def hours_of(text: str) -> tuple[int, int] | None:
    """Return the minutes of the day (UTC) that "22:00-06:00" begins and ends at; None: it is malformed."""
    found = _HOURS.fullmatch(text)
    if found is None:
        return None
    begin, end = (int(found[at]) * 60 + int(found[at + 1]) for at in (1, 3))
    return (begin, end) if begin != end else None


def is_open(hours: str, now_ms: int) -> bool:
    """Say whether `now_ms` is within `hours`; hours that are malformed are never open."""
    found = hours_of(hours)
    if found is None:
        return False
    begin, end = found
    minute = now_ms // 60_000 % DAY_MIN
    # From 22:00 to 06:00 is all that is not from 06:00 to 22:00.
    return begin <= minute < end if begin < end else not end <= minute < begin


def clock(now_ms: int) -> str:
    """Return the time of the day in UTC, such as "14:05"."""
    minute = now_ms // 60_000 % DAY_MIN
    return f"{minute // 60:02}:{minute % 60:02}"


def words(limit: Limit) -> str:
    """Return the conditions of a limit in one line."""
    said = [
        f"at most {limit.per_plan} in a plan" if limit.per_plan else "",
        f"at most {limit.per_hour} an hour" if limit.per_hour else "",
        f"{limit.cool_down_s} s after the last" if limit.cool_down_s else "",
        f"only {limit.hours} UTC" if limit.hours else "",
        "only after a dry-run" if limit.dry_run_first else "",
    ]
    return ", ".join(filter(None, said))
