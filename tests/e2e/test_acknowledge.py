"""Who is on it, on the real programs: said by people, seen by people, and no part of any decision."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from sentinel.domain import Incident, State
from tests.e2e.place import awaiting, living, said
from tests.e2e.tmux import Tmux


@pytest.fixture
def place(tmp_path):
    with living(tmp_path, "ack-worker") as made:
        for name, role in (("bob", "approver"), ("cleo", "approver"), ("vera", "viewer")):
            made.site.let_in(name, role, tmp_path / name, tmp_path / f"{name}.agent")
        people = made.site.states["hub"] / "operators.toml"
        known = people.read_text().replace(
            '[people."cleo"]\n', '[people."cleo"]\ngroups = ["elsewhere"]\n'
        )
        people.write_text(f'[groups]\nelsewhere = ["web-*"]\n{known}')
        made.leak()
        yield made


@pytest.fixture
def terminal(place, tmp_path):
    folder = tmp_path / "tmux"
    folder.mkdir()
    command = (sys.executable, "-m", "sentinel.tui.main", "--identity", place.site.operator)
    opened = Tmux(folder, command, place.environment)
    yield opened
    opened.close()


def test_who_is_on_it_is_said_seen_handed_on_and_given_back(place, terminal):
    terminal.sees("hub ok", "ack-worker", "AWAITING")
    summary = awaiting(place)
    tail = summary.id[-8:]
    assert summary.owner == ""
    digest = msgspec.json.decode(
        said(place.sentinel("show", tail, "--json")), type=Incident
    ).plan_digest.removeprefix("sha256:")
    terminal.keys("i")
    terminal.sees("> ACKNOWLEDGE", "Say that you are on it", "note >")
    terminal.keys("on my way", "Enter")
    terminal.sees("acknowledge: the hub has recorded it", "@you ")

    # Everybody sees it: in the list, by filter, and on the incident; and who it is now, as it changes.
    assert " @you " in said(place.sentinel("incidents", "who=you", who="vera"))
    assert "AWAITING  on it: you  " in said(place.sentinel("show", tail, who="vera"))

    # Not everybody may say it.
    viewer = place.sentinel("ack", tail, who="vera")
    assert (viewer.returncode, viewer.stdout) == (2, "")
    assert f"sentinel: {tail}: vera is viewer, and Act is for approver and above" in viewer.stderr
    stranger = place.sentinel("ack", tail, who="cleo")
    assert (stranger.returncode, stranger.stdout) == (2, "")
    assert "cleo may not decide for demo-host" in stranger.stderr

    # Another takes it on; of several the one that cannot be is named, and the others are.
    both = place.sentinel("ack", "none-such", tail, who="bob")
    assert both.stdout == f"{tail} demo-host: acknowledged by bob instead of you\n"
    terminal.sees("@bob ")
    assert both.returncode == 2
    assert both.stderr.startswith("sentinel: none-such: ")
    assert tail not in both.stderr
    assert "released by bob" in said(place.sentinel("ack", tail, "--release", who="bob"))
    assert tail in said(place.sentinel("incidents", "who="))
    after = msgspec.json.decode(
        said(place.sentinel("ack", tail, "--json", who="bob")), type=Incident
    )
    assert (after.summary.owner, after.summary.state) == ("bob", State.AWAITING)

    # The plan was read before all this; it is the same plan, and bob's name on it decides nothing.
    said(place.sentinel("approve", tail, digest[:4], "--live"))
    said(place.sentinel("watch", tail))
    ended = place.sentinel("ack", tail)
    assert (ended.returncode, "has ended: it is resolved" in ended.stderr) == (2, True)
    listed = said(place.sentinel("incidents", "--all", "who=bob"))
    assert (listed.startswith(tail), " @bob " in listed) == (True, True)

    told = said(place.sentinel("audit", "tail", "--incident", tail, "--limit", 500))
    assert told.count("acknowledged by ") == 3
    assert told.count("released by bob") == 1
    replay = [sys.executable, "-m", "sentinel.cli", "replay", summary.id]
    proved = subprocess.run(
        [*replay, "--state", str(place.site.states["hub"])],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "each is what the record says" in said(proved)
