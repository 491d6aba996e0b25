"""How machines and people get their certificates: init, invite, join, renew.

The state directory of a hub holds its CA, and a machine that has the CA's key can let anybody connect;
it can still make no node run anything. Tokens are stored as hashes and spent on first sight, right or
wrong host; the name in a certificate is the token's, never the request's.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from sentinel import config, errors, files, protocol, rpc, wire
from sentinel.config import HubSettings
from sentinel.domain import HOST_PATTERN
from sentinel.hub import callers, people
from sentinel.hub.access import permit
from sentinel.trust import checkpoint, identity, signers, x509

if TYPE_CHECKING:
    from sentinel.hub.persist import Store

log = logging.getLogger(__name__)

CA_KEY = "ca.key"
CA_CERTIFICATE = "ca.pem"
TOKEN_LIFE_MS = 3_600_000


def init(folder: Path, site: str, now_ms: int) -> None:
    """Make the CA of a new site, and the key that signs its log, in `folder`.

    Existing ones are never replaced.
    """
    if (folder / CA_KEY).exists():
        raise errors.ConfigError(
            f"{folder} already holds the CA of a site",
            hint="every enrolled machine trusts it; use another --state to set up another hub",
        )
    authority = x509.new_authority(site, now_ms)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / checkpoint.KEY_FILE).exists():
            checkpoint.make(folder, site)
        files.write(folder / CA_CERTIFICATE, authority.certificate, 0o644)
        files.write(folder / CA_KEY, authority.key, 0o600)
    except OSError as error:
        raise errors.NodeError(
            f"cannot write {error.filename or folder}: {error.strerror}"
        ) from None


def authority(folder: Path) -> x509.Pair:
    """Return the CA in `folder`; ConfigError where the hub was not set up."""
    try:
        return x509.Pair(
            key=(folder / CA_KEY).read_bytes(), certificate=(folder / CA_CERTIFICATE).read_bytes()
        )
    except FileNotFoundError:
        raise errors.ConfigError(
            f"{folder} holds no CA: this hub was not set up",
            hint=f"sentinel-hub init --state {folder}",
        ) from None
    except OSError as error:
        raise errors.ConfigError(f"{error.filename} cannot be read: {error.strerror}") from None


def address(settings: HubSettings) -> identity.HubAddress:
    """Return what an invite says about where the hub is: its first name and both ports."""
    name = settings.names[0]
    return identity.HubAddress(
        site=settings.site,
        hub=f"{name}:{settings.port}",
        enrol=f"{name}:{settings.enrol_port}",
    )


async def invites(
    store: Store, settings: HubSettings, state: Path, hosts: Sequence[str], now_ms: int
) -> list[identity.Invite]:
    """Return an invite for each host, good for one hour and one use. One wrong name: none is made.

    An invite carries what a node believes from then on: the CA, who may sign, and the log's key.
    """
    for host in hosts:
        _check_name(host, "host name")
    if twice := [host for host, count in Counter(hosts).items() if count > 1]:
        raise errors.ConfigError(f"{twice[0]} stands twice", hint="one invite is for one host")
    ca = authority(state).certificate.decode()
    roots = _signers(settings, state), config.read(state / checkpoint.PUBLIC_FILE)
    made = []
    for host in hosts:
        token = secrets.token_urlsafe(24)
        await store.add_invite(x509.token_hash(token), host, now_ms + TOKEN_LIFE_MS, now_ms)
        made.append(
            identity.Invite(
                sentinel_invite=1,
                host=host,
                token=token,
                ca=ca,
                address=address(settings),
                allowed_signers=roots[0],
                checkpoint_key=roots[1],
            )
        )
    return made


def _signers(settings: HubSettings, state: Path) -> str:
    """Return the text of allowed_signers, which must be right before a node pins it."""
    path = people.signers_path(settings, state)
    if not path.exists():
        return ""
    text = config.read(path)
    signers.parse(text, str(path))
    return text


def operator(settings: HubSettings, ca: x509.Pair, name: str, target: Path, now_ms: int) -> None:
    """Write an identity folder for an operator: what `sentinel-tui --identity` takes."""
    _check_name(name, "operator name")
    key = x509.new_key()
    who = x509.Identity(site=settings.site, role=x509.Role.OPERATOR, name=name)
    certificate = x509.issue(ca, x509.request(key), who, now_ms)
    pair = x509.Pair(key=key, certificate=certificate)
    identity.save(target, pair, ca.certificate, address(settings))


def server_pair(settings: HubSettings, ca: x509.Pair, now_ms: int) -> x509.Pair:
    """Return a fresh key and certificate for the hub itself; they live in memory only."""
    key = x509.new_key()
    who = x509.Identity(site=settings.site, role=x509.Role.HUB, name="hub")
    leaf = x509.issue(ca, x509.request(key), who, now_ms, names=settings.names)
    return x509.Pair(key=key, certificate=leaf)


def _check_name(name: str, what: str) -> None:
    try:
        x509.parse_uri(f"spiffe://x/agent/{name}")
    except errors.PeerError:
        raise errors.ConfigError(
            f"{name!r} is not a {what}",
            hint=f"lower-case letters, digits, dots and hyphens: {HOST_PATTERN}",
        ) from None


class EnrolDoor:
    """The enrolment service (server-authenticated TLS) and renewal (over the present certificate)."""

    def __init__(
        self, store: Store, settings: HubSettings, ca: x509.Pair, clock: Callable[[], int]
    ) -> None:
        """Sign with `ca` for the site of `settings`."""
        self._store = store
        self._settings = settings
        self._ca = ca
        self._clock = clock

    def join_handler(self) -> rpc.Handler:
        """Return the handler of the enrolment listener."""
        return grpc.method_handlers_generic_handler(
            protocol.ENROL_SERVICE,
            {protocol.JOIN_RPC: grpc.unary_unary_rpc_method_handler(self._join)},
        )

    async def _join(self, data: bytes, context: rpc.Context) -> bytes:
        try:
            request = wire.decode(protocol.JoinRequest, data, limit=protocol.AGENT_MESSAGE_BYTES)
            now_ms = self._clock()
            host = await self._store.spend_invite(x509.token_hash(request.token), now_ms)
            if host is None:
                raise errors.PeerError(
                    "the invite's token is unknown, spent or expired",
                    hint="an invite is good for one use within an hour: sentinel-hub invite HOST",
                )
            return await self._issue(request.csr, host, now_ms)
        except errors.SentinelError as error:
            log.warning("join refused: %s", errors.printable(error.what), extra={"action": "join"})
            await rpc.abort(context, error)
            raise AssertionError("abort raises") from error

    async def renew(self, data: bytes, context: rpc.Context) -> bytes:
        """Answer a renewal: same name, new key, new serial."""
        try:
            caller = callers.of(context)
            path = f"/{protocol.AGENT_SERVICE}/{protocol.RENEW_RPC}"
            # What another process has revoked a moment ago must not be good for a fresh serial.
            self._store.bus.publish(await self._store.revision())
            permit(path, caller, self._settings.site, await self._store.revoked())
            request = wire.decode(protocol.RenewRequest, data, limit=protocol.AGENT_MESSAGE_BYTES)
            return await self._issue(request.csr, caller.name, self._clock())
        except errors.SentinelError as error:
            await rpc.abort(context, error)
            raise AssertionError("abort raises") from error

    async def _issue(self, csr: str, host: str, now_ms: int) -> bytes:
        who = x509.Identity(site=self._settings.site, role=x509.Role.AGENT, name=host)
        leaf = x509.issue(self._ca, csr.encode(), who, now_ms)
        facts = x509.details(leaf)
        await self._store.note_certificate(facts.serial, host, facts.not_after_ms, now_ms)
        log.info("certificate for %s", host, extra={"action": "certificate_issued"})
        answer = protocol.Certificate(certificate=leaf.decode(), ca=self._ca.certificate.decode())
        return wire.encode(answer)
