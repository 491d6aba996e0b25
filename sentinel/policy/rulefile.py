"""What a rule file may say, and where in it something stands.

Every field that TOML may have is here, with its bound. `rulecheck` makes these of bytes, `rules` joins files.
"""

from __future__ import annotations

import difflib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sentinel.domain import MAX_COMMANDS, Risk
from sentinel.errors import PolicyError
from sentinel.policy import limits
from sentinel.policy.lines import Lines
from sentinel.policy.paths import Paths

RuleId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Names = str | tuple[str, ...]
Scopes = Annotated[tuple[RuleId, ...], Meta(min_length=1)]  # names of host groups, or of roles


class Part(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Base of what a rule file is made of."""


class Allow(Part, frozen=True, kw_only=True):
    """One command, or one set of its sub-commands, and what it may carry."""

    id: RuleId
    cmd: Names
    opts: str = ""
    args: str = ""
    sub: tuple[str, ...] = ()
    front: str = ""  # options that may stand before the sub-command; "*": all of `opts`
    args_by_sub: dict[str, str] = {}
    use: str = ""
    # Of each "A|B" one option must be there; "#count": no lone number.
    require: tuple[str, ...] = ()
    loose_single_dash: bool = False
    plus: bool = False
    context: bool = False  # only in answer to an incident: it must have captured its context
    stop: bool = False  # the first operand ends the options
    bounded: bool = False  # only inside of `timeout`: by itself it never ends
    roots: tuple[str, ...] = ()
    min_age_days: int = 0
    need_name_under: tuple[str, ...] = ()
    groups: Scopes = ()  # only on hosts of one of these groups
    roles: Scopes = ()  # only on hosts of one of these roles
    per_plan: Annotated[int, Meta(ge=1, le=MAX_COMMANDS)] = 0  # limits, as in domain.Limit
    per_hour: Annotated[int, Meta(ge=1, le=1000)] = 0
    cool_down_s: Annotated[int, Meta(ge=1, le=limits.MAX_COOL_DOWN_S)] = 0
    hours: str = ""  # "22:00-06:00", UTC
    dry_run_first: bool = False
    risk: Risk | None = None  # decides how many people must sign; None: low where it only reads
    undo: str = ""
    verify: str = ""
    why: str = ""
    ok: tuple[str, ...] = ()
    no: tuple[str, ...] = ()


class Block(Part, frozen=True, kw_only=True):
    """What may never run, wherever it hides. Every condition that is given must hold."""

    id: RuleId
    cmd: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    words_any: tuple[str, ...] = ()
    first_word: bool = False  # words_any must be the first word that is no option
    args: tuple[str, ...] = ()
    skip_first_flag: bool = False  # the first option is a signal, not an argument
    paths: tuple[str, ...] = ()
    redirect: tuple[str, ...] = ()
    pipe_from: tuple[str, ...] = ()
    pipe_to: tuple[str, ...] = ()
    text: str = ""
    why: str
    hit: tuple[str, ...] = ()
    miss: tuple[str, ...] = ()
    excuse: tuple[str, ...] = msgspec.field(name="except", default=())


class Wrapper(Part, frozen=True, kw_only=True):
    """A command that runs another: the inner one gets the verdict."""

    cmd: str
    opts: str = ""
    lead: str = ""  # type of an operand before the inner command
    assign: bool = False  # NAME=value words before it


class Environment(Part, frozen=True, kw_only=True):
    """What `env NAME=value` may set."""

    allow: tuple[str, ...] = ()
    value: str = ""
    pager_values: tuple[str, ...] = ()


class Execution(Part, frozen=True, kw_only=True):
    """Where executables are looked up."""

    trusted_dirs: tuple[str, ...] = ()


class File(Part, frozen=True, kw_only=True):
    """One rule file."""

    schema: int
    layer: Literal["base", "site", "group", "role"]
    name: str
    groups: Scopes = ()  # of a group layer: the hosts that all of the file is for
    roles: Scopes = ()  # of a role layer
    changes: bool = True  # its commands change the machine
    allow: tuple[Allow, ...] = ()
    block: tuple[Block, ...] = ()
    wrapper: tuple[Wrapper, ...] = ()
    disable: tuple[str, ...] = ()  # ids of rules of lower layers
    sets: dict[str, tuple[str, ...]] = {}
    example_sets: dict[str, tuple[str, ...]] = {}
    env: Environment | None = None
    exec: Execution | None = None
    paths: Paths | None = None


class Source(msgspec.Struct, frozen=True):
    """A rule file's name and bytes."""

    name: str
    data: bytes


def refusal(
    source: Source,
    reason: str,
    *,
    rule: str = "",
    key: str = "id",
    last: bool = False,
    hint: str = "",
) -> PolicyError:
    """Return the error that says where in `source` and why: `10-x.toml:42: rule a.b: ...`.

    The line is that of a key of the rule; without a rule, of a key or a table of the file.
    """
    lines = Lines(source.data.decode(errors="replace"))
    line = lines.of_rule(rule, key, last=last) if rule else lines.of_file(key)
    return error_at(source, line, f"rule {rule}: {reason}" if rule else reason, hint)


def error_at(source: Source, line: int, reason: str, hint: str) -> PolicyError:
    """Return the error about a line of `source`; line 0 is not known."""
    where = f"{source.name}:{line}" if line else source.name
    return PolicyError(f"{where}: {reason}", hint=hint)


def nearest(name: str, known: set[str], what: str) -> str:
    """Return the hint for a name that is not there: the one that was meant, or all there are."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"{what}: {' '.join(sorted(known))}" if known else f"there is no {what} yet"
