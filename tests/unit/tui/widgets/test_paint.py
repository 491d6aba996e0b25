"""Skins: the same words in other colours, or in none; danger differs by weight in each of them."""

from __future__ import annotations

import pytest
from rich.color import ColorType

from sentinel.tui.line import Tone, line, text
from sentinel.tui.look import Skin
from sentinel.tui.widgets.paint import SKINS, Paint

VERDICTS = (Tone.ALLOW, Tone.REVIEW, Tone.BLOCK)


def weight(style):
    return (style.bold, style.dim, style.reverse, style.underline)


def luminance(rgb):
    parts = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("skin", Skin)
def test_every_tone_has_its_style_and_the_verdicts_differ_without_their_colour(skin):
    assert set(SKINS[skin]) == set(Tone)
    weights = {weight(SKINS[skin][tone]) for tone in VERDICTS}
    assert len(weights) == len(VERDICTS)


def test_mono_has_no_colour():
    assert all(style.color is None and style.bgcolor is None for style in SKINS[Skin.MONO].values())


@pytest.mark.parametrize("skin", [Skin.ANSI, Skin.DEUT])
def test_what_is_not_truecolor_keeps_to_the_sixteen(skin):
    colours = [style.color for style in SKINS[skin].values() if style.color]
    assert {colour.type for colour in colours} == {ColorType.STANDARD}


def test_deut_tells_nothing_by_red_against_green():
    names = {style.color.name for style in SKINS[Skin.DEUT].values() if style.color}
    assert names == {"bright_blue", "yellow"}


@pytest.mark.parametrize("tone", [Tone.ALLOW, Tone.REVIEW, Tone.BLOCK, Tone.BAD, Tone.WARN])
def test_truecolor_is_legible_on_black_and_on_white(tone):
    light = luminance(SKINS[Skin.TRUECOLOR][tone].color.triplet)
    assert (light + 0.05) / 0.05 >= 3.9
    assert 1.05 / (light + 0.05) >= 3.9


def test_another_skin_is_worn_from_the_next_line_on():
    paint = Paint(Skin.ANSI)
    shown = line(text("BLOCK", Tone.BLOCK))
    before = paint.strip(shown, 10)
    paint.wear(Skin.MONO)
    assert paint.strip(shown, 10) != before
    assert paint.strip(shown, 10).text == before.text
