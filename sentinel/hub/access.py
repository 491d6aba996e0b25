"""Who may call what: one table, one row per RPC, and nothing is allowed that has no row.

A row names the role in the caller's certificate, and for people the least rank that they need once
they have logged in with their SSH key. What a person's rank is, and for which hosts, stands in one file:

    [groups]
    web = ["web1", "web-*"]
    [people.alice]
    role = "approver"        # viewer < approver < lead < admin
    groups = ["web"]         # may decide for these hosts only; without it for every host

Whether a decision counts is decided in `approve.py`, and whether a plan may run on the node.
"""

from __future__ import annotations

import difflib
from enum import StrEnum, unique
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from sentinel import config, errors, protocol
from sentinel.config import Settings
from sentinel.domain import HOST_PATTERN
from sentinel.hub.callers import Caller
from sentinel.trust.x509 import Role


@unique
class Rank(StrEnum):
    """What a person may do; each may do all that those before it may."""

    VIEWER = "viewer"  # read everything
    APPROVER = "approver"  # decide, ask again, take over, close, acknowledge
    LEAD = "lead"  # write commands into a plan
    ADMIN = "admin"  # what changes who may do what


_RANKS = list(Rank)


class Row(msgspec.Struct, frozen=True):
    """Who may call one RPC. Without a rank no login is needed: the certificate is enough."""

    role: Role
    rank: Rank | None = None


_RANK_OF: dict[str, Rank | None] = {
    "Challenge": None,
    "Login": None,
    "Status": Rank.VIEWER,
    "List": Rank.VIEWER,
    "Get": Rank.VIEWER,
    "Watch": Rank.VIEWER,
    "Agents": Rank.VIEWER,
    "Audit": Rank.VIEWER,
    "Runbooks": Rank.VIEWER,
    "Services": Rank.VIEWER,
    "Decide": Rank.APPROVER,
    "Act": Rank.APPROVER,
    "Revise": Rank.LEAD,
}
ACCESS: dict[str, Row] = {
    f"/{protocol.AGENT_SERVICE}/{protocol.ATTACH_RPC}": Row(Role.AGENT),
    f"/{protocol.AGENT_SERVICE}/{protocol.RENEW_RPC}": Row(Role.AGENT),
    **{
        f"/{protocol.OPERATORS_SERVICE}/{rpc}": Row(Role.OPERATOR, rank)
        for rpc, rank in _RANK_OF.items()
    },
}

Group = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
HostMatch = Annotated[str, Meta(pattern=r"^[a-z0-9.*-]{1,253}$")]


class Person(Settings, frozen=True, kw_only=True):
    """What one person may do, and for which hosts."""

    role: Rank
    groups: Annotated[tuple[Group, ...], Meta(max_length=64)] = ()


class Operators(Settings, frozen=True, kw_only=True):
    """`operators.toml`."""

    people: dict[Annotated[str, Meta(pattern=HOST_PATTERN)], Person] = msgspec.field(
        default_factory=dict
    )
    groups: dict[Group, Annotated[tuple[HostMatch, ...], Meta(min_length=1)]] = msgspec.field(
        default_factory=dict
    )

    def decides_for(self, person: Person, host: str) -> bool:
        """Say whether `person` may decide for `host`."""
        if not person.groups:
            return True
        return any(
            fnmatchcase(host, match) for name in person.groups for match in self.groups[name]
        )


def load(path: Path) -> Operators:
    """Return the people in the TOML file at `path`; ConfigError where it is wrong."""
    found = config.load(Operators, path)
    for name, person in found.people.items():
        for group in person.groups:
            if group not in found.groups:
                near = difflib.get_close_matches(group, found.groups, n=1)
                raise errors.ConfigError(
                    f"{path}: people.{name}.groups: there is no group {group}",
                    hint=f"did you mean {near[0]}?" if near else "name its hosts under [groups]",
                )
    return found


def permit(rpc: str, caller: Caller, site: str, revoked: frozenset[str]) -> None:
    """Raise PeerError unless a certificate like `caller`'s may call `rpc` (its full path) here."""
    if caller.serial in revoked:
        raise errors.PeerError(
            f"the certificate of {caller.role.value} {caller.name} was revoked",
            hint="enrol again with a fresh invite",
        )
    if caller.site != site:
        raise errors.PeerError(f"this hub is of site {site}, the certificate is of {caller.site}")
    row = ACCESS.get(rpc)
    if row is None or caller.role is not row.role:
        raise errors.PeerError(f"a certificate of role {caller.role.value} may not call {rpc}")


def permit_person(rpc: str, name: str, person: Person) -> None:
    """Raise PeerError unless somebody of `person`'s rank may call `rpc`; `name` is for the message."""
    row = ACCESS.get(rpc)
    if row is None or row.rank is None or _RANKS.index(person.role) < _RANKS.index(row.rank):
        wanted = row.rank.value if row and row.rank else "nobody"
        raise errors.PeerError(
            f"{name} is {person.role.value}, and {rpc.rpartition('/')[2]} is for {wanted} and above",
            hint="an admin of the hub can change it in operators.toml",
        )
