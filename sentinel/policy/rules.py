"""The rules: TOML files in layers, refused where they are wrong, and their digest.

    base (shipped packs)  <  site  <  host group  <  role

One rule is one command and the only options it may carry. A rule's examples are judged whenever it is
loaded, against its own layer and those below it; an example that fails refuses the whole file, so that a
policy in force is one that does what it says. A file of a host group or a role is in force only on those
hosts: what it adds, what it disables, what it blocks and what it puts into sets. Which hosts those are
is data of the judgement, so hub and node with the same files have one digest and one verdict. Every
error names the file, the line and the rule, and the engine does not start.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence, Set
from pathlib import Path
from typing import Literal

import msgspec

from sentinel.domain import Digest, Limit, Risk
from sentinel.errors import PolicyError
from sentinel.policy import grammar, options
from sentinel.policy.options import Options
from sentinel.policy.paths import Paths
from sentinel.policy.rulecheck import COMPILED, HERE, parse, read
from sentinel.policy.rulefile import (
    Allow,
    Block,
    Environment,
    Execution,
    File,
    Source,
    Wrapper,
    nearest,
    refusal,
)

ENGINE = "engine/2"  # part of the digest: an engine that judges differently is another policy
PACKS = "packs"
RANK = {"base": 0, "site": 1, "group": 2, "role": 3}
_OF_SET = re.compile(r"(?<!')\b\w+@([\w.]+)")


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """An allow rule as the engine uses it."""

    allow: Allow
    layer: str
    changes: bool
    groups: tuple[str, ...] = ()  # of its file
    roles: tuple[str, ...] = ()

    @property
    def options(self) -> Options:
        """Its usage line, parsed when a command first needs it."""
        return options.spec(self.allow.opts)

    @property
    def risk(self) -> Risk:
        """How much it may harm: what the file says, else medium where it changes something."""
        return self.allow.risk or (Risk.MEDIUM if self.changes else Risk.LOW)

    @property
    def limited(self) -> bool:
        """Whether it has any limit."""
        a = self.allow
        return bool(a.per_plan or a.per_hour or a.cool_down_s or a.hours or a.dry_run_first)

    def limit(self, uses: int) -> Limit:
        """Return its limits, for a command that uses it so often."""
        return Limit(
            rule=self.allow.id,
            uses=uses,
            per_plan=self.allow.per_plan,
            per_hour=self.allow.per_hour,
            cool_down_s=self.allow.cool_down_s,
            hours=self.allow.hours,
            dry_run_first=self.allow.dry_run_first,
        )

    def elsewhere(self, groups: Set[str], role: str) -> str:
        """Return on which hosts alone it is in force, if a host of `groups` and `role` is none of them."""
        for wanted in (self.groups, self.allow.groups):
            if wanted and not groups & set(wanted):
                return f"only on hosts of group {' or '.join(wanted)}"
        for wanted in (self.roles, self.allow.roles):
            if wanted and role not in wanted:
                return f"only on hosts of role {' or '.join(wanted)}"
        return ""


class Overlay(msgspec.Struct, frozen=True, kw_only=True):
    """What the file of a host group or a role does on its hosts, beside its own allow rules."""

    groups: tuple[str, ...]
    roles: tuple[str, ...]
    disable: tuple[str, ...]
    blocks: tuple[Block, ...]
    sets: dict[str, tuple[str, ...]]

    def covers(self, groups: Set[str], role: str) -> bool:
        """Say whether it is in force on a host of `groups` and `role`."""
        return not groups.isdisjoint(self.groups) or role in self.roles


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
    overlays: tuple[Overlay, ...] = ()  # lowest layer first
    examples: int = 0


def on(policy: Policy, groups: Set[str], role: str) -> Policy:
    """Return the policy as it is in force on a host of `groups` and `role`."""
    here = [overlay for overlay in policy.overlays if overlay.covers(groups, role)]
    if not here:
        return policy
    disabled = {name for overlay in here for name in overlay.disable}
    blocks = (*policy.blocks, *(block for overlay in here for block in overlay.blocks))
    return msgspec.structs.replace(
        policy,
        rules={name: _without(found, disabled) for name, found in policy.rules.items()},
        blocks=blocks,
        block_index=_index(blocks),
        sets=_grown(policy.sets, *(overlay.sets for overlay in here)),
        overlays=(),
    )


def widened(policy: Policy, *sets: dict[str, tuple[str, ...]]) -> Policy:
    """Return the policy with more members in its sets."""
    return msgspec.structs.replace(policy, sets=_grown(policy.sets, *sets))


def load(*, site: Sequence[Path] = (), examples: bool | Literal["own"] = True) -> Policy:
    """Return the policy of the shipped packs and the `site` files, after their examples were judged.

    `examples`: "own" judges those of the site files alone, False none.
    Raises PolicyError that names file, line, rule and reason; there is no half-loaded policy.
    """
    own = [(source, parse(source)) for source in map(read, site)]
    for source, file in own:
        if file.layer == "base":
            raise refusal(
                source,
                'layer = "base" is for the shipped packs',
                key="layer",
                hint='write layer = "site", or "group" or "role" for some hosts',
            )
    return _build([*((source, parse(source)) for source in shipped()), *own], examples=examples)


def shipped() -> list[Source]:
    """Return the packs that are part of the program, in order."""
    found = sorted((HERE / PACKS).glob("*.toml"))
    return [Source(path.name, path.read_bytes()) for path in found]


def packs() -> list[tuple[str, File]]:
    """Return the name and the rules of every shipped pack, in order."""
    return [(source.name.removesuffix(".toml"), parse(source)) for source in shipped()]


def build(sources: Sequence[Source], *, examples: bool, fresh: bool = False) -> Policy:
    """Return the policy of `sources`; `fresh`: not from the compiled form."""
    return _build([(source, parse(source, fresh=fresh)) for source in sources], examples=examples)


def _build(files: Sequence[tuple[Source, File]], *, examples: bool | Literal["own"]) -> Policy:
    names = [source.name for source, _ in files]
    for name in names:
        if names.count(name) > 1:
            raise PolicyError(f"two rule files are named {name}", hint="rename one of them")
    total = digest(source for source, _ in files)
    files = sorted(files, key=lambda each: RANK[each[1].layer])
    # The packs are one layer, each file above them is one of its own.
    base = [each for each in files if each[1].layer == "base"]
    stack = _Stack()
    steps: list[tuple[Policy, list[tuple[Source, File]]]] = []
    for layer in (base, *([each] for each in files[len(base) :])):
        for source, file in layer:
            stack.add(source, file)
        steps.append((stack.policy(total), layer))
    policy = steps[-1][0]
    if not policy.rules:
        raise PolicyError("no rule allows anything: refusing an empty policy")
    _check_sets(files)
    if not examples:
        return policy
    # Imported here: judging needs rules, and rules are judged once when they are loaded.
    from sentinel.policy import examples as checker  # noqa: PLC0415

    judged = steps[1:] if examples == "own" else steps
    count = sum(checker.check(upto, *each) for upto, layer in judged for each in layer)
    return msgspec.structs.replace(policy, examples=count)


def digest(sources: Iterable[Source]) -> Digest:
    """Return the SHA-256 over the engine, the grammar and every file's name and bytes."""
    total = hashlib.sha256(f"{ENGINE}\0{grammar.NAME}\0".encode())
    for source in sorted(sources, key=lambda each: each.name):
        total.update(source.name.encode() + b"\0" + len(source.data).to_bytes(8, "big"))
        total.update(source.data)
    return Digest("sha256:" + total.hexdigest())


def compiled() -> bytes:
    """Return the content of `packs.json`: every shipped pack, checked, with all its examples."""
    sources = shipped()
    build(sources, examples=True, fresh=True)
    files = {
        hashlib.sha256(source.data).hexdigest(): parse(source, fresh=True) for source in sources
    }
    return msgspec.json.encode(files) + b"\n"


class _Stack:
    """Rule files on top of one another."""

    def __init__(self) -> None:
        self._rules: dict[str, tuple[Rule, ...]] = {}
        self._blocks: list[Block] = []
        self._wrappers: dict[str, Wrapper] = {}
        self._sets: dict[str, frozenset[str]] = {}
        self._env, self._paths, self._exec = Environment(), Paths(), Execution()
        self._overlays: list[Overlay] = []
        self._allowing: dict[str, str] = {}  # id of a rule -> its file
        self._blocking: dict[str, str] = {}

    def add(self, source: Source, file: File) -> None:
        """Put a file on top; PolicyError where it does not fit what is below."""
        self._disabled(source, file)
        self._name(source, file)
        for allow in file.allow:
            rule = Rule(
                allow=allow,
                layer=file.name,
                changes=file.changes,
                groups=file.groups,
                roles=file.roles,
            )
            for name in (allow.cmd,) if isinstance(allow.cmd, str) else allow.cmd:
                self._rules[name] = (*self._rules.get(name, ()), rule)
        if file.groups or file.roles:
            overlay = Overlay(
                groups=file.groups,
                roles=file.roles,
                disable=file.disable,
                blocks=file.block,
                sets=file.sets,
            )
            self._overlays.append(overlay)
            return
        gone = set(file.disable)
        if gone:
            self._rules = {name: _without(found, gone) for name, found in self._rules.items()}
        self._blocks += file.block
        self._wrappers |= {wrapper.cmd: wrapper for wrapper in file.wrapper}
        self._sets = _grown(self._sets, file.sets)
        self._env = file.env or self._env
        self._paths = file.paths or self._paths
        self._exec = file.exec or self._exec

    def _name(self, source: Source, file: File) -> None:
        seen = self._allowing | self._blocking
        for name in (*(a.id for a in file.allow), *(b.id for b in file.block)):
            if name in seen:
                raise refusal(
                    source,
                    f"it is there twice: {seen[name]} has it too",
                    rule=name,
                    hint="give it another id; to change a shipped rule, `disable` it and write your own",
                )
        self._allowing |= {allow.id: source.name for allow in file.allow}
        self._blocking |= {block.id: source.name for block in file.block}

    def _disabled(self, source: Source, file: File) -> None:
        for name in file.disable:
            if name in self._blocking:
                raise refusal(
                    source,
                    f"{name} blocks, and a block cannot be disabled",
                    key="disable",
                    hint="strike it from `disable`",
                )
            if name not in self._allowing:
                raise refusal(
                    source,
                    f"disable names {name}, which no lower layer has",
                    key="disable",
                    hint=nearest(name, set(self._allowing), "rules"),
                )

    def policy(self, total: Digest) -> Policy:
        """Return the policy of what is on the stack now."""
        return Policy(
            digest=total,
            rules=dict(self._rules),
            blocks=tuple(self._blocks),
            block_index=_index(self._blocks),
            wrappers=dict(self._wrappers),
            sets=self._sets,
            env=self._env,
            paths=self._paths,
            trusted_dirs=self._exec.trusted_dirs,
            overlays=tuple(self._overlays),
        )


def _without(rules: tuple[Rule, ...], disabled: set[str]) -> tuple[Rule, ...]:
    return tuple(rule for rule in rules if rule.allow.id not in disabled)


def _grown(
    sets: dict[str, frozenset[str]], *more: dict[str, tuple[str, ...]]
) -> dict[str, frozenset[str]]:
    """Return the sets with more members. That is the one way in which a layer widens a lower rule."""
    grown = dict(sets)
    for each in more:
        for name, members in each.items():
            grown[name] = grown.get(name, frozenset()) | frozenset(members)
    return grown


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


def _check_sets(files: Sequence[tuple[Source, File]]) -> None:
    """Refuse a rule whose type names a set that no layer defines, not even for examples."""
    known = {name for _, file in files for name in (*file.sets, *file.example_sets)}
    for source, file in files:
        for allow in file.allow:
            for name in sets_of(allow):
                if name not in known:
                    raise refusal(
                        source,
                        f"no layer defines the set `{name}`",
                        rule=allow.id,
                        hint=f"{nearest(name, known, 'sets')} Define it under [sets],"
                        " or under [example_sets] for the examples alone",
                    )


def sets_of(allow: Allow) -> set[str]:
    """Return the names of the sets that a rule's types refer to."""
    texts = (allow.opts, allow.args, allow.front, *allow.args_by_sub.values())
    return {name for text in texts if "@" in text for name in _OF_SET.findall(text)}


if __name__ == "__main__":
    (HERE / COMPILED).write_bytes(compiled())
