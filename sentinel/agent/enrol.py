"""How this host gets and keeps its certificate: join with an invite, renew at half life."""

from __future__ import annotations

import logging
from pathlib import Path

import grpc.aio

from sentinel import errors, process, protocol, rpc, wire
from sentinel.trust import checkpoint, identity, signers, x509
from sentinel.trust.identity import Credentials

log = logging.getLogger(__name__)


async def join(text: str, state: Path, roots: Path) -> Credentials:
    """Spend the invite in `text`: write this host's identity into `state`, what it believes into `roots`.

    Raises ConfigError where the host is enrolled already, the invite is none or would change what the
    host believes, PeerError where the hub is away or refuses the token. Nothing is written before the hub
    has answered, and the identity last: without it the host is not enrolled.
    """
    if (state / identity.IDENTITY).exists():
        raise errors.ConfigError(
            f"{state} already holds an identity",
            hint=f"remove {state / identity.IDENTITY} first if this host is to be enrolled anew",
        )
    invite = identity.read_invite(text)
    signers.parse(invite.allowed_signers, "allowed_signers of the invite")
    if invite.checkpoint_key:
        checkpoint.parse_key(invite.checkpoint_key, "checkpoint_key of the invite")
    identity.check_roots(roots, invite)
    key = x509.new_key()
    request = protocol.JoinRequest(token=invite.token, csr=x509.request(key).decode())
    answer = await rpc.enrol(
        invite.address.enrol, invite.ca.encode(), x509.hub_name(invite.ca.encode()), request
    )
    pair = x509.Pair(key=key, certificate=answer.certificate.encode())
    found = x509.check(pair, invite.ca.encode(), process.now_ms())
    if found.identity.name != invite.host or found.identity.role is not x509.Role.AGENT:
        raise errors.PeerError(f"the hub issued a certificate for {found.identity.uri}")
    identity.save_roots(roots, invite)
    identity.save(state, pair, invite.ca.encode(), invite.address)
    return identity.load(state, process.now_ms())


async def renew(state: Path, credentials: Credentials, address: str) -> None:
    """Replace the certificate by one for a new key, over the present one.

    The CA in the answer is ignored: what this host believes changes only by a new invite.
    """
    key = x509.new_key()
    request = protocol.RenewRequest(csr=x509.request(key).decode())
    path = f"/{protocol.AGENT_SERVICE}/{protocol.RENEW_RPC}"
    async with rpc.channel(
        address, credentials.authority, credentials.hub, credentials.pair
    ) as channel:
        call = channel.unary_unary(path, None, None)
        try:
            data = await call(wire.encode(request), timeout=10)
        except grpc.aio.AioRpcError as error:
            raise rpc.rejected(error, address) from None
    answer = wire.decode(protocol.Certificate, data, limit=protocol.HUB_MESSAGE_BYTES)
    pair = x509.Pair(key=key, certificate=answer.certificate.encode())
    found = x509.check(pair, credentials.authority, process.now_ms())
    if found.identity != credentials.details.identity:
        raise errors.PeerError(f"the hub renewed us as {found.identity.uri}: not taken")
    identity.save(state, pair, credentials.authority, credentials.address)
    log.info("certificate renewed", extra={"action": "certificate_renewed"})
