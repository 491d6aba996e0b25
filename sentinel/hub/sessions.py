"""Login: a person proves with an SSH key who they are, and gets a short session.

TLS has proved which program calls (its certificate); a login proves that its person is there. It is a
signature over a challenge of this hub, this hub's CA and the caller's certificate, so that it is of no
use at another hub, for another certificate or a second time. A session lives in this process's memory,
belongs to that certificate, and ends when its time is over, when the person is struck off
`operators.toml` or loses their last login key.
"""

from __future__ import annotations

import secrets

import msgspec

from sentinel import canonical, errors, protocol
from sentinel.config import Watched
from sentinel.hub.access import Operators, Person
from sentinel.hub.callers import Caller
from sentinel.protocol import LoginChallenge, LoginStatement
from sentinel.trust import signers
from sentinel.trust.signers import Signers

CHALLENGE_MS = 120_000  # to touch a token, or to answer what `ssh-add -c` asks
OPEN_CHALLENGES = 8  # of one certificate
OPEN_SESSIONS = 32  # of one certificate
STATEMENT_BYTES = 2048


class _Open(msgspec.Struct, frozen=True):
    """A challenge or a session: whose certificate it belongs to, and until when it is good."""

    serial: str
    until_ms: int


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """A caller who has logged in."""

    name: str
    person: Person
    operators: Operators

    def decides_for(self, host: str) -> None:
        """Raise PeerError unless this person may decide for `host`."""
        if not self.operators.decides_for(self.person, host):
            raise errors.PeerError(
                f"{self.name} may not decide for {host}: only for hosts of"
                f" {', '.join(self.person.groups)}",
                hint="ask somebody who may, or an admin of the hub (operators.toml)",
            )


class Sessions:
    """The challenges and sessions of one hub process."""

    def __init__(
        self,
        site: str,
        authority: bytes,
        people: Watched[Operators],
        known: Watched[Signers],
        life_ms: int,
    ) -> None:
        """Let the `people` in who have a login key in `known`; `authority` is the CA's PEM."""
        self._site = site
        self._authority = canonical.digest(authority)
        self._people = people
        self._known = known
        self._life_ms = life_ms
        self._challenges: dict[str, _Open] = {}
        self._sessions: dict[str, _Open] = {}

    @property
    def signers(self) -> Signers:
        """Who may sign now. Raises ConfigError where the file is wrong."""
        return self._known.now()

    def challenge(self, caller: Caller, now_ms: int) -> LoginChallenge:
        """Return a challenge for `caller`'s certificate."""
        challenge = secrets.token_hex(16)
        _add(
            self._challenges,
            challenge,
            _Open(caller.serial, now_ms + CHALLENGE_MS),
            OPEN_CHALLENGES,
            now_ms,
        )
        return LoginChallenge(
            challenge=challenge,
            site=self._site,
            serial=caller.serial,
            keys=self.signers.keys_of(caller.name, protocol.LOGIN, now_ms),
        )

    def login(
        self, caller: Caller, request: protocol.LoginRequest, now_ms: int
    ) -> protocol.Session:
        """Open a session for the person whose certificate `caller` shows, and who signed for it.

        The challenge is spent whatever comes of it. Raises PeerError (WireError, SignatureError) where
        the login is not this person's, for this hub, now.
        """
        data = request.statement.encode()
        statement = canonical.decode(LoginStatement, data, limit=STATEMENT_BYTES)
        open_ = self._challenges.pop(statement.challenge, None)
        if open_ is None or open_.serial != caller.serial or now_ms >= open_.until_ms:
            raise errors.LoginError(
                "the login's challenge is unknown, used or too old", hint="log in again"
            )
        for what, said, expected in (
            ("hub's CA", statement.authority, self._authority),
            ("site", statement.site, self._site),
            ("certificate", statement.serial, caller.serial),
            ("person", statement.operator, caller.name),
            ("signer", request.signature.signer, caller.name),
        ):
            if said != expected:
                raise errors.PeerError(
                    f"the login is for another {what}: {errors.printable(said, 80)}",
                    hint="log in with the identity folder that this hub made for you",
                )
        signers.person(data, request.signature, self.signers, protocol.LOGIN, now_ms)
        person = self._person(caller.name, self._people.now())
        token = secrets.token_hex(16)
        until_ms = min(now_ms + self._life_ms, caller.expires_ms)
        _add(self._sessions, token, _Open(caller.serial, until_ms), OPEN_SESSIONS, now_ms)
        return protocol.Session(
            token=token,
            operator=caller.name,
            role=person.role.value,
            groups=person.groups,
            keys=self.signers.keys_of(caller.name, protocol.DECISION, now_ms),
            expires_ms=until_ms,
        )

    def who(self, caller: Caller, token: str, now_ms: int) -> Who:
        """Return who calls with `token`; LoginError where that is no session of this certificate."""
        session = self._sessions.get(token)
        if session is None or session.serial != caller.serial or now_ms >= session.until_ms:
            self._sessions.pop(token, None)
            raise errors.LoginError(
                f"{caller.name} is not logged in, or the session is over", hint="log in again"
            )
        if caller.name not in self.signers.may(protocol.LOGIN):
            raise errors.LoginError(
                f"{caller.name} has no key any more to log in with",
                hint=f"{self._known.path} on the hub has to name one",
            )
        operators = self._people.now()  # once: the file may be another a moment later
        return Who(
            name=caller.name, person=self._person(caller.name, operators), operators=operators
        )

    def _person(self, name: str, operators: Operators) -> Person:
        person = operators.people.get(name)
        if person is None:
            raise errors.PeerError(
                f"{name} is nobody at this hub",
                hint=f"{self._people.path} on the hub has to say: [people.{name}]",
            )
        return person


def _add(table: dict[str, _Open], key: str, entry: _Open, most: int, now_ms: int) -> None:
    """Put an entry in; what is over goes, and of one certificate's the oldest beyond `most`."""
    for old in [name for name, each in table.items() if now_ms >= each.until_ms]:
        del table[old]
    own = [name for name, each in table.items() if each.serial == entry.serial]
    for old in own[: max(0, len(own) + 1 - most)]:
        del table[old]
    table[key] = entry
