"""What a runbook is: conditions, sentences and command templates, and how its file is read.

A file is Markdown whose front matter, TOML between two lines of `+++`, is a program with no power. A
key, a placeholder or a topic that does not exist is refused with the file's name when it is loaded: the
night it is needed is too late. Pure but for `load`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources.abc import Traversable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sentinel import config
from sentinel.config import Settings
from sentinel.domain import MAX_COMMAND_CHARS, MAX_COMMANDS, Kind, Line, Metric, Name
from sentinel.errors import ConfigError
from sentinel.hub.reason import evidence
from sentinel.hub.reason.picture import Sort

FENCE = "+++"
LAST_RESORT = "observe"  # for every kind; it needs nothing that is captured

Template = Annotated[str, Meta(min_length=1, max_length=MAX_COMMAND_CHARS)]
PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")

# What a captured value must look like to stand in a command. Nothing here has a meaning to a shell.
_PATH = r"/(?:[A-Za-z0-9_+@=,:][A-Za-z0-9._+@=,:-]{0,127}(?:/(?!$)|$)){0,32}"
PATTERNS: dict[str, re.Pattern[str]] = {
    "pid": re.compile(r"[1-9][0-9]{0,6}"),
    "unit": re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.@-]{0,200}\.service"),
    "mount": re.compile(_PATH),
    "file": re.compile(_PATH),
}
SENTENCE_VALUES = frozenset(
    {
        "host", "signal", "value", "threshold", "over", "name", "pid", "user", "unit", "rss", "cpu", "fds",
        "share", "share_of", "mount", "used", "size", "free", "file", "file_size", "zombies",
    }
)  # fmt: skip


class When(Settings, frozen=True, kw_only=True):
    """What must hold, all of it, for a runbook to match beside its kinds."""

    metrics: tuple[Metric, ...] = ()
    culprit: Sort | None = None
    # Of what the incident is about; needless where the rule watches that very process.
    share_min_permille: Annotated[int, Meta(ge=0, le=1000)] = 0
    deleted: bool | None = None  # of a culprit that is a file
    file: str = ""  # pattern of its whole path
    mounts: tuple[str, ...] = ()
    journal_min_permille: Annotated[int, Meta(ge=0, le=1000)] = 0


class Sentence(Settings, frozen=True, kw_only=True):
    """A claim; it is made only where evidence of all its topics was found."""

    text: Line
    evidence: tuple[Name, ...]


class Step(Settings, frozen=True, kw_only=True):
    """A command template. `optional`: no note where what it needs was not captured."""

    run: Template
    purpose: Line
    undo: Line = ""
    timeout_s: Annotated[int, Meta(ge=1, le=600)] = 10
    changes: bool = False  # it changes something: not aimed at what the host cannot do without
    optional: bool = False
    expect: Literal["allow", "review"] = "allow"  # what the shipped policy is meant to say


class Runbook(Settings, frozen=True, kw_only=True):
    """One runbook: the front matter and, in `body`, the text for people."""

    schema: Literal[1]
    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    title: Line
    kinds: tuple[Kind, ...]
    priority: Annotated[int, Meta(ge=0, le=100)] = 0
    when: When = When()
    summary: Line
    confidence_pct: Annotated[int, Meta(ge=0, le=100)]
    claims: Annotated[tuple[Sentence, ...], Meta(max_length=8)] = ()
    steps: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=MAX_COMMANDS)]
    escalation: Annotated[tuple[Step, ...], Meta(max_length=MAX_COMMANDS)] = ()
    body: str = ""


def load(folder: Traversable) -> list[Runbook]:
    """Return the runbooks in the `*.md` files of `folder`; ConfigError that names the file."""
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return [
        parse(file.read_text(encoding="utf-8"), file.name)
        for file in files
        if file.name.endswith(".md")
    ]


def parse(text: str, name: str) -> Runbook:
    """Return the runbook in `text`; ConfigError that names the file `name` and what is wrong."""
    source = f"runbook {name}"
    head, _, rest = text.partition("\n")
    front, fence, body = rest.partition(f"\n{FENCE}\n")
    if head != FENCE or not fence:
        raise ConfigError(
            f"{source} has no front matter", hint=f"TOML between two lines that are {FENCE}"
        )
    runbook = config.parse(Runbook, front, source)
    if runbook.body:
        raise ConfigError(f"{source}: body is what follows the front matter, not a key of it")
    if name != f"{runbook.id}.md":
        raise ConfigError(
            f"{source}: its id is {runbook.id}", hint=f"name the file {runbook.id}.md"
        )
    _check(runbook, source)
    return msgspec.structs.replace(runbook, body=body.strip())


def _check(runbook: Runbook, source: str) -> None:
    """Refuse what would only be noticed on the night it is needed."""
    if (runbook.id == LAST_RESORT) is bool(runbook.kinds):
        raise ConfigError(
            f"{source}: kinds = {[k.value for k in runbook.kinds]}",
            hint=f"{LAST_RESORT} is for every kind and has none; every other runbook has some",
        )
    if runbook.id == LAST_RESORT and any("{" in step.run for step in runbook.steps):
        raise ConfigError(f"{source}: the last resort must need nothing that is captured")
    for step in (*runbook.steps, *runbook.escalation):
        _placeholders(step.run, PATTERNS, f"{source}: run {step.run!r}")
        _placeholders(step.undo, PLACEHOLDER.findall(step.run), f"{source}: undo {step.undo!r}")
    for sentence in (runbook.summary, *(claim.text for claim in runbook.claims)):
        _placeholders(sentence, SENTENCE_VALUES, f"{source}: {sentence!r}")
    for claim in runbook.claims:
        unknown = sorted(set(claim.evidence) - evidence.TOPICS)
        if unknown or not claim.evidence:
            raise ConfigError(
                f"{source}: claim {claim.text!r} rests on {', '.join(unknown) or 'nothing'}",
                hint=f"topics: {', '.join(sorted(evidence.TOPICS))}",
            )
    try:
        re.compile(runbook.when.file)
    except re.error as error:
        raise ConfigError(f"{source}: when.file is not a pattern: {error}") from None


def _placeholders(template: str, known: Iterable[str], where: str) -> None:
    names = set(PLACEHOLDER.findall(template))
    if unknown := sorted(names - set(known)):
        raise ConfigError(
            f"{where}: unknown placeholder {{{unknown[0]}}}",
            hint=f"placeholders: {', '.join(sorted(known))}",
        )
    if re.search(r"[{}]", PLACEHOLDER.sub("", template)):
        raise ConfigError(f"{where}: a brace that is no placeholder")
