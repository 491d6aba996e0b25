"""The hub's small certificate authority: transport identity, and nothing more.

Rules of this file:
  - A certificate says which machine or program is at the other end of a connection. It never says that
    a plan may run: the CA's key makes nothing run anywhere.
  - Identity is the one SPIFFE URI in the subject alternative name: spiffe://SITE/hub|agent|operator/NAME.
    The common name is for people and is never read.
  - A hub's certificate also carries its identity as a DNS name, hub.SITE.sentinel, which no other role
    gets: it is the name that every client demands, whatever address it dials, for TLS compares no URIs.
  - The name in a new certificate comes from who asked by token or by present certificate, never from the
    signing request, of which only the public key is taken.
  - Leaves live seven days and are renewed at half life with a new key.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import re
from enum import StrEnum, unique

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sentinel.domain import HOST_PATTERN
from sentinel.errors import PeerError

LEAF_LIFE_MS = 7 * 86_400_000
CA_LIFE_MS = 3650 * 86_400_000
# A peer whose clock is behind ours must not see a certificate from the future.
BACKDATE_MS = 3_600_000
_CA_NAME = "sentinel "


@unique
class Role(StrEnum):
    """Who a certificate speaks for."""

    HUB = "hub"
    AGENT = "agent"
    OPERATOR = "operator"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What a verified certificate says: `spiffe://site/role/name`."""

    site: str
    role: Role
    name: str

    @property
    def uri(self) -> str:
        """Return the SPIFFE URI."""
        return f"spiffe://{self.site}/{self.role.value}/{self.name}"


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A private key and its certificate, both PEM."""

    key: bytes
    certificate: bytes


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """What the holder and the hub want to know of a certificate. Times in ms since the epoch."""

    identity: Identity
    serial: str  # lower-case hex
    not_before_ms: int
    not_after_ms: int


def parse_uri(uri: str) -> Identity:
    """Return the identity in a SPIFFE URI; PeerError where it is not one of ours."""
    found = re.fullmatch(r"spiffe://([a-z0-9-]{1,64})/(hub|agent|operator)/(.{1,253})", uri)
    if not found or not re.fullmatch(HOST_PATTERN, found.group(3)):
        raise PeerError(
            f"{uri!r} is not an identity of Sentinel", hint="enrol with `sentinel-hub invite`"
        )
    return Identity(site=found.group(1), role=Role(found.group(2)), name=found.group(3))


def new_key() -> bytes:
    """Return a new P-256 private key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def new_authority(site: str, now_ms: int) -> Pair:
    """Return a new CA for `site`: path length 0, so that it can only sign leaves."""
    pem = new_key()
    key = _key(pem)
    name = _name(f"{_CA_NAME}{site}")
    certificate = (
        _builder(name, name, key.public_key(), now_ms, CA_LIFE_MS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(key=pem, certificate=certificate.public_bytes(serialization.Encoding.PEM))


def hub_name(authority: bytes) -> str:
    """Return the name that the certificate of this CA's hub must bear: hub.SITE.sentinel."""
    names = _load(authority).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1 or not str(names[0].value).startswith(_CA_NAME):
        raise PeerError("this is not the CA of a hub", hint="sentinel-hub init makes one")
    return f"hub.{str(names[0].value).removeprefix(_CA_NAME)}.sentinel"


def request(key: bytes) -> bytes:
    """Return a signing request for `key`, PEM. It names nobody: the signer decides the name."""
    csr = x509.CertificateSigningRequestBuilder().subject_name(_name("sentinel"))
    return csr.sign(_key(key), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def issue(
    authority: Pair,
    csr: bytes,
    identity: Identity,
    now_ms: int,
    *,
    names: tuple[str, ...] = (),
    life_ms: int = LEAF_LIFE_MS,
) -> bytes:
    """Return a leaf for the public key in `csr`, in the name of `identity`, PEM.

    `names` are the DNS names and addresses of a hub; only a hub's certificate may serve, only the
    others' may dial. Raises PeerError where the request is malformed or its key is of another kind.
    """
    public = _public_key(csr)
    usage = (
        ExtendedKeyUsageOID.SERVER_AUTH
        if identity.role is Role.HUB
        else ExtendedKeyUsageOID.CLIENT_AUTH
    )
    issuer_key = _key(authority.key)
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    alternatives: list[x509.GeneralName] = [x509.UniformResourceIdentifier(identity.uri)]
    if identity.role is Role.HUB:
        names = (hub_name(authority.certificate), *names)
    alternatives += [_general_name(name) for name in names]
    leaf = (
        _builder(_name(identity.name[:64]), issuer.subject, public, now_ms, life_ms)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return leaf.public_bytes(serialization.Encoding.PEM)


def details(certificate: bytes) -> Details:
    """Return what the PEM certificate says; PeerError where it is not one of ours."""
    try:
        leaf = x509.load_pem_x509_certificate(certificate)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound) as error:
        raise PeerError(f"the certificate cannot be read: {error}") from None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise PeerError(f"the certificate has {len(uris)} URIs, and must have exactly one")
    return Details(
        identity=parse_uri(uris[0]),
        serial=f"{leaf.serial_number:x}",
        not_before_ms=_ms(leaf.not_valid_before_utc),
        not_after_ms=_ms(leaf.not_valid_after_utc),
    )


def check(pair: Pair, authority: bytes, now_ms: int) -> Details:
    """Return the details of our own certificate, after the checks that TLS would only call "closed".

    Raises PeerError with the remedy: not signed by this CA, of another key, of a role that may not dial,
    not valid yet, expired.
    """
    found = details(pair.certificate)
    whose = f"the certificate of {found.identity.uri}"
    leaf, issuer = _load(pair.certificate), _load(authority)
    try:
        leaf.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        raise PeerError(
            f"{whose} was not signed by this hub's CA",
            hint="the hub was set up anew, or the files were mixed: join again with a fresh invite",
        ) from None
    if _key(pair.key).public_key() != leaf.public_key():
        raise PeerError(
            f"{whose} is not for the private key beside it",
            hint="the files were mixed: restore both from one backup, or join again",
        )
    _check_use(leaf, found.identity)
    if now_ms < found.not_before_ms:
        raise PeerError(
            f"{whose} is not valid before {_text(found.not_before_ms)}, and here it is {_text(now_ms)}",
            hint="this machine's clock is behind: set it, then start again",
        )
    if now_ms >= found.not_after_ms:
        raise PeerError(
            f"{whose} expired at {_text(found.not_after_ms)}, and here it is {_text(now_ms)}",
            hint="if the clock is right: on the hub `sentinel-hub invite HOST`, here remove identity.pem"
            " and `sentinel-agent join FILE`",
        )
    if now_ms >= _ms(issuer.not_valid_after_utc):
        raise PeerError(
            f"the hub's CA expired at {_text(_ms(issuer.not_valid_after_utc))}",
            hint="set this machine's clock; if it is right, the site needs a new CA: sentinel-hub init",
        )
    return found


def _check_use(leaf: x509.Certificate, identity: Identity) -> None:
    """Raise PeerError where this certificate may not dial: a hub's serves, and nothing else."""
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        usages = list(usage)
    except x509.ExtensionNotFound:
        usages = []
    if identity.role is Role.HUB or usages != [ExtendedKeyUsageOID.CLIENT_AUTH]:
        raise PeerError(
            f"the certificate of {identity.uri} is not one that may dial a hub",
            hint="join with an invite of your own; a hub's certificate serves only",
        )


def _load(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise PeerError(
            f"the certificate cannot be read: {error}", hint="join again with a fresh invite"
        ) from None


def renewal_due(certificate: Details, now_ms: int) -> bool:
    """Say whether half of the certificate's life is over."""
    return now_ms >= (certificate.not_before_ms + certificate.not_after_ms) // 2


def token_hash(token: str) -> str:
    """Return what the hub keeps of a one-time token: its SHA-256, hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise PeerError(
            "the private key cannot be read", hint="join again with a fresh invite"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise PeerError("the private key is not an elliptic-curve key")
    return key


def _public_key(csr: bytes) -> ec.EllipticCurvePublicKey:
    try:
        asked = x509.load_pem_x509_csr(csr)
        public = asked.public_key()
        signed = asked.is_signature_valid
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PeerError(f"the signing request cannot be read: {error}") from None
    if not signed or not isinstance(public, ec.EllipticCurvePublicKey):
        raise PeerError("the signing request is not signed by the elliptic-curve key in it")
    return public


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now_ms: int,
    life_ms: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_date(now_ms - BACKDATE_MS))
        .not_valid_after(_date(now_ms + life_ms))
    )


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign,
        crl_sign=sign,
        encipher_only=False,
        decipher_only=False,
    )


def _date(ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ms // 1000, dt.UTC)


def _ms(date: dt.datetime) -> int:
    return int(date.timestamp() * 1000)


def _text(ms: int) -> str:
    return _date(ms).strftime("%Y-%m-%d %H:%M:%S UTC")
