"""How many people must sign: by the risk of what an approval would run. Pure, and the same everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentinel.domain import Mode, PlanJudgement, Risk, Verdict

if TYPE_CHECKING:  # `sentinel check` answers before a person notices, and reads no settings
    from sentinel.config import ApprovalSettings

_ORDER = (Risk.LOW, Risk.MEDIUM, Risk.HIGH)


def highest(risks: set[Risk]) -> Risk:
    """Return the highest of `risks`; of none it is HIGH: vacuous truth is refused."""
    return max(risks, key=_ORDER.index, default=Risk.HIGH)


def needed(judgement: PlanJudgement, mode: Mode, settings: ApprovalSettings) -> tuple[Risk, int]:
    """Return the risk of what would run, and how many distinct people must sign for it.

    A rehearsal changes nothing, so one person is enough for it.
    """
    risk = highest({each.risk for each in judgement.commands if each.verdict is Verdict.ALLOW})
    people = {
        Risk.LOW: settings.low,
        Risk.MEDIUM: settings.medium,
        Risk.HIGH: settings.high,
    }
    return risk, people[risk] if mode is Mode.LIVE else 1
