"""Pictures of the screens, at the two sizes that matter. Few: behaviour is tested without them.

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
    "nodes": (("2",), "LOST"),
    "help": (("question_mark",), "WHAT IT MEANS"),
    "memory": (("5",), "RUNBOOKS"),
    "drills": (("6",), "the hub has no incident of a drill"),
}
BLOCKED, COMMAND = ("j", "enter"), ("j", "enter", "n", "enter", "n")
PLAIN = {
    "mono-incidents": ({"skin": Skin.MONO}, (), "EVIDENCE"),
    "mono-incident": ({"skin": Skin.MONO}, BLOCKED, "BLOCK"),
    "mono-command": ({"skin": Skin.MONO}, COMMAND, "characters"),
    "deut-incident": ({"skin": Skin.DEUT}, BLOCKED, "BLOCK"),
    "deut-command": ({"skin": Skin.DEUT}, COMMAND, "characters"),
    "ascii-incident": ({"ascii": True}, BLOCKED, "BLOCK"),
    "ascii-command": ({"ascii": True}, COMMAND, "characters"),
}


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


@pytest.mark.parametrize("name", PLAIN)
def test_screen_without_colour_or_signs(snap_compare, build, name):
    options, keys, words = PLAIN[name]
    app = build(**options)
    assert snap_compare(app, terminal_size=(80, 24), run_before=opened(keys, words))
