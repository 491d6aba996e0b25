"""What an operator is shown is one line where it must be, and bounded where it could grow."""

from __future__ import annotations

import pytest

from sentinel.domain import State
from sentinel.hub import cases, intake
from tests.unit.hub import builders as b


@pytest.mark.parametrize("text", ["x" * 5000, "\U000e0001" * 5000, "\x1b[2J\n" * 999, "é" * 1024])
def test_a_line_is_short_and_can_do_nothing_to_a_terminal(text):
    shown = cases.line(text)
    assert len(shown) <= cases.MAX_LINE
    assert shown.isprintable()


async def test_a_timeline_is_shown_by_its_newest_lines(store):
    incident = await b.reported(store)
    for n in range(cases.SHOWN_MOVES + 10):
        said = b.cleared(incident, event=incident.report.event, observed=n)
        await intake.take(store, incident.summary.host, b.letter(cleared=said), b.NOW)
    incident = await store.incident(incident.summary.id)
    assert incident.summary.state is State.RESOLVED
    assert len(incident.moves) == cases.SHOWN_MOVES
    assert incident.moves[-1].text.endswith(f"at {cases.SHOWN_MOVES + 9}")
