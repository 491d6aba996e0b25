"""A hub that cheats, against a real node: nothing runs, and the refusal is named."""

from __future__ import annotations

import queue
import time

import msgspec
import pytest

from sentinel import canonical, process
from sentinel.domain import Choice, Mode, Outcome, Process, Signature
from sentinel.protocol import LOGIN
from tests.hostile.cheat import VIC, HubLog, battle
from tests.unit.trust.keys import SoftKey

FLOOD = 10_000


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with battle(tmp_path_factory.mktemp("battle")) as made:
        yield made


def changed(noun, **fields):
    return msgspec.structs.replace(noun, **fields)


def test_what_a_person_approved_runs_and_only_once(node):
    """Without this, that nothing ran would prove nothing."""
    bundle = node.approve()
    before = node.ran()
    node.hub.send(bundle)
    node.refused(node.bundle(choice=Choice.REJECT))  # the node has taken the one before it by now
    assert node.ran() == before


# ---------------------------------------------------------------- who decided


def test_an_unapproved_plan(node):
    assert node.refused(node.bundle(names=())) == "signatures.missing"


def test_a_rejection_presented_as_an_approval(node):
    assert node.refused(node.bundle(choice=Choice.REJECT)) == "choice"
    turned = node.bundle(choice=Choice.REJECT)
    turned = changed(turned, statement=turned.statement.replace('"reject"', '"approve"'))
    assert node.refused(turned) == "signature.bad"


def test_one_byte_changed_in_the_plan(node):
    honest = node.bundle()
    assert node.refused(changed(honest, plan=honest.plan.replace("run.", "ran."))) == "plan.digest"
    assert node.refused(changed(honest, plan=honest.plan + " ")) == "plan.form"


def test_one_byte_changed_in_the_statement(node):
    honest = node.bundle(mode=Mode.DRY_RUN)
    live = honest.statement.replace('"mode":"dry-run"', '"mode":"live"')
    assert node.refused(changed(honest, statement=live)) == "signature.bad"


def test_one_byte_changed_in_the_signature(node):
    honest = node.bundle()
    (signature,) = honest.signatures
    middle = len(signature.sshsig) - 60
    other = "A" if signature.sshsig[middle] != "A" else "B"
    text = signature.sshsig[:middle] + other + signature.sshsig[middle + 1 :]
    assert node.refused(changed(honest, signatures=(changed(signature, sshsig=text),))) in (
        "signature.bad", "signature.form",
    )  # fmt: skip


def test_a_key_that_the_hub_made_itself(node):
    honest = node.bundle()
    made = Signature(signer="alice", sshsig=SoftKey().sign(honest.statement.encode()))
    assert node.refused(changed(honest, signatures=(made,))) == "signature.unknown-key"


def test_a_person_who_may_log_in_and_not_decide(node):
    honest = node.bundle(operator="vic")
    made = Signature(signer="vic", sshsig=VIC.sign(honest.statement.encode()))
    assert node.refused(changed(honest, signatures=(made,))) == "signature.purpose"


@pytest.mark.parametrize("namespace", ["git", "file", LOGIN])
def test_a_signature_of_the_wrong_namespace(node, namespace):
    honest = node.bundle()
    made = node.sign(honest.statement, "alice", namespace=namespace)
    assert node.refused(changed(honest, signatures=made)) == "signature.namespace"


def test_a_key_without_touch_where_it_is_demanded(node):
    honest = node.bundle(operator="tok")
    made = node.sign(honest.statement, "tok", flags=0)
    assert node.refused(changed(honest, signatures=made)) == "signature.touch"


def test_one_persons_signature_under_anothers_name(node):
    honest = node.bundle()
    (signature,) = honest.signatures
    posed = changed(signature, signer="bob")
    assert node.refused(changed(honest, signatures=(posed,))) == "signature.person"
    assert node.refused(node.bundle(operator="bob")) == "signature.operator"


def grave(node):
    return node.plan(f"mktemp {node.canaries}/run.XXXXXXXX", f"truncate -s 0 {node.folder}/nothing")


def test_one_person_where_two_are_needed(node):
    assert node.refused(node.bundle(grave(node))) == "signatures.missing"


def test_one_person_twice_where_two_are_needed(node):
    assert node.refused(node.bundle(grave(node), names=("alice", "alice"))) == (
        "signature.person-twice"
    )


# ---------------------------------------------------------------- what was decided


def test_a_decision_for_another_host(node):
    assert node.refused(node.bundle(host="web2")) == "host.mismatch"
    assert node.refused(node.bundle(node.plan(host="web2"))) == "host.mismatch"


def test_a_decision_for_another_incident(node):
    honest = node.bundle()
    assert node.refused(changed(honest, incident="other")) == "incident.mismatch"
    assert node.refused(node.bundle(incident="other")) == "incident.mismatch"


def test_a_decision_for_another_event(node):
    assert node.refused(node.bundle(event="other")) == "event.mismatch"
    assert node.refused(node.bundle(node.plan(event="other"))) == "event.unknown"


def test_an_expired_decision(node):
    now_ms = process.now_ms()
    old = node.bundle(issued_ms=now_ms - 600_000, expires_ms=now_ms - 1)
    assert node.refused(old) == "time.expired"


def test_a_decision_from_the_future(node):
    now_ms = process.now_ms()
    new = node.bundle(issued_ms=now_ms + 600_000, expires_ms=now_ms + 700_000)
    assert node.refused(new) == "time.future"


def test_a_decision_made_to_last(node):
    assert node.refused(node.bundle(expires_ms=process.now_ms() + 3_600_000)) == "time.life"


def test_a_challenge_that_the_hub_made_itself(node):
    assert node.refused(node.bundle(challenge="0" * 32)) == "challenge.unknown"


def test_a_context_altered_before_people_saw_it(node):
    """The context in the report is what people and the policy decide by."""
    frozen = node.hub.report.context
    first, *others = frozen.processes
    for context in (
        changed(frozen, labels={"sentinel.role": "other"}),
        changed(frozen, processes=(changed(first, name="harmless"), *others)),
        changed(frozen, processes=(changed(first, start_ticks=first.start_ticks + 1), *others)),
        changed(frozen, processes=(*others, Process(pid=1, start_ticks=1, name="leak"))),
    ):
        shown = changed(node.hub.report, context=context)
        forged = node.bundle(report=canonical.report_digest(shown))
        assert node.refused(forged) == "report.digest"


# ---------------------------------------------------------------- what is on record


def test_an_approval_that_is_not_in_the_log(node):
    assert node.refused(changed(node.bundle(), log=None)) == "checkpoint.missing"
    honest, other = node.bundle(), node.bundle()
    assert node.refused(changed(honest, log=other.log)) == "checkpoint.record"
    honest = node.bundle()
    absent = changed(honest.log, inclusion=tuple("0" * 64 for _ in honest.log.inclusion))
    assert node.refused(changed(honest, log=absent)) == "checkpoint.inclusion"


def test_a_log_that_another_key_signs(node):
    honest, log = node.bundle(), HubLog(seed=bytes([1] * 32))
    assert node.refused(changed(honest, log=log.proof(honest.statement))) == "checkpoint.key"


@pytest.mark.parametrize(
    ("records", "check"), [(0, "checkpoint.rollback"), (4, "checkpoint.fork")], ids=["back", "fork"]
)
def test_a_log_that_was_rolled_back_or_forked_stops_the_node(tmp_path, records, check):
    """Whoever has taken the hub has its log's key too, and still cannot unsay what a node has seen."""
    with battle(tmp_path) as node:
        for _ in range(4):
            node.log.add("something else")
        node.approve()  # so that the node has seen a log of five records
        honest, node.log = node.log, HubLog()
        for _ in range(records):
            node.log.add("another history")
        assert node.refused(node.bundle()) in (check, "checkpoint.alarm")
        node.log = honest
        assert node.refused(node.bundle()) == "checkpoint.alarm"


# ---------------------------------------------------------------- what would run


def test_a_command_for_review_presented_as_allow(node):
    assert node.refused(node.bundle(node.plan("mkfifo /tmp/x"))) == "policy.nothing"


def test_findings_forged_by_the_hub(node):
    """What the hub has people believe of a command is not in what it sends, and has no place there."""
    canary = f"mktemp --suffix=.x {node.canaries}/run.XXXXXXXX"  # for review, to this node
    honest = node.bundle(node.plan(canary))
    assert node.refused(honest) == "policy.nothing"
    shown = {"verdict": "allow", "findings": [{"verdict": "allow", "rule": "canary"}]}
    plan = msgspec.json.decode(honest.plan)
    for forged in (plan | shown, plan | {"commands": [plan["commands"][0] | shown]}):
        text = canonical.encode_plain(forged).decode()
        assert node.refused(changed(honest, plan=text)) == "plan.form"
    before = node.ran()
    node.hub.results.queue.clear()
    bundle = node.bundle(node.plan("uname", canary))
    assert node.answer(bundle).admitted
    while node.hub.finished.get(timeout=30).incident != bundle.incident:
        pass  # what an earlier test's node says twice, for a receipt was lost
    *_, last = node.hub.results.queue
    assert (last.index, last.outcome) == (1, Outcome.SKIPPED)
    assert last.reason.startswith("review: ")
    assert node.ran() == before


def test_a_blocked_command_presented_as_allow(node):
    plan = node.plan(f"mktemp {node.canaries}/run.XXXXXXXX", "rm -rf /")
    assert node.refused(node.bundle(plan)) == "policy.block"


def test_a_canary_that_hides_what_is_blocked(node):
    plan = node.plan(f"mktemp {node.canaries}/$(mktemp {node.canaries}/run.XXXXXXXX)")
    assert node.refused(node.bundle(plan)).startswith("policy.")


def test_a_plan_of_nothing(node):
    assert node.refused(node.bundle(node.plan(commands=()))) == "policy.block"


def test_a_policy_that_is_not_the_nodes(node):
    assert node.refused(node.bundle(policy="sha256:" + "0" * 64)) == "policy.digest"


# ---------------------------------------------------------------- again, later, much


def test_a_replay_now(node):
    used = node.approve()
    before = node.ran()
    again = changed(used, incident="again")
    assert node.refused(again) in ("incident.mismatch", "challenge.spent")
    plan = canonical.decode(type(node.plan()), used.plan.encode(), limit=1 << 20)
    spent = msgspec.json.decode(used.statement, type=dict)["challenge"]
    assert node.refused(node.bundle(changed(plan, incident="x"), challenge=spent)) == (
        "challenge.spent"
    )
    assert node.ran() == before


def test_a_replay_for_another_incident(node):
    used = node.approve()
    before = node.ran()
    assert node.refused(changed(used, incident="another")) == "incident.mismatch"
    moved = used.statement.replace(used.incident, "another")
    moved = changed(used, incident="another", statement=moved)
    assert node.refused(moved) == "signature.bad"
    assert node.ran() == before


def test_a_replay_to_another_host(node, tmp_path):
    used = node.approve()
    before = node.ran()
    with battle(tmp_path, host="web2") as other:
        assert other.refused(used) == "host.mismatch"
    assert node.ran() == before


def test_a_replay_after_a_restart(node):
    used = node.approve()
    before = node.ran()
    node.restart()
    node.hub.send(used)
    spent = msgspec.json.decode(used.statement, type=dict)["challenge"]
    assert node.refused(node.bundle(challenge=spent)) == "challenge.spent"
    assert node.ran() == before


def test_oversized_and_deeply_nested_bundles(node):
    honest = node.bundle()
    (signature,) = honest.signatures
    for bundle in (
        changed(honest, statement="[" * 8192),
        changed(honest, statement='{"a":' * 1600),
        changed(honest, plan="[" * 100_000),
        changed(honest, signatures=(changed(signature, sshsig="A" * 8192),)),
    ):
        assert node.refused(bundle).rpartition(".")[2] in ("form", "size")


def test_more_than_the_wire_takes_ends_the_connection_and_not_the_node(node):
    before = node.ran()
    node.hub.garble(changed(node.bundle(), statement="x" * 200_000))
    node.hub.garble(b"\xff" * 1000)
    assert node.ran() == before
    assert node.refused(node.bundle(names=())) == "signatures.missing"


def test_a_flood_of_ten_thousand_bundles(node):
    """Each is refused or dropped; the node stays, and still runs what a person approved."""
    before = node.ran()
    unsigned = changed(node.bundle(names=()), log=None)
    for number in range(FLOOD):
        node.hub.send(changed(unsigned, incident=f"flood-{number}"))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            said = node.hub.admissions.get(timeout=3)
        except queue.Empty:
            break
        assert not said.admitted
    assert node.ran() == before
    assert node.site.running["agent"].poll() is None
    node.approve()
