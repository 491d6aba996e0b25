"""Made-up incidents are a record like any other: the log verifies, each is whole, the list pages."""

from __future__ import annotations

import pytest

from sentinel import canonical, synthetic
from sentinel.hub import audit
from sentinel.hub.persist import Store
from sentinel.protocol import ListRequest, Order

COUNT = 600


@pytest.fixture
async def filled(tmp_path):
    url = f"sqlite:///{tmp_path}/hub.db"
    await synthetic.fill(url, COUNT)
    async with await Store.open(url) as store:
        yield store


async def test_they_are_whole_and_the_log_is_sound(filled):
    page = await filled.listed(ListRequest(open_only=False, order=Order.URGENCY, limit=500))
    assert len(page.summaries) == 500
    assert page.more
    incident = await filled.incident(page.summaries[7].id)
    assert canonical.digest_of(incident.plan) == incident.plan_digest == incident.judgement.plan
    assert incident.plan.host == incident.summary.host == incident.report.host
    assert incident.moves
    cited = {each for claim in incident.plan.diagnosis.claims for each in claim.evidence}
    assert cited <= {each.id for each in incident.evidence}
    counts = await filled.counts()
    assert 0 < counts.need_decision < counts.open_incidents < COUNT
    assert counts.nodes == synthetic.HOSTS
    assert (await audit.verify(filled)).broken is None
