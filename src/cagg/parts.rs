//! How aggregates are had from aggregates of smaller groups: the hidden parts that a continuous aggregate keeps of each, and the value
//! over all groups that are merged.
//!
//! The value is the one that the aggregate has over all rows: the same number with the same scale for integers and numeric, within
//! rounding for floats. What stands in no rule below has no parts: it can be read where the groups are the same, and nowhere else.

use std::ffi::c_void;

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use crate::catalog::functions::{Known, known};
use crate::pg::expr::Expr;
use crate::pg::relation::optional_string;
use crate::pg::{ffi, guard, list, node, template};

/// What a continuous aggregate keeps of an aggregate.
enum Part {
    /// The aggregate itself.
    Itself,
    /// An aggregate of its arguments `$1`, `$2`.
    Of(&'static str),
}

/// How the parts of several groups give the aggregate over all of them.
enum Merged {
    /// The same aggregate of the parts.
    Same,
    /// An expression of aggregates of the parts `$1`, `$2`, ..
    By(&'static str),
}

struct Rule {
    /// Aggregates of pg_catalog, or of this extension.
    names: &'static [&'static str],
    /// Types of the first argument; empty: any.
    types: &'static [pg_sys::Oid],
    parts: &'static [Part],
    merged: Merged,
}

use pg_sys::{DATEOID, FLOAT4OID, FLOAT8OID, INT2OID, INT4OID, INT8OID, INTERVALOID, NUMERICOID, TIMEOID, TIMESTAMPOID, TIMESTAMPTZOID};

const SMALL_INTS: &[pg_sys::Oid] = &[INT2OID, INT4OID];
const NUMERIC: &[pg_sys::Oid] = &[NUMERICOID];
const BIG_INTS: &[pg_sys::Oid] = &[INT8OID];
const FLOATS: &[pg_sys::Oid] = &[FLOAT4OID, FLOAT8OID];
const INTS_AND_NUMERIC: &[pg_sys::Oid] = &[INT2OID, INT4OID, INT8OID, NUMERICOID];
/// Keys of `first` and `last` whose least and greatest value `min` and `max` find by the same order.
const KEYS: &[pg_sys::Oid] =
    &[INT2OID, INT4OID, INT8OID, FLOAT4OID, FLOAT8OID, NUMERICOID, DATEOID, TIMEOID, TIMESTAMPOID, TIMESTAMPTZOID, INTERVALOID];

const COUNT_SUM: &[Part] = &[Part::Of("count($1)"), Part::Of("sum($1)")];
// sum(float4) adds up in float4, avg and the deviations in float8.
const COUNT_SUM_FLOAT: &[Part] = &[Part::Of("count($1)"), Part::Of("sum($1::float8)")];
const DEVIATION_SMALL: &[Part] = &[Part::Of("count($1)"), Part::Of("sum($1)"), Part::Of("sum($1::int8 * $1::int8)")];
const DEVIATION_BIG: &[Part] = &[Part::Of("count($1)"), Part::Of("sum($1)"), Part::Of("sum($1::numeric * $1::numeric)")];
// Squares of numeric, and sums of them, may have more digits than numeric can have: a sum would fail where the aggregate does not.
const DEVIATION_NUMERIC: &[Part] = &[Part::Of("_timescaledb_functions.numeric_moments($1)")];
const DEVIATION_FLOAT: &[Part] =
    &[Part::Of("count($1)"), Part::Of("sum($1::float8)"), Part::Of("_timescaledb_functions.squared_deviations($1::float8)")];

macro_rules! deviation {
    ($names:expr, $sample:literal, $root:literal, $float:literal) => {
        [
            Rule {
                names: $names,
                types: SMALL_INTS,
                parts: DEVIATION_SMALL,
                merged: Merged::By(concat!(
                    "_timescaledb_functions.numeric_deviation(sum($1), sum($2), sum($3), ",
                    $sample,
                    ", ",
                    $root,
                    ")"
                )),
            },
            Rule {
                names: $names,
                types: BIG_INTS,
                parts: DEVIATION_BIG,
                merged: Merged::By(concat!(
                    "_timescaledb_functions.numeric_deviation(sum($1), sum($2), sum($3), ",
                    $sample,
                    ", ",
                    $root,
                    ")"
                )),
            },
            Rule {
                names: $names,
                types: NUMERIC,
                parts: DEVIATION_NUMERIC,
                merged: Merged::By(concat!("_timescaledb_functions.merged_numeric_", $float, "($1)")),
            },
            Rule {
                names: $names,
                types: FLOATS,
                parts: DEVIATION_FLOAT,
                merged: Merged::By(concat!("_timescaledb_functions.merged_", $float, "($1, $2, $3)")),
            },
        ]
    };
}

const RULES: &[&[Rule]] = &[
    &[
        // Of no group at all the count is 0.
        Rule { names: &["count"], types: &[], parts: &[Part::Itself], merged: Merged::By("coalesce(sum($1), 0)::int8") },
        Rule { names: &["sum"], types: SMALL_INTS, parts: &[Part::Itself], merged: Merged::By("sum($1)::int8") },
        Rule { names: &["sum"], types: &[INT8OID], parts: &[Part::Itself], merged: Merged::By("sum($1)") },
        Rule {
            names: &["sum", "min", "max", "bool_and", "bool_or", "every", "bit_and", "bit_or", "bit_xor"],
            types: &[],
            parts: &[Part::Itself],
            merged: Merged::Same,
        },
        Rule { names: &["avg"], types: INTS_AND_NUMERIC, parts: COUNT_SUM, merged: Merged::By("sum($2) / nullif(sum($1), 0)") },
        Rule { names: &["avg"], types: FLOATS, parts: COUNT_SUM_FLOAT, merged: Merged::By("sum($2) / nullif(sum($1), 0)::float8") },
        Rule { names: &["avg"], types: &[INTERVALOID], parts: COUNT_SUM, merged: Merged::By("sum($2) / nullif(sum($1), 0)::float8") },
    ],
    &deviation!(&["stddev", "stddev_samp"], "true", "true", "stddev_samp"),
    &deviation!(&["stddev_pop"], "false", "true", "stddev_pop"),
    &deviation!(&["variance", "var_samp"], "true", "false", "var_samp"),
    &deviation!(&["var_pop"], "false", "false", "var_pop"),
];

const FIRST: Rule = Rule { names: &["first"], types: &[], parts: &[Part::Itself, Part::Of("min($2)")], merged: Merged::Same };
const LAST: Rule = Rule { names: &["last"], types: &[], parts: &[Part::Itself, Part::Of("max($2)")], merged: Merged::Same };

/// The part of floats' deviations, so that coarse continuous aggregates can be computed from fine ones.
const SQUARED_DEVIATIONS: Rule = Rule {
    names: &["squared_deviations"],
    types: &[FLOAT8OID],
    parts: &[Part::Of("count($1)"), Part::Of("sum($1)"), Part::Itself],
    merged: Merged::By("_timescaledb_functions.merged_squared_deviations($1, $2, $3)"),
};

/// Likewise that of numeric's.
const NUMERIC_MOMENTS: Rule = Rule {
    names: &["numeric_moments"],
    types: NUMERIC,
    parts: &[Part::Itself],
    merged: Merged::By("_timescaledb_functions.merged_numeric_moments($1)"),
};

/// The arguments of a plain aggregate; none for `count(*)`.
fn arguments(aggregate: &pg_sys::Aggref) -> Vec<Expr> {
    // SAFETY: the arguments of an aggregate are target entries, alive as long as it.
    unsafe { list::pointers::<pg_sys::TargetEntry>(aggregate.args).into_iter().map(|entry| Expr::new((*entry).expr)).collect() }
}

fn rule_of(aggregate: &pg_sys::Aggref, arguments: &[Expr]) -> Option<&'static Rule> {
    let plain = aggregate.aggkind as u8 == b'n'
        && aggregate.agglevelsup == 0
        && !aggregate.aggvariadic
        && aggregate.aggorder.is_null()
        && aggregate.aggdistinct.is_null();
    if !plain {
        return None;
    }
    if aggregate.aggfnoid.to_u32() >= pg_sys::FirstNormalObjectId {
        let rule = match known(aggregate.aggfnoid) {
            Some(Known::First) => &FIRST,
            Some(Known::Last) => &LAST,
            _ => {
                let of_own = [
                    (&SQUARED_DEVIATIONS, "_timescaledb_functions.squared_deviations($1)"),
                    (&NUMERIC_MOMENTS, "_timescaledb_functions.numeric_moments($1)"),
                ];
                return of_own.into_iter().find(|(rule, sql)| is_call(aggregate, arguments, rule, sql)).map(|(rule, _)| rule);
            }
        };
        return arguments.get(1).is_some_and(|key| KEYS.contains(&key.type_oid())).then_some(rule);
    }
    // SAFETY: a syscache look-up; the name is palloc'd.
    let name = unsafe { optional_string(ffi::get_func_name(aggregate.aggfnoid)) }?;
    let type_oid = arguments.first().map(|argument| argument.type_oid());
    RULES.iter().flat_map(|rules| rules.iter()).find(|rule| {
        rule.names.contains(&name.as_str()) && (rule.types.is_empty() || type_oid.is_some_and(|type_oid| rule.types.contains(&type_oid)))
    })
}

/// Whether an aggregate is one of this extension's own.
fn is_call(aggregate: &pg_sys::Aggref, arguments: &[Expr], rule: &Rule, sql: &'static str) -> bool {
    let [argument] = arguments else { return false };
    let same = || template::expression(sql, &[*argument]);
    rule.types.contains(&argument.type_oid()) && same().as_aggregate().is_some_and(|same| same.aggfnoid == aggregate.aggfnoid)
}

/// The expressions that a continuous aggregate must hold for an aggregate so that it can be had for unions of its groups: aggregates of
/// the same rows, FILTER included, the aggregate itself possibly among them. None: it can't.
pub fn parts_of(aggregate: &pg_sys::Aggref) -> Option<Vec<Expr>> {
    let arguments = arguments(aggregate);
    let rule = rule_of(aggregate, &arguments)?;
    Some(rule.parts.iter().map(|part| part_of(aggregate, part, &arguments)).collect())
}

fn part_of(aggregate: &pg_sys::Aggref, part: &Part, arguments: &[Expr]) -> Expr {
    match part {
        // SAFETY: a node of the query.
        Part::Itself => unsafe { Expr::new(std::ptr::from_ref(aggregate).cast_mut()) }.copy(),
        Part::Of(sql) => {
            let part = template::expression(sql, arguments);
            // SAFETY: the filter is NULL or a node of the query.
            (!aggregate.aggfilter.is_null()).then(|| set_filter(part, unsafe { Expr::new(aggregate.aggfilter) }));
            part
        }
    }
}

/// The value of an aggregate for unions of groups. `columns` are what holds the parts of each group, in the order of [`parts_of`]; of
/// the groups only those count for which `filter` is true. The result is of the aggregate's type.
pub fn merged(aggregate: &pg_sys::Aggref, columns: &[Expr], filter: Option<Expr>) -> Option<Expr> {
    let rule = rule_of(aggregate, &arguments(aggregate))?;
    if columns.len() != rule.parts.len() {
        return None;
    }
    let merged = match rule.merged {
        Merged::By(sql) => template::expression(sql, columns),
        Merged::Same => same(aggregate, columns),
    };
    if let Some(filter) = filter {
        set_filter(merged, filter);
    }
    Some(merged)
}

/// The same aggregate of other arguments.
fn same(aggregate: &pg_sys::Aggref, columns: &[Expr]) -> Expr {
    // SAFETY: a copy of the aggregate is changed; arguments are numbered from 1.
    unsafe {
        let new = ffi::copyObjectImpl(std::ptr::from_ref(aggregate).cast()).cast::<pg_sys::Aggref>();
        (*new).aggfilter = std::ptr::null_mut();
        let entries = columns
            .iter()
            .zip(1..)
            .map(|(column, number)| ffi::makeTargetEntry(column.copy().as_ptr(), number, std::ptr::null_mut(), false));
        (*new).args = list::from_pointers(entries);
        (*new).aggargtypes = columns.iter().fold(std::ptr::null_mut(), |list, column| ffi::lappend_oid(list, column.type_oid()));
        Expr::new(new)
    }
}

/// Gives all aggregates of an expression of this module's a filter.
fn set_filter(expr: Expr, filter: Expr) {
    let mut filter = filter;
    // SAFETY: the tree was made here and is changed in place; the context outlives the walk.
    unsafe { set_filter_in(expr.as_ptr(), (&raw mut filter).cast()) };
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn set_filter_in(tree: *mut pg_sys::Node, filter: *mut c_void) -> bool {
    // SAFETY: PostgreSQL's walkers pass nodes, and the context from above.
    unsafe {
        guard::boundary(|| {
            match node::tag(tree) {
                NodeTag::T_Invalid => {}
                NodeTag::T_Aggref => (*tree.cast::<pg_sys::Aggref>()).aggfilter = (*filter.cast::<Expr>()).copy().as_ptr(),
                _ => {
                    ffi::expression_tree_walker(tree, set_filter_in, filter);
                }
            }
            Ok(false)
        })
    }
}
