"""Who may sign: a strict reading of `allowed_signers`, and the people whose signatures count.

The file is OpenSSH's (ssh-keygen(1), ALLOWED SIGNERS), so `ssh-keygen -Y verify` reads it too. One line is

    alice namespaces="login@sentinel,decision@sentinel",valid-before="20271231Z" ssh-ed25519 AAAA... laptop

Rules of this file, all stricter than OpenSSH's:
  - A line that is not understood is an error with its number, never skipped: the file is a root of trust.
  - One line is one key of one person, `namespaces` must be there, and nothing is a pattern.
  - A key stands for one person. A person may have several keys, and still counts once.
  - Times end in Z: a node's time zone is not the signer's.
  - A key on a FIDO2 token must have been touched. With the word `verify-required` in its comment its
    holder must have been verified too (PIN or fingerprint); a comment can demand more, never less.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from sentinel import config
from sentinel.domain import Signature
from sentinel.errors import ConfigError, SignatureError, printable
from sentinel.protocol import DECISION, LOGIN
from sentinel.trust import sshsig
from sentinel.trust.sshsig import Key, Proof

FILE_CHARS = 1 << 20
NAME = r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}"
VERIFY_REQUIRED = "verify-required"
_OPTION = r'[a-z-]+(?:="[^"\\]*")?'
_LINE = re.compile(
    rf"(?P<name>\S+)[ \t]+(?P<options>{_OPTION}(?:,{_OPTION})*)[ \t]+"
    r"(?P<kind>[a-z0-9@.-]+)[ \t]+(?P<key>[A-Za-z0-9+/]+={0,2})(?:[ \t]+(?P<comment>.*))?"
)
_PLAIN = re.compile(r"\S+[ \t]+(?:sk-)?(?:ssh-|ecdsa-)\S+[ \t]+AAAA\S*(?:[ \t].*)?")
_TIME_FORMS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """One key of one person, what it may sign, and from when until when."""

    person: str
    key: Key
    namespaces: frozenset[str]
    after_ms: int = 0
    before_ms: int | None = None
    verify_required: bool = False
    comment: str = ""

    def valid(self, now_ms: int) -> bool:
        """Say whether the line is in force."""
        return self.after_ms <= now_ms and (self.before_ms is None or now_ms < self.before_ms)


class Signers(msgspec.Struct, frozen=True, kw_only=True):
    """Everybody who may sign, by key."""

    by_key: Mapping[bytes, Signer]

    def keys_of(self, name: str, namespace: str, now_ms: int) -> tuple[str, ...]:
        """Return the fingerprints of the keys that may sign for `name` now."""
        return tuple(
            signer.key.fingerprint
            for signer in self.by_key.values()
            if signer.person == name and namespace in signer.namespaces and signer.valid(now_ms)
        )

    def may(self, namespace: str) -> frozenset[str]:
        """Return who has a key for `namespace`."""
        return frozenset(s.person for s in self.by_key.values() if namespace in s.namespaces)


NOBODY = Signers(by_key=MappingProxyType({}))


def watched(path: Path) -> config.Watched[Signers]:
    """Return the signers in the file at `path`, NOBODY where there is none, as it is when asked."""
    return config.Watched(path, load, NOBODY)


def load(path: Path) -> Signers:
    """Return the signers in the file at `path`; ConfigError with the line that is wrong."""
    return parse(config.read(path), str(path))


def parse(text: str, source: str = "allowed_signers") -> Signers:
    """Return the signers in `text`; ConfigError names `source`, the line and its fault."""
    if len(text) > FILE_CHARS:
        raise ConfigError(f"{source} has {len(text)} characters, the limit is {FILE_CHARS}")
    found: dict[bytes, Signer] = {}
    lines: dict[bytes, int] = {}
    # Not splitlines(), which breaks lines where OpenSSH does not.
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{source}:{number}"
        if line.strip(" \t") == "" or line.startswith("#"):
            continue
        signer = _signer(line, where)
        other = found.get(signer.key.blob)
        if other is not None:
            raise ConfigError(
                f"{where}: this key stands on line {lines[signer.key.blob]} already,"
                f" for {other.person}",
                hint="one key is one line and one person: remove one of the two",
            )
        found[signer.key.blob] = signer
        lines[signer.key.blob] = number
    return Signers(by_key=MappingProxyType(found))


def people(
    data: bytes,
    signatures: Iterable[Signature],
    signers: Signers,
    namespace: str,
    now_ms: int,
) -> frozenset[str]:
    """Return the distinct people who signed `data` for `namespace`; each signature must count.

    Raises SignatureError with the check that the first one failed, or that there is none.
    """
    found = frozenset(person(data, each, signers, namespace, now_ms).person for each in signatures)
    if not found:
        raise SignatureError("nobody has signed it", check="signatures.missing")
    return found


def person(
    data: bytes, signature: Signature, signers: Signers, namespace: str, now_ms: int
) -> Signer:
    """Return whose signature over `data` this is; SignatureError with the check that it failed."""
    envelope = sshsig.parse(signature.sshsig)
    signer = signers.by_key.get(envelope.key)
    if signer is None:
        raise SignatureError(
            f"the key {sshsig.fingerprint(envelope.key)} is nobody's here",
            check="signature.unknown-key",
            hint="add its line to allowed_signers, on the hub and on the node",
        )
    if signer.person != signature.signer:
        raise SignatureError(
            f"it is said to be {printable(signature.signer, 64)}'s and was made by"
            f" {signer.person}'s key",
            check="signature.person",
        )
    _permitted(signer, namespace, now_ms)
    proof = sshsig.check(envelope, data, namespace)
    _on_demand(signer, proof)
    return signer


def _permitted(signer: Signer, namespace: str, now_ms: int) -> None:
    """Raise unless the signer's line permits this purpose now."""
    if namespace not in signer.namespaces:
        raise SignatureError(
            f"{signer.person}'s key {signer.key.fingerprint} may not sign for {namespace}",
            check="signature.purpose",
            hint=f'its line in allowed_signers needs {namespace} in namespaces="..."',
        )
    if not signer.valid(now_ms):
        when = "not valid yet" if now_ms < signer.after_ms else "no longer valid"
        raise SignatureError(
            f"{signer.person}'s key {signer.key.fingerprint} is {when}",
            check="signature.key-time",
            hint="see valid-after and valid-before of its line in allowed_signers",
        )


def _on_demand(signer: Signer, proof: Proof) -> None:
    """Raise unless a token was touched, and its holder verified where that is demanded."""
    if signer.key.on_token and not proof.touched:
        raise SignatureError(
            f"{signer.person}'s token signed without being touched",
            check="signature.touch",
            hint="make the key anew without -O no-touch-required",
        )
    if signer.verify_required and not proof.verified:
        raise SignatureError(
            f"{signer.person}'s token signed without a PIN or fingerprint",
            check="signature.verification",
            hint="make the key with ssh-keygen -t ed25519-sk -O verify-required",
        )


def _signer(line: str, where: str) -> Signer:
    found = _LINE.fullmatch(line)
    if found is None:
        plain = _PLAIN.fullmatch(line)
        raise ConfigError(
            f"{where}: " + ("no namespaces" if plain else "not a line of allowed_signers"),
            hint='NAME namespaces="login@sentinel,decision@sentinel" KEY-TYPE KEY [COMMENT]',
        )
    if not re.fullmatch(NAME, found["name"]):
        raise ConfigError(
            f"{where}: {printable(found['name'], 80)!r} is not one person's name",
            hint="letters, digits and . _ @ + - ; no patterns, no lists",
        )
    options = _options(found["options"], where)
    comment = found["comment"] or ""
    key = _key(found["kind"], found["key"], where)
    demanded = VERIFY_REQUIRED in comment.split()
    if demanded and not key.on_token:
        raise ConfigError(
            f"{where}: {VERIFY_REQUIRED} demands a FIDO2 token, and this is a {key.kind.value} key",
            hint="use a key of type sk-ssh-ed25519@openssh.com",
        )
    return Signer(
        person=found["name"],
        key=key,
        namespaces=_namespaces(options, where),
        after_ms=_time(options, "valid-after", where) or 0,
        before_ms=_time(options, "valid-before", where),
        verify_required=demanded,
        comment=printable(comment, 200),
    )


def _options(text: str, where: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for option in re.findall(_OPTION, text):
        name, mark, value = option.partition("=")
        if name not in ("namespaces", "valid-after", "valid-before") or not mark:
            raise ConfigError(
                f"{where}: the option {name} is not taken here",
                hint='there are namespaces="...", valid-after="..." and valid-before="..."',
            )
        if name in options:
            raise ConfigError(f"{where}: the option {name} stands twice")
        options[name] = value[1:-1]
    return options


def _namespaces(options: dict[str, str], where: str) -> frozenset[str]:
    names = options.get("namespaces", "").split(",")
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9._@-]{1,64}", name):
            raise ConfigError(
                f"{where}: {printable(name, 80)!r} is not a namespace",
                hint=f'namespaces="{LOGIN},{DECISION}": names, no patterns',
            )
    if len(set(names)) != len(names):
        raise ConfigError(f"{where}: a namespace stands twice")
    return frozenset(names)


def _time(options: dict[str, str], name: str, where: str) -> int | None:
    value = options.get(name)
    if value is None:
        return None
    form = _TIME_FORMS.get(len(value) - 1)
    try:
        if form is None or not re.fullmatch(r"[0-9]+Z", value):
            raise ValueError(value)
        return calendar.timegm(time.strptime(value[:-1], form)) * 1000
    except ValueError:
        raise ConfigError(
            f"{where}: {name} is {printable(value, 40)!r}, not a time",
            hint="write YYYYMMDDZ, YYYYMMDDHHMMZ or YYYYMMDDHHMMSSZ: UTC, with its Z",
        ) from None


def _key(kind: str, text: str, where: str) -> Key:
    blob = sshsig.exact_base64(text)
    if blob is None:
        raise ConfigError(f"{where}: the key is not base64", hint="copy it again")
    try:
        key = sshsig.parse_key(blob)
    except SignatureError as error:
        raise ConfigError(f"{where}: {error.what}", hint=error.hint) from None
    if key.kind.value != kind:
        raise ConfigError(f"{where}: the line says {kind}, the key is {key.kind.value}")
    return key
