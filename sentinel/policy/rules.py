"""The rules: TOML files in layers, refused where they are wrong, and their digest.

    base (shipped packs)  <  site files, in the order they are named

One rule is one command and the only options it may carry. A rule's examples are judged whenever it is
loaded, against its own layer and those below it; an example that fails refuses the whole file, so that a
policy in force is one that does what it says. A file that is malformed, names a type, a reader or a set
that is not there, or repeats an id, is refused with the file and the rule, and the engine does not start.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from sentinel.domain import Digest
from sentinel.errors import PolicyError
from sentinel.policy import grammar, kinds, options
from sentinel.policy.options import Options
from sentinel.policy.paths import Paths
from sentinel.policy.readers.table import READERS

ENGINE = "engine/1"  # part of the digest: an engine that judges differently is another policy
HERE = Path(__file__).parent
PACKS = "packs"
COMPILED = "packs.json"
SCHEMA = 1

RuleId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Names = str | tuple[str, ...]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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
    require: tuple[
        str, ...
    ] = ()  # of each "A|B" one option must be there; "#count": no lone number
    loose_single_dash: bool = False
    plus: bool = False
    context: bool = False  # only in answer to an incident: it must have captured its context
    stop: bool = False  # the first operand ends the options
    roots: tuple[str, ...] = ()
    min_age_days: int = 0
    need_name_under: tuple[str, ...] = ()
    risk: str = ""
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
    layer: Annotated[str, Meta(pattern="^(base|site)$")]
    name: str
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


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """An allow rule as the engine uses it."""

    allow: Allow
    layer: str
    changes: bool

    @property
    def options(self) -> Options:
        """Its usage line, parsed when a command first needs it."""
        return options.spec(self.allow.opts)


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Every layer, ready to judge by."""

    digest: Digest
    rules: dict[str, tuple[Rule, ...]]  # by command name
    blocks: tuple[Block, ...]
    block_index: dict[str, tuple[Block, ...]]  # by command name; "" holds what to ask of any other
    wrappers: dict[str, Wrapper]
    sets: dict[str, frozenset[str]]
    env: Environment
    paths: Paths
    trusted_dirs: tuple[str, ...]
    examples: int = 0


class Source(msgspec.Struct, frozen=True):
    """A rule file's name and bytes."""

    name: str
    data: bytes


def load(*, site: Sequence[Path] = (), examples: bool = True) -> Policy:
    """Return the policy of the shipped packs and the `site` files.

    Raises PolicyError that names file, rule and reason; there is no half-loaded policy.
    """
    return build([*shipped(), *map(read, site)], examples=examples)


def shipped() -> list[Source]:
    """Return the packs that are part of the program, in order."""
    found = sorted((HERE / PACKS).glob("*.toml"))
    return [Source(path.name, path.read_bytes()) for path in found]


def build(sources: Sequence[Source], *, examples: bool, fresh: bool = False) -> Policy:
    """Return the policy of `sources`, lowest layer first; `fresh`: not from the compiled form."""
    files = [(source, parse(source, fresh=fresh)) for source in sources]
    names = [source.name for source in sources]
    if len(set(names)) != len(names):
        raise PolicyError(f"two rule files are named {_twice(names)}", hint="rename one of them")
    policy = _combine(files, digest(sources))
    if not policy.rules:
        raise PolicyError("no rule allows anything: refusing an empty policy")
    if not examples:
        return policy
    # Imported here: judging needs rules, and rules are judged once when they are loaded.
    from sentinel.policy import examples as checker  # noqa: PLC0415

    total = 0
    for count in range(1, len(files) + 1):
        lower = _combine(files[:count], policy.digest)
        total += checker.check(lower, *files[count - 1])
    return msgspec.structs.replace(policy, examples=total)


def digest(sources: Iterable[Source]) -> Digest:
    """Return the SHA-256 over the engine, the grammar and every file's name and bytes."""
    total = hashlib.sha256(f"{ENGINE}\0{grammar.NAME}\0".encode())
    for source in sorted(sources, key=lambda each: each.name):
        total.update(source.name.encode() + b"\0" + len(source.data).to_bytes(8, "big"))
        total.update(source.data)
    return Digest("sha256:" + total.hexdigest())


def read(path: Path) -> Source:
    """Return the rule file at `path`; PolicyError where it cannot be read."""
    try:
        return Source(path.name, path.read_bytes())
    except OSError as error:
        raise PolicyError(
            f"rule file {path} cannot be read: {error.strerror}",
            hint="correct `policy` in the configuration",
        ) from None


def parse(source: Source, *, fresh: bool = False) -> File:
    """Return what a rule file says; PolicyError names the field and the rule that are wrong."""
    ready = None if fresh else _compiled().get(hashlib.sha256(source.data).hexdigest())
    if ready is not None:
        return ready
    # Imported here: the shipped packs do not need it, and `sentinel check` is to answer at once.
    import tomllib  # noqa: PLC0415

    try:
        plain = tomllib.loads(source.data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"{source.name} is not TOML: {error}") from None
    try:
        file = msgspec.convert(plain, File, strict=True)
    except msgspec.ValidationError as error:
        raise PolicyError(
            f"{source.name}: {error}{_where(str(error), plain)}",
            hint="the shipped packs show every field a rule may have",
        ) from None
    if file.schema != SCHEMA:
        raise PolicyError(f"{source.name} is of schema {file.schema}, this engine reads {SCHEMA}")
    _check(source, file)
    return file


@functools.cache
def _compiled() -> dict[str, File]:
    """Return the shipped packs by the SHA-256 of their TOML, from the file that is generated from them.

    A pack that was changed has another digest and is read as TOML; the test of this file says so then.
    """
    try:
        return msgspec.json.decode((HERE / COMPILED).read_bytes(), type=dict[str, File])
    except (OSError, msgspec.DecodeError):
        return {}


def compiled() -> bytes:
    """Return the content of that file: every shipped pack, checked, with all its examples."""
    sources = shipped()
    build(sources, examples=True, fresh=True)
    files = {
        hashlib.sha256(source.data).hexdigest(): parse(source, fresh=True) for source in sources
    }
    return msgspec.json.encode(files) + b"\n"


def _where(message: str, plain: dict[str, object]) -> str:
    """Return the id of the rule that a validation message points at by number."""
    found = re.search(r"\$\.(allow|block|wrapper)\[(\d+)\]", message)
    part = plain.get(found[1]) if found else None
    if found is None or not isinstance(part, list):
        return ""
    rule = part[int(found[2])]
    name = rule.get("id") or rule.get("cmd") if isinstance(rule, dict) else None
    return f" (rule {name})" if name else f" ({found[1]} number {int(found[2]) + 1})"


def _combine(files: Sequence[tuple[Source, File]], total: Digest) -> Policy:
    rules: dict[str, list[Rule]] = {}
    blocks: list[Block] = []
    wrappers: dict[str, Wrapper] = {}
    sets: dict[str, frozenset[str]] = {}
    env, paths, trusted = Environment(), Paths(), Execution()
    seen: dict[str, str] = {}
    for source, file in files:
        for name in (*(a.id for a in file.allow), *(b.id for b in file.block)):
            if name in seen:
                raise PolicyError(f"{source.name}: rule {name} is there twice ({seen[name]})")
            seen[name] = source.name
        _disable(file, source, rules, seen)
        for allow in file.allow:
            rule = Rule(allow=allow, layer=file.name, changes=file.changes)
            for name in (allow.cmd,) if isinstance(allow.cmd, str) else allow.cmd:
                rules.setdefault(name, []).append(rule)
        blocks += file.block
        wrappers |= {wrapper.cmd: wrapper for wrapper in file.wrapper}
        # A set grows through layers; that is the one way in which a site widens a shipped rule.
        for name, members in file.sets.items():
            sets[name] = sets.get(name, frozenset()) | frozenset(members)
        _base_only(file, source)
        env, paths, trusted = file.env or env, file.paths or paths, file.exec or trusted
    return Policy(
        digest=total,
        rules={name: tuple(found) for name, found in rules.items()},
        blocks=tuple(blocks),
        block_index=_index(blocks),
        wrappers=wrappers,
        sets=sets,
        env=env,
        paths=paths,
        trusted_dirs=trusted.trusted_dirs,
    )


def _index(blocks: Sequence[Block]) -> dict[str, tuple[Block, ...]]:
    """Return the blocking rules to ask for a command's name; `""` holds those to ask for any other."""
    of_any = tuple(
        block
        for block in blocks
        if not block.text and (not block.cmd or any(set(name) & set("*?[") for name in block.cmd))
    )
    index = {"": of_any}
    for block in blocks:
        for name in block.cmd:
            if block not in of_any:
                index[name] = (*index.get(name, of_any), block)
    return index


def _base_only(file: File, source: Source) -> None:
    """Refuse in a site file what would widen every rule at once."""
    if file.layer == "base":
        return
    for field in ("env", "exec", "paths"):
        if getattr(file, field) is not None:
            raise PolicyError(f"{source.name}: [{field}] belongs to the shipped packs")
    if file.wrapper:
        raise PolicyError(f"{source.name}: [[wrapper]] belongs to the shipped packs")


def _disable(
    file: File, source: Source, rules: dict[str, list[Rule]], seen: dict[str, str]
) -> None:
    for name in file.disable:
        if name not in seen:
            raise PolicyError(f"{source.name}: disable names {name}, which no lower layer has")
        before = sum(map(len, rules.values()))
        for command, found in list(rules.items()):
            rules[command] = [rule for rule in found if rule.allow.id != name]
        if before == sum(map(len, rules.values())):
            raise PolicyError(
                f"{source.name}: {name} blocks, and a block cannot be disabled",
                hint="strike it from `disable`",
            )


def _check(source: Source, file: File) -> None:
    """Refuse rules that cannot mean anything. (The compiled form was checked when it was made.)"""
    for wrapper in file.wrapper:
        _options(wrapper.opts, wrapper.cmd, source)
    for block in file.block:
        _check_block(block, source)
    for allow in file.allow:
        _check_allow(allow, source)


def _check_allow(allow: Allow, source: Source) -> None:
    where = f"{source.name}: rule {allow.id}"
    if allow.use and allow.use not in READERS:
        raise PolicyError(f"{where}: there is no reader {allow.use!r}", hint=", ".join(READERS))
    usage = _options(allow.opts, allow.id, source)
    front = _options("" if allow.front == "*" else allow.front, allow.id, source)
    for option in (*usage.values(), *front.values()):
        _check_kind(option.kind, where)
    for text in (allow.args, *allow.args_by_sub.values()):
        for term in text.split():
            _check_kind(term.rstrip("?*+") if not term.startswith("'") else None, where)
    for group in allow.require:
        for name in group.split("|"):
            if name not in usage and name != "#count":
                raise PolicyError(
                    f"{where}: it requires {name}, which it does not accept",
                    hint="add it to `opts`",
                )


def _options(text: str, rule: str, source: Source) -> Options:
    try:
        return options.spec(text)
    except ValueError as error:
        raise PolicyError(f"{source.name}: rule {rule}: {error}") from None


def _check_kind(kind: str | None, where: str) -> None:
    if kind is not None and not kinds.known(kind):
        raise PolicyError(
            f"{where}: there is no type {kind!r}",
            hint=f"types: {' '.join(sorted(kinds.PATTERNS))}, unit@SET, pid$pids",
        )


def _check_block(block: Block, source: Source) -> None:
    where = f"{source.name}: rule {block.id}"
    if not (block.cmd or block.redirect or block.pipe_to or block.text):
        raise PolicyError(f"{where} would block everything: give cmd, redirect, pipe_to or text")
    if block.text:
        try:
            re.compile(block.text)
        except re.error as error:
            raise PolicyError(f"{where}: text is not a pattern: {error}") from None


def _twice(names: list[str]) -> str:
    return next(name for name in names if names.count(name) > 1)


if __name__ == "__main__":
    (HERE / COMPILED).write_bytes(compiled())
