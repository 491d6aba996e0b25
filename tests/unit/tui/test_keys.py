"""keys.toml: what it may say, and that nothing in it can do harm."""

from __future__ import annotations

import pytest
from textual.keys import _character_to_key

from sentinel.errors import ConfigError
from sentinel.tui import commands, keys


def refused(text):
    with pytest.raises(ConfigError) as caught:
        keys.parse(text, "keys.toml")
    return caught.value


def test_no_file_changes_nothing(tmp_path):
    assert keys.load(tmp_path / "keys.toml") == {}


def test_commands_go_onto_other_keys(tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text('[keys]\nhelp = ["?", "f1"]\napprove = "v"\nwrite = []\nmark = " "\n')
    assert keys.load(path) == {
        "help": ("question_mark", "f1"),
        "approve": ("v",),
        "write": (),
        "mark": ("space",),
    }


def test_keys_are_called_what_textual_calls_them():
    for char, name in keys.CHARACTERS.items():
        assert _character_to_key(char) == name


def test_what_is_printed_can_be_read_and_is_what_there_is():
    text = keys.to_toml({})
    read = keys.parse(text, "keys.toml")
    for command in commands.commands():
        assert command.name in text
        if not command.fixed:
            assert read[command.name] == commands.keys_of(command, {})


def test_what_is_printed_has_the_keys_that_somebody_chose():
    assert '\napprove = ["x"]' in keys.to_toml({"approve": ("x",)})


@pytest.mark.parametrize(
    ("line", "what", "hint"),
    [
        ('aprove = "x"', "there is no such command", "did you mean approve?"),
        ('zzz = "x"', "there is no such command", "sentinel-tui --keys lists them all"),
        ('open = "x"', "this command stays on ↵", "remove the line"),
        ('send = "x"', "this command stays on s", "remove the line"),
        ('help = "f13"', "f13 is no key that every terminal sends", "did you mean f"),
        ('help = "alt+x"', "alt+x is no key", "one character, or a name"),
        ('help = "ctrl+m"', "ctrl+m is no key", ""),
        ('help = "é"', "é is no key", ""),
        ('copy = "a"', "a is also approve's on the screen incident", "give approve another key"),
        ('approve = "r"', "r is also reject's on the screen incident", "give reject another"),
        ('approve = "j"', "j is also down's on the screen incident", "give down another"),
        ('next = "1"', "1 is also incidents's on the screen incidents", ""),
    ],
)
def test_a_wrong_line_is_refused_with_its_place_and_the_remedy(line, what, hint):
    error = refused(f"# mine\n[keys]\n{line}\n")
    name = line.partition(" ")[0]
    assert error.what.startswith(f"keys.toml:3: keys.{name}: ")
    assert what in error.what
    assert hint in error.hint


@pytest.mark.parametrize("key", ["[", "]", "O", "A", "B", "~", "escape", "R", "5", ";", "y"])
@pytest.mark.parametrize("name", ["approve", "close", "replan", "edit"])
def test_a_broken_escape_sequence_reaches_no_change(name, key):
    error = refused(f'[keys]\n{name} = "{key}"\n')
    assert "a broken escape sequence could press" in error.what
    assert " x " in error.hint


def test_two_commands_may_change_places():
    swapped = keys.parse('[keys]\napprove = "r"\nreject = "a"\n', "keys.toml")
    assert swapped == {"approve": ("r",), "reject": ("a",)}


def test_a_type_that_is_wrong_names_its_field():
    assert "keys" in refused("[keys]\nhelp = 3\n").what
    assert "did you mean `keys`" in refused('[key]\nhelp = "x"\n').hint
