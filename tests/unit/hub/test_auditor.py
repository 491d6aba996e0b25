"""What an auditor sees: the commands over a real hub's folder, checked by sha256sum and ssh-keygen."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest

from sentinel import canonical, errors, process
from sentinel.config import ApprovalSettings
from sentinel.domain import Choice, Command, Mode, Outcome, Signature
from sentinel.hub import acts, approve, audit, audit_cli, enrol, notary, server
from sentinel.hub.persist import Store
from sentinel.policy import rules
from sentinel.protocol import Action, ActRequest, DecideRequest
from sentinel.trust import checkpoint, signers
from tests.unit.hub import builders as b
from tests.unit.hub import databases
from tests.unit.trust.keys import SoftKey

ALICE = SoftKey()


class Site:
    """A hub's state directory with one incident that was approved and run, and one rejected."""

    def __init__(self, folder):
        self.state = folder / "hub"
        self.url = f"sqlite:///{self.state}/hub.db"
        self.out = folder / "export"
        enrol.init(self.state, "prod-a", b.NOW)
        (self.state / "hub.toml").write_text('site = "prod-a"\n')
        (self.state / "allowed_signers").write_text(ALICE.line("alice"))
        self.incident = asyncio.run(self.fill())

    async def fill(self):
        async with await Store.open(self.url) as store:
            reasoner = b.Reasoner(b.Proposal(commands=(Command(text="df -h"),)))
            pipe = b.pipeline(store, reasoner, policy=server.Judge(rules.load()))
            for rule, choice in (("one", Choice.APPROVE), ("two", Choice.REJECT)):
                incident = await b.reported(store, b.report(rule=rule))
                await b.drive(pipe)
                incident = await store.incident(incident.summary.id)
                seen = ActRequest(
                    incident=incident.summary.id,
                    revision=incident.summary.revision,
                    action=Action.ACKNOWLEDGE,
                )
                await acts.act(store, "alice", seen, b.NOW)
                await self.decide(store, incident, choice)
                if choice is Choice.APPROVE:
                    approved = incident
            await b.say(store, approved, admission=b.admission(approved))
            await b.say(store, approved, ran=b.ran(approved, outcome=Outcome.RAN))
            await b.say(store, approved, finished=b.finished(approved))
            signer = notary.signer(self.state, "prod-a")
            await notary.Notary(store, signer, self.state).keep()
            await store.record("later", "after the checkpoint", b.NOW)
            return approved.summary.id

    async def decide(self, store, incident, choice):
        said = b.statement(incident, choice, mode=Mode.LIVE)
        data = canonical.encode(said)
        request = DecideRequest(
            incident=said.incident,
            statement=data.decode(),
            signatures=(Signature(signer="alice", sshsig=ALICE.sign(data)),),
        )
        settled = approve.Rules(
            hub_mode=Mode.LIVE,
            signers=signers.parse(ALICE.line("alice")),
            approvals=ApprovalSettings(),
        )
        await approve.decide(store, "alice", request, b.NOW, settled)

    def run(self, *words):
        """Run a command; return its exit status."""
        top = argparse.ArgumentParser(prog="sentinel")
        commands = top.add_subparsers(required=True)
        audit_cli.add_audit(commands)
        audit_cli.add_replay(commands)
        command, *rest = map(str, words)
        return process.main("sentinel", top, [command, "--state", str(self.state), *rest])

    def sql(self, *statements):
        """Change the database as its owner can, triggers and all."""
        with closing(sqlite3.connect(self.state / "hub.db", isolation_level=None)) as connection:
            for name, sql in connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall():
                connection.execute(f"DROP TRIGGER {name}")
                statements = (*statements, sql)
            for statement in statements:
                connection.execute(statement)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Site(tmp_path_factory.mktemp("site"))


@pytest.fixture
def site(made, tmp_path):
    """A site of the test's own: a copy of the one that was made."""
    copy = object.__new__(Site)
    copy.state, copy.incident = tmp_path / "hub", made.incident
    copy.url, copy.out = f"sqlite:///{copy.state}/hub.db", tmp_path / "export"
    shutil.copytree(made.state, copy.state)
    return copy


# ---------------------------------------------------------------- verify


def test_a_log_that_holds_says_how_much_of_it_and_whose_checkpoints(site, capsys):
    assert site.run("verify") == 0
    out = capsys.readouterr().out
    assert re.search(r"^\d+ records hold; root sha256:[0-9a-f]{64}$", out, re.M)
    assert "1 checkpoints hold, signed by sentinel/prod-a+" in out


def test_a_log_that_does_not_hold_names_the_record(site, capsys):
    site.sql("UPDATE audit SET body = CAST(replace(CAST(body AS TEXT), 'df', 'rm') AS BLOB),"
             " incident = incident WHERE seq = 3")  # fmt: skip
    site.sql("UPDATE audit SET hash = x'00' WHERE seq = 3")
    assert site.run("verify") == 1
    assert "BROKEN at record 3: " in capsys.readouterr().out


def test_missing_triggers_are_said_and_not_mended_by_reading(site, capsys):
    databases.unseal(site.url)
    assert site.run("verify") == 1
    assert "UNSEALED: triggers missing or altered: audit_no_update" in capsys.readouterr().out
    assert site.run("verify") == 1


def test_a_log_rolled_back_with_its_checkpoints_is_told_by_the_one_beside_it(site, capsys):
    asyncio.run(roll_back(site, 2))
    assert site.run("verify") == 1
    assert "BROKEN at record 3" in capsys.readouterr().out
    (site.state / "checkpoint").unlink()
    assert site.run("verify") == 0


async def roll_back(site, size):
    """Take back all but `size` records, as whoever has the database can."""
    async with await Store.open(site.url, prepare=False) as store:
        tree = await audit.range_at(store.log, size)
    site.sql(f"DELETE FROM audit WHERE seq > {size}", "DELETE FROM checkpoint")
    site.sql(f"UPDATE head SET seq = {size}, tree = x'{tree.dump().hex()}'")


def test_verification_against_and_from_a_checkpoint_kept_elsewhere(site, capsys, tmp_path):
    kept = tmp_path / "kept"
    shutil.copy(site.state / "checkpoint", kept)
    assert site.run("verify", "--against", kept) == 0
    capsys.readouterr()
    assert site.run("verify", "--from", kept) == 0
    assert "read from record" in capsys.readouterr().out
    other = checkpoint.make(tmp_path, "prod-a")
    pin = tmp_path / "checkpoint.pub"
    assert pin.read_text().strip() == other.text
    assert site.run("verify", "--key", pin) == 2
    assert "signed by the key" in capsys.readouterr().err
    kept.write_text("nonsense")
    assert site.run("verify", "--against", kept) == 2
    assert "not a signed checkpoint" in capsys.readouterr().err


def test_reading_where_there_is_no_database_makes_none(site, capsys):
    (site.state / "hub.db").unlink()
    assert site.run("verify") == 2
    assert "there is no database" in capsys.readouterr().err
    assert not (site.state / "hub.db").exists()


# ---------------------------------------------------------------- show


def test_show_prints_the_records_of_an_incident(site, capsys):
    assert site.run("show", "--incident", site.incident[-8:]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(site.incident in line for line in lines)
    assert any("\tapproved\toperator:alice\t" in line for line in lines)
    assert site.run("show", "--last", "1", "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["action"] == "later"


def test_a_record_that_does_not_read_is_shown_as_that_among_the_others(site, capsys):
    site.sql("UPDATE audit SET body = x'ff00' WHERE seq = 2")
    assert site.run("show") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("2\tDOES NOT READ")
    assert "\treported\t" in lines[0]
    assert lines[-1].startswith(f"{len(lines)}\t")
    assert site.run("show", "--json") == 0


# ---------------------------------------------------------------- export


def bash(folder, script):
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )


def script_of(folder):
    """Return the commands that the README tells an auditor to run."""
    lines = (folder / "README").read_text().splitlines()
    return "\n".join(line[4:] for line in lines if line.startswith("    "))


def test_an_auditor_checks_an_export_with_sha256sum_and_ssh_keygen_alone(site, capsys):
    assert site.run("export", site.out) == 0
    assert "2 decisions and 2 signatures" in capsys.readouterr().out
    done = bash(site.out, "set -e; " + script_of(site.out))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Good") == 3
    assert "BAD" not in done.stdout
    assert "the checkpoint is over these records" in done.stdout
    records = (site.out / "records.jsonl").read_bytes().splitlines()
    for line in (site.out / "decisions.txt").read_text().splitlines():
        seq, number, person = line.split()
        statement = (site.out / "decisions" / f"{seq}.json").read_text()
        assert json.loads(records[int(seq) - 1])["facts"]["statement"] == statement
        digest = json.loads(statement)["plan"].removeprefix("sha256:")
        assert digest in bash(site.out, "sha256sum plans/*.json").stdout
        assert (number, person) == ("1", "alice")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ("sed -i s/approved/rejected/ records.jsonl", "FAILED"),
        ("sed -i s/alice/mallo/ decisions/*.json", "BAD decision"),
        ("rm decisions/*.sig", "BAD decision"),
        ("sed -i 1d records.jsonl; sha256sum records.jsonl >SHA256SUMS", "Could not verify"),
    ],
)
def test_an_export_that_was_tampered_with_does_not_check(site, spoil, says):
    assert site.run("export", site.out) == 0
    assert bash(site.out, spoil).returncode == 0
    done = bash(site.out, script_of(site.out))
    assert says in done.stdout + done.stderr


def test_a_database_chooses_no_file_that_an_export_writes(site):
    outside = f"SET incident = '../../outside' WHERE incident = '{site.incident}'"
    site.sql(f"UPDATE plan {outside}", f"UPDATE decision {outside}")
    assert site.run("export", site.out) == 0
    assert not list(site.state.parent.glob("outside*"))
    assert len(list((site.out / "plans").iterdir())) == 2


def test_an_export_of_signatures_that_do_not_read_says_whose(site, capsys):
    site.sql("UPDATE decision SET signatures = 'x'")
    assert site.run("export", site.out) == 2
    assert "the signatures of decision" in capsys.readouterr().err


def test_an_export_never_overwrites_a_folder(site, capsys):
    site.out.mkdir()
    assert site.run("export", site.out) == 2
    assert "is there already" in capsys.readouterr().err


# ---------------------------------------------------------------- replay


def test_an_incident_is_derived_again_from_the_record(site, capsys):
    assert site.run("replay", site.incident) == 0
    out = capsys.readouterr().out
    assert "the verdicts are the same again: allow" in out
    assert (
        f"signed by alice, {signers.parse(ALICE.line('alice')).by_key[ALICE.blob].key.fingerprint}"
        in out
    )
    assert "command 1 of decision" in out
    assert out.splitlines()[-1].endswith("each is what the record says")
    assert "DIFF" not in out


@pytest.mark.parametrize(
    ("tampering", "says"),
    [
        ("UPDATE plan SET body = CAST(replace(CAST(body AS TEXT), 'df -h', 'df -k') AS BLOB)",
         "plan revision 1: the record says"),
        ("UPDATE plan SET judgement = CAST(replace(CAST(judgement AS TEXT), '\"verdict\":\"allow\"', '\"verdict\":\"block\"')"
         " AS BLOB)", "command 1: the record says block"),
        ("UPDATE report SET body = CAST(replace(CAST(body AS TEXT), 'hog', 'dog') AS BLOB)",
         "report of"),
        ("UPDATE decision SET statement = CAST(replace(CAST(statement AS TEXT), 'because', 'x')"
         " AS BLOB)", "statement: the record says"),
        ("UPDATE decision SET signatures = '[]'", "signatures: the record says"),
        ("UPDATE decision SET choice = 'reject'", "its choice: the record says reject"),
        ("UPDATE reasoning SET body = 'x'", "reasoning: the record says"),
        ("UPDATE audit SET body = 'x' WHERE seq = 2", "is not in the log's tree"),
        ("UPDATE result SET body = 'x'", "no record names"),
    ],
)  # fmt: skip
def test_the_first_difference_is_shown(site, capsys, tampering, says):
    site.sql(tampering)
    assert site.run("replay", site.incident) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("DIFF ")
    assert says in last


def test_another_policy_is_said_by_both_digests(site, capsys, tmp_path):
    rule = tmp_path / "more.toml"
    rule.write_text(POLICY_FILE)
    (site.state / "hub.toml").write_text(f'site = "prod-a"\npolicy = ["{rule}"]\n')
    assert site.run("replay", site.incident) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert f"judged by the policy {rules.load().digest}, and here is sha256:" in last


POLICY_FILE = """\
schema = 1
layer = "site"
name = "test"
[[block]]
id = "site.no-such-tool"
cmd = ["no-such-tool"]
why = "a test"
hit = ["no-such-tool"]
"""


def test_a_signature_by_somebody_struck_off_since_is_a_difference(site, capsys):
    (site.state / "allowed_signers").write_text(SoftKey().line("alice"))
    assert site.run("replay", site.incident) == 1
    assert "signature.unknown-key" in capsys.readouterr().out.splitlines()[-1]


# ---------------------------------------------------------------- the hub's own checkpoint


async def test_a_hub_does_not_start_on_a_log_that_was_rolled_back(tmp_path):
    signer = notary.signer(tmp_path, "prod-a")
    url = f"sqlite:///{tmp_path}/hub.db"
    async with await Store.open(url) as store:
        for n in range(5):
            await store.record("test", "x", n)
        keeper = notary.Notary(store, signer, tmp_path)
        await keeper.compare()
        await keeper.keep()
        await keeper.keep()
        await store.record("test", "x", 6)
        again = notary.Notary(store, signer, tmp_path)
        await again.compare()
        await again.keep()
        assert [size for size, _ in await store.log.checkpoints(0, 99)] == [5, 6]
    shutil.move(tmp_path / "hub.db", tmp_path / "old.db")
    async with await Store.open(url) as store:
        fresh = notary.Notary(store, signer, tmp_path)
        with pytest.raises(errors.StoreError, match="rolled back: it has 0 records") as caught:
            await fresh.compare()
        assert "remove" in caught.value.hint
        for n in range(9):
            await store.record("other", "x", n)
        with pytest.raises(errors.StoreError, match="are not those that this hub has signed"):
            await fresh.compare()


def test_a_site_has_its_key_from_the_start_and_one_without_gets_one(tmp_path, caplog):
    enrol.init(tmp_path / "hub", "prod-a", b.NOW)
    key = (tmp_path / "hub" / "checkpoint.key").read_bytes()
    assert notary.signer(tmp_path / "hub", "prod-a").key.name == "sentinel/prod-a"
    assert (tmp_path / "hub" / "checkpoint.key").read_bytes() == key
    assert not caplog.records
    (tmp_path / "old").mkdir()
    notary.signer(tmp_path / "old", "prod-a")
    assert "nodes that joined before know none" in caplog.text
