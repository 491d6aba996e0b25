"""A paste is text, however it is cut into pieces and whatever is in it."""

from __future__ import annotations

import random

import pytest
from textual import events
from textual.drivers import linux_driver

from sentinel.tui.paste import END, START, Brackets, Parser

TEXT = "a\nq\x1b[B\x1b:quit\n\x1b[201\x1b[200~y"


def tokens(pieces, parser):
    return [event for piece in pieces for event in parser.feed(piece)]


def test_an_escape_in_a_paste_presses_no_key():
    (pasted,) = [
        event for event in tokens([f"{START}{TEXT}{END}", "j"], Parser()) if not key(event, "j")
    ]
    assert isinstance(pasted, events.Paste)
    assert pasted.text == TEXT.replace("\x1b", "")


def key(event, name):
    return isinstance(event, events.Key) and event.key == name


def test_textual_alone_still_gets_it_wrong():
    """When this fails the whole file can go."""
    found = tokens([f"{START}{TEXT}{END}"], linux_driver.XTermParser())
    assert any(isinstance(event, events.Key) for event in found)


@pytest.mark.parametrize("seed", range(20))
def test_it_may_come_in_any_pieces(seed):
    random.seed(seed)
    whole, pieces = f"k{START}{TEXT}{END}j\x1b[B", []
    while whole:
        cut = random.randint(1, 7)
        pieces.append(whole[:cut])
        whole = whole[cut:]
    brackets = Brackets()
    found = "".join(brackets.plain(piece) for piece in pieces)
    assert found == f"k{START}{TEXT.replace(chr(27), '')}{END}j\x1b[B"


@pytest.mark.parametrize("pieces", [["\x1b", "j"], ["\x1bj"]])
def test_a_key_right_behind_escape_is_a_key_of_its_own(pieces):
    parser = Parser()
    found = tokens(pieces, parser)
    assert [event.key for event in found] == ["escape", "j"]
    assert parser.patience_ms() is None


@pytest.mark.parametrize(
    ("pieces", "keys"),
    [
        (["\x1b", "[B"], ["down"]),
        (["\x1b[", "B"], ["down"]),
        (["\x1b", "OB"], ["down"]),
        (["\x1b", "\x1b", "[B"], ["escape", "down"]),
    ],
)
def test_a_sequence_in_pieces_is_one_key_as_before(pieces, keys):
    assert [event.key for event in tokens(pieces, Parser())] == keys
    textual = linux_driver.XTermParser()
    assert [event.key for event in tokens(pieces, textual)] == keys
