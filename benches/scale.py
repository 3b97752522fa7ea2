"""How much is measured: the full run, and a quick one that only shows that everything works."""

from dataclasses import dataclass
from datetime import timedelta

CHUNK = timedelta(hours=12)
HOURS = 72
SENSOR_HOURS = 36


@dataclass(frozen=True)
class Scale:
    copy_hosts: int
    insert_hosts: int
    rounds: int
    transactions: int
    planning_chunks: tuple[int, ...]
    planning_seconds: float
    memory_chunks: int
    creation_at: tuple[int, ...]
    creations: int
    query_hosts: int
    query_rounds: int
    query_variants: int
    sensors: int
    direct_hosts: int
    series: int
    columnar_chunks: tuple[int, ...]
    dashboard_days: int
    dashboard_hosts: int
    dashboard_seconds: int
    dashboard_rounds: int


FULL = Scale(
    copy_hosts=12,
    insert_hosts=6,
    rounds=7,
    transactions=10_000,
    planning_chunks=(10, 1_000, 5_000),
    planning_seconds=4,
    memory_chunks=2_000,
    creation_at=(0, 100, 1_000, 2_000, 5_000),
    creations=10,
    query_hosts=400,
    query_rounds=4,
    query_variants=2,
    sensors=1_000,
    direct_hosts=40,
    series=200_000,
    columnar_chunks=(1_000,),
    dashboard_days=30,
    dashboard_hosts=400,
    dashboard_seconds=10,
    dashboard_rounds=3,
)

QUICK = Scale(
    copy_hosts=3,
    insert_hosts=2,
    rounds=3,
    transactions=1_000,
    planning_chunks=(10, 100),
    planning_seconds=0.5,
    memory_chunks=100,
    creation_at=(0, 50),
    creations=5,
    query_hosts=10,
    query_rounds=2,
    query_variants=2,
    sensors=20,
    direct_hosts=3,
    series=2_000,
    columnar_chunks=(20,),
    dashboard_days=5,
    dashboard_hosts=20,
    dashboard_seconds=120,
    dashboard_rounds=2,
)
