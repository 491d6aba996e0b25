"""How often a model may be asked: per incident, per host and hour, and in all. Pure: `now_ms` comes in.

A storm of incidents, or one host that reports without end, gets the playbook's plans instead.
"""

from __future__ import annotations

from collections import OrderedDict, deque

import msgspec

HOUR_MS = 3_600_000
MAX_INCIDENTS = 4096  # remembered; the one that has not been asked about for longest is forgotten


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of a model."""

    per_incident: int = 6
    per_host_hour: int = 20
    per_hour: int = 120


class Ledger:
    """What was spent of a budget."""

    def __init__(self, budget: Budget) -> None:
        """Start with nothing spent."""
        self._budget = budget
        self._incidents: OrderedDict[str, int] = OrderedDict()
        self._calls: deque[tuple[int, str]] = deque()  # of the last hour: when, host

    def spend(self, incident: str, host: str, now_ms: int) -> str:
        """Take one call; return why not, or nothing where it was taken."""
        while self._calls and self._calls[0][0] <= now_ms - HOUR_MS:
            self._calls.popleft()
        if reason := self._refusal(incident, host):
            return reason
        self._calls.append((now_ms, host))
        self._incidents[incident] = self._incidents.pop(incident, 0) + 1
        if len(self._incidents) > MAX_INCIDENTS:
            self._incidents.popitem(last=False)
        return ""

    def _refusal(self, incident: str, host: str) -> str:
        budget = self._budget
        if self._incidents.get(incident, 0) >= budget.per_incident:
            return f"the model was asked {budget.per_incident} times about this incident"
        if sum(1 for _, each in self._calls if each == host) >= budget.per_host_hour:
            return (
                f"the model was asked {budget.per_host_hour} times about this host within the hour"
            )
        if len(self._calls) >= budget.per_hour:
            return f"the model was asked {budget.per_hour} times within the hour"
        return ""
