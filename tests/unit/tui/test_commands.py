"""The table of commands: whole and unambiguous."""

from __future__ import annotations

import pytest

from sentinel.tui import commands, keys
from sentinel.tui.app import SentinelApp
from sentinel.tui.commands import SCREENS, TABLE
from sentinel.tui.screens import page, screens
from sentinel.tui.screens.drills import DrillsPage
from sentinel.tui.screens.incidents import IncidentsPage
from sentinel.tui.screens.policy import PolicyPage
from sentinel.tui.screens.revise import RevisePage
from sentinel.tui.screens.rules import RulesPage
from sentinel.tui.widgets.lines import Browser

EVERY = [(place, command) for place, table in TABLE.items() for command in table]


def classes(of=page.Page):
    return [of, *(sub for each in of.__subclasses__() for sub in classes(each))]


def named(name):
    return next(command for command in commands.commands() if command.name == name)


def test_every_screen_is_in_the_table_and_every_place_is_on_a_screen():
    assert screens.made  # with most screens; the others are imported late as well
    assert {PolicyPage, RevisePage, IncidentsPage, DrillsPage, RulesPage} <= set(classes())
    assert {each.NAME for each in classes()} == set(SCREENS)
    assert {place for places in SCREENS.values() for place in places} == set(TABLE)


@pytest.mark.parametrize(("place", "command"), EVERY, ids=lambda x: getattr(x, "name", x))
def test_every_command_has_a_method_and_a_help_that_fits(place, command):
    owners = {commands.LIST: [Browser], commands.APP: [SentinelApp]}.get(place)
    owners = owners or [c for c in classes() if place in SCREENS[c.NAME]]
    for owner in owners:
        assert hasattr(owner, f"action_{command.does}"), owner
    assert command.what
    assert len(command.help) <= 48
    assert len(command.usage) <= 17


def test_the_one_name_means_the_same_everywhere_for_whoever_changes_keys():
    for name in {command.name for _, command in EVERY}:
        same = [command for _, command in EVERY if command.name == name]
        assert len({command.mutates for command in same}) == 1, name


def test_what_leads_to_a_change_is_on_no_key_of_a_broken_sequence():
    for place, command in EVERY:
        if command.mutates:
            assert not set(commands.keys_of(command, {})) & keys.SPLIT, (place, command.name)


def test_what_is_fixed_stays_where_it_is():
    overrides = {"open": ("x",), "approve": ("A",)}
    assert commands.keys_of(named("open"), overrides) == ("enter",)
    assert commands.keys_of(named("approve"), overrides) == ("A",)
    assert commands.keys_of(named("skin"), {}) == ()
