"""operators.toml: what a person may do, and for which hosts. (The table's own tests: test_rpc.)"""

from __future__ import annotations

import pytest

from sentinel import errors, protocol
from sentinel.hub import access
from sentinel.hub.access import Operators, Person, Rank

FILE = """
[groups]
web = ["web1", "web-*"]
db = ["db-*"]
[people.alice]
role = "approver"
groups = ["web"]
[people."bob.b"]
role = "admin"
"""


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "operators.toml"
        path.write_text(text)
        return access.load(path)

    return write


def test_the_file_says_who_may_do_what_for_which_hosts(file):
    found = file(FILE)
    alice, bob = found.people["alice"], found.people["bob.b"]
    assert (alice.role, bob.role) == (Rank.APPROVER, Rank.ADMIN)
    decides = {h: found.decides_for(alice, h) for h in ("web1", "web-7", "web2", "db-1", "xweb1")}
    assert decides == {"web1": True, "web-7": True, "web2": False, "db-1": False, "xweb1": False}
    assert found.decides_for(bob, "anything")


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ('[people.alice]\nrole = "approvr"', "Invalid enum value 'approvr'", ""),
        ("[people.alice]", "missing required field `role`", ""),
        ('[people.alice]\nrole = "lead"\ngruops = []', "unknown field `gruops`", "did you mean `groups`"),
        ('[person.alice]\nrole = "lead"', "unknown field `person`", "known keys: groups, people"),
        ('[people.Alice]\nrole = "lead"', "matching regex", ""),
        ('[people.alice]\nrole = "lead"\ngroups = ["wbe"]\n[groups]\nweb = ["w"]', "there is no group wbe", "did you mean web?"),
        ('[people.alice]\nrole = "lead"\ngroups = ["x"]', "there is no group x", "under [groups]"),
        ("[groups]\nweb = []", "length", ""),
        ('[groups]\nweb = ["web[12]"]', "matching regex", ""),
        ("people = 1", "Expected `object`", ""),
        ("[people", "is not TOML", ""),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_says_where_and_what_to_do(file, text, says, hint):
    with pytest.raises(errors.ConfigError) as caught:
        file(text)
    assert "operators.toml" in caught.value.what
    assert says in caught.value.what
    assert hint in caught.value.hint


RPCS = [f"/{protocol.OPERATORS_SERVICE}/{name}" for name in protocol.OPERATORS]


@pytest.mark.parametrize("rank", Rank)
@pytest.mark.parametrize("path", RPCS)
def test_a_rank_may_call_what_it_reaches_and_nothing_else(rank, path):
    least = access.ACCESS[path].rank
    order = list(Rank)
    if least is not None and order.index(rank) >= order.index(least):
        access.permit_person(path, "alice", Person(role=rank))
        return
    with pytest.raises(errors.PeerError, match=f"alice is {rank.value}, and") as caught:
        access.permit_person(path, "alice", Person(role=rank))
    assert "operators.toml" in caught.value.hint


def test_what_each_rank_may_do_is_this():
    names = {
        rank: {path.rpartition("/")[2] for path in RPCS if access.ACCESS[path].rank is rank}
        for rank in Rank
    }
    assert names == {
        Rank.VIEWER: {
            *("Status", "List", "Get", "Watch", "Agents", "Audit"),
            *("Runbooks", "Services"),
        },
        Rank.APPROVER: {"Decide", "Act"},
        Rank.LEAD: {"Revise"},
        Rank.ADMIN: set(),
    }


def test_an_rpc_without_a_row_is_for_nobody_however_high():
    with pytest.raises(errors.PeerError, match="New is for nobody"):
        access.permit_person("/x/New", "alice", Person(role=Rank.ADMIN))


def test_without_a_file_nobody_may_do_anything():
    assert Operators().people == {}
