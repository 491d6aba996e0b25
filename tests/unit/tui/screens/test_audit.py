"""The audit log on the screen: whether it holds, and a search that looks back."""

from __future__ import annotations

import msgspec

from sentinel import protocol
from sentinel.tui.recorded import RecordedHub
from sentinel.tui.recording import logged
from tests.unit.tui.conftest import press, screen_text, sees, until


class Long(RecordedHub):
    """The recording after 2,500 earlier records, and what was asked of its log."""

    def __init__(self, recording, clock):
        last = recording.incidents[0].incident.moves[0]
        every = [recording.incidents[0].incident.moves[0]] * 2500
        every[1000] = msgspec.structs.replace(last, actor="operator:zora")
        audit = tuple(logged(seq, move, "old") for seq, move in enumerate(every, 1))
        super().__init__(msgspec.structs.replace(recording, audit=audit), clock, alone=False)
        self.asked = []

    async def call(self, request):
        if isinstance(request, protocol.AuditRequest):
            self.asked.append(request)
        return await super().call(request)


async def test_a_search_finds_what_lies_further_back_and_stops(build, recording, clock):
    hub = Long(recording, clock)
    app = build(port=hub)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "hub ok")
        await press(pilot, "3")
        await sees(pilot, " 200 records, newest first", "each fits its hash, no gap")
        assert "zora" not in screen_text(app)
        await press(pilot, "slash", *"ZORA")
        await sees(pilot, "1 records of 2200 have it", "1001", "operator:zora", "no gap")
        assert [r.after for r in hub.asked] == [-1, 1300, 300]
        await press(pilot, "enter", "enter")
        await sees(pilot, "RECORD 1001", "the hash is that of the body")
        await press(pilot, "q", "escape")
        await sees(pilot, "2200 records, newest first")
        assert len(hub.asked) == 3


async def test_what_does_not_hold_is_said_above_the_list(build, recording, clock):
    odd = msgspec.structs.replace(recording.audit[-1], actor="operator:eve")
    lying = msgspec.structs.replace(recording, audit=(*recording.audit[:-1], odd))
    app = build(port=RecordedHub(lying, clock, alone=False))
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "hub ok")
        await press(pilot, "3")
        await sees(pilot, "1 DO NOT FIT THEIR HASH", "! ")
        await press(pilot, "enter")
        await until(pilot, lambda: "NO: hash, body and columns do not agree" in screen_text(app))
