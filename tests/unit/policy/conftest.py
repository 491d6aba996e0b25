from __future__ import annotations

import msgspec
import pytest

from sentinel.policy import rules, validate
from sentinel.policy.validate import Facts

SITE = {
    "units": ["nginx", "app"],
    "containers": ["web"],
    "workloads": ["prod/deployment/web"],
    "pidfiles": ["/run/app/app.pid"],
}


@pytest.fixture(scope="session")
def policy():
    """The shipped packs, with the sets of a small site."""
    shipped = rules.load(examples=False)
    sets = {name: frozenset(members) for name, members in SITE.items()}
    return msgspec.structs.replace(shipped, sets={**shipped.sets, **sets})


@pytest.fixture(scope="session")
def verdict(policy):
    def judge(text, **facts):
        return validate.judge(policy, text, Facts(**facts)).verdict

    return judge
