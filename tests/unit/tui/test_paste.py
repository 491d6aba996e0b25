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
