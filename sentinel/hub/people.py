"""The two files that say who people are to a hub: their keys and what they may do.

`sentinel-hub operator` adds to them; an admin edits them by hand. They are read again when they change,
so nobody has to restart a hub to let somebody in or to strike somebody off.
"""

from __future__ import annotations

from pathlib import Path

from sentinel import config, errors, files, protocol
from sentinel.config import HubSettings
from sentinel.hub import access
from sentinel.hub.access import Operators, Rank
from sentinel.hub.sessions import Sessions
from sentinel.trust import signers

SIGNERS = "allowed_signers"
OPERATORS = "operators.toml"


def signers_path(settings: HubSettings, state: Path) -> Path:
    """Return where the keys are."""
    return Path(settings.allowed_signers or state / SIGNERS)


def operators_path(settings: HubSettings, state: Path) -> Path:
    """Return where the ranks are."""
    return Path(settings.operators or state / OPERATORS)


def sessions(settings: HubSettings, state: Path, authority: bytes) -> Sessions:
    """Return the logins of a hub with these files. Raises ConfigError where one of them is wrong."""
    known = signers.watched(signers_path(settings, state))
    people = config.Watched(operators_path(settings, state), access.load, Operators())
    known.now()
    people.now()
    return Sessions(settings.site, authority, people, known, settings.session_s * 1000)


def known(settings: HubSettings, state: Path) -> frozenset[str]:
    """Return who has a key to log in with."""
    return signers.watched(signers_path(settings, state)).now().may(protocol.LOGIN)


def add(settings: HubSettings, state: Path, name: str, key: str, rank: Rank) -> None:
    """Let the person `name` log in and decide with the public key in the text `key` (a .pub file).

    Both files are read as they would be afterwards before either is written: ConfigError where the key
    is none that may sign or is somebody else's, or a file is wrong already.
    """
    words = key.strip().split(maxsplit=2)
    if len(words) < 2 or "\n" in key.strip():
        raise errors.ConfigError(
            "this is not one public key", hint="--key takes the .pub file that ssh-keygen made"
        )
    line = f'{name} namespaces="{protocol.LOGIN},{protocol.DECISION}" {" ".join(words)}\n'
    keys = _with(signers_path(settings, state), line)
    signers.parse(keys, str(signers_path(settings, state)))
    path = operators_path(settings, state)
    known = access.load(path) if config.there(path) else Operators()
    if name not in known.people:
        table = _with(path, f'[people."{name}"]\nrole = "{rank.value}"\n')
        config.parse(Operators, table, str(path))
        files.write(path, table.encode(), 0o644)
    elif known.people[name].role is not rank:
        raise errors.ConfigError(
            f"{name} is {known.people[name].role.value} already",
            hint=f"change it in {path}, or leave --role away",
        )
    files.write(signers_path(settings, state), keys.encode(), 0o644)


def _with(path: Path, more: str) -> str:
    """Return the text of the file at `path`, if there is one, and `more` after it."""
    text = config.read_if_there(path)
    return text + ("\n" if text and not text.endswith("\n") else "") + more
