"""Who is on an incident."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sentinel.hub.tables import Plain

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # With a constant as its default the column comes without a rewrite of the table.
    op.add_column("incident", sa.Column("owner", Plain, nullable=False, server_default=""))
