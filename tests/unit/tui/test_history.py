"""What was typed is there the next day, bounded, and for its owner alone."""

from __future__ import annotations

from sentinel.tui.history import KEPT, MAX_CHARS, History


def lines(history):
    return [history[i] for i in range(len(history))]


def test_it_lasts_and_only_its_owner_can_read_it(tmp_path):
    path = tmp_path / "state" / "tui-history"
    history = History(path)
    for line in ("audit", "filter host=db", "audit", "", "  ", " skin mono"):
        history.add(line)
    assert lines(History(path)) == ["filter host=db", "audit"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_is_bounded(tmp_path):
    history = History(tmp_path / "h")
    history.add("x" * 10_000)
    assert len(history[0]) == MAX_CHARS
    for number in range(2 * KEPT):
        history.add(f"filter {number}")
    assert len(history) == len(History(tmp_path / "h")) == KEPT


def test_the_way_through_it_is_by_what_was_typed():
    history = History()
    for line in ("audit", "filter a", "nodes", "filter b"):
        history.add(line)
    assert history.older(4, "fil") == 3
    assert history.older(3, "fil") == 1
    assert history.older(1, "fil") == -1
    assert history.newer(1, "fil") == 3
    assert history.newer(3, "fil") == 4


def test_a_file_that_is_not_a_history_is_none(tmp_path):
    path = tmp_path / "h"
    path.write_bytes(b"\xff\xfe")
    assert len(History(path)) == 0
    path.write_text("audit\n\x1b[2J\n\nnodes\n")
    assert lines(History(path)) == ["audit", "nodes"]
    history = History(tmp_path)  # a directory
    history.add("audit")
    assert lines(history) == ["audit"]
