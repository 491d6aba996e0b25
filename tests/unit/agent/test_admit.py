"""The node's gate: every check by its name, and that each of them matters."""

from __future__ import annotations

import ast
import inspect
import json
import random
import string
import types

import msgspec
import pytest

from sentinel import canonical
from sentinel.agent import admit, gate, witness
from sentinel.agent.store import Store
from sentinel.config import ApprovalSettings
from sentinel.domain import Choice, Mode, Verdict
from sentinel.errors import SentinelError
from sentinel.policy import rules
from tests.unit.agent.gate import HOG, NOW, POLICY, Log, People, World, plan, report, statement

MUTATIONS = 20_000


@pytest.fixture
def world(tmp_path):
    with Store(tmp_path / "node.db") as store:
        yield World(store)


def changed(noun, **fields):
    return msgspec.structs.replace(noun, **fields)


def spaced(noun):
    """The same value in bytes that are not canonical."""
    return json.dumps(json.loads(canonical.encode(noun)))


def grave(world, *names, **fields):
    """A plan of high risk, approved by `names`."""
    over = plan(world.report, ["truncate -s 0"])
    said = statement(world.report, over, **fields)
    return world.bundle(plan=over, statement=said, incident=over.incident, signers=names)


# ---------------------------------------------------------------- what a hostile hub may send
# Each scenario takes a world and returns (bundle, now_ms); its name is the check that refuses it.

SCENARIOS = {}


def refused_by(check):
    def add(scenario):
        SCENARIOS[f"{check}: {scenario.__name__.replace('_', ' ')}"] = (check, scenario)
        return scenario

    return add


@refused_by("size")
def a_plan_that_is_too_large(world):
    return world.bundle(plan=canonical.encode(world.plan).decode() + " " * admit.PLAN_BYTES), NOW


@refused_by("size")
def a_statement_that_is_too_large(world):
    return world.bundle(statement=" " * (admit.STATEMENT_BYTES + 1)), NOW


@refused_by("size")
def more_signatures_than_anybody_verifies(world):
    return world.bundle(signers=list(world.people.keys)[: admit.SIGNATURES + 1]), NOW


@refused_by("size")
def a_signature_that_is_too_large(world):
    honest = world.bundle()
    large = changed(honest.signatures[0], sshsig="f" * (admit.SIGNATURE_BYTES + 1))
    return changed(honest, signatures=(*honest.signatures, large)), NOW


@refused_by("statement.form")
def a_statement_with_white_space(world):
    return world.bundle(statement=spaced(world.statement)), NOW


@refused_by("statement.form")
def a_statement_with_a_key_twice(world):
    text = canonical.encode(world.statement).decode()
    return world.bundle(statement=text[:-1] + ',"host":"web1"}'), NOW


@refused_by("statement.form")
def a_statement_that_is_no_unicode(world):
    return changed(world.bundle(), statement="\udcff"), NOW


@refused_by("statement.form")
def a_statement_that_is_nested_without_end(world):
    return world.bundle(statement="[" * 4000), NOW


@refused_by("plan.form")
def a_plan_with_white_space(world):
    text = spaced(world.plan)
    digest = canonical.digest(text.encode())
    return world.bundle(plan=text, statement=changed(world.statement, plan=digest)), NOW


@refused_by("host.mismatch")
def a_decision_for_another_host(world):
    return world.said(host="web2"), NOW


@refused_by("host.mismatch")
def a_plan_for_another_host(world):
    return world.of(plan(world.report, host="web2")), NOW


@refused_by("checkpoint.nobody")
def a_node_that_knows_no_log(world):
    world.node = changed(world.node, log_key=None)
    return world.bundle(), NOW


@refused_by("checkpoint.missing")
def an_approval_that_is_on_no_record(world):
    return changed(world.bundle(), log=None), NOW


@refused_by("checkpoint.alarm")
def an_honest_approval_after_an_alarm(world):
    assert world.store.raise_alarm("checkpoint.fork", "seen before")
    return world.bundle(), NOW


@refused_by("checkpoint.record")
def the_record_of_another_approval(world):
    return changed(world.bundle(), log=world.log.proof("another statement")), NOW


@refused_by("checkpoint.inclusion")
def a_record_that_was_never_in_the_log(world):
    honest = world.bundle()
    unlogged = honest.log.record.replace('"alice"', '"mallory"').replace(":alice", ":mallory")
    assert unlogged != honest.log.record
    return changed(honest, log=changed(honest.log, record=unlogged)), NOW


@refused_by("checkpoint.rollback")
def a_log_that_was_rolled_back(world):
    for _ in range(3):
        world.log.add()
    see(world, world.log)
    return world.bundle_in(Log(world.store)), NOW


@refused_by("checkpoint.fork")
def a_log_of_the_same_length_and_other_records(world):
    world.log.add("what was")
    see(world, world.log)
    return world.bundle_in(Log(world.store)), NOW


@refused_by("checkpoint.fork")
def a_longer_log_that_does_not_begin_with_what_was_seen(world):
    world.log.add("what was")
    see(world, world.log)
    other = Log(world.store)
    other.add("what never was")
    return world.bundle_in(other), NOW


@refused_by("checkpoint.unproved")
def a_longer_log_without_a_proof(world):
    see(world, world.log)
    world.log.add()
    see(world, world.log)
    honest = world.bundle()
    return changed(honest, log=changed(honest.log, growth=())), NOW


@refused_by("checkpoint.key")
def a_log_that_somebody_else_signed(world):
    return world.bundle_in(Log(world.store, seed=b"1" * 32)), NOW


def see(world, log):
    """Let the node see the log as it is."""
    note, growth = log.note()
    witness.follow(note, growth, world.node.log_key, world.store, now=True)


@refused_by("signatures.missing")
def a_bundle_that_nobody_signed(world):
    return world.bundle(signers=()), NOW


@refused_by("signature.bad")
def a_statement_changed_after_it_was_signed(world):
    honest = world.bundle()
    other = canonical.encode(changed(world.statement, operator="mallory")).decode()
    return changed(honest, statement=other), NOW


@refused_by("signature.unknown-key")
def a_bundle_signed_by_a_stranger(world):
    text = canonical.encode(world.statement).decode()
    return changed(world.bundle(), signatures=People("alice").sign(text, "alice")), NOW


@refused_by("signature.person")
def a_signature_under_another_name(world):
    honest = world.bundle()
    return changed(honest, signatures=(changed(honest.signatures[0], signer="bob"),)), NOW


@refused_by("signature.namespace")
def a_statement_signed_as_a_git_commit(world):
    text = canonical.encode(world.statement).decode()
    signed = world.people.sign(text, "alice", namespace="git")
    return changed(world.bundle(), signatures=signed), NOW


@refused_by("signature.form")
def a_signature_that_is_none(world):
    honest = world.bundle()
    return changed(honest, signatures=(changed(honest.signatures[0], sshsig="yes"),)), NOW


@refused_by("signature.operator")
def a_decision_in_the_name_of_who_did_not_sign(world):
    return world.said(operator="bob"), NOW


@refused_by("signatures.missing")
def a_plan_of_high_risk_that_one_person_signed(world):
    return world.of(plan(world.report, ["echo a", "truncate -s 0"])), NOW


@refused_by("signature.person-twice")
def a_plan_of_high_risk_that_one_person_signed_twice(world):
    return grave(world, "alice", "alice"), NOW


@refused_by("signature.person-twice")
def a_plan_that_one_person_signed_twice(world):
    return world.bundle(signers=("alice", "alice")), NOW


@refused_by("choice")
def a_rejection(world):
    return world.said(choice=Choice.REJECT), NOW


@refused_by("incident.mismatch")
def a_bundle_under_another_incident(world):
    return world.bundle(incident="other"), NOW


@refused_by("incident.mismatch")
def a_decision_on_another_incident(world):
    return world.said(incident="other"), NOW


@refused_by("event.mismatch")
def a_decision_on_another_event(world):
    other = report()
    world.store.open_fault(other)
    shown = canonical.report_digest(other)
    return world.said(event=other.event, challenge=other.challenge, report=shown), NOW


@refused_by("event.unknown")
def a_fault_that_this_node_never_reported(world):
    return world.of(plan(report())), NOW


@refused_by("report.digest")
def a_report_in_which_people_were_shown_another_process(world):
    forged = (changed(world.report.context.processes[0], name="harmless"),)
    context = changed(world.report.context, processes=forged)
    shown = canonical.report_digest(changed(world.report, context=context))
    return world.said(report=shown), NOW


@refused_by("plan.digest")
def a_plan_that_nobody_decided_on(world):
    return world.bundle(
        plan=changed(world.plan, commands=plan(world.report, ["echo x"]).commands)
    ), NOW


@refused_by("challenge.unknown")
def a_challenge_that_this_node_never_made(world):
    return world.said(challenge="f" * 32), NOW


@refused_by("challenge.unknown")
def a_challenge_that_was_replaced(world):
    world.store.issue("e" * 32, world.report.event)
    return world.bundle(), NOW


@refused_by("challenge.event")
def the_challenge_of_another_fault(world):
    other = report()
    world.store.open_fault(other)
    return world.said(challenge=other.challenge), NOW


@refused_by("challenge.spent")
def the_same_bundle_again(world):
    assert admitted(world.gate.admit(world.bundle(), world.node, NOW))
    world.store.end_execution(world.plan.incident)
    return world.bundle(), NOW


@refused_by("time.future")
def a_decision_from_the_future(world):
    return world.bundle(), NOW - admit.SKEW_MS - 1


@refused_by("time.expired")
def a_decision_that_has_expired(world):
    return world.bundle(), world.statement.expires_ms


@refused_by("time.life")
def a_decision_made_to_last(world):
    return world.said(expires_ms=NOW + admit.LIFE_MS + 1), NOW


@refused_by("policy.digest")
def a_plan_judged_by_another_policy(world):
    return world.said(policy="sha256:" + "0" * 64), NOW


@refused_by("policy.block")
def a_blocked_command_among_allowed_ones(world):
    return world.of(plan(world.report, ["echo x", "mkfs /dev/sda"])), NOW


@refused_by("policy.block")
def an_empty_plan(world):
    return world.of(plan(world.report, [])), NOW


@refused_by("policy.nothing")
def only_commands_that_want_review(world):
    return world.of(plan(world.report, ["shutdown now", "kill -KILL 4242"])), NOW


@refused_by("policy.nothing")
def a_process_that_this_node_did_not_capture(world):
    return world.of(plan(world.report, ["kill -TERM 4243"])), NOW


@refused_by("host.groups")
def a_report_from_when_this_host_was_of_another_group(world):
    context = changed(world.report.context, labels={"sentinel.groups": "db"})
    other = report(context=context)
    world.store.open_fault(other)
    over = plan(other)
    return world.bundle(plan=over, statement=statement(other, over), incident=over.incident), NOW


def ran(world, *commands, at_ms=NOW, **fields):
    """A plan of another fault was admitted and has ended."""
    other = report()
    world.store.open_fault(other)
    over = plan(other, commands)
    times = {"issued_ms": at_ms, "expires_ms": at_ms + 60_000}
    decision = statement(other, over, **times | fields)
    bundle = world.bundle(plan=over, statement=decision, incident=over.incident)
    assert admitted(world.gate.admit(bundle, world.node, at_ms))
    world.store.end_execution(over.incident)


@refused_by("policy.hours")
def a_rule_of_the_night_by_day(world):
    return world.of(plan(world.report, ["night"])), NOW


@refused_by("policy.rehearse-first")
def a_command_that_was_not_rehearsed(world):
    return world.of(plan(world.report, ["careful"])), NOW


@refused_by("policy.rehearse-first")
def a_command_that_was_rehearsed_for_another_fault(world):
    ran(world, "careful", mode=Mode.DRY_RUN)
    return world.of(plan(world.report, ["careful"])), NOW


@refused_by("policy.cool-down")
def a_rule_that_has_just_run(world):
    ran(world, "rested")
    return world.of(plan(world.report, ["rested"])), NOW + 59_999


@refused_by("policy.limit")
def a_rule_that_has_run_twice_within_the_hour(world):
    ran(world, "seldom; seldom", at_ms=NOW - 3_599_999)
    return world.of(plan(world.report, ["seldom"])), NOW


@refused_by("policy.limit")
def a_plan_that_uses_a_rule_thrice(world):
    return world.of(plan(world.report, ["seldom", "seldom; seldom"])), NOW


@refused_by("execution.running")
def a_second_plan_while_the_first_runs(world):
    assert admitted(world.gate.admit(world.bundle(), world.node, NOW))
    world.store.issue("d" * 32, world.report.event)
    second = changed(world.plan, revision=2)
    return world.of(second, challenge="d" * 32), NOW


def admitted(outcome):
    return type(outcome).__name__ == "Admitted"


# ---------------------------------------------------------------- each refuses, and spends nothing


def test_an_honest_bundle_is_admitted_live_with_its_own_judgement(world):
    outcome = admit.admit(world.bundle(), world.node, NOW)
    assert isinstance(outcome, admit.Admitted)
    assert outcome.mode is Mode.LIVE
    assert (outcome.plan, outcome.statement) == (world.plan, world.statement)
    assert outcome.report == world.report
    assert [each.verdict for each in outcome.judgement.commands] == [Verdict.ALLOW]
    assert outcome.judgement.plan == world.statement.plan
    assert world.store.challenge(world.report.challenge) == (world.report.event, True)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_gate_refuses(world, name):
    check, scenario = SCENARIOS[name]
    bundle, now_ms = scenario(world)
    outcome = admit.admit(bundle, world.node, now_ms)
    assert isinstance(outcome, admit.Refused)
    assert outcome.check == check
    assert outcome.reason
    assert outcome.reason.isprintable()
    assert len(outcome.reason) <= 1024


SPENT = {"challenge.spent", "execution.running", "challenge.unknown"}


@pytest.mark.parametrize("name", [n for n, (check, _) in SCENARIOS.items() if check not in SPENT])
def test_a_refusal_spends_nothing(world, name):
    bundle, now_ms = SCENARIOS[name][1](world)
    admit.admit(bundle, world.node, now_ms)
    assert not world.store.interrupted()
    if name.startswith(("checkpoint.alarm", "checkpoint.nobody")):
        world.trust_the_log()  # which root does by hand
    assert admitted(admit.admit(world.bundle(), world.node, NOW))


def test_the_refusal_of_another_policy_names_both(world):
    other = "sha256:" + "0" * 64
    outcome = admit.admit(world.said(policy=other), world.node, NOW)
    assert other in outcome.reason
    assert POLICY.digest in outcome.reason


def test_what_a_hub_writes_into_a_bundle_is_escaped_in_the_refusal(world):
    text = '{"\\u001b[2Jwiped":1}'
    outcome = admit.admit(world.bundle(statement=text), world.node, NOW)
    assert "\x1b" not in outcome.reason


def test_a_bundle_is_refused_after_the_agent_was_started_again(tmp_path):
    with Store(tmp_path / "node.db") as store:
        world = World(store)
        bundle = world.bundle()
        assert admitted(admit.admit(bundle, world.node, NOW))
    with Store(tmp_path / "node.db") as store:
        node = changed(world.node, store=store)
        assert admit.admit(bundle, node, NOW).check == "challenge.spent"
        (cut,) = store.interrupted()
        assert cut.bundle == bundle
        store.end_execution(cut.bundle.incident)
        assert admit.admit(bundle, node, NOW).check == "challenge.spent"


def test_an_open_challenge_is_good_after_the_agent_was_started_again(tmp_path):
    with Store(tmp_path / "node.db") as store:
        world = World(store)
    with Store(tmp_path / "node.db") as store:
        world.log.store = store
        assert admitted(admit.admit(world.bundle(), changed(world.node, store=store), NOW))


def test_a_plan_of_high_risk_needs_two_people(world):
    outcome = admit.admit(grave(world, "alice"), world.node, NOW)
    assert outcome.reason == "signed by alice only: a plan of high risk needs 2 people here"
    outcome = admit.admit(grave(world, "alice", "alice"), world.node, NOW)
    assert outcome.check == "signature.person-twice"
    assert outcome.reason == "2 signatures by 1 people"
    assert admitted(admit.admit(grave(world, "bob", "alice"), world.node, NOW))


@pytest.mark.parametrize("configured", Mode)
def test_a_rehearsal_needs_one_person_whatever_its_risk(world, configured):
    decided = Mode.DRY_RUN if configured is Mode.LIVE else Mode.LIVE
    node = changed(world.node, mode=configured)
    assert admitted(admit.admit(grave(world, "alice", mode=decided), node, NOW))


def test_how_many_must_sign_is_this_nodes_configuration(world):
    node = changed(world.node, approvals=ApprovalSettings(low=1, medium=2, high=1))
    assert admit.admit(world.bundle(), node, NOW).check == "signatures.missing"
    assert admitted(admit.admit(world.bundle(signers=("alice", "bob")), node, NOW))


def test_a_node_that_names_nobody_refuses_with_the_remedy(world, tmp_path):
    for text in ("", People("alice").keys["alice"].line("alice", ["git"])):
        (tmp_path / "allowed_signers").write_text(text)
        node = changed(world.node, verifier=gate.verifier(tmp_path / "allowed_signers"))
        outcome = admit.admit(world.bundle(), node, NOW)
        assert outcome.check == "signatures.nobody"
        assert "names nobody who may decide" in outcome.reason
        assert 'namespaces="decision@sentinel"' in outcome.reason


def test_who_is_struck_off_counts_no_more_without_a_restart(world, tmp_path):
    file = tmp_path / "allowed_signers"
    lines = {name: key.line(name) for name, key in world.people.keys.items()}
    node = changed(world.node, verifier=gate.verifier(file))
    assert admit.admit(world.bundle(), node, NOW).check == "signatures.nobody"
    file.write_text(lines["bob"])
    assert admit.admit(world.bundle(), node, NOW).check == "signature.unknown-key"
    file.write_text(lines["bob"] + "alice\n")
    outcome = admit.admit(world.bundle(), node, NOW)
    assert outcome.check == "signatures.nobody"
    assert "allowed_signers:2: not a line" in outcome.reason
    file.write_text(lines["bob"] + lines["alice"])
    assert admitted(admit.admit(world.bundle(), node, NOW))


@pytest.mark.parametrize("decided", Mode)
@pytest.mark.parametrize("configured", Mode)
def test_live_needs_the_decision_and_the_node(world, decided, configured):
    node = changed(world.node, mode=configured)
    outcome = admit.admit(world.said(mode=decided), node, NOW)
    live = decided is configured is Mode.LIVE
    assert outcome.mode is (Mode.LIVE if live else Mode.DRY_RUN)


def test_commands_that_want_review_go_along_with_an_allowed_one(world):
    outcome = admit.admit(world.of(plan(world.report, ["echo x", "shutdown now"])), world.node, NOW)
    assert [each.verdict for each in outcome.judgement.commands] == [Verdict.ALLOW, Verdict.REVIEW]


def test_sentinels_own_processes_are_no_target_even_where_they_were_captured(world):
    node = changed(world.node, own_pids=frozenset({HOG}))
    assert admit.admit(world.bundle(), node, NOW).check == "policy.nothing"


def test_the_context_that_counts_is_the_one_on_this_nodes_disk(world):
    """A hub that tells people of another context gains nothing: only the stored one is asked."""
    thin = report(context=changed(world.report.context, processes=()))
    world.store.open_fault(thin)
    over = plan(thin)
    decision = statement(thin, over)
    bundle = world.bundle(plan=over, statement=decision, incident=over.incident)
    assert admit.admit(bundle, world.node, NOW).check == "policy.nothing"


def test_the_shipped_policy_at_the_gate_signals_the_captured_process_and_no_other(world):
    policy = rules.load(examples=False)
    node = changed(world.node, policy=policy)
    other = world.of(plan(world.report, ["kill -TERM 4243"]), policy=policy.digest)
    assert admit.admit(other, node, NOW).check == "policy.nothing"
    assert admitted(admit.admit(world.said(policy=policy.digest), node, NOW))


# ---------------------------------------------------------------- limits of rules


@pytest.mark.parametrize(
    ("command", "after_ms"), [("rested", 60_000), ("seldom; seldom", 3_600_000)]
)
def test_a_rule_runs_again_when_its_time_has_passed(world, command, after_ms):
    ran(world, command)
    again = world.of(
        plan(world.report, [command]), issued_ms=NOW + after_ms, expires_ms=NOW + after_ms + 1000
    )
    assert isinstance(admit.admit(again, world.node, NOW + after_ms - 1), admit.Refused)
    assert admitted(admit.admit(again, world.node, NOW + after_ms))


def test_what_ran_counts_after_the_agent_was_started_again(tmp_path):
    with Store(tmp_path / "node.db") as store:
        world = World(store)
        ran(world, "rested")
        again = world.of(plan(world.report, ["rested"]))
    with Store(tmp_path / "node.db") as store:
        node = changed(world.node, store=store)
        assert admit.admit(again, node, NOW + 59_000).check == "policy.cool-down"
        assert admitted(admit.admit(again, node, NOW + 60_000))


def test_a_rehearsal_is_held_by_no_limit_and_counts_for_none(world):
    ran(world, "rested", "seldom; seldom", "night", "careful", mode=Mode.DRY_RUN)
    ran(world, "rested", "seldom; seldom")
    ran(world, "rested", "seldom; seldom", mode=Mode.DRY_RUN)


def test_a_command_that_was_rehearsed_runs_and_no_other(world):
    over = plan(world.report, ["careful x"])
    assert admitted(admit.admit(world.of(over, mode=Mode.DRY_RUN), world.node, NOW))
    world.store.end_execution(over.incident)
    world.store.issue("a" * 32, world.report.event)
    other = world.of(plan(world.report, ["careful y"]), challenge="a" * 32)
    assert admit.admit(other, world.node, NOW).check == "policy.rehearse-first"
    live = world.of(over, challenge="a" * 32)
    assert admitted(admit.admit(live, world.node, NOW))


def test_a_clock_that_was_set_back_opens_no_limit_and_a_wrong_one_closes_none_for_ever(world):
    ran(world, "rested", at_ms=NOW + 600_000)
    again = world.of(plan(world.report, ["rested"]))
    assert admit.admit(again, world.node, NOW).check == "policy.cool-down"
    ran(world, "seldom; seldom", at_ms=NOW + 365 * 86_400_000)
    assert admitted(admit.admit(world.of(plan(world.report, ["seldom"])), world.node, NOW))


def test_a_refused_plan_leaves_no_trace_in_the_record_of_runs(world):
    bundle, now_ms = a_rule_of_the_night_by_day(world)
    with_rest = world.of(plan(world.report, ["rested", "night"]))
    for each in (bundle, with_rest):
        assert admit.admit(each, world.node, now_ms).check == "policy.hours"
    assert world.store.used("rested", 0, 2 * NOW) == (0, None)


# ---------------------------------------------------------------- mutations


def mutated(text, chance):
    """`text` with one character replaced, removed, doubled or put in."""
    at = chance.randrange(len(text))
    new = chance.choice(string.printable + "\0\x7fé\ud800")
    return chance.choice(
        [text[:at] + new + text[at + 1 :], text[:at] + text[at + 1 :], text[:at] + new + text[at:]]
    )


def test_of_thousands_of_one_character_mutations_only_the_identical_bundle_is_admitted(world):
    chance = random.Random(20261121)
    honest = world.bundle()
    (signature,) = honest.signatures
    refusals = {}
    for _ in range(MUTATIONS):
        field = chance.choice(["plan", "statement", "incident", "sshsig", "signer"])
        if field in ("sshsig", "signer"):
            other = changed(signature, **{field: mutated(getattr(signature, field), chance)})
            bundle = changed(honest, signatures=(other,))
        else:
            bundle = changed(honest, **{field: mutated(getattr(honest, field), chance)})
        if bundle == honest:
            continue
        outcome = admit.admit(bundle, world.node, NOW)
        assert isinstance(outcome, admit.Refused), (field, bundle)
        refusals[outcome.check] = refusals.get(outcome.check, 0) + 1
    assert sum(refusals.values()) > MUTATIONS * 0.9
    assert {
        "plan.form", "statement.form", "plan.digest", "signature.form", "signature.bad",
        "signature.person", "signature.unknown-key", "signature.namespace",
    } <= set(refusals)  # fmt: skip
    assert admitted(admit.admit(honest, world.node, NOW))


# ---------------------------------------------------------------- without a check

SOURCE = ast.parse(inspect.getsource(admit))
# Without these something else still stops the bundle; what is lost is the name of the refusal.
SECOND_WALL = {
    "event.unknown",  # there is no context to judge against
    "challenge.unknown",  # there is no challenge to spend
    "policy.nothing",  # what runs nothing is of high risk, and needs two people
    "execution.running",  # the store holds one open execution of an incident
    "checkpoint.nobody",  # without a key there is nothing to verify with
    "checkpoint.missing",  # what is not there cannot be verified
}


def stops(node):
    """The check that an `if` refuses by, or None."""
    if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise):
        return node.body[-1].exc.args[0].value
    return None


CHECKS = sorted({check for node in ast.walk(SOURCE) if (check := stops(node))})


def gate_from(tree):
    module = types.ModuleType("gate_without_a_check")
    exec(compile(ast.fix_missing_locations(tree), "<gate>", "exec"), module.__dict__)
    return module


class Without(ast.NodeTransformer):
    """The gate without every `if ...: raise _Stop(check, ...)` of one check."""

    def __init__(self, check):
        self._check = check

    def visit_If(self, node):
        self.generic_visit(node)
        return ast.Pass() if stops(node) == self._check else node


class Lenient(ast.NodeTransformer):
    """The gate with a decoder that takes every spelling."""

    def visit_Call(self, node):
        self.generic_visit(node)
        if ast.unparse(node.func) == "canonical.decode":
            return ast.parse(f"__import__('msgspec').json.decode({ast.unparse(node.args[1])}, type={ast.unparse(node.args[0])})", mode="eval").body  # fmt: skip
        return node


def copy_of_the_source():
    return ast.parse(ast.unparse(SOURCE))


def outcomes(gate, tmp_path):
    """(check that should refuse, outcome) of every scenario at the changed gate."""
    with Store(tmp_path / "node.db") as store:
        for check, scenario in SCENARIOS.values():
            world = World(store, gate)
            try:
                bundle, now_ms = scenario(world)
                outcome = gate.admit(bundle, world.node, now_ms)
            except (SentinelError, TypeError, AttributeError, ValueError) as error:
                outcome = error
            yield check, outcome


def test_every_scenario_is_refused_by_the_gate_rebuilt_from_its_source(tmp_path):
    gate = gate_from(copy_of_the_source())
    assert all(outcome.check == check for check, outcome in outcomes(gate, tmp_path))


def test_every_check_has_a_scenario():
    # The others are made from what was raised elsewhere: in `canonical` and in `trust.signers`.
    raised = {"statement.form", "plan.form", "signature.form", "signature.bad", "signature.person",
              "signature.namespace", "signature.unknown-key", "checkpoint.rollback",
              "checkpoint.fork", "checkpoint.unproved", "checkpoint.key"}  # fmt: skip
    assert {check for check, _ in SCENARIOS.values()} == {*CHECKS} | raised


@pytest.mark.parametrize("check", CHECKS)
def test_without_the_check_a_scenario_gets_through(tmp_path, check):
    gate = gate_from(Without(check).visit(copy_of_the_source()))
    found = list(outcomes(gate, tmp_path))
    unnamed = [outcome for want, outcome in found if getattr(outcome, "check", "") != want]
    assert unnamed, f"no scenario notices that {check} is gone"
    assert any(map(admitted, unnamed)) is (check not in SECOND_WALL)
    # And the other scenarios do not owe their refusal to this check.
    assert all(want == check for want, outcome in found if admitted(outcome))


def test_without_the_strict_decoder_a_scenario_gets_through(tmp_path):
    gate = gate_from(Lenient().visit(copy_of_the_source()))
    through = {want for want, outcome in outcomes(gate, tmp_path) if admitted(outcome)}
    assert through == {"statement.form", "plan.form"}


CALLS = [
    ast.unparse(node.value.func)
    for node in ast.walk(SOURCE)
    if isinstance(node, ast.Expr)
    and isinstance(node.value, ast.Call)
    and isinstance(node.value.func, ast.Name)
]


@pytest.mark.parametrize("call", CALLS)
def test_without_the_call_in_admit_a_scenario_is_not_refused_by_its_name(tmp_path, call):
    class NotCalled(ast.NodeTransformer):
        def visit_Expr(self, node):
            called = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == call
            return ast.Pass() if called else node

    gate = gate_from(NotCalled().visit(copy_of_the_source()))
    assert any(getattr(outcome, "check", "") != want for want, outcome in outcomes(gate, tmp_path))


def test_spending_is_the_last_thing_the_gate_does():
    (function,) = [n for n in SOURCE.body if isinstance(n, ast.FunctionDef) and n.name == "admit"]
    (attempt,) = [node for node in function.body if isinstance(node, ast.Try)]
    assert ast.unparse(attempt.body[-1]).startswith("spend(")
