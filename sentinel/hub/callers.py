"""Who TLS says is calling."""

from __future__ import annotations

from sentinel import errors, rpc
from sentinel.domain import Value
from sentinel.trust import x509


class Caller(Value, frozen=True, kw_only=True):
    """Who TLS says is calling: the identity in the certificate and the certificate's serial."""

    role: x509.Role
    name: str
    site: str
    serial: str
    expires_ms: int


def of(context: rpc.Context) -> Caller:
    """Return who is calling, from the verified certificate's single URI; never from the common name.

    Raises PeerError where there is no certificate of ours.
    """
    found = list(context.auth_context().get("x509_pem_cert", []))
    if len(found) != 1:
        raise errors.PeerError("no client certificate", hint="enrol with `sentinel-hub invite`")
    leaf = x509.details(bytes(found[0]))
    return Caller(
        role=leaf.identity.role,
        name=leaf.identity.name,
        site=leaf.identity.site,
        serial=leaf.serial,
        expires_ms=leaf.not_after_ms,
    )
