"""What the hub remembers: which service an incident is of, and the runbooks with what they came to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sentinel import human
from sentinel.domain import Report
from sentinel.hub.cases import line
from sentinel.hub.reason.picture import picture
from sentinel.hub.reason.runbook import Runbook, Step, When
from sentinel.protocol import Past, RunbookStep
from sentinel.protocol import Runbook as Shown

NAME = 256  # characters, as `domain.Name` has it


def service_of(report: Report) -> str:
    """Return the unit or control group of the likeliest culprit, or its name where it has none.

    Nothing where no process is to blame: a full disk is of no service.
    """
    actor = picture(report).actor
    if actor is None or actor.process is None:
        return ""
    return line(actor.process.unit or actor.name)[:NAME]


def services_in(report: Report, service: str) -> set[str]:
    """Return the services that `report` has shown to run: units, and its culprit's `service`."""
    shown = {line(unit.name)[:NAME] for unit in report.context.units}
    return {name for name in shown if name.endswith(".service")} | ({service} - {""})


def runbook_of(author: str, engine: str) -> str:
    """Return the runbook that made a plan by `engine`, or nothing where no runbook did."""
    return line(engine.removeprefix("playbook:"))[:NAME] if author == "playbook" else ""


def runbooks(loaded: Iterable[Runbook], pasts: Mapping[str, Past]) -> tuple[Shown, ...]:
    """Return the runbooks as people read them, in their order."""
    return tuple(
        Shown(
            id=each.id,
            title=each.title,
            kinds=each.kinds,
            priority=each.priority,
            when=tuple(_conditions(each.when)),
            summary=each.summary,
            confidence_pct=each.confidence_pct,
            steps=tuple(map(_step, each.steps)),
            escalation=tuple(map(_step, each.escalation)),
            body=each.body,
            past=pasts.get(each.id, Past()),
        )
        for each in loaded
    )


def _step(step: Step) -> RunbookStep:
    return RunbookStep(
        run=step.run,
        purpose=step.purpose,
        undo=step.undo,
        changes=step.changes,
        optional=step.optional,
    )


def _conditions(when: When) -> Iterator[str]:
    if when.metrics:
        yield f"the signal is {' or '.join(human.METRIC_WORDS[each] for each in when.metrics)}"
    if when.culprit is not None:
        yield f"the likeliest culprit is a {when.culprit.value}"
    if when.share_min_permille:
        yield f"it has at least {human.share(when.share_min_permille)} of what the incident is about"
    if when.deleted is not None:
        yield f"the file is {'deleted and held open' if when.deleted else 'not deleted'}"
    if when.file:
        yield f"the file's path is like {when.file}"
    if when.mounts:
        yield f"it is mounted on {' or '.join(when.mounts)}"
    if when.journal_min_permille:
        yield f"the journal takes at least {human.share(when.journal_min_permille)} of the space used"
