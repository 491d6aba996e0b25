"""Header, banner and footer: one always knows where one is, how the hub is, and which keys there are."""

from __future__ import annotations

import msgspec
import pytest

from sentinel.domain import Mode
from sentinel.tui.commands import Command
from sentinel.tui.line import plain, width
from sentinel.tui.render import frame
from sentinel.tui.render.frame import Options
from sentinel.tui.store import Link, Phase, Snapshot

NOW = 1_763_694_780_000


def snapshot(recording, **link):
    fields = {"phase": Phase.UP, "heard_ms": NOW, **link}
    return Snapshot(status=recording.status, link=Link(**fields))


def header(shot, cells=80, **options):
    return plain(frame.header(("sentinel", "nodes"), shot, NOW, Options(**options), cells))


def test_all_is_well(recording):
    shown = header(snapshot(recording))
    assert shown.startswith(" sentinel > nodes ")
    assert shown.rstrip().endswith("hub ok  LIVE  you")


def test_a_narrow_header_drops_where_one_came_from_first(recording):
    shot = snapshot(recording)
    path = ("sentinel", "5f02 db-01", "command 1/3")
    shown = plain(frame.header(path, shot, NOW, Options(), 40))
    assert shown.startswith(" command 1/3 ")
    assert shown.rstrip().endswith("hub ok  LIVE  you")


def test_a_dry_run_hub_is_not_called_live(recording):
    shot = snapshot(recording)
    dry = msgspec.structs.replace(shot.status, mode=Mode.DRY_RUN)
    assert "hub ok  dry-run  you" in header(msgspec.structs.replace(shot, status=dry))


def test_a_demo_says_so_on_every_screen(recording):
    assert header(snapshot(recording), demo=True).startswith(" DEMO ")


def test_a_lost_hub_says_for_how_long_and_when_it_is_tried_again(recording):
    lost = snapshot(
        recording, phase=Phase.LOST, heard_ms=NOW - 41_000, retry_ms=NOW + 3_200, why="no route"
    )
    assert "STALE 41s: retry in 4s  READ ONLY" in header(lost)
    assert frame.banner(lost, NOW) == "hub unreachable: no route"
    assert frame.read_only(lost, NOW, Options()) == "the hub is stale"


def test_a_hub_that_never_answered_is_not_stale_but_absent(recording):
    lost = snapshot(recording, phase=Phase.LOST, heard_ms=0, retry_ms=NOW, why="no route")
    assert "NO HUB: retry in 0s" in header(lost)


def test_a_silent_hub_is_stale(recording):
    silent = snapshot(recording, heard_ms=NOW - 13_000)
    assert "STALE 13s: the hub is silent" in header(silent)
    assert "no longer be true" in frame.banner(silent, NOW)


@pytest.mark.parametrize(
    ("options", "role", "reason"),
    [
        ({"read_only": True}, "operator", "--read-only"),
        ({}, "viewer", "you are a viewer"),
        ({}, "operator", ""),
    ],
)
def test_read_only_has_a_reason(recording, options, role, reason):
    shot = snapshot(recording)
    status = msgspec.structs.replace(shot.status, role=role)
    shot = msgspec.structs.replace(shot, status=status)
    assert frame.read_only(shot, NOW, Options(**options)) == reason
    assert ("READ ONLY" in header(shot, **options)) is bool(reason)


KEYS = [
    Command("open", "enter", "open"),
    Command("filter", "slash", "filter"),
    Command("down", "j,down", "down", shown=False),
    Command("back", "q,escape", "back"),
    Command("help", "question_mark", "help"),
]


def test_the_footer_calls_keys_as_people_do():
    assert plain(frame.footer(KEYS, 60)).rstrip() == " ↵ open  / filter  q Esc back  ? help"


@pytest.mark.parametrize("cells", [10, 20, 26, 30, 40, 80])
def test_a_narrow_footer_keeps_the_way_back_and_the_help(cells):
    shown = frame.footer(KEYS, cells)
    assert width(shown) == cells
    if cells >= 26:
        assert plain(shown).rstrip().endswith("q Esc back  ? help")


def test_the_help_lists_every_key_with_what_it_does():
    shown = [plain(of) for of in frame.help_rows([("HERE", KEYS), ("NONE", [])], 60)]
    assert shown[0] == "HERE"
    assert "  j ↓       :down             down" in shown
    narrow = [plain(of) for of in frame.help_rows([("HERE", KEYS)], 38)]
    assert "  j ↓       down" in narrow
    assert "NONE" not in shown
