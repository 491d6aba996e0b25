"""A rule file from its bytes to what it says, or one error that names file, line, rule and reason.

What can be seen of a file by itself is refused here; what needs the layers below it, in `rules`.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import re
from pathlib import Path

import msgspec

from sentinel.errors import PolicyError
from sentinel.policy import kinds, limits, options
from sentinel.policy.lines import Lines
from sentinel.policy.options import Options
from sentinel.policy.readers.table import READERS
from sentinel.policy.rulefile import (
    Allow,
    Block,
    File,
    Part,
    Source,
    Wrapper,
    error_at,
    nearest,
    refusal,
)

HERE = Path(__file__).parent
COMPILED = "packs.json"
SCHEMA = 1
MAX_BYTES = 1 << 20
_RULES: dict[str, type[Part]] = {"allow": Allow, "block": Block, "wrapper": Wrapper}


def read(path: Path) -> Source:
    """Return the rule file at `path`; PolicyError where it cannot be read or is no rule file by its size."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PolicyError(
            f"rule file {path} cannot be read: {error.strerror}",
            hint="correct `policy` in the configuration, or the path on the command line",
        ) from None
    if len(data) > MAX_BYTES:
        raise PolicyError(
            f"rule file {path} is larger than {MAX_BYTES >> 20} MiB", hint="split it into several"
        )
    return Source(path.name, data)


def parse(source: Source, *, fresh: bool = False) -> File:
    """Return what a rule file says; `fresh`: not from the compiled form. PolicyError says what is wrong."""
    ready = None if fresh else compiled().get(hashlib.sha256(source.data).hexdigest())
    if ready is not None:
        return ready
    plain = _toml(source)
    try:
        file = msgspec.convert(plain, File, strict=True)
    except msgspec.ValidationError as error:
        raise _invalid(source, str(error), plain) from None
    if file.schema != SCHEMA:
        raise error_at(source, 1, f"it is of schema {file.schema}, this engine reads {SCHEMA}", "")
    _check(source, file)
    return file


@functools.cache
def compiled() -> dict[str, File]:
    """Return the shipped packs by the SHA-256 of their TOML, from the file that is generated from them.

    A pack that was changed has another digest and is read as TOML; the test of this file says so then.
    """
    try:
        return msgspec.json.decode((HERE / COMPILED).read_bytes(), type=dict[str, File])
    except (OSError, msgspec.DecodeError):
        return {}


def _toml(source: Source) -> dict[str, object]:
    # Imported here: the shipped packs do not need it, and `sentinel check` is to answer at once.
    import tomllib  # noqa: PLC0415

    try:
        return tomllib.loads(source.data.decode())
    except UnicodeDecodeError as error:
        line = source.data.count(b"\n", 0, error.start) + 1
        raise error_at(
            source, line, f"not UTF-8 text: byte {error.start}", "save it as UTF-8"
        ) from None
    except RecursionError:
        raise error_at(source, 0, "not TOML that can be read: nested too deeply", "") from None
    except ValueError as error:  # TOMLDecodeError, and what is too large for an integer
        text = str(error)
        found = re.search(r" \(at line (\d+), column (\d+)\)", text)
        line = int(found[1]) if found else source.data.count(b"\n") + 1
        reason = text.replace(found[0], f" (column {found[2]})") if found else text
        raise error_at(source, line, f"not TOML: {reason}", "") from None


def _invalid(source: Source, message: str, plain: dict[str, object]) -> PolicyError:
    """Return what a validation message says, with the line and the id of the rule it is about."""
    reason, _, path = message.partition(" - at `$")
    found = re.match(r"(?:\.(\w+))?(?:\[(\d+)\])?(?:\.(\w+))?", path)
    assert found is not None
    table, number, key = found[1] or "", int(found[2] or 0), found[3] or ""
    unknown = re.search(r"unknown field `(.*)`", reason)
    if unknown and not key:
        key = unknown[1]
    hint = "the shipped packs show every field a rule may have"
    if unknown:
        hint = nearest(unknown[1], _fields(table), "fields")
    part = plain.get(table)
    if table not in _RULES or not isinstance(part, list):
        reason = f"{table}: {reason}" if table else reason
        line = Lines(source.data.decode()).of_file(key or table)
        return error_at(source, line, reason, hint)
    rule = part[number] if number < len(part) and isinstance(part[number], dict) else {}
    name = rule.get("id") or rule.get("cmd") or f"number {number + 1}"
    field = f"{key}: " if key and not unknown else ""
    line = Lines(source.data.decode()).of(table, number, key)
    return error_at(source, line, f"{table} rule {name}: {field}{reason}", hint)


def _fields(table: str) -> set[str]:
    kind = _RULES.get(table, File)
    return {field.encode_name for field in msgspec.structs.fields(kind)}


# ---------------------------------------------------------------- rules that cannot mean anything


def _check(source: Source, file: File) -> None:
    """Refuse what contradicts itself. (The compiled form was checked when it was made.)"""
    _check_layer(source, file)
    _check_ids(source, file)
    for wrapper in file.wrapper:
        _options(wrapper.opts, source, wrapper.cmd)
    for block in file.block:
        _check_block(block, source)
    for allow in file.allow:
        _check_allow(allow, file, source)
        _check_limits(allow, source)


def _check_layer(source: Source, file: File) -> None:
    for layer, named in (("group", file.groups), ("role", file.roles)):
        if named and file.layer != layer:
            raise refusal(
                source,
                f'`{layer}s` at the top of a file needs `layer = "{layer}"`',
                key=f"{layer}s",
                hint=f'this one is `layer = "{file.layer}"`; a single rule may have `{layer}s` too',
            )
        if file.layer == layer and not named:
            raise refusal(
                source,
                f"a {layer} layer names its hosts",
                key="layer",
                hint=f'add {layer}s = ["..."] at the top',
            )
    if file.layer == "base":
        return
    # These would widen every rule at once.
    for field in ("env", "exec", "paths"):
        if getattr(file, field) is not None:
            raise refusal(
                source, f"[{field}] belongs to the shipped packs", key=field, hint="leave it out"
            )
    if file.wrapper:
        raise refusal(
            source,
            "[[wrapper]] belongs to the shipped packs",
            key="wrapper",
            hint="leave it out",
        )


def _check_ids(source: Source, file: File) -> None:
    ids = [*(each.id for each in file.allow), *(each.id for each in file.block)]
    for name in ids:
        if ids.count(name) > 1:
            raise refusal(
                source, "it is there twice in this file", rule=name, last=True, hint="rename one"
            )
        if name in file.disable:
            raise refusal(
                source, "this file disables its own rule", rule=name, hint="strike one of the two"
            )
    for name in (*file.sets, *file.example_sets):
        if not re.fullmatch(r"[\w.]+", name):
            raise refusal(
                source,
                f"a set cannot be named {name!r}",
                key="sets",
                hint="letters, digits, _ and . only",
            )
    for pid in file.example_sets.get("pids", ()):
        if not re.fullmatch(r"[1-9]\d{0,6}", pid):
            raise refusal(
                source,
                f"example_sets.pids: {pid!r} is not a pid",
                key="example_sets",
                hint='["4321"]',
            )


def _check_allow(allow: Allow, file: File, source: Source) -> None:
    if allow.use and allow.use not in READERS:
        raise refusal(
            source,
            f"there is no reader {allow.use!r}",
            rule=allow.id,
            key="use",
            hint=nearest(allow.use, set(READERS), "readers"),
        )
    usage = _options(allow.opts, source, allow.id)
    front = _options("" if allow.front == "*" else allow.front, source, allow.id)
    for option in (*usage.values(), *front.values()):
        _check_kind(option.kind, source, allow.id, "opts")
    for text in (allow.args, *allow.args_by_sub.values()):
        for term in text.split():
            kind = term.rstrip("?*+") if not term.startswith("'") else None
            _check_kind(kind, source, allow.id, "args")
    for group in allow.require:
        for name in group.split("|"):
            if name not in usage and name != "#count":
                raise refusal(
                    source,
                    f"it requires {name}, which it does not accept",
                    rule=allow.id,
                    key="require",
                    hint="add it to `opts`",
                )
    _check_scope(allow, file, source)
    _check_examples(allow.id, allow.ok, allow.no, "ok", "no", source)


def _check_scope(allow: Allow, file: File, source: Source) -> None:
    if allow.roles and file.roles and not set(allow.roles) & set(file.roles):
        raise refusal(
            source,
            f"no host has one of its roles ({' '.join(allow.roles)})"
            f" and one of the file's ({' '.join(file.roles)})",
            rule=allow.id,
            key="roles",
            hint="strike the roles of the rule",
        )


def _check_limits(allow: Allow, source: Source) -> None:
    if allow.hours and limits.hours_of(allow.hours) is None:
        raise refusal(
            source,
            f"hours {allow.hours!r} is not a part of the day",
            rule=allow.id,
            key="hours",
            hint='write hours = "22:00-06:00", in UTC, the end not included',
        )
    if allow.per_hour and allow.per_plan > allow.per_hour:
        raise refusal(
            source,
            f"per_plan = {allow.per_plan} can never be used with per_hour = {allow.per_hour}",
            rule=allow.id,
            key="per_plan",
            hint="lower per_plan or raise per_hour",
        )


def _check_examples(
    rule: str, good: tuple[str, ...], bad: tuple[str, ...], yes: str, no: str, source: Source
) -> None:
    both = [text for text in good if text in bad]
    if both:
        raise refusal(
            source,
            f"{both[0]!r} is an example of `{yes}` and of `{no}`",
            rule=rule,
            key=no,
            hint="strike one of the two",
        )


def _options(text: str, source: Source, rule: str) -> Options:
    try:
        return options.spec(text)
    except ValueError as error:
        raise refusal(
            source,
            str(error),
            rule=rule,
            key="opts",
            hint="write -x, -x=TYPE, --long or --long=TYPE",
        ) from None


def _check_kind(kind: str | None, source: Source, rule: str, key: str) -> None:
    if kind is not None and not kinds.known(kind):
        known = {*kinds.PATTERNS, *kinds.SPECIAL}
        near = difflib.get_close_matches(kind, known, n=1)
        raise refusal(
            source,
            f"there is no type {kind!r}",
            rule=rule,
            key=key,
            hint=(f"did you mean `{near[0]}`? " if near else "")
            + "All types: sentinel policy types",
        )


def _check_block(block: Block, source: Source) -> None:
    if not (block.cmd or block.redirect or block.pipe_to or block.text):
        raise refusal(
            source,
            "it would block everything",
            rule=block.id,
            hint="give cmd, redirect, pipe_to or text",
        )
    if block.text:
        try:
            re.compile(block.text)
        except re.error as error:
            raise refusal(
                source, f"text is not a pattern: {error}", rule=block.id, key="text"
            ) from None
    _check_examples(block.id, block.hit, block.miss, "hit", "miss", source)
