"""A drill is fired once, on this host, where there is room for it, and ends with who fired it."""

from __future__ import annotations

import msgspec
import pytest

from sentinel import errors
from sentinel.drill import fire
from sentinel.drill.scenarios import named
from tests.unit.drill.test_worker import until


@pytest.fixture
def files():
    """A drill under a name of the test's own, so that tests can run side by side."""
    return msgspec.structs.replace(named("files"), process="drill-of-a-test", amount=5)


def test_it_runs_once_and_ends_when_told(files):
    assert fire.running(files) == 0
    fired = fire.fire(files)
    try:
        until(lambda: fire.running(files) == fired.pid)
        assert not fired.over
        with pytest.raises(errors.OperatorError, match=f"runs already, as pid {fired.pid}"):
            fire.fire(files)
    finally:
        fired.end()
    assert fired.over
    assert fire.running(files) == 0


def test_a_leak_wants_plenty_of_room(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable: 786431 kB\n")
    with pytest.raises(errors.OperatorError, match="767 MiB of memory are available") as caught:
        fire._room(192, tmp_path)
    assert "768 MiB" in caught.value.hint
    (tmp_path / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable: 786432 kB\n")
    fire._room(192, tmp_path)
