"""Opening a database, reading it in pages, and what the hub says when it cannot be used."""

from __future__ import annotations

import asyncio
import stat
import sys

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from sentinel import errors
from sentinel.domain import Metric, Mode, Sample, State
from sentinel.hub import intake, persist_engine
from sentinel.hub.persist import Store
from sentinel.hub.tables import METADATA
from tests.unit.hub import builders as b
from tests.unit.hub import databases

# ---------------------------------------------------------------- opening


async def test_migrations_make_exactly_the_tables_that_the_code_describes(store):
    def differences(connection):
        return compare_metadata(MigrationContext.configure(connection), METADATA)

    async with store._engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_an_empty_postgresql_is_migrated_by_whichever_of_two_hubs_is_first(postgresql):
    postgresql.server.psql("CREATE DATABASE empty;")
    url = postgresql.server.get_uri(database="empty")
    stores = await asyncio.gather(*(Store.open(url) for _ in range(2)))
    for store in stores:
        async with store:
            await store.record("test", "x", 1)
    assert databases.run(url, "SELECT count(*) FROM audit") == [(2,)]


async def test_a_database_of_a_newer_version_is_refused_by_name(database_url):
    async with await Store.open(database_url) as store:
        await store.record("test", "x", 1)
    databases.run(database_url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(errors.StoreError) as caught:
        await Store.open(database_url)
    assert "revision 9999" in caught.value.what
    assert "0004" in caught.value.what
    assert "newer version" in caught.value.hint
    assert databases.run(database_url, "SELECT version_num FROM alembic_version") == [("9999",)]


async def test_the_file_is_its_owners_alone(tmp_path):
    async with await Store.open(f"sqlite:///{tmp_path}/hub.db") as store:
        await store.record("test", "x", 1)
        for path in tmp_path.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "not a database URL"),
        ("mysql://root:secret@localhost/x", "neither SQLite in a file nor"),
        ("sqlite://", "neither SQLite in a file nor"),
        ("sqlite:///:memory:", "neither SQLite in a file nor"),
    ],
)
async def test_a_url_that_names_no_database_of_ours_is_refused(url, says):
    with pytest.raises(errors.ConfigError, match=says) as caught:
        await Store.open(url)
    assert "secret" not in caught.value.what
    assert "sqlite:///PATH" in caught.value.hint


async def test_postgresql_without_its_driver_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(errors.ConfigError, match="psycopg is not installed") as caught:
        await Store.open("postgresql://hub@localhost/hub")
    assert "sentinel[postgres]" in caught.value.hint


async def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "hub.db").write_text("this is a letter to my aunt" * 100)
    with pytest.raises(errors.StoreError, match="not a database") as caught:
        await Store.open(f"sqlite:///{tmp_path}/hub.db")
    assert "restore a backup" in caught.value.hint


async def test_a_directory_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(errors.StoreError, match="No such file or directory"):
        await Store.open(f"sqlite:///{tmp_path}/none/hub.db")


async def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path):
    with pytest.raises(errors.StoreError) as caught:
        await Store.open(f"postgresql://hub:secret@/sentinel?host={tmp_path}")
    assert str(tmp_path).replace("/", "%2F") in caught.value.what
    assert "secret" not in str(caught.value.what)
    assert "is the server up" in caught.value.hint


async def test_a_database_that_the_server_does_not_have_is_named(postgresql):
    with pytest.raises(errors.StoreError, match='database "nowhere" does not exist') as caught:
        await Store.open(postgresql.server.get_uri(database="nowhere"))
    assert "create it" in caught.value.hint


async def test_a_database_that_another_process_holds_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(persist_engine, "BUSY_S", 0.1)
    url = f"sqlite:///{tmp_path}/hub.db"
    async with await Store.open(url) as store:
        holder = databases.connect(url)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(errors.StoreError, match="database is locked") as caught:
            await store.record("test", "x", 1)
        assert "another process" in caught.value.hint
        holder.close()
        await store.record("test", "x", 1)


async def test_a_full_disk_loses_nothing_and_is_got_over(tmp_path):
    async with await Store.open(f"sqlite:///{tmp_path}/hub.db") as store:

        def limit(pages):
            def pragma(connection):
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

            sa.event.listen(store._engine.sync_engine, "begin", pragma)

        limit(1)  # which SQLite takes as: not one page more than there are
        acknowledged = []

        async def fill():
            while True:
                await store.record("test", "x" * 500, 1)
                acknowledged.append(1)

        with pytest.raises(errors.StoreError, match="disk is full") as caught:
            await fill()
        assert "free space" in caught.value.hint
        assert await store.revision() == len(acknowledged)
        limit(1_000_000)
        await store.record("test", "again", 1)
        assert await store.revision() == len(acknowledged) + 1


async def test_connections_that_the_server_ends_are_made_anew(postgresql):
    url = postgresql.database()
    async with await Store.open(url) as store, await Store.open(url) as other:
        await store.record("test", "x", 1)
        databases.end_sessions(url)
        await store.record("test", "y", 1)
        async with asyncio.timeout(10):
            await other.bus.wait(1)


# ---------------------------------------------------------------- reading


async def test_pages_run_from_the_newest_to_the_oldest_without_a_gap(store):
    for n in range(7):
        await b.reported(store, b.report(rule=f"r{n}"), b.NOW + n)
    seen, before = [], None
    while True:
        page = await store.page(open_only=True, before=before, limit=3)
        seen += page.summaries
        if not page.more:
            break
        before = seen[-1].id
    assert [s.opened_ms - b.NOW for s in seen] == [6, 5, 4, 3, 2, 1, 0]
    assert page.revision == await store.revision()


async def test_closed_incidents_are_on_the_page_only_when_asked_for(store):
    incident = await b.reported(store)
    await b.say(store, incident, cleared=b.cleared(incident))
    assert (await store.page(open_only=True, before=None, limit=9)).summaries == ()
    (summary,) = (await store.page(open_only=False, before=None, limit=9)).summaries
    assert summary.state is State.RESOLVED


async def test_an_incident_is_found_by_its_beginning_or_its_end(store):
    incident = await b.reported(store)
    name = incident.summary.id
    for part in (name, name[:20], name[-4:], name[-12:].upper(), f" {name} "):
        assert (await store.incident(part)).summary.id == name


async def test_an_ambiguous_or_unknown_or_short_name_is_an_operators_error(store):
    first = await b.reported(store, b.report(rule="r1"))
    await b.reported(store, b.report(rule="r2"))
    with pytest.raises(errors.OperatorError, match="more than one"):
        await store.incident(first.summary.id[:8])
    with pytest.raises(errors.OperatorError, match="too short"):
        await store.incident(first.summary.id[:3])
    for unknown in ("ffff-none", "%%%%", "____", "'; --", "\x1b[2Jxx"):
        with pytest.raises(errors.OperatorError, match="no incident") as caught:
            await store.incident(unknown)
        assert "\x1b" not in caught.value.what


async def test_changes_come_once_each_in_the_order_of_their_last_change(store):
    first = await b.reported(store, b.report(rule="r1"))
    second = await b.reported(store, b.report(rule="r2"))
    since = await store.revision()
    assert await store.changes(since=since, limit=9) == ()
    await b.say(store, second, cleared=b.cleared(second))
    await b.say(store, first, cleared=b.cleared(first))
    changed = await store.changes(since=since, limit=9)
    assert [s.id for s in changed] == [second.summary.id, first.summary.id]
    assert [s.revision for s in changed] == [since + 1, since + 2]
    assert await store.changes(since=since, limit=1) == changed[:1]


async def test_a_watcher_is_woken_by_this_process_and_by_another(database_url):
    async with await Store.open(database_url) as here, await Store.open(database_url) as there:
        waiting = asyncio.gather(here.bus.wait(0), there.bus.wait(0))
        await asyncio.sleep(0)
        await here.record("test", "x", 1)
        async with asyncio.timeout(10):
            assert await waiting == [1, 1]


async def test_counts_are_of_open_incidents_and_of_nodes(store):
    await b.awaiting(store, b.report(rule="r1"))
    await b.reported(store, b.report(rule="r2"))
    done = await b.reported(store, b.report(rule="r3"))
    await b.say(store, done, cleared=b.cleared(done))
    await store.note_agent("web1", connected=True)
    await store.note_agent("web2", connected=False)
    counts = await store.counts()
    assert (counts.open_incidents, counts.need_decision) == (2, 1)
    assert (counts.nodes, counts.nodes_connected) == (2, 1)


# ---------------------------------------------------------------- nodes and certificates


async def test_a_node_is_shown_as_it_last_said_it_was(store):
    await b.reported(store)
    await store.note_agent("web1", connected=True, version="1.0\x1b[2J\x00", mode=Mode.LIVE)
    await store.note_agent("web1", last_seen_ms=5, clock_skew_ms=-3)
    (agent,) = await store.agents()
    assert (agent.host, agent.connected, agent.mode, agent.open_incidents) == (
        "web1",
        True,
        Mode.LIVE,
        1,
    )
    assert (agent.last_seen_ms, agent.clock_skew_ms) == (5, -3)
    assert agent.version == "1.0\\x1b[2J\\x00"


async def test_a_sign_of_life_is_shown_at_once_and_written_once_a_minute(store, database_url):
    def written():
        return databases.run(database_url, "SELECT last_seen_ms FROM agent")[0][0]

    await store.note_agent("web1", connected=True, last_seen_ms=b.NOW)
    await store.note_agent("web1", connected=True, last_seen_ms=b.NOW + 59_000)
    assert written() == b.NOW
    assert (await store.agents())[0].last_seen_ms == b.NOW + 59_000
    await store.note_agent("web1", connected=True, last_seen_ms=b.NOW + 60_000)
    assert written() == b.NOW + 60_000
    await store.note_agent("web1", connected=False, last_seen_ms=b.NOW + 61_000)
    assert written() == b.NOW + 61_000


async def test_the_gauges_of_a_sign_of_life_are_of_the_moment(store):
    full = Sample(metric=Metric.FS_USED, subject="/var", value=970, at_ms=b.NOW)
    await store.note_agent("web1", connected=True, last_seen_ms=b.NOW, gauges=(full,))
    assert (await store.agents())[0].gauges == (full,)
    await store.note_agent("web1", connected=True, last_seen_ms=b.NOW + 10_000, gauges=())
    assert (await store.agents())[0].gauges == ()


async def test_a_node_that_went_to_another_hub_is_shown_as_that_hub_saw_it(database_url):
    async with await Store.open(database_url) as one, await Store.open(database_url) as two:
        await one.note_agent("web1", connected=True, last_seen_ms=b.NOW)
        await one.note_agent("web1", connected=True, last_seen_ms=b.NOW + 1000)
        await two.note_agent("web1", connected=True, last_seen_ms=b.NOW + 70_000, version="2")
        for store in (one, two):
            (agent,) = await store.agents()
            assert (agent.last_seen_ms, agent.version) == (b.NOW + 70_000, "2")


async def test_a_hub_that_starts_knows_of_no_connected_node(store):
    await store.note_agent("web1", connected=True, last_seen_ms=b.NOW)
    await store.disconnect_agents()
    assert [agent.connected for agent in await store.agents()] == [False]


async def test_of_many_who_show_one_invite_one_joins(store):
    await store.add_invite("hash", "web1", b.NOW + 10, b.NOW)
    spent = await asyncio.gather(*(store.spend_invite("hash", b.NOW) for _ in range(50)))
    assert sorted(filter(None, spent)) == ["web1"]


async def test_an_invite_that_is_late_or_unknown_is_none(store):
    await store.add_invite("hash", "web1", b.NOW + 10, b.NOW)
    assert await store.spend_invite("hash", b.NOW + 10) is None
    assert await store.spend_invite("other", b.NOW) is None


async def test_revoking_a_host_ends_each_of_its_certificates(store):
    for serial, host in (("01", "web1"), ("02", "web1"), ("03", "web2")):
        await store.note_certificate(serial, host, b.NOW + 10, b.NOW)
    assert await store.revoked() == frozenset()
    assert await store.revoke("web1", b.NOW) == 2
    assert await store.revoked() == {"01", "02"}
    assert await store.revoke("web1", b.NOW) == 0


async def test_a_revocation_by_another_process_is_seen(database_url):
    async with await Store.open(database_url) as hub, await Store.open(database_url) as command:
        await command.note_certificate("01", "web1", b.NOW + 10, b.NOW)
        assert await hub.revoked() == frozenset()
        await command.revoke("web1", b.NOW)
        async with asyncio.timeout(10):
            await hub.bus.wait(1)
        assert await hub.revoked() == {"01"}


# ---------------------------------------------------------------- closing


async def test_what_the_body_raises_leaves_the_store_as_it_is(database_url):
    with pytest.raises(errors.ConfigError, match="as it is"):
        async with await Store.open(database_url):
            raise errors.ConfigError("as it is")


async def test_a_closed_store_commits_what_was_queued_and_takes_nothing_more(database_url):
    async with await Store.open(database_url) as store, asyncio.TaskGroup() as tasks:
        for n in range(20):
            tasks.create_task(store.record("test", "x", n))
        await asyncio.sleep(0)
    with pytest.raises(errors.StoreError, match="closed"):
        await store.record("test", "y", 1)
    async with await Store.open(database_url) as store:
        assert await store.revision() == 20


async def test_nul_and_control_characters_of_a_host_are_stored_and_shown_escaped(store):
    report = b.report(subject="a\x00b\x1b[2J")
    incident = await b.reported(store, report)
    assert incident.report == report
    assert "\x00" not in incident.summary.evidence
    assert "\x1b" not in incident.summary.evidence
    again = b.report(subject="a\x00b\x1b[2J")
    await intake.take(store, "web1", b.letter(report=again), b.NOW)
    assert (await store.incident(incident.summary.id)).summary.count == 2


async def test_the_audit_log_is_read_in_bounded_pages(store):
    for n in range(7):
        await store.record("test", "x", n)
    pages = [[row[0] for row in page] async for page in store.log.pages(1, 7, limit=3)]
    assert pages == [[2, 3], [4, 5, 6], [7]]
