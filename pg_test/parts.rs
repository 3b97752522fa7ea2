//! What is merged from parts (`cagg::parts`) is what the aggregate itself gives.

#[pgrx::pg_schema]
mod tests {
    use pgrx::pg_sys;
    use pgrx::prelude::*;

    use crate::cagg::parts;
    use crate::pg::expr::Expr;
    use crate::pg::relation::optional_string;
    use crate::pg::{ffi, list, node};

    /// The text of an expression over the columns of one table.
    fn text(expr: Expr, table: &str) -> String {
        let relation = Spi::get_one::<pg_sys::Oid>(&format!("SELECT '{table}'::regclass::oid")).unwrap().unwrap();
        // SAFETY: a context of one relation, which the Vars refer to.
        unsafe {
            let name = std::ffi::CString::new(table).unwrap();
            let context = ffi::deparse_context_for(name.as_ptr(), relation);
            optional_string(ffi::deparse_expression(expr.as_ptr(), context, false, false)).unwrap()
        }
    }

    /// The aggregate of a query over the input.
    fn aggregate(sql: &str) -> &'static pg_sys::Aggref {
        let text = std::ffi::CString::new(format!("SELECT {sql} FROM input")).unwrap();
        // SAFETY: the parser's own calls; the query has one target.
        unsafe {
            let raw = list::pointers::<pg_sys::RawStmt>(ffi::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT))[0];
            let query = ffi::parse_analyze_fixedparams(raw, text.as_ptr(), std::ptr::null(), 0, std::ptr::null_mut());
            let target = list::pointers::<pg_sys::TargetEntry>((*query).targetList)[0];
            Expr::new((*target).expr).as_aggregate().unwrap()
        }
    }

    /// Compares for groups of groups, for all rows and for none; floats within rounding.
    fn check(sql: &str) {
        let aggregate = aggregate(sql);
        let columns = parts::parts_of(aggregate).unwrap_or_else(|| panic!("{sql} has no parts"));
        let list: String = columns.iter().enumerate().map(|(index, part)| format!(", {} AS p{index}", text(*part, "input"))).collect();
        Spi::run(&format!("CREATE TEMP TABLE parts AS SELECT minor, major{list} FROM input GROUP BY minor, major")).unwrap();
        let vars: Vec<Expr> = columns
            .iter()
            .zip(3i16..)
            .map(|(part, attribute)| {
                // SAFETY: a column of the table made above.
                unsafe { Expr::new(ffi::makeVar(1, attribute, part.type_oid(), -1, ffi::exprCollation(part.as_ptr()), 0)) }
            })
            .collect();
        // SAFETY: a filter over the table's second column, for none of whose groups it is false.
        let filter = unsafe {
            let major = Expr::new(ffi::makeVar(1, 2, pg_sys::INT4OID, -1, pg_sys::InvalidOid, 0));
            let test: *mut pg_sys::NullTest = node::make_node(pg_sys::NodeTag::T_NullTest);
            (*test).arg = major.as_ptr();
            (*test).nulltesttype = pg_sys::NullTestType::IS_NOT_NULL;
            Expr::new(test)
        };
        for filter in [None, Some(filter)] {
            let merged = parts::merged(aggregate, &vars, filter).unwrap();
            assert_eq!(merged.type_oid(), aggregate.aggtype, "{sql}");
            let merged = text(merged, "parts");
            let differ = match aggregate.aggtype {
                pg_sys::FLOAT4OID => "AND (abs(d.v - p.v) > 1e-4 * (1 + abs(d.v)) OR d.v - p.v IS NULL OR abs(d.v) = 'Infinity')",
                pg_sys::FLOAT8OID => "AND (abs(d.v - p.v) > 1e-9 * (1 + abs(d.v)) OR d.v - p.v IS NULL OR abs(d.v) = 'Infinity')",
                _ => "",
            };
            let show = |value: &str| if differ.is_empty() { format!("({value})::text") } else { value.to_owned() };
            for tail in ["GROUP BY major", "WHERE true", "WHERE false"] {
                let key = if tail.starts_with('G') { "major" } else { "1" };
                let query = |value: &str, from: &str| format!("SELECT {key}, {} AS v FROM {from} {tail}", show(value));
                let (direct, from_parts) = (query(sql, "input"), query(&merged, "parts"));
                let rows = Spi::get_one::<String>(&format!(
                    "SELECT string_agg(format('%s is %s', d, p), ', ')
                       FROM ({direct}) d FULL JOIN ({from_parts}) p ON d.{k} = p.{k} WHERE d.v IS DISTINCT FROM p.v {differ}",
                    k = if key == "1" { "\"?column?\"" } else { key },
                ))
                .unwrap();
                assert_eq!(rows, None, "{sql} {tail} by {merged}");
            }
        }
        Spi::run("DROP TABLE parts").unwrap();
    }

    fn fill() {
        Spi::run("SELECT setseed(0.4)").unwrap();
        Spi::run(
            "CREATE TEMP TABLE input AS
             SELECT i / 40 AS minor, i / 400 AS major,
                    CASE WHEN i % 7 <> 0 AND i / 400 <> 3 THEN (random() * 60000 - 30000)::int2 END AS i2,
                    CASE WHEN i % 5 <> 0 AND i / 400 <> 3 THEN (random() * 4e9 - 2e9)::int4 END AS i4,
                    CASE WHEN i % 3 <> 0 AND i / 400 <> 3 THEN (random() * 1.8e19 - 9e18)::int8 END AS i8,
                    CASE i / 400 WHEN 3 THEN NULL WHEN 4 THEN (ARRAY['NaN', '1', '2.50'])[i % 3 + 1]::numeric
                        WHEN 5 THEN (ARRAY['Infinity', '1', '-2'])[i % 3 + 1]::numeric
                        WHEN 6 THEN (ARRAY['Infinity', '-Infinity', '-2'])[i % 3 + 1]::numeric
                        WHEN 7 THEN (random() * 1e6)::numeric * 1e30 WHEN 8 THEN (random())::numeric / 1e12
                        WHEN 9 THEN 4.20 WHEN 10 THEN trunc((random() * 1000)::numeric, i % 5)
                        ELSE round((random() * 1000)::numeric, 2) END AS n,
                    CASE i / 400 WHEN 3 THEN NULL WHEN 4 THEN (ARRAY['NaN', '1', '2.5'])[i % 3 + 1]::float8
                        WHEN 5 THEN (ARRAY['Infinity', '1', '-2'])[i % 3 + 1]::float8
                        WHEN 6 THEN (ARRAY['Infinity', '-Infinity', '-2'])[i % 3 + 1]::float8
                        WHEN 9 THEN 4.2 ELSE 1000 + random() * 1000 END AS f8,
                    CASE WHEN i % 11 <> 0 THEN (1 + random())::float4 END AS f4,
                    CASE WHEN i % 6 <> 0 THEN make_interval(months => i % 5, days => i % 17, secs => random() * 1000) END AS v,
                    CASE WHEN i % 6 <> 0 THEN timestamptz '2026-01-01' + make_interval(secs => i * 7919 % 10000 + i * 0.001) END AS t,
                    random() < 0.5 AS b, md5(i::text) AS s
               FROM generate_series(0, 4799) i UNION ALL
             SELECT 200, 50, 1, 1, 1, 1, 1, 1, '1 s', '2026-01-01', true, 'only one row'",
        )
        .unwrap();
    }

    #[pg_test]
    fn merged_parts_are_the_aggregate() {
        fill();
        for function in ["avg", "stddev", "stddev_samp", "stddev_pop", "variance", "var_samp", "var_pop", "sum", "min", "max"] {
            for column in ["i2", "i4", "i8", "n", "f8", "f4"] {
                check(&format!("{function}({column})"));
            }
        }
        for sql in [
            "count(*)",
            "count(n)",
            "count(s)",
            "sum(v)",
            "avg(v)",
            "min(v)",
            "max(s)",
            "min(s COLLATE \"C\")",
            "max(t)",
            "sum(i4 + 1)",
            "bool_and(b)",
            "bool_or(b)",
            "every(b)",
            "bit_and(i4)",
            "bit_or(i8)",
            "bit_xor(i2)",
            "first(s, t)",
            "last(f8, t)",
            "first(n, i8)",
            "first(i4, f4)",
            "_timescaledb_functions.squared_deviations(f8)",
        ] {
            check(sql);
        }
    }

    #[pg_test]
    fn a_filter_goes_into_the_parts() {
        fill();
        for sql in ["count(*)", "avg(n)", "stddev(f8)", "variance(i4)", "last(s, t)", "sum(i8)"] {
            check(&format!("{sql} FILTER (WHERE i2 > 0)"));
        }
    }

    #[pg_test]
    fn other_aggregates_have_no_parts() {
        fill();
        for sql in [
            "count(DISTINCT i4)",
            "string_agg(s, ',')",
            "array_agg(i4)",
            "sum(f8 ORDER BY t)",
            "percentile_cont(0.5) WITHIN GROUP (ORDER BY f8)",
            "corr(f8, f8)",
            "first(i4, s)",
            "mode() WITHIN GROUP (ORDER BY i4)",
        ] {
            assert!(parts::parts_of(aggregate(sql)).is_none(), "{sql}");
        }
    }
}
