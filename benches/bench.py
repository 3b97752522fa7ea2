"""What every measurement is given: the server, the tables to compare, and how much to do."""

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from cluster import Cluster
from legs import Leg, Tables
from measure import Goal, Measurement
from scale import Scale
from sql import scalar


@dataclass(frozen=True)
class Bench:
    cluster: Cluster
    tables: Tables
    scale: Scale

    def connect(self) -> psycopg.Connection:
        return self.cluster.connect()

    def measurement(
        self, name: str, unit: str, legs: Iterable[Leg], goal: Goal | None = None, rows: int | None = None
    ) -> Measurement:
        """One that has already failed for the legs that this server cannot have."""
        missing = None if self.tables.self_check else self.cluster.why_no_hypertables
        legs = tuple(legs)
        failures = {leg: missing for leg in legs if missing and leg.kind == "hypertable"}
        return Measurement(name, unit, legs, goal, rows, failures=failures)

    def bucket(self, conn: psycopg.Connection, width: str) -> str:
        """The expression that cuts time into buckets: the same for all tables."""
        if scalar(conn, "SELECT EXISTS (SELECT FROM pg_proc WHERE proname = 'time_bucket')"):
            return f"time_bucket('{width}', time)"
        return f"date_trunc('{width.split()[1]}', time)"
