"""The deterministic engine: shipped runbooks that match a failure and fill command templates.

A placeholder of a command is filled only with a value captured by the node, and only where that value
has its type's strict pattern: a hostile process name or path can make a step vanish, with a note, but
never become shell syntax. What a command then may do is the policy's to say, as for every other
author's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import resources

import msgspec

from sentinel import human
from sentinel.domain import MAX_COMMAND_CHARS, Claim, Command, Diagnosis, Process
from sentinel.errors import ConfigError
from sentinel.hub.reason import evidence
from sentinel.hub.reason.evidence import Fact
from sentinel.hub.reason.picture import Picture, is_subject, journal_share, zombie_children
from sentinel.hub.reason.runbook import (
    LAST_RESORT,
    PATTERNS,
    PLACEHOLDER,
    Runbook,
    Sentence,
    Step,
    When,
    load,
)

MAX_CLAIMS = 16


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What a runbook says about one incident."""

    runbook: str
    diagnosis: Diagnosis
    commands: tuple[Command, ...]


# What a host cannot do without, or what this very incident is handled by.
_SPARED = re.compile(
    r"init|systemd.*|\(sd-pam\)|sshd.*|dbus-.*|login|agetty|sulogin|udevd|rsyslogd|auditd|chronyd"
    r"|NetworkManager|dhclient|containerd.*|dockerd|conmon|kubelet|crio|sentinel.*"
)
_SPARED_UNITS = re.compile(
    r"(?:systemd-.*|ssh|sshd|dbus.*|NetworkManager|networking|auditd|sentinel.*)\.service"
)
_OURSELVES = re.compile(r"sentinel[.-](?:agent|hub|exec|tui)")


def spared(process: Process) -> str:
    """Return why no runbook ends this process, or nothing."""
    if process.pid <= 2 or process.ppid == 2:
        return "it belongs to the kernel or is the first process"
    if _SPARED.fullmatch(process.name):
        return "the host needs it"
    if _OURSELVES.search(process.cmdline):
        return "it is part of Sentinel"
    return ""


class Playbook:
    """Every runbook there is, in the order in which they are tried."""

    def __init__(self, runbooks: Iterable[Runbook]) -> None:
        """Order by priority, then by id. ConfigError where an id is there twice."""
        ordered = sorted(runbooks, key=lambda r: (not r.kinds, -r.priority, r.id))
        ids = [each.id for each in ordered]
        twice = sorted({each for each in ids if ids.count(each) > 1})
        if twice:
            raise ConfigError(f"runbook {twice[0]} is there twice", hint="give each its own id")
        if LAST_RESORT not in ids:
            raise ConfigError(
                f"no runbook {LAST_RESORT}", hint="it is used where no other runbook matches"
            )
        self.runbooks: tuple[Runbook, ...] = tuple(ordered)

    def draft(self, scene: Picture, facts: tuple[Fact, ...], attempt: int) -> Draft:
        """Return the plan of the first runbook that matches and has anything to run.

        From the second attempt on, that is its escalation. Never raises, never empty.
        """
        for runbook in self.matching(scene):
            steps = runbook.escalation if attempt > 1 and runbook.escalation else runbook.steps
            made = _draft(runbook, steps, scene, facts)
            if made is not None and made.commands:
                return made
        raise AssertionError("the last resort needs nothing and always has something to run")

    def matching(self, scene: Picture) -> tuple[Runbook, ...]:
        """Return the runbooks that match, in the order in which they are tried."""
        return tuple(r for r in self.runbooks if _matches(r, scene))

    def examples(self, scene: Picture) -> tuple[str, ...]:
        """Return the commands that runbooks for this kind of incident know, filled where they can be."""
        found: dict[str, None] = {}
        values = targets(scene)
        kind = scene.report.anomaly.kind
        for runbook in self.runbooks:
            if kind in runbook.kinds or runbook.id == LAST_RESORT:
                for step in (*runbook.steps, *runbook.escalation):
                    text, _ = _fill(step, values, scene)
                    if text and step.expect == "allow":
                        found[text] = None
        return tuple(found)


def shipped() -> Playbook:
    """Return the runbooks that come with the program."""
    return Playbook(load(resources.files(__package__) / "runbooks"))


def _matches(runbook: Runbook, scene: Picture) -> bool:
    anomaly, when = scene.report.anomaly, runbook.when
    if runbook.id == LAST_RESORT:
        return True
    mount = scene.filesystem.name if scene.filesystem else ""
    return (
        anomaly.kind in runbook.kinds
        and (not when.metrics or anomaly.metric in when.metrics)
        and (not when.mounts or mount in when.mounts)
        and journal_share(scene) >= when.journal_min_permille
        and _culprit_matches(when, scene)
    )


def _culprit_matches(when: When, scene: Picture) -> bool:
    culprit = scene.culprit
    if when.culprit is not None and (culprit is None or culprit.sort is not when.culprit):
        return False
    watched = (
        culprit is not None
        and culprit.process is not None
        and is_subject(scene.report, culprit.process)
    )
    if scene.share < when.share_min_permille and not watched:
        return False
    file = culprit.file if culprit is not None else None
    if when.deleted is not None and (file is None or file.deleted is not when.deleted):
        return False
    return not when.file or (file is not None and re.fullmatch(when.file, file.path) is not None)


def _draft(
    runbook: Runbook, steps: tuple[Step, ...], scene: Picture, facts: tuple[Fact, ...]
) -> Draft | None:
    """Return what the runbook says, None where its summary speaks of what was not captured."""
    words = sentence_values(scene)
    summary = _say(runbook.summary, words)
    if summary is None:
        return None
    values = targets(scene)
    commands, notes = [], []
    for step in steps:
        text, note = _fill(step, values, scene)
        if text:
            undo = _put(step.undo, values)
            commands.append(
                Command(text=text, purpose=step.purpose, undo=undo, timeout_s=step.timeout_s)
            )
        elif note and not (step.optional and note.startswith(_NOT_CAPTURED)):
            notes.append(Claim(text=f"left out, {note}: {step.run}"[:1024]))
    claims = [claim for c in runbook.claims if (claim := _claim(c, words, facts)) is not None]
    return Draft(
        runbook=runbook.id,
        diagnosis=Diagnosis(
            summary=summary[:1024],
            culprit=scene.culprit.id if scene.culprit is not None else None,
            confidence_pct=runbook.confidence_pct,
            claims=tuple([*claims, *notes][:MAX_CLAIMS]),
            ruled_out=evidence.ruled_out(scene)[:16],
        ),
        commands=tuple(commands),
    )


_NOT_CAPTURED = "nothing was captured for"


def _fill(step: Step, values: Mapping[str, str], scene: Picture) -> tuple[str, str]:
    """Return the command of `step`, or nothing and why."""
    names = PLACEHOLDER.findall(step.run)
    for name in names:
        if name not in values:
            return "", f"{_NOT_CAPTURED} {name}"
        if not PATTERNS[name].fullmatch(values[name]):
            return "", f"the captured {name} does not look like one"
    if step.changes and (reason := _protected(scene, names, values)):
        return "", reason
    text = _put(step.run, values)
    return (text, "") if len(text) <= MAX_COMMAND_CHARS else ("", "it would be too long")


def _protected(scene: Picture, names: list[str], values: Mapping[str, str]) -> str:
    """Return why what a changing step names must be left alone, or nothing."""
    if "unit" in names and _SPARED_UNITS.fullmatch(values["unit"]):
        return "the host needs that unit"
    if "pid" in names and scene.actor is not None and scene.actor.process is not None:
        return spared(scene.actor.process)
    return ""


def _claim(sentence: Sentence, words: Mapping[str, str], facts: tuple[Fact, ...]) -> Claim | None:
    text = _say(sentence.text, words)
    topics = set(sentence.evidence)
    ids = tuple(f.evidence.id for f in facts if f.topic in topics)
    if text is None or topics - {f.topic for f in facts}:
        return None
    return Claim(text=text[:1024], evidence=ids[:16])


def _say(template: str, words: Mapping[str, str]) -> str | None:
    """Return the sentence with its values, None where one of them is not known."""
    if any(name not in words for name in PLACEHOLDER.findall(template)):
        return None
    return _put(template, words)


def _put(template: str, words: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda found: words[found.group(1)], template)


def targets(scene: Picture) -> dict[str, str]:
    """Return the captured values that a command may name, unchecked: `_fill` holds them to PATTERNS."""
    values: dict[str, str] = {}
    if scene.actor is not None and scene.actor.process is not None:
        values["pid"] = str(scene.actor.process.pid)
        # Otherwise it is a scope or a control group, which nobody restarts.
        if scene.actor.process.unit.endswith(".service"):
            values["unit"] = scene.actor.process.unit
    if scene.filesystem is not None and scene.filesystem.filesystem is not None:
        values["mount"] = scene.filesystem.filesystem.mountpoint
    if scene.culprit is not None and scene.culprit.file is not None:
        values["file"] = scene.culprit.file.path
    return values


def sentence_values(scene: Picture) -> dict[str, str]:
    """Return what sentences may say, escaped and in human units."""
    anomaly = scene.report.anomaly
    words = {
        "host": scene.report.host,
        "signal": human.METRIC_WORDS[anomaly.metric],
        "value": human.reading(anomaly.metric, anomaly.value),
        "threshold": human.reading(anomaly.metric, anomaly.threshold),
        "over": human.duration(anomaly.detected_ms - anomaly.since_ms),
    }
    if scene.share:
        words |= {"share": human.share(scene.share), "share_of": scene.share_of}
    return words | _process_words(scene) | _storage_words(scene)


def _process_words(scene: Picture) -> dict[str, str]:
    if scene.actor is None or scene.actor.process is None:
        return {}
    process = scene.actor.process
    words = {
        "name": scene.actor.name,
        "pid": str(process.pid),
        "rss": human.size(process.rss_bytes),
        "cpu": human.share(process.cpu_permille),
    }
    optional = {
        "user": evidence.quote(process.user),
        "unit": evidence.quote(process.unit),
        "fds": "" if process.fds is None else str(process.fds),
        "zombies": str(zombie_children(scene.report.context)[process.pid] or ""),
    }
    return words | {key: text for key, text in optional.items() if text}


def _storage_words(scene: Picture) -> dict[str, str]:
    words = {}
    if scene.filesystem is not None and scene.filesystem.filesystem is not None:
        disk = scene.filesystem.filesystem
        words["mount"] = scene.filesystem.name
        words["used"] = human.size(disk.used_bytes)
        words["size"] = human.size(disk.size_bytes)
        words["free"] = human.size(disk.free_bytes)
    if scene.culprit is not None and scene.culprit.file is not None:
        words["file"] = scene.culprit.name
        words["file_size"] = human.size(scene.culprit.file.bytes)
    return words
