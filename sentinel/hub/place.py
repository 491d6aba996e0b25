"""Where a hub is: its state directory, its settings and its database."""

from __future__ import annotations

import argparse
from pathlib import Path

from sentinel import config
from sentinel.config import HubSettings

STATE = Path("/var/lib/sentinel-hub")
SETTINGS = "hub.toml"


def arguments() -> argparse.ArgumentParser:
    """Return the options of every command that works on a hub's own files."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--state", type=Path, default=STATE, metavar="DIR", help=f"state directory ({STATE})"
    )
    common.add_argument(
        "--config", type=Path, metavar="FILE", help="settings (hub.toml in the state directory)"
    )
    return common


def settings_of(args: argparse.Namespace) -> HubSettings:
    """Return the settings in --config, or in hub.toml of the state directory."""
    return config.load(HubSettings, args.config or args.state / SETTINGS)


def database_url(settings: HubSettings, state: Path) -> str:
    """Return where the hub's record is: the state directory unless the settings say otherwise."""
    return settings.database or f"sqlite:///{state.resolve() / 'hub.db'}"
