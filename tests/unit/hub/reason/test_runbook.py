from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.errors import ConfigError
from sentinel.hub.reason import runbook

SAFE = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,._+@=:/-")

FRONT = """\
schema = 1
id = "x"
title = "X"
kinds = ["memory"]
summary = "{signal} of {host}"
confidence_pct = 50
"""
STEP = '[[steps]]\nrun = "uptime"\npurpose = "look"\n'


def written(front=FRONT, step=STEP):
    return f"+++\n{front}{step}+++\n# X\n\ntext\n"


WRONG = [
    ("text\n", "no front matter"),
    (f"+++\n{FRONT}{STEP}", "no front matter"),
    (written(FRONT + "prioritty = 1\n"), "did you mean `priority`?"),
    (written(step='[[steps]]\nrun = "uptime"\npurpose = "p"\nexpects = "allow"\n'), "expect"),
    (written(FRONT.replace("memory", "memroy")), "memroy"),
    (written(FRONT.replace('"x"', '"y"')), "name the file y.md"),
    (written(FRONT + 'body = "b"\n'), "not a key of it"),
    (written(FRONT.replace('["memory"]', "[]")), "kinds"),
    (written(step=""), "steps"),
    (written(step=STEP.replace("uptime", "kill {pidd}")), "unknown placeholder {pidd}"),
    (written(step=STEP.replace("uptime", "kill {name}")), "unknown placeholder {name}"),
    (written(step=STEP.replace("uptime", "echo ${HOME")), "a brace that is no placeholder"),
    (written(step=STEP + 'undo = "start {pid}"\n'), "unknown placeholder {pid}"),
    (written(FRONT.replace("{host}", "{hots}")), "unknown placeholder {hots}"),
    (written(FRONT + '[[claims]]\ntext = "t"\nevidence = ["ris1ng"]\n'), "ris1ng"),
    (written(FRONT + '[[claims]]\ntext = "t"\nevidence = []\n'), "rests on nothing"),
    (written(FRONT + "[when]\nfile = '('\n"), "when.file is not a pattern"),
    (written(FRONT + "schema = 2\n"), "TOML"),
    (written(FRONT.replace("schema = 1", "schema = 2")), "schema"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_wrong_runbook_is_refused_with_its_file_and_what_is_wrong(text, said):
    with pytest.raises(ConfigError) as caught:
        runbook.parse(text, "x.md")
    assert "x.md" in caught.value.what
    assert said in caught.value.what + caught.value.hint


def test_a_right_one_is_taken():
    assert runbook.parse(written(), "x.md").body == "# X\n\ntext"


def test_a_last_resort_that_needs_something_is_refused():
    front = FRONT.replace('"x"', '"observe"').replace('["memory"]', "[]")
    with pytest.raises(ConfigError, match="must need nothing"):
        runbook.parse(written(front, STEP.replace("uptime", "df {mount}")), "observe.md")


def test_runbooks_are_read_from_a_folder_and_only_those(tmp_path):
    (tmp_path / "x.md").write_text(written())
    (tmp_path / "README").write_text("not a runbook")
    assert [r.id for r in runbook.load(tmp_path)] == ["x"]


@given(st.text(max_size=60))
def test_what_a_pattern_takes_has_no_meaning_to_a_shell(text):
    for pattern in runbook.PATTERNS.values():
        if pattern.fullmatch(text):
            assert set(text) <= SAFE
            assert not text.startswith("-")
            assert ".." not in text.split("/")
