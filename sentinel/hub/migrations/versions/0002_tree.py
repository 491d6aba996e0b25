"""The audit log becomes a Merkle tree.

Until now each record held SHA-256(hash of the record before || body). The old chain is checked once
more, record by record, before its hashes are replaced by those of the tree's leaves: a log that was
tampered with is refused here, not taken over.
"""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy as sa
from alembic import op

from sentinel import errors, merkle
from sentinel.hub.tables import Serial

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PAGE = 2000
KEPT_LEVELS = 8  # of which every multiple is stored

_HEAD = sa.table("head", sa.column("id"), sa.column("seq"), sa.column("hash"), sa.column("tree"))
_AUDIT = sa.table("audit", sa.column("seq"), sa.column("body"), sa.column("hash"))
_NODE = sa.table("audit_node", sa.column("level"), sa.column("number"), sa.column("hash"))


def _bytes(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def upgrade() -> None:
    op.create_table(
        "audit_node",
        sa.Column("level", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        _bytes("hash"),
    )
    op.create_table(
        "checkpoint",
        sa.Column("size", Serial, primary_key=True, autoincrement=False),
        _bytes("note"),
    )
    connection = op.get_bind()
    end = connection.execute(sa.select(_HEAD.c.seq, _HEAD.c.hash)).one()
    _unseal(connection)
    tree = _replant(connection, end.seq, bytes(end.hash))
    op.drop_table("head")
    head = op.create_table(
        "head",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        _bytes("tree"),
    )
    op.bulk_insert(head, [{"id": 1, "seq": tree.size, "tree": tree.dump()}])


def _unseal(connection: sa.Connection) -> None:
    """Let this migration, and nothing after it, write to the log; `schema` seals it again."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ALTER TABLE audit DISABLE TRIGGER USER")
        return
    for name in ("audit_no_update", "audit_no_delete", "audit_no_gap"):
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")


def _replant(connection: sa.Connection, end: int, last: bytes) -> merkle.Range:
    """Check the chain, replace its hashes by those of leaves, and return the tree over them."""
    tree, chained = merkle.Range(), bytes(32)
    while True:
        page = sa.select(_AUDIT).where(_AUDIT.c.seq > tree.size).order_by(_AUDIT.c.seq).limit(PAGE)
        rows = connection.execute(page).all()
        if not rows:
            break
        made: dict[merkle.Subtree, bytes] = {}
        leaves = []
        for row in rows:
            body = bytes(row.body)
            chained = hashlib.sha256(chained + body).digest()
            if row.seq != tree.size + 1 or chained != bytes(row.hash):
                raise _broken(tree.size + 1)
            leaves.append({"number": row.seq, "leaf": merkle.leaf_hash(body)})
            tree = tree.add(leaves[-1]["leaf"], made=made)
        update = sa.update(_AUDIT).where(_AUDIT.c.seq == sa.bindparam("number"))
        connection.execute(update.values(hash=sa.bindparam("leaf")), leaves)
        kept = [
            {"level": node.level, "number": node.number, "hash": root}
            for node, root in made.items()
            if node.level and node.level % KEPT_LEVELS == 0
        ]
        if kept:
            connection.execute(sa.insert(_NODE), kept)
    if (tree.size, chained) != (end, last):
        raise _broken(min(tree.size, end) + 1)
    return tree


def _broken(seq: int) -> errors.StoreError:
    return errors.StoreError(
        f"record {seq} of the audit log does not follow from the one before: it was tampered with",
        hint="nothing was changed: keep this database as evidence, and restore a backup",
    )
