"""That the servers of these tests do what their names say: crash, restart and replica tests rest on it."""

from server import Server


def test_a_killed_server_keeps_what_it_acknowledged():
    with Server("killed") as server:
        server.psql("CREATE TABLE t (i int); INSERT INTO t SELECT generate_series(1, 1000)")
        server.kill9()
        assert server.pid() is None
        server.start()
        assert server.psql("SELECT count(*) FROM t") == "1000"
        assert "was not properly shut down" in server.log()


def test_a_replica_follows():
    with Server("primary") as server:
        server.psql("CREATE EXTENSION timescale_compat")
        replica = server.replica()
        try:
            server.psql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i")
            server.wait_for_replay(replica)
            assert replica.psql("SELECT count(*) FROM t") == "1000"
        finally:
            replica.remove()


def test_a_client_may_come_by_tcp(server):
    with server.connect(tcp=True) as db:
        assert db.execute("SELECT inet_client_addr()::text").fetchone()[0].startswith("127.0.0.1")
