//! The functions that users call in queries, where a test needs more than SQL text: memory, many rows, prepared statements.

use pgrx::pg_schema;

#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    fn one<T: FromDatum + IntoDatum>(query: &str) -> Option<T> {
        Spi::get_one(query).expect("the query runs")
    }

    /// The memory of this backend in bytes.
    fn used() -> i64 {
        one::<i64>("SELECT sum(used_bytes)::bigint FROM pg_backend_memory_contexts").expect("a sum")
    }

    #[pg_test]
    fn test_time_bucket_fractional_seconds_literal() {
        let found =
            one::<bool>("SELECT time_bucket('300.000s', timestamptz '2024-02-29 12:34:56+00') = timestamptz '2024-02-29 12:30:00+00'");
        assert_eq!(found, Some(true));
    }

    #[pg_test(error = "period must be greater than 0")]
    fn test_time_bucket_zero_width() {
        Spi::run("SELECT time_bucket('0 s', now())").expect("it does not return");
    }

    #[pg_test(error = "timestamp out of range")]
    fn test_time_bucket_below_the_range() {
        Spi::run("SELECT time_bucket('1000 days', timestamp '4714-11-24 BC')").expect("it does not return");
    }

    #[pg_test]
    fn test_time_bucket_zone_error_leaves_the_session_usable() {
        let found = one::<String>(
            "CREATE FUNCTION pg_temp.attempt() RETURNS text LANGUAGE plpgsql AS $$
             BEGIN PERFORM time_bucket('1 day', now(), 'Nowhere/Land'); RETURN 'none';
             EXCEPTION WHEN invalid_parameter_value THEN RETURN sqlerrm; END $$;
             SELECT pg_temp.attempt()",
        );
        assert_eq!(found.as_deref(), Some("time zone \"Nowhere/Land\" not recognized"));
    }

    #[pg_test]
    fn test_first_last_free_what_they_replace() {
        // Every row replaces a value and a key of 1 kB; held, they would be 400 MB. The peak is seen from inside the query.
        let peak = one::<i64>(
            "SELECT max(used) FROM (
                 SELECT last(repeat('v', 1000) || i, repeat('k', 1000) || lpad(i::text, 9, '0')) AS l,
                        (SELECT sum(used_bytes)::bigint FROM pg_backend_memory_contexts) AS used
                 FROM generate_series(1, 200000) i) s",
        );
        assert!(peak.expect("a peak") < 100_000_000);
        let before = used();
        for _ in 0..20 {
            Spi::run("SELECT last(repeat('v', 1000) || i, i), first(i::text, -i) FROM generate_series(1, 2000) i").expect("the query runs");
        }
        assert!(used() - before < 1_000_000, "queries leave nothing behind");
    }

    #[pg_test]
    fn test_histogram_counts_every_value_once() {
        let found = one::<bool>(
            "SELECT (SELECT sum(n) FROM unnest(h) n) = 100000 FROM (SELECT histogram(random() * 3 - 1, 0, 1, 100) AS h FROM generate_series(1, 100000)) s",
        );
        assert_eq!(found, Some(true));
    }

    #[pg_test]
    fn test_generate_uuidv7_ascends_across_statements() {
        let mut last = one::<pgrx::Uuid>("SELECT generate_uuidv7()");
        for _ in 0..100 {
            let next = one::<pgrx::Uuid>("SELECT generate_uuidv7()");
            assert!(next > last);
            last = next;
        }
    }
}
