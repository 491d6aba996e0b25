"""Stop after this command: how far a plan has come, and what a stop makes of it.

What runs is left to end, for a command that is killed half way leaves the host in a state that nobody
planned; its timeout bounds it. Nothing starts after it. Nobody signs a stop: it can only make less happen.
"""

from __future__ import annotations

from sentinel import errors
from sentinel.agent.admit import Admitted
from sentinel.domain import CommandResult, Halt, Outcome, Verdict
from sentinel.protocol import Stop

BY_CHARS, REASON_CHARS = 64, 700


def words(stop: Stop) -> str:
    """Return why nothing more starts, as it stands in the results; what the hub says is escaped."""
    by = errors.printable(stop.by)[:BY_CHARS]  # cut when it is escaped, which makes it longer
    reason = f": {errors.printable(stop.reason)[:REASON_CHARS]}" if stop.reason.strip() else ""
    return f"stopped by {by}{reason}"


class UnderWay:
    """The admitted plan that sentinel-exec has in hand."""

    def __init__(self, admitted: Admitted) -> None:
        """Nothing of it has started yet."""
        self._of = (admitted.plan.incident, admitted.statement.challenge)
        verdicts = [command.verdict for command in admitted.judgement.commands]
        self._last = max(n for n, verdict in enumerate(verdicts) if verdict is Verdict.ALLOW)
        self._begun = -1
        self.ran = False  # something was started
        self.reason = ""  # why nothing more may start; empty: it goes on

    def is_meant(self, stop: Stop) -> bool:
        """Say whether it is this very run that is to be stopped, and not another of the same plan."""
        return self._of == (stop.incident, stop.challenge)

    def stop(self, stop: Stop) -> Halt:
        """Let nothing more start; return what that comes to. The first who stops it is who stopped it."""
        if not self.reason and self._begun >= self._last:
            return Halt.TOO_LATE
        self.reason = self.reason or words(stop)
        return Halt.STOPPING

    def records(self, result: CommandResult) -> bool:
        """Take a word of sentinel-exec; False for a start that will not be, for the plan was stopped."""
        starts = result.outcome is Outcome.RUNNING
        if starts and self.reason:
            return False
        if starts or result.outcome is Outcome.REHEARSED:
            self._begun = result.index
        self.ran = self.ran or starts
        return True
