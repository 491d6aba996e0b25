"""Coverage-guided fuzzing of the verdict: `make fuzz`, or `python -m tests.fuzz.judge [-max_total_time=60 ...]`.

Whatever the bytes are, these hold:
  1. a judgement comes back, twice the same;
  2. what is allowed is in the strict grammar, and the second parser agrees;
  3. with a dangerous or an unknown command behind it, it is not allowed;
  4. with one character of a word changed, it is not allowed or runs something else.

atheris is no dependency of the project, for it needs a compiler on many machines. Its first byte says which
facts a text is judged with, the next two which character is changed to what, the rest is the text. The
corpora are the seeds; what is found is kept in the folder `.fuzz`, and a failure in a file `crash-*`.
"""

from __future__ import annotations

import functools
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from sentinel.domain import Verdict
from sentinel.policy import grammar, rules, shell, validate
from sentinel.policy.grammar import Reject
from sentinel.policy.readers.table import READERS, reader
from sentinel.policy.rules import Policy
from sentinel.policy.validate import Facts

GOLDEN = Path(__file__).parents[1] / "golden" / "policy"
KEPT = Path(".fuzz")
FACTS = (
    Facts(),
    Facts(captured=True),
    Facts(pids=frozenset({4242, 1, 77}), own_pids=frozenset({77}), captured=True),
)
BEHIND = (
    "; rm -rf /",
    "; frobnicate",
    " && rm -rf /",
    "|sh",
    "\nid",
    " & id",
    ";sudo su",
    " $(id)",
)
SITE = {
    "units": ["nginx", "app"],
    "containers": ["web"],
    "workloads": ["prod/deployment/web"],
    "pidfiles": ["/run/app/app.pid"],
}


@functools.cache
def policy() -> Policy:
    """Return the shipped packs with the sets of a small site."""
    shipped = rules.load(examples=False)
    sets = {name: frozenset(members) for name, members in SITE.items()}
    return msgspec.structs.replace(shipped, sets={**shipped.sets, **sets})


def check(data: bytes) -> None:
    """Raise AssertionError if a property does not hold for `data`."""
    if len(data) < 4:
        return
    facts = FACTS[data[0] % len(FACTS)]
    text = data[3:].decode(errors="replace")
    found = validate.judge(policy(), text, facts)
    if not data[2] % 8:
        assert found == validate.judge(policy(), text, facts), "two answers"
    if found.verdict is not Verdict.ALLOW:
        return
    try:
        tree = grammar.parse(text)
    except Reject as reject:
        raise AssertionError("allowed outside of the grammar") from reject
    assert shell.agrees(text, tree), "allowed without the second parser"
    more = BEHIND[data[1] % len(BEHIND)]
    behind = validate.judge(policy(), text + more, facts)
    assert behind.verdict is not Verdict.ALLOW, f"allowed with {more!r} behind it"
    inside = [at for simple in tree.commands for word in simple.argv for at in range(*word.span)]
    at, char = inside[data[1] * 7 % len(inside)], chr(data[2] % 128)
    if text[at] != char:
        other = validate.judge(policy(), text[:at] + char + text[at + 1 :], facts)
        same = other.argv_digest == found.argv_digest
        assert other.verdict is not Verdict.ALLOW or not same, f"{char!r} at {at} changes nothing"


def seeds() -> dict[str, bytes]:
    """Return the corpora's lines by the name of their file."""
    found: dict[str, bytes] = {}
    for path in sorted(GOLDEN.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            found[f"{path.stem}-{number}"] = b"\x02\x00-" + json.loads(line)["cmd"].encode()
    return found


def main() -> int:
    """Run libFuzzer until it is told to stop or a property fails."""
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        print("make fuzz needs atheris: .venv/bin/pip install atheris", file=sys.stderr)
        return 2
    KEPT.mkdir(exist_ok=True)
    if not any(KEPT.iterdir()):
        for name, data in seeds().items():
            (KEPT / name).write_bytes(data)
    policy()
    shell.outline("ls $(id)")
    for name in READERS:
        reader(name)
    _instrument(atheris.instrument_func)
    words = {word for data in seeds().values() for word in data[3:].decode().split()}
    dictionary = KEPT.with_suffix(".dict")
    dictionary.write_text(
        "\n".join(json.dumps(w) for w in sorted(words) if w.isascii() and w.isalnum()) + "\n"
    )
    arguments = ["-timeout=30", "-rss_limit_mb=4096", "-max_len=1200", f"-dict={dictionary}"]
    atheris.Setup([sys.argv[0], *arguments, *sys.argv[1:], str(KEPT)], check)
    atheris.Fuzz()
    return 0


def _instrument(instrument: Callable[[object], object]) -> None:
    """Count the branches of the engine and of bashlex."""
    for name, module in list(sys.modules.items()):
        if not name.startswith(("sentinel.policy", "bashlex")):
            continue
        for each in list(vars(module).values()):
            functions = vars(each).values() if isinstance(each, type) else (each,)
            for function in functions:
                if getattr(function, "__module__", "") == name and hasattr(function, "__code__"):
                    instrument(function)


if __name__ == "__main__":
    sys.exit(main())
