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
from sentinel.agent import admit
from sentinel.agent.store import Store
from sentinel.domain import Choice, Mode, Verdict
from sentinel.errors import SentinelError
from sentinel.policy import rules
from tests.unit.agent.gate import HOG, NOW, POLICY, World, plan, report, statement

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
    return world.bundle(signers=["alice"] * (admit.SIGNATURES + 1)), NOW


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


@refused_by("signatures.missing")
def a_bundle_that_nobody_signed(world):
    return world.bundle(signers=()), NOW


@refused_by("signatures.missing")
def a_statement_changed_after_it_was_signed(world):
    honest = world.bundle()
    other = canonical.encode(changed(world.statement, operator="mallory")).decode()
    return changed(honest, statement=other), NOW


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
    return world.said(event=other.event, challenge=other.challenge), NOW


@refused_by("event.unknown")
def a_fault_that_this_node_never_reported(world):
    return world.of(plan(report())), NOW


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
        assert admitted(admit.admit(world.bundle(), changed(world.node, store=store), NOW))


def test_one_person_twice_is_not_two(world):
    node = changed(world.node, required_signatures=2)
    outcome = admit.admit(world.bundle(signers=("alice", "alice")), node, NOW)
    assert outcome.check == "signatures.missing"
    assert outcome.reason == "1 of 2 signatures hold"
    assert admitted(admit.admit(world.bundle(signers=("alice", "bob")), node, NOW))


def test_a_node_that_wants_no_signature_admits_without_one(world):
    node = changed(world.node, required_signatures=0)
    assert admitted(admit.admit(world.bundle(signers=()), node, NOW))


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
            # Of hex digits, upper case and blanks between bytes mean the same signature to `fromhex`.
            other = changed(signature, **{field: mutated(getattr(signature, field), chance)})
            if world.people.verify(honest.statement.encode(), (other,)):
                continue
            bundle = changed(honest, signatures=(other,))
        else:
            bundle = changed(honest, **{field: mutated(getattr(honest, field), chance)})
        if bundle == honest:
            continue
        outcome = admit.admit(bundle, world.node, NOW)
        assert isinstance(outcome, admit.Refused), (field, bundle)
        refusals[outcome.check] = refusals.get(outcome.check, 0) + 1
    assert sum(refusals.values()) > MUTATIONS * 0.9
    assert {"plan.form", "statement.form", "plan.digest", "signatures.missing"} <= set(refusals)
    assert admitted(admit.admit(honest, world.node, NOW))


# ---------------------------------------------------------------- without a check

SOURCE = ast.parse(inspect.getsource(admit))
# Without these something else still stops the bundle; what is lost is the name of the refusal.
SECOND_WALL = {
    "event.unknown",  # there is no context to judge against
    "challenge.unknown",  # there is no challenge to spend
    "execution.running",  # the store holds one open execution of an incident
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
    assert {check for check, _ in SCENARIOS.values()} == {*CHECKS, "statement.form", "plan.form"}


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
