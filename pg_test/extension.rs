//! What CREATE EXTENSION leaves behind.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use pgrx::prelude::*;

    #[pg_test]
    fn schemas_belong_to_the_extension() -> spi::Result<()> {
        let schemas = Spi::get_one::<i64>(
            "SELECT count(*) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
             WHERE d.classid = 'pg_namespace'::regclass AND d.deptype = 'e' AND e.extname = 'timescale_compat'",
        )?;
        // One more than sql/schemas.sql makes: pgrx's own `tests`.
        assert_eq!(schemas, Some(7));
        Ok(())
    }
}
