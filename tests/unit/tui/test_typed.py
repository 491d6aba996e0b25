"""Commands in the running program: typed, on keys, back and forward, copied and written."""

from __future__ import annotations

import contextlib

import pytest

from sentinel import protocol
from sentinel.tui import commands, setup
from sentinel.tui import typed as line
from sentinel.tui.commands import Command
from sentinel.tui.look import Skin
from sentinel.tui.screens.audit import AuditScreen
from sentinel.tui.screens.command import CommandPage
from sentinel.tui.screens.decide import DecidePage
from sentinel.tui.screens.incident import IncidentPage
from sentinel.tui.screens.incidents import IncidentsPage
from sentinel.tui.screens.nodes import NodesPage
from sentinel.tui.screens.page import Page
from sentinel.tui.setup import Setup
from tests.unit.tui.conftest import press, screen_text, sees, until


@contextlib.asynccontextmanager
async def running(app, size=(80, 24)):
    async with app.run_test(size=size) as pilot:
        await sees(pilot, "hub ok", "db-01")
        yield pilot


async def types(pilot, words, *keys):
    await press(pilot, "colon", *words, *(keys or ("enter",)))
    await pilot.pause(0.02)


async def on(pilot, kind):
    await until(pilot, lambda: isinstance(pilot.app.screen, kind))


def foot(app):
    return screen_text(app).splitlines()[-1]


def note(app):
    return screen_text(app).splitlines()[-2].strip()


# ---- what is typed, understood


OFFERED = [Command("audit", "3", "audit"), Command("approve", "a", "approve"),
           Command("skin", "", "skin", takes="NAME"), Command("filter", "f", "f", takes="[T]")]  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "chosen"),
    [
        (":audit", "audit"),
        ("au", "audit"),
        ("filter host=db !x", "filter"),
        ("filter", "filter"),
        ("skin mono", "skin"),
    ],
)
def test_a_name_or_the_only_beginning_of_one_is_enough(typed, chosen):
    command, fault = line.chosen(*line.split(typed), OFFERED)
    assert (command.name, fault) == (chosen, "")


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ("a", ":a may be audit, approve"),
        ("aprove", "there is no command aprove: did you mean :approve?"),
        ("zzzz", "there is no command zzzz; ? lists them"),
        ("close", ":close does not work here now; it does on: incident"),
        ("audit now", ":audit takes nothing after its name"),
        ("skin", "say which: :skin NAME"),
    ],
)
def test_what_cannot_be_run_says_why(typed, fault):
    assert line.chosen(*line.split(typed), OFFERED) == (None, fault)


@pytest.mark.parametrize(
    ("typed", "names", "expected"),
    [
        ("n", ["nodes", "next", "next-command"], ("n", ["next", "next-command", "nodes"])),
        ("ne", ["nodes", "next", "next-command"], ("next", ["next", "next-command"])),
        ("no", ["nodes", "next"], ("nodes", ["nodes"])),
        ("x", ["nodes"], ("x", [])),
        ("", [], ("", [])),
    ],
)
def test_completion_goes_as_far_as_there_is_only_one_way(typed, names, expected):
    assert line.complete(typed, names) == expected


# ---- the line


async def test_a_command_is_typed_by_its_name_or_its_beginning(build):
    async with running(build()) as pilot:
        await types(pilot, "nodes")
        await on(pilot, NodesPage)
        await types(pilot, "au")
        await on(pilot, AuditScreen)
        await types(pilot, "filter host=db")
        await on(pilot, IncidentsPage)
        await until(pilot, lambda: "node-017" not in screen_text(pilot.app))
        assert "db-02" in screen_text(pilot.app)


async def test_while_it_is_typed_it_says_what_it_would_do(build):
    async with running(build()) as pilot:
        await press(pilot, "colon", *"aud")
        await sees(pilot, ":audit  the audit log", ": > aud")
        await press(pilot, "ctrl+u", *"ne")
        await sees(pilot, "next")
        await press(pilot, *"xyz")
        await sees(pilot, "there is no command nexyz")
        await press(pilot, "escape")
        await until(pilot, lambda: ": >" not in screen_text(pilot.app))
        assert isinstance(pilot.app.screen, IncidentsPage)
        await press(pilot, "j")
        await sees(pilot, "> 9caf")


async def test_tab_completes_names_and_arguments(build):
    async with running(build()) as pilot:
        await press(pilot, "colon", *"red", "tab")
        await sees(pilot, ": > redraw_")
        await press(pilot, "ctrl+u", *"skin d", "tab")
        await sees(pilot, ": > skin deut_")
        await press(pilot, "enter")
        assert pilot.app.desk.paint.skin is Skin.DEUT


async def test_arrows_bring_back_what_was_typed_today_and_yesterday(build, tmp_path):
    setup = Setup(state=tmp_path)
    async with running(build(setup=setup)) as pilot:
        await types(pilot, "filter host=db")
        await types(pilot, "nodes")
        await types(pilot, "incidents")
    async with build(setup=setup).run_test() as pilot:
        await sees(pilot, "hub ok", "db-01")
        await press(pilot, "colon", "up", "up")
        await sees(pilot, ": > nodes_")
        await press(pilot, "down", "down")
        await until(pilot, lambda: ": > _" in screen_text(pilot.app))
        await press(pilot, *"fil", "up")
        await sees(pilot, ": > filter host=db_")


async def test_a_command_that_changes_things_only_opens_its_dialog(build, hub):
    async with running(build()) as pilot:
        await types(pilot, "approve")
        await sees(pilot, ":approve does not work here now; it does on: incident")
        await press(pilot, "enter")
        await sees(pilot, "a approve")
        before = dict(hub._now)
        await types(pilot, "approve")
        await on(pilot, DecidePage)
        assert hub._now == before
        await press(pilot, "colon")
        await pilot.pause(0.05)
        assert ": >" not in screen_text(pilot.app)


async def test_a_viewer_can_type_nothing_that_changes_anything(build):
    async with running(build(read_only=True)) as pilot:
        await press(pilot, "enter")
        await sees(pilot, "kill -TERM 2217")
        for name in ("approve", "reject", "edit", "replan", "take-over", "close"):
            await types(pilot, name)
            await sees(pilot, f":{name} does not work here now")
        assert isinstance(pilot.app.screen, IncidentPage)


async def test_an_incident_is_opened_by_its_id_from_anywhere(build, recording):
    whole = next(
        r.incident.summary for r in recording.incidents if r.incident.summary.host == "edge-1"
    )
    async with running(build()) as pilot:
        await types(pilot, "nodes")
        await on(pilot, NodesPage)
        await types(pilot, "open 9caf")
        await sees(pilot, "sentinel > 9caf node-017", "never.audit.logs")
        await types(pilot, f"open {whole.id[:13]}")  # one that has ended: the hub is asked
        await sees(pilot, "edge-1")
        await types(pilot, "open zzzz")
        await on(pilot, IncidentsPage)
        await until(pilot, lambda: note(pilot.app) == "there is no incident zzzz")


@pytest.mark.parametrize("typed", ["go('nodes')", "app.exit()", "[@click=app.quit]", "skin 'x'"])
async def test_what_is_typed_is_a_name_and_never_an_action(build, typed):
    async with running(build()) as pilot:
        await types(pilot, typed)
        await until(pilot, lambda: "there is no" in note(pilot.app))
        assert isinstance(pilot.app.screen, IncidentsPage)


async def test_a_list_is_moved_in_by_name_as_well(build):
    async with running(build()) as pilot:
        await types(pilot, "down")
        await sees(pilot, "> 9caf")
        await types(pilot, "quit")
        await until(pilot, lambda: not pilot.app.is_running)


# ---- keys


async def test_somebodys_keys_are_bound_shown_and_in_the_help(build):
    setup = Setup(keys={"approve": ("x",), "audit": ("f2",), "down": ("s",)})
    async with running(build(setup=setup), size=(120, 50)) as pilot:
        await press(pilot, "s")
        await sees(pilot, "> 9caf")
        await press(pilot, "j", "up", "enter")
        await sees(pilot, "x approve")
        await press(pilot, "a")
        await pilot.pause(0.05)
        assert isinstance(pilot.app.screen, IncidentPage)
        await press(pilot, "question_mark")
        await sees(pilot, "x         :approve", "f2        :audit")
        await press(pilot, "q", "x")
        await on(pilot, DecidePage)
        await press(pilot, "escape", "f2")
        await on(pilot, AuditScreen)


async def test_the_help_names_every_command_that_works(build):
    async with running(build(), size=(120, 60)) as pilot:
        for opening in (("1",), ("1", "enter"), ("1", "enter", "enter"), ("2",), ("3",)):
            await press(pilot, *opening)
            await pilot.pause(0.1)
            page = pilot.app.screen
            await press(pilot, "question_mark")
            await sees(pilot, "> help", "WHAT IT MEANS", "EVERYWHERE")
            shown = screen_text(pilot.app)
            for command in [*page.offered(), *commands.TABLE["everywhere"]]:
                assert command.usage in shown
                assert command.help in shown
            await press(pilot, "q")


async def test_the_line_stays_in_reach_on_the_smallest_terminal(build):
    async with running(build()) as pilot:
        await pilot.resize_terminal(40, 10)
        await press(pilot, "colon", *"nod")
        await sees(pilot, ": > nod_")
        await press(pilot, "enter")
        await on(pilot, NodesPage)


# ---- back and forward


async def test_back_and_forward_through_screens(build):
    async with running(build()) as pilot:
        await press(pilot, "enter")
        await sees(pilot, "kill -TERM 2217")
        await press(pilot, "enter")
        await on(pilot, CommandPage)
        await press(pilot, "2")
        await on(pilot, NodesPage)
        await press(pilot, "left_square_bracket")
        await on(pilot, CommandPage)
        await sees(pilot, "command 1/3", "ro.free")
        await press(pilot, "left_square_bracket")
        await on(pilot, IncidentPage)
        assert len(pilot.app.screen_stack) == 2
        await press(pilot, "right_square_bracket", "right_square_bracket")
        await on(pilot, NodesPage)
        await press(pilot, "right_square_bracket")
        await sees(pilot, "there is nothing further that way")


async def test_q_can_be_taken_back_too(build):
    async with running(build()) as pilot:
        await press(pilot, "enter")
        await sees(pilot, "kill -TERM 2217")
        await press(pilot, "q")
        await on(pilot, IncidentsPage)
        await press(pilot, "left_square_bracket")
        await on(pilot, IncidentPage)
        await sees(pilot, "kill -TERM 2217")


async def test_no_way_back_leads_into_or_out_of_a_dialog(build):
    async with running(build()) as pilot:
        await press(pilot, "enter")
        await sees(pilot, "a approve")
        await press(pilot, "a")
        await sees(pilot, "Approving lets")
        await press(pilot, "left_square_bracket")
        await sees(pilot, "finish this first, or leave it with Esc")
        await press(pilot, "escape", "left_square_bracket")
        await on(pilot, IncidentsPage)
        await press(pilot, "right_square_bracket", "right_square_bracket")
        await on(pilot, IncidentPage)


async def test_no_digit_of_a_broken_sequence_throws_a_dialog_away(build):
    app = build()
    async with running(app) as pilot:
        await press(pilot, "enter")
        await sees(pilot, "e strike/edit")
        await press(pilot, "e")
        await sees(pilot, "> REVISE")
        await press(pilot, "space", *"2", "question_mark", *"34", "left_square_bracket")
        await sees(pilot, "finish this first, or leave it with Esc")
        await press(pilot, "q")
        await sees(pilot, "STRUCK")


async def test_back_from_the_help_is_where_one_asked_for_it(build):
    async with running(build()) as pilot:
        await press(pilot, "2")
        await sees(pilot, "9 nodes")
        await press(pilot, "question_mark", "left_square_bracket")
        await on(pilot, NodesPage)


# ---- copy and write


async def copied(pilot):
    await press(pilot, "y")
    said = "copied to OSC 52 and /"  # in two lines where the path is long
    await until(pilot, lambda: said in " ".join(screen_text(pilot.app).split()))
    return (pilot.app.desk.setup.state / "last-copy").read_text()


async def test_what_is_under_the_cursor_is_copied(build, tmp_path, recording):
    app = build(setup=Setup(state=tmp_path))
    async with running(app) as pilot:
        summary = next(
            r.incident for r in recording.incidents if r.incident.summary.host == "db-01"
        )
        assert await copied(pilot) == summary.summary.id
        await press(pilot, "enter")
        await sees(pilot, "kill -TERM 2217")
        assert await copied(pilot) == "free -m"
        await press(pilot, "enter")
        await on(pilot, CommandPage)
        assert await copied(pilot) == "free -m"
        await press(pilot, "q", "a")
        await sees(pilot, "Approving lets")
        await pilot.pause(0.1)
        assert await copied(pilot) == summary.plan_digest
        await press(pilot, "escape", "2")
        await sees(pilot, "9 nodes")
        assert await copied(pilot) == "node-051"
        await press(pilot, "3")
        await sees(pilot, "records, newest first")
        assert (await copied(pilot)).startswith("sha256:")
        await press(pilot, "enter")
        await sees(pilot, "BODY")


async def test_a_screen_is_written_whole_and_never_over_another(build, tmp_path):
    async with running(build()) as pilot:
        await press(pilot, "enter")
        await sees(pilot, "kill -TERM 2217")
        await types(pilot, f"write {tmp_path}")
        await sees(pilot, "written:")
        await types(pilot, f"write {tmp_path}")
        await until(pilot, lambda: len(list(tmp_path.iterdir())) == 2)
        await types(pilot, f"write {tmp_path}/none")
        await sees(pilot, "cannot write (No such file or directory)")
    first, second = sorted(tmp_path.iterdir())
    assert first.read_text() == second.read_text()
    written = first.read_text()
    assert written.startswith("sentinel > 5f02 db-01 memory, ")
    assert "E3 P1 has run for 4 h 12 min; its unit has no MemoryMax" in written
    assert "TIMELINE" in written  # below the edge of the screen
    assert first.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ((), "97.1% used, +2.1%/min, report-worker 8.10 GiB"),
        (("2",), "node-051"),
        (("3",), '"action":"reported"'),
        (("4",), "shipped"),
        (("question_mark",), "WHAT IT MEANS"),
    ],
)
async def test_every_screen_can_be_written(build, tmp_path, keys, words):
    async with running(build()) as pilot:
        await press(pilot, *keys)
        await pilot.pause(0.2)
        assert isinstance(pilot.app.screen, Page)
        if keys == ("4",):
            await press(pilot, *"df", "tab")
            words = "df"
        await types(pilot, f"write {tmp_path}")
        await sees(pilot, "written:")
    (path,) = tmp_path.iterdir()
    assert words in path.read_text()


# ---- colours


async def test_other_colours_are_put_on_at_once_and_a_wrong_name_says_which_there_are(build):
    app = build()
    async with running(app) as pilot:

        def hues():
            strips = app.screen._compositor.render_strips()
            return {
                s.style.color.name for strip in strips for s in strip if s.style and s.style.color
            }

        assert "red" in hues()
        await types(pilot, "skin deut")
        await until(pilot, lambda: "red" not in hues() and "bright_blue" in hues())
        await types(pilot, "skin truecolor")
        await until(pilot, lambda: "#d7263d" in hues())
        await types(pilot, "skin pink")
        await sees(pilot, "there is no skin pink: ansi mono deut truecolor")


async def test_the_hub_hears_of_none_of_it(build, hub):
    asked = []

    class Wire:
        async def call(self, request):
            asked.append(type(request))
            return await hub.call(request)

        def watch(self, since):
            return hub.watch(since)

        async def close(self):
            pass

    async with running(build(port=Wire())) as pilot:
        for typed in ("skin mono", "filter host=db", "clear", "help", "back", "redraw", "next"):
            await types(pilot, typed)
        assert set(asked) == {protocol.ListRequest}


# ---- the list: order, marks, views


def hosts(app):
    rows = screen_text(app).splitlines()[3:10]
    return [row[2:].split()[3] for row in rows if row.strip()]


async def test_the_list_is_ordered_by_a_column_and_says_so(build):
    app = build()
    async with running(app) as pilot:
        before = hosts(app)
        await types(pilot, "sort host")
        await sees(pilot, "by host")
        assert hosts(app) == sorted(before) != before
        await types(pilot, "sort severity")
        await sees(pilot, "by severity")
        order = [
            row.split()[2 if row[0] != ">" else 3] for row in screen_text(app).splitlines()[3:10]
        ]
        assert order == ["CRIT"] * 2 + ["WARN"] * 4 + ["info"]
        for name in ("host", "kind", "state", "urgency", "age"):
            await press(pilot, "s")
            await until(pilot, lambda n=name: (f"by {n}" in screen_text(app)) is (n != "urgency"))
        await sees(pilot, "by age")
        assert hosts(app)[0] == "node-044"
        await types(pilot, "sort colour")
        await sees(pilot, "there is no column colour: urgency age severity host kind state")


async def test_the_cursor_stays_with_its_incident_in_another_order(build):
    app = build()
    async with running(app) as pilot:
        await press(pilot, "j")
        await types(pilot, "sort host")
        await sees(pilot, "by host", "> 9caf")


async def test_marked_ones_are_copied_and_written_and_nothing_else(build, tmp_path, recording):
    app = build(setup=Setup(state=tmp_path / "state"))
    ids = {r.incident.summary.host: r.incident.summary.id for r in recording.incidents}
    async with running(app) as pilot:
        await press(pilot, "space", "space", "space", "k", "space")
        await sees(pilot, "2 marked", " *5f02", " *9caf", "> 2d04")
        await press(pilot, "y")
        await sees(pilot, "2 ids copied")
        copied = (tmp_path / "state" / "last-copy").read_text()
        assert copied == f"{ids['db-01']} {ids['node-017']}"
        await types(pilot, f"write {tmp_path}")
        await sees(pilot, "written")
        (path,) = tmp_path.glob("*.txt")
        assert [line for line in path.read_text().splitlines() if "AWAITING" in line] == [
            line for line in path.read_text().splitlines() if "5f02" in line or "9caf" in line
        ]
        await press(pilot, "escape")
        await until(pilot, lambda: "2 marked" not in screen_text(app))


async def test_a_filter_is_saved_under_a_name_and_applied_by_it(build, tmp_path):
    (tmp_path / "tui.toml").write_text('[views]\nweb = "host=web"\n')
    async with running(build(setup=setup_of(tmp_path))) as pilot:
        await types(pilot, "save mine")
        await sees(pilot, "there is no filter to save")
        await types(pilot, "filter host=db")
        await types(pilot, "save mine")
        await sees(pilot, ":view mine applies it; saved in")
        await types(pilot, "view web")
        await until(pilot, lambda: "db-01" not in screen_text(pilot.app))
        await types(pilot, "view nope")
        await sees(pilot, "there is no view nope: mine web")
        await types(pilot, "save A!")
        await sees(pilot, "tui.toml")
    async with running(build(setup=setup_of(tmp_path))) as pilot:
        await types(pilot, "nodes")
        await types(pilot, "view mi", "tab", "enter")
        await on(pilot, IncidentsPage)
        await until(pilot, lambda: "node-017" not in screen_text(pilot.app))


def setup_of(folder):
    return setup.load(folder, folder / "state", {})


async def test_a_copy_that_nobody_can_take_is_not_called_one(build, monkeypatch):
    monkeypatch.delenv("TMUX", raising=False)
    app = build()
    async with running(app) as pilot:
        page = app.screen
        monkeypatch.setattr(page, "subject", lambda: ("output", "x" * 100_000))
        await press(pilot, "y")
        await sees(pilot, "output not copied: too long for the terminal")
        monkeypatch.setattr(page, "subject", lambda: ("output", ""))
        await press(pilot, "y")
        await sees(pilot, "there is nothing under the cursor to copy")


async def test_while_a_field_has_the_cursor_the_footer_offers_what_works_there(build):
    async with running(build()) as pilot:
        assert "q quit" in foot(pilot.app).strip()
        await press(pilot, "slash")
        await until(pilot, lambda: foot(pilot.app).strip() == "↵ keep the filter  Esc clear it")
        assert note(pilot.app).startswith("host= kind= state=")
        await press(pilot, *"q?")
        await sees(pilot, "/ > q?")
        await press(pilot, "escape", "colon")
        await until(pilot, lambda: foot(pilot.app).strip() == "↵ do it  Esc leave")
        await press(pilot, "escape", "enter")
        await sees(pilot, "kill -TERM 2217")
        await press(pilot, "e")
        await sees(pilot, "judged here by the shipped rules")
        await press(pilot, "enter")
        await until(pilot, lambda: foot(pilot.app).strip() == "↵ keep it  Esc leave it as it was")
        await press(pilot, "escape", "escape", "a")
        await until(pilot, lambda: "t LIVE/dry-run" in foot(pilot.app).strip())
        await press(pilot, "tab")
        await until(pilot, lambda: foot(pilot.app).strip() == "↵ Tab to the digits  Esc back")


async def test_the_help_says_that_there_is_more_of_it(build):
    async with running(build()) as pilot:
        await press(pilot, "question_mark")
        await sees(pilot, "HERE", "more below")
        await press(pilot, "G")
        await sees(pilot, "EVERYWHERE")
        pilot.app._tick()
        await until(pilot, lambda: "more below" not in screen_text(pilot.app))


async def test_the_help_of_a_dialog_names_no_command_that_cannot_be_typed_there(build):
    async with running(build()) as pilot:
        await press(pilot, "enter")
        await sees(pilot, "kill -TERM 2217", "a approve")
        await press(pilot, "a")
        await sees(pilot, "Approving lets")
        await until(pilot, lambda: "digest > _" in screen_text(pilot.app))
        await press(pilot, "question_mark")
        await sees(pilot, "HERE", "decide, once the digits are typed")
        assert ":decide" not in screen_text(pilot.app)
