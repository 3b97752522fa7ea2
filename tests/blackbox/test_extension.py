"""How the extension comes into a server and a database, and leaves it."""

import psycopg
import pytest
from server import Server


def test_reports_the_version_of_the_package(db):
    version = db.execute("SELECT extversion FROM pg_extension WHERE extname = 'timescale_compat'").fetchone()[0]
    assert version.count(".") == 2


def test_says_which_line_to_add_when_it_was_not_preloaded():
    with Server("not-preloaded", {"shared_preload_libraries": ""}) as server, server.connect() as db:
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as failure:
            db.execute("CREATE EXTENSION timescale_compat")
    assert failure.value.sqlstate == "55000"
    assert failure.value.diag.message_primary == "timescale_compat must be loaded through shared_preload_libraries"
    assert "shared_preload_libraries = 'timescale_compat'" in failure.value.diag.message_hint


def test_can_be_dropped_and_created_again(db):
    db.execute("DROP EXTENSION timescale_compat")
    left = db.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ 'timescaledb'").fetchall()
    assert left == []
    db.execute("CREATE EXTENSION timescale_compat")


def test_survives_dump_and_restore(server, database):
    dump = server.pg_dump(database)
    server.create_database("restored", extension=False)
    server.psql(dump, "restored")
    assert server.pg_dump("restored") == dump
