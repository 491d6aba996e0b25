"""Who may call what: one table, one row per RPC, and nothing is allowed that has no row.

A certificate's role is all that this table knows. Whether an operator's decision counts is decided in
`approve.py`, and whether a plan may run is decided on the node.
"""

from __future__ import annotations

from sentinel import errors, protocol
from sentinel.rpc import Caller
from sentinel.trust.x509 import Role

ACCESS: dict[str, frozenset[Role]] = {
    f"/{protocol.AGENT_SERVICE}/{protocol.ATTACH_RPC}": frozenset({Role.AGENT}),
    f"/{protocol.AGENT_SERVICE}/{protocol.RENEW_RPC}": frozenset({Role.AGENT}),
    **{
        f"/{protocol.OPERATORS_SERVICE}/{rpc}": frozenset({Role.OPERATOR})
        for rpc in protocol.OPERATORS
    },
}


def permit(rpc: str, caller: Caller, site: str, revoked: frozenset[str]) -> None:
    """Raise PeerError unless `caller` may call `rpc` (its full path) at this site."""
    if caller.serial in revoked:
        raise errors.PeerError(
            f"the certificate of {caller.role.value} {caller.name} was revoked",
            hint="enrol again with a fresh invite",
        )
    if caller.site != site:
        raise errors.PeerError(f"this hub is of site {site}, the certificate is of {caller.site}")
    if caller.role not in ACCESS.get(rpc, frozenset()):
        raise errors.PeerError(f"a certificate of role {caller.role.value} may not call {rpc}")
