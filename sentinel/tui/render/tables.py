"""Nodes and the audit log: one line each."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from sentinel import canonical, human, merkle
from sentinel.domain import AgentStatus, AuditRecord, LogRecord, Metric, Mode
from sentinel.tui.line import EMPTY, Line, Row, Tone, cell, clip, joined, line, rule, text, wrap

SKEW_MS = 2000  # more than this is worth a look: decisions have times in them
EXPIRY_MS = 24 * human.HOUR
WIDE = 110
GAUGES = (Metric.CPU_USED, Metric.MEMORY_USED, Metric.SWAP_USED, Metric.LOAD_PER_CPU)


def node_titles(cells: int) -> Line:
    """Return the column titles of the nodes."""
    host = 28 if cells >= WIDE else 16
    names = (("NODE", host), ("STATE", 5), ("SEEN", 5), ("MODE", 8), ("AGENT", 8))
    more = (("CERT", 6), ("SKEW", 9), ("OPEN", 4), ("POLICY", 7))
    columns = [cell(name, width, Tone.STRONG) for name, width in names + more]
    return clip(joined(columns, line(" ")), cells)


def node(agent: AgentStatus, now_ms: int, policy: str, cells: int) -> Line:
    """Return one node; `policy` is the hub's, and another one is drift."""
    host = 28 if cells >= WIDE else 16
    up = agent.connected
    left = agent.certificate_expires_ms - now_ms
    drift = agent.policy != policy
    columns = [
        cell(agent.host, host),
        cell("ok" if up else "LOST", 5, Tone.GOOD if up else Tone.BAD),
        cell(f"{human.age(now_ms - agent.last_seen_ms):>5}", 5),
        cell(
            "LIVE" if agent.mode is Mode.LIVE else "dry-run",
            8,
            Tone.STRONG if agent.mode is Mode.LIVE else Tone.PLAIN,
        ),
        cell(agent.version or "-", 8),
        _expiry(left),
        _skew(agent.clock_skew_ms),
        cell(f"{agent.open_incidents:>4}", 4),
        cell("! DRIFT" if drift else "same", 7, Tone.WARN if drift else Tone.DIM),
    ]
    return clip(joined(columns, line(" ")), cells)


def gauges(agent: AgentStatus) -> str:
    """Return what a node says of itself, of its filesystems the fullest; empty where nothing is known."""
    if not agent.connected:
        return ""
    last = {(sample.metric, sample.subject): sample for sample in agent.gauges}
    words = [
        f"{human.METRIC_WORDS[metric]} {human.reading(metric, sample.value)}"
        for metric in GAUGES
        if (sample := last.get((metric, ""))) is not None
    ]
    disks = [sample for sample in agent.gauges if sample.metric is Metric.FS_USED]
    if disks:
        fullest = max(disks, key=lambda sample: sample.value)
        words.append(f"{fullest.subject} {human.share(fullest.value)}")
    return "   ".join(words)


def _expiry(left_ms: int) -> Line:
    if left_ms <= 0:
        return cell("OVER !", 6, Tone.BAD)
    soon = left_ms < EXPIRY_MS
    return cell(human.age(left_ms) + (" !" if soon else ""), 6, Tone.WARN if soon else Tone.PLAIN)


def _skew(skew_ms: int) -> Line:
    large = abs(skew_ms) > SKEW_MS
    return cell(f"{skew_ms:+d}ms{' !' if large else ''}", 9, Tone.WARN if large else Tone.PLAIN)


def node_counts(agents: tuple[AgentStatus, ...], policy: str) -> str:
    """Return what stands above the nodes."""
    up = sum(agent.connected for agent in agents)
    drift = sum(agent.policy != policy for agent in agents)
    many = "node" if len(agents) == 1 else "nodes"
    lost = len(agents) - up
    return f"{len(agents)} {many}  {up} connected  {lost} LOST  {drift} with another policy"


def audit_titles(cells: int) -> Line:
    """Return the column titles of the audit log."""
    names = [("SEQ", 8), ("TIME UTC", 8), ("WHO", 16), ("ACTION", 16), ("ID", 4), ("HASH", 8)]
    columns = [cell(n, w, Tone.STRONG) for n, w in names[: None if cells >= WIDE else -1]]
    return clip(joined([*columns, line(text("TEXT", Tone.STRONG))], line(" ")), cells)


@lru_cache(
    maxsize=4096
)  # what the audit log's screen keeps: each is asked about in its row and in the sum
def fits(of: AuditRecord) -> bool:
    """Say whether a record is what its hash and its own bytes say: the hash is that of a leaf of the log."""
    body = of.body.encode(errors="replace")
    if of.hash != canonical.digest_text(merkle.leaf_hash(body)):
        return False
    try:
        said = msgspec.json.decode(body, type=LogRecord)
    except msgspec.DecodeError:
        return False
    return all(
        getattr(said, n) == getattr(of, n) for n in LogRecord.__struct_fields__ if n in _SHOWN
    )


_SHOWN = frozenset(AuditRecord.__struct_fields__)


def audit_state(records: Iterable[AuditRecord], *, gapless: bool) -> Line:
    """Return whether these records hold together; the log's first records and its root are not looked at.

    `gapless`: they are of the whole log, where no number may be missing.
    """
    odd = missing = 0
    last: int | None = None
    for each in records:
        odd += not fits(each)
        missing += gapless and last is not None and each.seq != last + 1
        last = each.seq
    said = [f"{odd} DO NOT FIT THEIR HASH"] if odd else ["each fits its hash"]
    said += [f"{missing} GAPS in the numbers"] if missing else ["no gap"] if gapless else []
    bad = bool(odd or missing)
    ask = "; sentinel audit verify says where" if bad else ""
    return line(text(", ".join(said) + ask, Tone.BAD if bad else Tone.GOOD))


def audit(record: AuditRecord, cells: int) -> Line:
    """Return one record; where there is little room its words matter more than its hash."""
    holds = fits(record)
    columns = [
        cell(record.seq, 8),
        cell(human.clock(record.at_ms), 8),
        cell(record.actor, 16),
        cell(record.action, 16, Tone.STRONG),
        cell(human.short_id(record.incident) or "-", 4),
    ]
    if cells >= WIDE:
        shown = record.hash.removeprefix("sha256:")[:8]
        columns.append(cell(shown, 8, Tone.DIM if holds else Tone.BAD))
    mark = EMPTY if holds else line(text("! ", Tone.BAD))
    columns.append((*mark, text(_words(record), Tone.DIM)))
    return clip(joined(columns, line(" ")), cells)


class _Body(msgspec.Struct):
    """What of a record's body is for people."""

    text: str = ""


def _words(record: AuditRecord) -> str:
    """Return what a record says of itself; its body where that says nothing, or is of a hub that lies."""
    try:
        said = msgspec.json.decode(record.body.encode(errors="replace"), type=_Body).text
    except (msgspec.DecodeError, RecursionError):
        said = ""
    return said or record.body


def record(of: AuditRecord, cells: int) -> list[Row]:
    """Return one record in full: the bytes that were hashed, as they are."""
    facts = [
        ("seq", str(of.seq)),
        ("time", human.date(of.at_ms)),
        ("who", of.actor),
        ("action", of.action),
        ("incident", of.incident or "-"),
        ("hash", of.hash),
    ]
    holds = (
        "the hash is that of the body" if fits(of) else "NO: hash, body and columns do not agree"
    )
    facts.append(("holds", holds))
    lines = [rule(f"RECORD {of.seq}", cells)]
    for name, value in facts:
        lines += wrap(value, cells, first=line(text(f"{name:<10}", Tone.STRONG)))
    lines += [rule("BODY, exactly as it was hashed", cells), *wrap(of.body, cells)]
    return [Row(of_line) for of_line in lines]
