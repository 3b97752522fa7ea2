"""Fixtures for tests that use the extension as its clients do.

`server` is one server for the whole run; `db` is a connection to a fresh database with the extension; tests that crash,
copy or configure servers make their own with `server.Server`.
"""

import itertools
import os

import hypothesis
import pytest
from server import Server

hypothesis.settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True, database=None)
hypothesis.settings.register_profile("soak", deadline=None, max_examples=1000, database=None)
hypothesis.settings.load_profile("soak" if os.environ.get("TSC_SOAK") else "ci")

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server():
    with Server("blackbox") as running:
        yield running
        crashes = running.crashes()
    assert not crashes, f"the server crashed: {crashes}"


@pytest.fixture
def database(server):
    """The name of a fresh database with the extension."""
    name = server.create_database(f"test_{next(_numbers)}")
    yield name
    server.psql(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def db(server, database):
    """A connection (psycopg, autocommit) to a fresh database with the extension."""
    with server.connect(database) as connection:
        yield connection


@pytest.fixture
def filled(server, database, request):
    """The name of a fresh database in which the test module's FIXTURE was run."""
    server.psql(request.module.FIXTURE, database)
    return database


@pytest.fixture
def target(server):
    """The name of a database for a dump to be restored into, without the extension."""
    name = server.create_database("copy of the dump", extension=False)
    yield name
    server.psql(f'DROP DATABASE "{name}" WITH (FORCE)')
