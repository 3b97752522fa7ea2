"""That the demonstration runs from beginning to end and shows what it says."""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shown():
    done = subprocess.run([ROOT / "demo" / "run"], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_loads_all_rows_into_a_chunk_per_month(shown):
    assert "336776 │   26115 │                13" in shown


def test_a_week_needs_one_chunk_only(shown):
    plan = shown.split("EXPLAIN (COSTS OFF)")[1].split("════")[0].split("Old data")[0]
    assert plan.count(" on _hyper_1_") == 1


def test_old_chunks_go(shown):
    dropped = shown.split("SELECT drop_chunks")[1]
    assert "_timescaledb_internal._hyper_1_1_chunk" in dropped


def test_compresses_and_changes_a_row(shown):
    columns = shown.split("════ 4.")[1].split("════ 5.")[0]
    before, after = (part.split("Time:")[0] for part in columns.split("FROM flights GROUP BY carrier ORDER BY flights DESC LIMIT 3;")[1:])
    assert before == after
    assert "ColumnarScan" in columns
    assert "UPDATE 1\n" in columns
    assert "2013-03-04 09:00:00-05 │ HA      │     51 │ HNL  │         5" in columns


def test_measures_the_machine(shown):
    assert "rows inserted" in shown
    assert "The server and its data are gone" in shown


def test_policies_work_meanwhile(shown):
    chunks = shown.split("The policy was at work meanwhile")[1].split("One view to look at")[0]
    assert " │ t" in chunks
    health = shown.split("One view to look at")[1]
    assert '"Success"' in health
