"""A database of an earlier version is taken over whole, or not at all."""

from __future__ import annotations

import hashlib
import importlib
import itertools

import msgspec
import pytest
import sqlalchemy as sa
from alembic import command

from sentinel import canonical, errors
from sentinel.domain import Kind, Severity, State
from sentinel.hub import audit
from sentinel.hub.cases import Case
from sentinel.hub.migrations import schema
from sentinel.hub.persist import Store
from sentinel.protocol import ListRequest
from sentinel.tui import filters
from tests.unit.hub import builders, databases, test_recall

_names = itertools.count()


def driver(url):
    return url.replace("sqlite:", "sqlite+pysqlite:").replace("postgresql:", "postgresql+psycopg:")


@pytest.fixture(params=["sqlite", "postgresql"])
def old_url(request, tmp_path):
    """The URL of a database as version 0001 left it: 600 records, each chained to the one before."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/old.db"
    else:
        url = request.getfixturevalue("postgresql").create(f"old{next(_names)}")
    engine = sa.create_engine(driver(url))
    with engine.begin() as connection:
        command.upgrade(schema._config(connection), "0001")
        schema._seal(connection)
        chained, rows = bytes(32), []
        for seq in range(1, 601):
            body = canonical.encode(audit.Body(seq=seq, at_ms=seq, action="test", actor="hub"))
            chained = hashlib.sha256(chained + body).digest()
            rows.append({"seq": seq, "incident": "", "body": body, "hash": chained})
        table = sa.table("audit", *map(sa.column, ("seq", "incident", "body", "hash")))
        connection.execute(sa.insert(table), rows)
        head = sa.table("head", sa.column("seq"), sa.column("hash"))
        connection.execute(sa.update(head).values(seq=600, hash=chained))
    engine.dispose()
    return url


async def test_a_chained_log_becomes_a_tree_over_the_same_records(old_url):
    before = databases.run(old_url, "SELECT seq, body FROM audit ORDER BY seq")
    async with await Store.open(old_url) as store:
        assert store.restored == ()
        assert (await audit.verify(store)).records == 600
        await store.record("test", "x", 601)
        found = await audit.verify(store)
        assert (found.records, found.broken) == (601, None)
        with pytest.raises(databases.Refused):
            databases.run(old_url, "DELETE FROM audit WHERE seq = 2")
    assert (
        databases.run(old_url, "SELECT seq, body FROM audit WHERE seq < 601 ORDER BY seq") == before
    )


@pytest.mark.parametrize(
    ("tampering", "seq"),
    [
        ("UPDATE audit SET hash = body WHERE seq = 300", 300),
        ("DELETE FROM audit WHERE seq = 7", 7),
        ("DELETE FROM audit WHERE seq = 600", 600),
        ("UPDATE head SET hash = (SELECT hash FROM audit WHERE seq = 1)", 601),
    ],
)
async def test_a_chained_log_that_was_tampered_with_is_not_taken_over(old_url, tampering, seq):
    databases.unseal(old_url)
    databases.run(old_url, tampering)
    with pytest.raises(errors.StoreError, match=f"record {seq} of the audit log"):
        await Store.open(old_url)
    assert databases.run(old_url, "SELECT version_num FROM alembic_version") == [("0001",)]


async def test_triggers_that_were_missing_before_the_migration_are_told_of(old_url):
    databases.unseal(old_url)
    async with await Store.open(old_url) as store:
        assert "audit_no_gap" in store.restored


async def test_nobody_is_on_what_was_there_before_one_could_be(old_url):
    engine = sa.create_engine(driver(old_url))
    known = Case(
        **dict.fromkeys(("id", "host", "rule", "subject", "culprit", "event", "challenge"), "x"),
        **dict.fromkeys(("opened_ms", "updated_ms", "entered_ms"), 1),
        kind=Kind.CPU,
        severity=Severity.INFO,
        state=State.MANUAL,
        revision=600,
        evidence="e",
    )
    with engine.begin() as connection:
        table = sa.Table("incident", sa.MetaData(), autoload_with=connection)
        row = {**msgspec.to_builtins(known), "tail": "x", "is_open": True}
        row = {name: row[name] for name in table.c.keys()}  # noqa: SIM118  (columns, not names)
        connection.execute(sa.insert(table), row)
    engine.dispose()
    async with await Store.open(old_url) as store:
        assert await store.write(lambda work: work.case("x")) == known
        (nobodys,) = (await store.listed(ListRequest(terms=filters.parse("who=")))).summaries
        assert (nobodys.id, nobodys.owner) == ("x", "")


async def test_reading_an_old_database_changes_nothing_and_says_what_to_do(old_url):
    with pytest.raises(errors.StoreError, match="at revision 0001") as caught:
        await Store.open(old_url, prepare=False)
    assert "start this version's hub" in caught.value.hint
    assert databases.run(old_url, "SELECT version_num FROM alembic_version") == [("0001",)]


BEFORE_RECALL = (
    "DROP INDEX incident_service",
    "DROP INDEX incident_runbook",
    "ALTER TABLE incident DROP COLUMN service",
    "ALTER TABLE incident DROP COLUMN runbook",
    "DROP TABLE service",
    "UPDATE alembic_version SET version_num = '0003'",
)


async def test_services_and_runbooks_of_the_past_are_taken_over(database_url, monkeypatch):
    recalled = importlib.import_module("sentinel.hub.migrations.versions.0004_recall")
    async with await Store.open(database_url) as store:
        for number in range(5):
            report = test_recall.report(host=f"web{number}", units=("sshd.service",))
            await builders.awaiting(store, report)
        await builders.reported(store, test_recall.report(unit="db.service", rule="unplanned"))
        before = await store.services(), await store.runbook_pasts()
    for statement in BEFORE_RECALL:
        databases.run(database_url, statement)
    async with await Store.open(database_url) as store:
        assert (await store.services(), await store.runbook_pasts()) == before
    for statement in ("DELETE FROM service", "UPDATE incident SET service = '', runbook = ''"):
        databases.run(database_url, statement)
    monkeypatch.setattr(recalled, "PAGE", 2)
    engine = sa.create_engine(driver(database_url))
    with engine.begin() as connection:
        recalled._take_over(connection)
    engine.dispose()
    async with await Store.open(database_url) as store:
        assert (await store.services(), await store.runbook_pasts()) == before
    assert [(s.name, s.past.count) for s in before[0].services][:2] == [
        ("app.service", 5),
        ("db.service", 1),
    ]
    assert before[1]["memory-hog"].count == 5
