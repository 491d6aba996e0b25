from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel import canonical
from sentinel.domain import Command, Diagnosis, FileEntry, Kind, Metric, Report
from sentinel.errors import ConfigError
from sentinel.hub.reason import evidence, playbook, runbook
from sentinel.hub.reason.picture import picture
from tests.unit.strategies import values

from .builders import CASES, GIB, HOG, VAR, deleted, log_file, report

BOOK = playbook.shipped()


def drafted(told, attempt=1, book=BOOK):
    scene = picture(told)
    return book.draft(scene, evidence.facts(scene), attempt)


def texts(draft):
    return [c.text for c in draft.commands]


# ------------------------------------------------------------ the shipped runbooks


@pytest.mark.parametrize("name", sorted(CASES))
def test_each_fault_finds_its_runbook(name):
    assert drafted(CASES[name]).runbook == name


def test_every_shipped_runbook_has_a_case_here():
    assert {r.id for r in BOOK.runbooks} == set(CASES)


def test_every_kind_of_fault_has_a_runbook():
    assert {kind for r in BOOK.runbooks for kind in r.kinds} == set(Kind)


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("attempt", [1, 2, 7])
def test_every_plan_has_commands_within_the_bounds_of_a_plan(name, attempt):
    draft = drafted(CASES[name], attempt)
    assert 1 <= len(draft.commands) <= 16
    for command in draft.commands:
        canonical.decode(Command, canonical.encode(command), limit=16384)
    canonical.decode(Diagnosis, canonical.encode(draft.diagnosis), limit=65536)


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_claim_rests_on_evidence_that_exists(name):
    ids = {e.id for e in evidence.gather(CASES[name])}
    for claim in drafted(CASES[name]).diagnosis.claims:
        assert claim.evidence
        assert set(claim.evidence) <= ids


def test_a_memory_hog_is_looked_at_and_then_asked_to_end():
    draft = drafted(report())
    assert texts(draft) == [
        "ps -o pid,ppid,user,stat,rss,pcpu,etime,args -p 4121",
        "cat /proc/4121/status",
        "kill -TERM 4121",
    ]
    assert draft.diagnosis.culprit == "P1"
    assert draft.diagnosis.summary == (
        "leaky-worker (pid 4121) holds 4.0 GiB of memory; resident memory is 4.0 GiB,"
        " over its limit of 2.0 GiB"
    )


def test_the_second_attempt_is_the_escalation():
    assert "systemctl restart app.service" in texts(drafted(report(), attempt=2))
    assert "kill -KILL 4121" in texts(drafted(report(), attempt=2))


def test_a_runbook_without_escalation_says_the_same_again():
    told = CASES["disk-space"]
    assert texts(drafted(told, attempt=2)) == texts(drafted(told))


def test_how_to_undo_a_change_names_the_same_process():
    undo = [c.undo for c in drafted(CASES["pressure-cpu"]).commands if c.text.startswith("renice")]
    assert undo == ["as root: renice -n 0 -p 4121"]


def test_a_unit_that_is_none_leaves_its_steps_out_without_a_word():
    told = report(processes=(msgspec.structs.replace(HOG, unit="session-3.scope"),))
    draft = drafted(told, attempt=2)
    assert not [t for t in texts(draft) if "systemctl" in t]
    assert not [c for c in draft.diagnosis.claims if c.text.startswith("left out")]


# ------------------------------------------------------------ what is spared

SPARED = [
    {"pid": 1},
    {"ppid": 2},
    {"name": "systemd-journal"},
    {"name": "sshd"},
    {"name": "dockerd"},
    {"name": "sentinel-agent"},
    {"cmdline": "/usr/bin/python3 -m sentinel.agent.main run"},
    {"cmdline": "/usr/local/bin/sentinel-hub run"},
]


@pytest.mark.parametrize("changes", SPARED)
@pytest.mark.parametrize("attempt", [1, 2])
def test_what_the_host_or_sentinel_needs_is_never_ended(changes, attempt):
    process = msgspec.structs.replace(HOG, unit="", **changes)
    told = report(processes=(process,), anomaly={"subject": f"{process.pid}:{process.start_ticks}"})
    draft = drafted(told, attempt)
    assert not [t for t in texts(draft) if t.startswith(("kill", "systemctl"))]
    assert [c for c in draft.diagnosis.claims if c.text.startswith("left out")]


def test_a_unit_that_the_host_needs_is_not_restarted():
    told = report(processes=(msgspec.structs.replace(HOG, unit="ssh.service"),))
    assert "systemctl restart ssh.service" not in texts(drafted(told, attempt=2))
    assert "kill -TERM 4121" in texts(drafted(told))


# ------------------------------------------------------------ hostile values

HOSTILE = [
    "x; rm -rf ~",
    "$(id)",
    "`id`",
    "a b",
    "a\nb",
    "a'b",
    'a"b',
    "a\\b",
    "a*b",
    "a|b",
    "a>b",
    "a&b",
    "~root",
    "{a,b}",
    "a\u202eb",
    "-rf",
    "..",
    ".",
    "a!b",
    "#a",
]
SAFE = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ,._+@=:/%-")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_never_becomes_a_word_of_a_command(text):
    hog = msgspec.structs.replace(HOG, name=text[:256], cmdline=text, user=text, unit=text)
    for attempt in (1, 2):
        for command in texts(drafted(report(processes=(hog,)), attempt)):
            assert set(command) <= SAFE
            assert text not in command.split() or text in (".", "..")
    assert "kill -TERM 4121" in texts(drafted(report(processes=(hog,))))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_unit_drops_its_step_and_that_is_noted(text):
    hog = msgspec.structs.replace(HOG, unit=f"{text}.service")
    draft = drafted(report(processes=(hog,)), attempt=2)
    if f"{text}.service" in ("..service", "...service", "-rf.service") or not set(text) <= SAFE:
        assert not [t for t in texts(draft) if "systemctl" in t]
        notes = [c.text for c in draft.diagnosis.claims if c.text.startswith("left out")]
        assert (
            "left out, the captured unit does not look like one: systemctl restart {unit}" in notes
        )


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_path_drops_its_steps_and_that_is_noted(text):
    path = f"/var/log/{text}/x.log"
    draft = drafted(report(Metric.FS_USED, files=(log_file(path),)))
    assert not [t for t in texts(draft) if "/var/log" in t]
    assert draft.runbook in ("disk-log", "disk-space")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_mount_point_leaves_a_plan_that_needs_none(text):
    mount = f"/{text}"
    disk = msgspec.structs.replace(VAR, mountpoint=mount)
    told = report(Metric.FS_USED, anomaly={"subject": mount}, filesystems=(disk,))
    assert drafted(told).runbook == "observe"


@pytest.mark.parametrize(
    "path",
    ["/var/log/auth.log", "/var/log/audit/audit.log", "/var/log/sentinel/hub.log", "/var/log/sudo.log"],
)  # fmt: skip
def test_a_log_that_is_evidence_is_never_emptied(path):
    assert not [t for t in texts(drafted(report(Metric.FS_USED, files=(log_file(path),)))) if "truncate" in t]  # fmt: skip


def test_a_file_outside_the_logs_is_never_emptied():
    told = report(Metric.FS_USED, files=(log_file("/var/lib/db/redo.log"),))
    assert drafted(told).runbook == "disk-space"


def test_a_deleted_file_whose_holder_was_not_captured_ends_nobody():
    told = report(Metric.FS_USED, files=(deleted(held_by=31337),))
    assert not [t for t in texts(drafted(told)) if t.startswith("kill")]


@settings(max_examples=150, deadline=None)
@given(values(Report), st.integers(1, 3))
def test_any_report_that_the_wire_lets_in_gets_a_plan(told, attempt):
    draft = drafted(told, attempt)
    assert draft.commands
    for command in draft.commands:
        assert set(command.text) <= SAFE
    canonical.decode(Diagnosis, canonical.encode(draft.diagnosis), limit=1 << 17)


# ------------------------------------------------------------ the order and its end


def test_two_runbooks_with_one_id_are_refused():
    with pytest.raises(ConfigError, match="is there twice"):
        playbook.Playbook([*BOOK.runbooks, BOOK.runbooks[0]])


def test_a_playbook_without_a_last_resort_is_refused():
    with pytest.raises(ConfigError, match="no runbook observe"):
        playbook.Playbook([r for r in BOOK.runbooks if r.id != runbook.LAST_RESORT])


def test_the_first_of_the_same_priority_is_the_first_by_name_whatever_the_order_of_the_files():
    forth = playbook.Playbook(BOOK.runbooks)
    back = playbook.Playbook(reversed(BOOK.runbooks))
    assert [r.id for r in forth.runbooks] == [r.id for r in back.runbooks]
    assert forth.runbooks[-1].id == runbook.LAST_RESORT


def test_a_share_counts_unless_the_rule_watches_that_very_process():
    little = msgspec.structs.replace(HOG, rss_bytes=GIB // 8)
    assert drafted(report(Metric.MEMORY_USED, processes=(little,))).runbook == "memory-crowd"
    assert drafted(report(processes=(little,))).runbook == "memory-hog"


def test_examples_for_a_model_are_what_the_runbooks_would_run():
    found = BOOK.examples(picture(report()))
    assert "kill -TERM 4121" in found
    assert "kill -KILL 4121" not in found
    assert not [text for text in found if "{" in text]


def test_a_journal_on_another_filesystem_is_not_vacuumed():
    files = (FileEntry(path="/var/log/journal/a/b.journal", bytes=4 * GIB),)
    told = report(Metric.FS_USED, anomaly={"subject": "/"}, files=files)
    assert drafted(told).runbook == "disk-space"
