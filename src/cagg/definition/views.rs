//! The queries of a continuous aggregate's three views.
//!
//! What surrounds the user's query is written as SQL and analysed; the user's query itself stays the tree that the parser made of it, so
//! that what it means can't change on the way.

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::analysis::Analysis;
use super::{Column, GROUP_PREFIX, HIDDEN_PREFIX, PART_PREFIX, Role};
use crate::error::{Error, Result};
use crate::pg::expr::{self, Comparison, Expr};
use crate::pg::relation::{optional_string, qualified_type_name_with, quote_identifier};
use crate::pg::spi::quote_literal;
use crate::pg::{context, ffi, list, node, query};

/// A column that storage is to have.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// Its type.
    pub type_oid: pg_sys::Oid,
    /// Its type's modifier.
    pub typmod: i32,
    /// Its collation.
    pub collation: pg_sys::Oid,
    /// The user's view shows it.
    pub visible: bool,
    /// Rows are grouped by it.
    pub grouped: bool,
    /// It is the bucket.
    pub is_bucket: bool,
}

impl Planned {
    fn quoted(&self) -> String {
        quote_identifier(&self.name)
    }

    /// `COLLATE ..` if the collation is not its type's.
    pub fn collation_clause(&self) -> String {
        context::with_portable_text(|| {
            // SAFETY: a look-up of a type; the name of a collation, with its schema, is palloc'd.
            unsafe {
                if self.collation == pg_sys::InvalidOid || self.collation == ffi::get_typcollation(self.type_oid) {
                    return String::new();
                }
                format!("COLLATE {}", optional_string(ffi::generate_collation_name(self.collation)).unwrap_or_default())
            }
        })
    }

    /// NULL of the column's type and collation.
    fn sample(&self) -> String {
        format!("(NULL::{} {})", qualified_type_name_with(self.type_oid, self.typmod), self.collation_clause())
    }
}

/// The live query: whole groups of the source between two columns of an outer query. With it the columns of storage, in the order of
/// its target list.
pub fn live(analysis: &Analysis) -> (*mut pg_sys::Query, Vec<Planned>) {
    // SAFETY: a Query of the parser's is copied, and the copy is changed as the parser might have made it.
    unsafe {
        let live: *mut pg_sys::Query = ffi::copyObjectImpl(analysis.query.cast()).cast();
        let groups: Vec<u32> =
            list::pointers::<pg_sys::SortGroupClause>((*live).groupClause).into_iter().map(|group| (*group).tleSortGroupRef).collect();
        // In which order rows are put into storage means nothing.
        (*live).sortClause = std::ptr::null_mut();
        let mut targets = Vec::new();
        let mut planned = Vec::new();
        let mut hidden = 0;
        for target in list::pointers::<pg_sys::TargetEntry>((*live).targetList) {
            let grouped = (*target).ressortgroupref != 0 && groups.contains(&(*target).ressortgroupref);
            if (*target).resjunk && !grouped {
                continue;
            }
            let visible = !(*target).resjunk;
            if !visible {
                hidden += 1;
                (*target).resname = node::palloc_str(&format!("{GROUP_PREFIX}{hidden}"));
                (*target).resjunk = false;
            }
            planned.push(plan(&*target, visible, grouped, (*target).ressortgroupref == analysis.bucket_reference));
            targets.push(target);
        }
        if !(*live).hasTargetSRFs {
            add_parts(&mut targets, &mut planned);
        }
        for (index, target) in targets.iter().enumerate() {
            (**target).resno = index as i16 + 1;
        }
        (*live).targetList = list::from_pointers(targets);
        restrict(live, analysis);
        (live, planned)
    }
}

/// # Safety
/// A target entry.
unsafe fn plan(target: &pg_sys::TargetEntry, visible: bool, grouped: bool, is_bucket: bool) -> Planned {
    // SAFETY: the caller's promise.
    unsafe {
        let expression = target.expr.cast();
        Planned {
            name: optional_string(target.resname).unwrap_or_default(),
            type_oid: ffi::exprType(expression),
            typmod: ffi::exprTypmod(expression),
            collation: ffi::exprCollation(expression),
            visible,
            grouped,
            is_bucket,
        }
    }
}

/// The columns of a live query whose first ones storage has.
///
/// # Safety
/// A Query.
pub unsafe fn planned(live: *mut pg_sys::Query, stored: &[Column], bucket: usize) -> Vec<Planned> {
    // SAFETY: the caller's promise.
    let targets = unsafe { query::targets(live) };
    let planned = targets.into_iter().enumerate().map(|(index, target)| {
        // SAFETY: as above.
        let name = unsafe { optional_string(target.resname) }.unwrap_or_default();
        let column = stored.get(index);
        let visible = column.map_or_else(|| !name.starts_with(HIDDEN_PREFIX), |column| column.visible);
        let grouped = column.is_some_and(|column| matches!(column.role, Role::Bucket | Role::Group));
        // SAFETY: as above.
        let mut planned = unsafe { plan(target, visible, grouped, index == bucket) };
        // Columns may have been renamed since.
        if let Some(column) = column {
            planned.name.clone_from(&column.name);
        }
        planned
    });
    planned.collect()
}

/// What the outputs' aggregates need to be computed over larger groups, each once.
///
/// # Safety
/// Target entries of an analysed query.
unsafe fn add_parts(targets: &mut Vec<*mut pg_sys::TargetEntry>, planned: &mut Vec<Planned>) {
    let mut wanted: Vec<Expr> = Vec::new();
    for target in targets.iter() {
        // SAFETY: the caller's promise.
        let output = unsafe { Expr::new((**target).expr) };
        for part in super::parts::of_output(output) {
            let known = |expression: Expr| expression.equals(part);
            // SAFETY: as above.
            let is_output = targets.iter().any(|target| known(unsafe { Expr::new((**target).expr) }));
            if !is_output && !wanted.iter().copied().any(known) {
                wanted.push(part);
            }
        }
    }
    for (index, part) in wanted.into_iter().enumerate() {
        // SAFETY: an expression over the same query; the numbers of all targets are set when all are there.
        unsafe {
            let name = node::palloc_str(&format!("{PART_PREFIX}{}", index + 1));
            let target = ffi::makeTargetEntry(part.copy().as_ptr(), 0, name, false);
            planned.push(plan(&*target, false, false, false));
            targets.push(target);
        }
    }
}

/// Adds `time >= low AND time <= high` to the WHERE clause; low and high are columns of the outer query's first relation.
///
/// # Safety
/// A Query that may be changed.
unsafe fn restrict(live: *mut pg_sys::Query, analysis: &Analysis) {
    let source = &analysis.source;
    let type_oid = source.hypertable.time().type_oid;
    // SAFETY: the caller's promise; the relation and its column were found in this query.
    unsafe {
        let time = Expr::new(ffi::makeVar(source.relation as i32, source.time_attribute, type_oid, -1, pg_sys::InvalidOid, 0));
        let bound = |number| Expr::new(ffi::makeVar(1, number, type_oid, -1, pg_sys::InvalidOid, 1));
        let low = expr::compare(time, Comparison::GreaterEqual, bound(1));
        let high = expr::compare(time, Comparison::LessEqual, bound(2));
        let tree = (*live).jointree;
        let quals = if (*tree).quals.is_null() { None } else { Some(Expr::new((*tree).quals)) };
        let all: Vec<Expr> = quals.into_iter().chain(low).chain(high).collect();
        (*tree).quals = expr::junction(true, &all).as_ptr();
        let entry = query::entry(live, source.relation);
        entry.selectedCols =
            ffi::bms_add_member(entry.selectedCols, i32::from(source.time_attribute) - pg_sys::FirstLowInvalidHeapAttributeNumber);
    }
}

/// The query of the partial view: from storage where that is valid, live where not.
///
/// # Safety
/// A live query, which may be changed and becomes a part of the result.
pub unsafe fn partial(storage: &str, live: *mut pg_sys::Query, columns: &[Planned], time_type: pg_sys::Oid) -> Result<*mut pg_sys::Query> {
    let bucket = columns.iter().find(|column| column.is_bucket).ok_or_else(|| Error::internal("a continuous aggregate without bucket"))?;
    let list = |prefix: &str| columns.iter().map(|column| format!("{prefix}.{}", column.quoted())).collect::<Vec<_>>().join(", ");
    let samples = columns.iter().map(|column| format!("{} AS {}", column.sample(), column.quoted())).collect::<Vec<_>>().join(", ");
    let literal = quote_literal(storage);
    let (bucket_type, time_type) = (qualified_type_name_with(bucket.type_oid, -1), qualified_type_name_with(time_type, -1));
    let text = format!(
        "SELECT {stored} FROM {storage} s \
         WHERE _timescaledb_functions.cagg_valid({literal}::pg_catalog.regclass, s.{bucket}, false, NULL, '', NULL::{bucket_type}[]) \
         UNION ALL \
         SELECT {computed} FROM _timescaledb_functions.cagg_live({literal}::pg_catalog.regclass, NULL::{time_type}, false, NULL, '', \
         NULL::{time_type}[]) r(low, high), LATERAL (SELECT {samples}) d",
        stored = list("s"),
        computed = list("d"),
        bucket = bucket.quoted(),
    );
    // SAFETY: the caller's promise; columns of a view of long ago may have been renamed since.
    unsafe {
        for (target, column) in list::pointers::<pg_sys::TargetEntry>((*live).targetList).into_iter().zip(columns) {
            (*target).resname = node::palloc_str(&column.name);
        }
    }
    let union = query::analyze(&text)?;
    put_live(union, live).ok_or_else(|| Error::internal("the query of a partial view has another form than expected"))?;
    Ok(union)
}

/// Puts the live query in the place of its stand-in.
fn put_live(union: *mut pg_sys::Query, live: *mut pg_sys::Query) -> Option<()> {
    // SAFETY: the query was just analysed, of the text above; each node is used by its tag.
    unsafe {
        let operation = (*union).setOperations;
        if node::tag(operation) != NodeTag::T_SetOperationStmt {
            return None;
        }
        let right = (*operation.cast::<pg_sys::SetOperationStmt>()).rarg.cast::<pg_sys::RangeTblRef>();
        let right = query::entry(union, (*right).rtindex as usize).subquery;
        let from = list::pointers::<pg_sys::RangeTblRef>((*(*right).jointree).fromlist);
        let [_, lateral] = from[..] else { return None };
        query::entry(right, (*lateral).rtindex as usize).subquery = live;
    }
    Some(())
}

/// The query of the user's view: columns of storage, or of the partial view. Rows can't be inserted through a view of a subquery.
pub fn user(from: &str, names: &[String]) -> Result<*mut pg_sys::Query> {
    let columns = names.iter().map(|name| quote_identifier(name)).collect::<Vec<_>>().join(", ");
    query::analyze(&format!("SELECT {columns} FROM (SELECT {columns} FROM {from}) v"))
}
