"""Ways to send SQL: for one value, and with as little work for the client as there can be."""

from typing import Any

import psycopg
from psycopg import pq


def scalar(conn: psycopg.Connection, query: str, *arguments: object) -> Any:
    row = conn.execute(query, arguments or None).fetchone()
    if row is None:
        raise RuntimeError(f"no row from {query}")
    return row[0]


def send(conn: psycopg.Connection, query: bytes) -> None:
    """Executes the query and takes its answer, but makes no Python objects of it: those would be part of what is measured."""
    result = conn.pgconn.exec_(query)
    if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
        raise RuntimeError(result.error_message.decode())
