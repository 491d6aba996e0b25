"""Pictures of every screen, at the two sizes that matter, in colours, without any, and in ASCII.

No behaviour is tested here.

pytest tests/snapshots --snapshot-update         makes them anew; then `python -m tests.generated`, for docs/
rsvg-convert -w 1000 x.svg -o x.png              shows one (Debian: librsvg2-bin, fonts-dejavu)
"""

from __future__ import annotations

import pytest

from sentinel.tui.look import Skin
from tests.unit.tui.conftest import press, screen_text, sees, until

SIZES = {"80x24": (80, 24), "160x50": (160, 50)}
SCREENS = {
    "incidents": ((), "EVIDENCE"),
    "incident": (("enter",), "kill -TERM 2217"),
    "blocked": (("j", "enter", "n"), "never.audit.logs"),
    "command": (("j", "enter", "n", "enter", "n"), "characters"),
    "decide": (("enter", "a"), "Approving lets"),
    "revise": (("j", "enter", "e"), "REVISE"),
    "act": (("i",), "A note is welcome"),
    "run": (("G", "enter"), "RUN"),
    "nodes": (("2",), "LOST"),
    "audit": (("3",), "each fits its hash"),
    "record": (("3", "enter"), "the hash is that of the body"),
    "playground": (("4", *"reboot"), "stops the machine"),
    "rules": (("7",), "ro.uname"),
    "memory": (("5",), "RUNBOOKS"),
    "drills": (("6",), "the hub has no incident of a drill"),
    "help": (("question_mark",), "WHAT IT MEANS"),
}
SKINS = {"mono": {"skin": Skin.MONO}, "deut": {"skin": Skin.DEUT}, "ascii": {"ascii": True}}
PLAIN = [(how, name, size) for how in ("mono", "ascii") for name in SCREENS for size in SIZES]
PLAIN += [("deut", name, "80x24") for name in ("blocked", "command")]


def opened(keys, words):
    """Return what brings the app to a screen before its picture is taken."""

    async def run(pilot):
        await sees(pilot, "hub ok", "db-01")
        for key in keys:
            await press(pilot, key)
            await until(pilot, lambda: "asking the hub" not in screen_text(pilot.app))
            await pilot.pause(0.1)
        if words != "WHAT IT MEANS":  # below the fold at 80x24
            await sees(pilot, words)

    return run


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SCREENS)
def test_screen(snap_compare, build, name, size):
    keys, words = SCREENS[name]
    app = build(demo=True)
    assert snap_compare(app, terminal_size=SIZES[size], run_before=opened(keys, words))


@pytest.mark.parametrize(("how", "name", "size"), PLAIN)
def test_screen_without_colour_or_signs(snap_compare, build, how, name, size):
    keys, words = SCREENS[name]
    app = build(demo=True, **SKINS[how])
    assert snap_compare(app, terminal_size=SIZES[size], run_before=opened(keys, words))
