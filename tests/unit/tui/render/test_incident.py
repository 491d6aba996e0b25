"""The incident document: what it says, and in which order."""

from __future__ import annotations

import msgspec
import pytest

from sentinel.domain import Admission, Choice, CommandResult, Halt, Mode, Outcome, State, Stopping
from sentinel.tui.line import plain
from sentinel.tui.render import incident as render


def case(recording, host):
    return next(r.incident for r in recording.incidents if r.incident.summary.host == host)


def text(recording, host, cells=78, **fields):
    incident = msgspec.structs.replace(case(recording, host), **fields)
    return "\n".join(plain(row.line) for row in render.document(incident, recording.at_ms, cells))


def positions(shown, *titles):
    return [shown.index(f"─ {title}") for title in titles]


def test_what_comes_before_why_and_why_before_the_plan(recording):
    shown = text(recording, "db-01")
    order = positions(shown, "WHAT", "WHY", "PLAN", "BESIDE", "TIMELINE")
    assert order == sorted(order)


def test_once_it_runs_what_it_does_comes_first(recording):
    shown = text(recording, "edge-2")
    order = positions(shown, "RUN", "PLAN", "WHAT", "WHY")
    assert order == sorted(order)


def test_the_evidence_stands_beside_the_claim(recording):
    lines = text(recording, "db-01").splitlines()
    at = lines.index("- one process holds more than half of the memory")
    assert lines[at + 1] == "    E2 P1 report-worker[2217] holds 8.10 GiB, 52% of all memory"


def test_a_claim_without_evidence_says_so(recording):
    incident = case(recording, "db-01")
    claim = msgspec.structs.replace(incident.plan.diagnosis.claims[0], evidence=())
    diagnosis = msgspec.structs.replace(incident.plan.diagnosis, claims=(claim,))
    plan = msgspec.structs.replace(incident.plan, diagnosis=diagnosis)
    assert "no evidence given" in text(recording, "db-01", plan=plan)


def test_evidence_that_is_not_in_the_record_is_not_made_up(recording):
    assert "E2 no such evidence in the record" in text(recording, "db-01", evidence=())


def test_what_was_seen_beside_and_ruled_out_is_kept(recording):
    shown = text(recording, "db-01")
    assert "seen E4  swap 96.9% used; memory pressure (full) 4.1%" in shown
    assert "ruled out  postgres: steady for days" in shown


def test_a_plan_that_stands_in_for_a_model_says_why(recording):
    shown = text(recording, "node-009")
    assert "stands in for the model: ollama:qwen2.5:14b did not answer within 120 s" in shown


def test_another_policy_on_the_node_is_told_before_anybody_approves(recording):
    assert "the node judges with another policy" in text(recording, "node-009")
    assert "the node judges with another policy" not in text(recording, "db-01")


def test_a_marker_line_stands_under_what_is_not_allowed(recording):
    lines = text(recording, "node-017", cells=158).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(" 3 ✗ BLOCK"))
    assert lines[at][lines[at + 1].index("^") :].startswith("rm -rf /var/log/journal")
    assert lines[at][lines[at + 1].index("~") :].startswith("rm -f --")
    assert lines[at + 2].strip().startswith("^ never.audit.logs  ")


def test_a_process_is_named_where_the_anomaly_is_about_one(recording):
    assert "nginx[811] open files 61022, limit 58000, +840/min" in text(recording, "node-009")


def test_a_command_is_a_place_to_stop_and_so_is_its_output(recording):
    rows = render.document(case(recording, "edge-2"), recording.at_ms, 78)
    assert [row.stop for row in rows if row.stop] == [
        "output:0",
        "output:1",
        "command:0",
        "command:1",
        "command:2",
    ]


def test_results_have_exit_status_duration_and_output(recording):
    shown = text(recording, "edge-2")
    assert " 1 done       exit 0  18 ms   df -h /" in shown
    assert "| /dev/vda1        30G   28G  2.0G  94% /" in shown
    assert " 2 running    for 29 s        journalctl --vacuum-size=500M" in shown


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Outcome.FAILED, "FAILED"),
        (Outcome.TIMED_OUT, "TIMED OUT"),
        (Outcome.INTERRUPTED, "INTERRUPTED"),
        (Outcome.SKIPPED, "skipped"),
    ],
)
def test_each_outcome_has_its_word_and_reason(recording, outcome, word):
    result = CommandResult(index=0, outcome=outcome, exit_status=3, reason="because")
    shown = text(recording, "edge-2", results=(result,))
    assert f" 1 {word}" in shown
    assert "      because" in shown


def test_a_rehearsal_is_called_one(recording):
    results = (CommandResult(index=0, outcome=Outcome.REHEARSED),)
    shown = text(recording, "db-01", results=results)
    assert "REHEARSAL: nothing was changed" in shown


def test_long_output_is_cut_here_and_whole_behind_enter(recording):
    out = "".join(f"line {n}\n" for n in range(40))
    result = CommandResult(index=0, outcome=Outcome.RAN, stdout=out, truncated_bytes=2048)
    shown = text(recording, "edge-2", results=(result,))
    assert "| line 4" in shown
    assert "| line 5" not in shown
    assert "↵ on the command above shows all of it" in shown
    whole = [plain(r.line) for r in render.output_document(result, "df", 0, 78)]
    assert "| line 39" in whole
    assert "the node cut 2.0 KiB of output" in whole


def test_a_tab_in_an_output_is_layout_and_another_control_is_not():
    result = CommandResult(index=0, outcome=Outcome.RAN, stdout="a\tb\x1b[2J\n")
    (of,) = render.output_lines(result, 9)
    assert plain(of) == "| a       b\\x1b[2J"


def test_standard_error_is_told_from_standard_output(recording):
    result = CommandResult(index=0, outcome=Outcome.FAILED, stdout="o\n", stderr="e\n")
    shown = text(recording, "edge-2", results=(result,))
    assert "   | o" in shown
    assert "   ! e" in shown


def test_verification_counts_down_and_then_says_how_it_ended(recording):
    incident = case(recording, "edge-2")
    summary = msgspec.structs.replace(incident.summary, state=State.EXECUTED)
    shown = text(recording, "edge-2", summary=summary)
    assert "verify: needs below 90.0% for 30 s;" in shown
    ended = text(recording, "web-3")
    assert "verify: NOT recovered, last reading 38.8%" in ended


def test_a_node_that_refused_says_at_which_check(recording):
    refused = Admission(
        incident="x",
        admitted=False,
        mode=Mode.LIVE,
        check="challenge.spent",
        reason="twice",
        at_ms=1,
    )
    shown = text(recording, "db-02", admission=refused)
    assert "the node refused it at challenge.spent: twice" in shown


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        (None, State.EXECUTING, "STOP asked for, the node has not answered yet: alice, "),
        (Halt.STOPPING, State.EXECUTING, "STOPPING after this command: alice, "),
        (Halt.STOPPING, State.AWAITING, "STOPPED: alice, "),
        (Halt.NOT_BEGUN, State.AWAITING, "STOPPED before anything had begun: alice, "),
        (Halt.TOO_LATE, State.EXECUTED, "the stop came too late: the last command had started"),
        (Halt.UNKNOWN, State.MANUAL, "the node knows no such approval"),
    ],
)
def test_who_stopped_the_plan_and_what_came_of_it_stands_over_the_run(
    recording, answer, state, words
):
    summary = msgspec.structs.replace(case(recording, "edge-2").summary, state=state)
    asked = Stopping(challenge="0" * 32, by="alice", reason="wrong host", asked_ms=0, answer=answer)
    shown = text(recording, "edge-2", cells=110, summary=summary, stopping=asked)
    assert words in shown
    assert ": wrong host" in shown
    order = positions(shown, "RUN", "PLAN")
    assert order == sorted(order)
    assert shown.index("─ RUN") < shown.index(words) < shown.index("─ PLAN")


def test_a_stopped_plan_awaits_a_decision_and_says_who_stopped_it(recording):
    incident = case(recording, "edge-2")
    summary = msgspec.structs.replace(incident.summary, state=State.AWAITING)
    asked = Stopping(challenge="0" * 32, by="alice", asked_ms=0, answer=Halt.STOPPING)
    stopped = msgspec.structs.replace(incident, summary=summary, stopping=asked)
    head = plain(render.top(stopped, recording.at_ms, 120)[0])
    assert "stopped by alice; waiting for your decision" in head


def test_who_decided_and_why_is_at_the_top(recording):
    shown = text(recording, "db-02")
    first = shown.splitlines()[0]
    assert first.startswith("rejected by alice, ")
    assert first.endswith(": month end: nobody restarts app now")


def test_who_is_on_it_is_in_the_head_and_on_the_timeline_and_no_stage(recording):
    def head(host, **summary):
        incident = case(recording, host)
        changed = msgspec.structs.replace(incident.summary, **summary)
        changed = msgspec.structs.replace(incident, summary=changed)
        return plain(render.top(changed, recording.at_ms, 120)[0])

    assert head("db-01") == "CRIT  AWAITING  2m old: waiting for your decision"
    assert head("db-01", owner="bob").startswith("CRIT  AWAITING  on it: bob  2m old: ")
    assert head("edge-1", owner="bob").startswith("info  resolved  was on it: bob  ")
    assert "persist   acknowledged by alice  operator:alice" in text(recording, "web-3")
    recovered, noted = case(recording, "edge-1"), case(recording, "web-3").moves
    (noted,) = (move for move in noted if move.action == "acknowledged")
    moves = (*recovered.moves, noted)
    assert render.stages(recovered, 120) == render.stages(
        msgspec.structs.replace(recovered, moves=moves), 120
    )


def stage_line(recording, host, cells=120, **summary):
    incident = case(recording, host)
    changed = msgspec.structs.replace(incident.summary, **summary)
    return plain(render.stages(msgspec.structs.replace(incident, summary=changed), cells))


def test_the_nine_stages_are_in_one_line(recording):
    assert stage_line(recording, "db-01") == (
        "✓detect ✓capture ✓transport ✓reason ✓validate ✓persist >APPROVE ·execute ·verify"
    )
    assert "✓send" in stage_line(recording, "db-01", cells=78)
    assert ">EXECUTE ·verify" in stage_line(recording, "edge-2")


def test_what_recovered_by_itself_was_never_reasoned_about(recording):
    assert "·reason ·validate ✓persist ·approve ·execute ✓verify" in stage_line(recording, "edge-1")


def test_all_nine_fit_at_eighty_columns_in_every_state(recording):
    for state in State:
        assert "verify" in stage_line(recording, "db-01", cells=78, state=state).lower()


def test_the_timeline_counts_from_the_detection(recording):
    lines = text(recording, "db-01").splitlines()
    start = next(i for i, line in enumerate(lines) if "TIMELINE" in line)
    assert lines[start + 1].startswith("03:11:00 +0 ms")
    assert "approve" not in "\n".join(lines[start:])


def test_who_changed_the_plan_is_in_its_title(recording):
    plan = msgspec.structs.replace(case(recording, "db-01").plan, author="ann", revision=2)
    assert "─ PLAN 2 by ann  digest" in text(recording, "db-01", plan=plan)


def test_what_is_ruled_out_is_not_told_twice(recording):
    incident = case(recording, "db-01")
    said = incident.plan.diagnosis.ruled_out[0]
    fact = msgspec.structs.replace(incident.evidence[0], id="E99", text=said)
    assert text(recording, "db-01", evidence=(*incident.evidence, fact)).count(said) == 1


def test_a_rejected_plan_is_not_ticked_as_approved(recording):
    incident = case(recording, "db-02")
    assert incident.decision.choice is Choice.REJECT
    assert "✗approve ·execute" in stage_line(recording, "db-02")


def test_the_timeline_cuts_no_word_of_what_happened(recording):
    first = case(recording, "db-01").moves[0]
    said = "noted while executed, which it stays: the signal cleared by itself"
    moves = (msgspec.structs.replace(first, text=said, actor="node:db-01"),)
    for cells in (38, 78, 158):
        shown = text(recording, "db-01", cells, moves=moves).partition("TIMELINE")[2]
        assert " ".join(shown.split()).endswith(f"{said} node:db-01")
        assert "…" not in shown
