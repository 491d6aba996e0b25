"""Back and forward through the screens."""

from __future__ import annotations

from sentinel.tui.trail import KEPT, Trail, Visit

HOME = ()
NODES = (Visit("nodes"),)
ONE = (Visit("incident", ("one",)),)
COMMAND = (*ONE, Visit("command", ("one", 0)))


def test_back_and_forward():
    trail = Trail()
    for place in (ONE, COMMAND, NODES):
        trail.arrived(place)
    assert trail.travel(-1, NODES) == COMMAND
    assert trail.travel(-1, COMMAND) == ONE
    assert trail.travel(1, ONE) == COMMAND
    assert trail.travel(1, COMMAND) == NODES
    assert trail.travel(1, NODES) is None
    for here in (NODES, COMMAND, ONE):
        trail.travel(-1, here)
    assert trail.travel(-1, HOME) is None


def test_arriving_where_one_travelled_to_forgets_nothing_and_elsewhere_what_lay_ahead():
    trail = Trail()
    trail.arrived(ONE)
    trail.arrived(COMMAND)
    assert trail.travel(-1, COMMAND) == ONE
    trail.arrived(ONE)
    assert trail.travel(1, ONE) == COMMAND
    assert trail.travel(-1, COMMAND) == ONE
    trail.arrived(NODES)
    assert trail.travel(1, NODES) is None
    assert trail.travel(-1, NODES) == ONE


def test_back_from_a_screen_that_cannot_be_opened_again_is_the_one_below():
    trail = Trail()
    trail.arrived(ONE)
    assert trail.travel(-1, None) == ONE
    assert trail.travel(-1, ONE) == HOME


def test_it_is_bounded():
    trail = Trail()
    for number in range(3 * KEPT):
        trail.arrived((Visit("incident", (str(number),)),))
    here, steps = (Visit("incident", (str(3 * KEPT - 1),)),), 0
    while (place := trail.travel(-1, here)) is not None:
        here, steps = place, steps + 1
    assert steps == KEPT - 1
