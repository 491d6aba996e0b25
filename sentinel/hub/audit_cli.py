"""`sentinel audit verify|show|export` and `sentinel replay`: the record, read from the hub's database.

Only the options are here. What does the work loads the database's libraries, and `sentinel --help` must
not wait for them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from sentinel.hub.place import arguments

if TYPE_CHECKING:
    from types import ModuleType

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _auditor() -> ModuleType:
    from sentinel.hub import auditor  # noqa: PLC0415  (see above)

    return auditor


def add_audit(commands: Commands) -> None:
    """Register the commands of `sentinel audit` that read the database."""
    common = arguments()
    verify = commands.add_parser(
        "verify",
        parents=[common],
        help="check every record, the tree over them and the signed checkpoints",
        epilog="exit status: 0 all holds, 1 something does not, 2 it could not be checked",
    )
    verify.add_argument(
        "--from",
        type=Path,
        dest="start",
        metavar="CHECKPOINT",
        help="begin after this checkpoint: the records before it were verified then",
    )
    verify.add_argument(
        "--against",
        type=Path,
        action="append",
        default=[],
        metavar="CHECKPOINT",
        help="a checkpoint kept elsewhere, which the log must contain; may be repeated",
    )
    verify.add_argument(
        "--key", type=Path, metavar="FILE", help="checkpoint.pub as you kept it, not the hub's copy"
    )
    verify.set_defaults(run=lambda args: _auditor().run_verify(args))

    show = commands.add_parser("show", parents=[common], help="print records, oldest first")
    show.add_argument("--incident", metavar="ID", help="only those of one incident")
    show.add_argument("--last", type=int, default=50, metavar="N", help="only the newest N (50)")
    show.add_argument("--json", action="store_true", help="the exact bytes, one record a line")
    show.set_defaults(run=lambda args: _auditor().run_show(args))

    export = commands.add_parser(
        "export",
        parents=[common],
        help="write a folder that anybody can check with sha256sum and ssh-keygen",
    )
    export.add_argument("folder", type=Path, metavar="DIR", help="a folder that is not there yet")
    export.set_defaults(run=lambda args: _auditor().run_export(args))


def add_replay(commands: Commands) -> None:
    """Register `sentinel replay`."""
    replay = commands.add_parser(
        "replay",
        parents=[arguments()],
        help="derive every verdict, digest and signature of an incident again from the record",
        epilog="exit status: 0 all the same, 1 the first difference is shown",
    )
    replay.add_argument(
        "incident", metavar="INCIDENT", help="its id, or the beginning or end of it"
    )
    replay.set_defaults(run=lambda args: _auditor().run_replay(args))
