"""The rules by pack: all of them, searched, in full; and the same without a screen."""

from __future__ import annotations

import json

import pytest

from sentinel import cli
from sentinel.policy import rules
from sentinel.tui.line import plain, width
from sentinel.tui.render import rules as render
from tests.unit.tui.conftest import press, screen_text, sees, until


@pytest.fixture(scope="module")
def every():
    return render.entries(rules.packs())


def test_every_rule_in_force_is_told_with_its_pack(every):
    policy = rules.load(examples=False)
    assert len({each.id for each in every}) == len(every)
    assert {each.id for each in every if each.verdict.value == "allow"} == {
        each.allow.id for uses in policy.rules.values() for each in uses
    }
    assert {each.pack for each in every} == {
        source.name.removesuffix(".toml") for source in rules.shipped()
    } - {"00-plumbing"}


@pytest.mark.parametrize("cells", [38, 78, 158])
def test_every_line_fits_and_no_example_is_left_out(every, cells):
    for row in render.document(every, cells):
        assert width(row.line) <= cells
    for each in every:
        rows = render.full(each, cells)
        assert all(width(row.line) <= cells for row in rows)
    home = next(each for each in every if each.id == "never.rm.home")
    told = " ".join(plain(row.line).strip() for row in render.full(home, cells))
    assert "rm -rf /home/deploy" in told
    assert "build" in told


async def test_they_are_searched_as_one_types_and_read_in_full(build):
    app = build()
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "hub ok")
        await press(pilot, "4")
        await sees(pilot, "every rule: Tab, then 7")
        await press(pilot, "tab", "7")
        await sees(pilot, "─ 10-identity", "ro.uname")
        await press(pilot, "slash", *"NEVER systemctl")
        await sees(pilot, "have it", "never.power.systemd", "show all")
        assert "ro.uname" not in screen_text(app)
        await press(pilot, "enter", *"jjj", "G", "enter")
        await sees(pilot, "sentinel > rules > never.", "why ")
        await press(pilot, "q", "escape")
        await sees(pilot, "ro.uname")
        await press(pilot, "escape")
        await until(pilot, lambda: "rules" not in screen_text(app).splitlines()[0])


async def test_a_search_may_be_typed_as_a_command_and_find_nothing(build):
    app = build()
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "hub ok")
        await press(pilot, "7")
        await sees(pilot, "ro.uname")
        await press(pilot, "colon", *"search nonsense", "enter")
        await sees(pilot, "no rule has that", "0 rules of")
        await press(pilot, "enter", "y")
        await sees(pilot, "nothing under the cursor")


def test_without_a_screen_they_are_lines_or_json(capsys):
    assert cli.main(["rules", "systemctl", "restart"]) == 0
    found = capsys.readouterr().out
    assert "== 30-remediation" in found
    assert "fix.systemd.restart" in found
    assert "ro.uname" not in found
    assert cli.main(["rules", "--json", "never.rm.home"]) == 0
    (row,) = capsys.readouterr().out.splitlines()
    assert json.loads(row)["verdict"] == "block"
    assert cli.main(["rules", "nonsense\x1b[2J"]) == 2
    assert "\\x1b" in capsys.readouterr().err
