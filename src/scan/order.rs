//! Orders that batches can be read in.
//!
//! Any list of keys (segmentby and orderby columns) will do: batches are merged by the bounds of their keys, and a batch that is not sorted
//! that way by itself is sorted when it is opened.

use std::rc::Rc;

use pgrx::pg_sys::{self, NodeTag};

use crate::columnar::layout::Layout;
use crate::pg::{ffi, list, node};

/// A column that rows come sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortColumn {
    /// Its attribute number in the chunk.
    pub attribute: i16,
    /// Largest first.
    pub descending: bool,
    /// NULL before all values.
    pub nulls_first: bool,
}

/// An order of a path.
pub struct PathOrder {
    /// The columns.
    pub columns: Vec<SortColumn>,
    /// What the planner knows it by.
    pub pathkeys: *mut pg_sys::List,
    /// It is all that the query asks for.
    pub is_complete: bool,
    /// The planner's keys are these columns themselves, so that sorted paths of the row part have the same order.
    pub is_plain: bool,
}

/// The order that the query asks for, as far as batches give it. `bucket` is the column whose buckets it asks for first, if it does.
///
/// # Safety
/// Nodes of the running planner.
pub unsafe fn wanted(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    layout: &Rc<Layout>,
    bucket: Option<i16>,
) -> Option<PathOrder> {
    // SAFETY: the caller's promise.
    unsafe {
        let keys = list::pointers::<pg_sys::PathKey>((*root).query_pathkeys);
        let mut columns = Vec::new();
        for key in &keys {
            let Some(attribute) = column_of(rel, *key, layout) else { break };
            columns.push(sort_column(*key, attribute));
        }
        let is_plain = !columns.is_empty();
        // Rows that are sorted by time are sorted by its buckets; what comes after the bucket they are not.
        if let (true, Some(attribute), Some(key)) = (columns.is_empty(), bucket, keys.first())
            && is_key(attribute, layout)
        {
            columns.push(sort_column(*key, attribute));
        }
        if columns.is_empty() {
            return None;
        }
        let is_complete = columns.len() == keys.len();
        let pathkeys = list::from_pointers(keys.into_iter().take(columns.len()));
        Some(PathOrder { columns, pathkeys, is_complete, is_plain })
    }
}

/// # Safety
/// A path key of the running planner.
unsafe fn sort_column(key: *mut pg_sys::PathKey, attribute: i16) -> SortColumn {
    // SAFETY: the caller's promise.
    unsafe {
        let descending = (*key).pk_strategy != pg_sys::BTLessStrategyNumber as i32;
        SortColumn { attribute, descending, nulls_first: (*key).pk_nulls_first }
    }
}

fn is_key(attribute: i16, layout: &Layout) -> bool {
    layout.column_of(attribute).and_then(|column| layout.key_of(column)).is_some()
}

/// The key that a path key sorts by, in the default order of its type.
///
/// # Safety
/// Nodes of the running planner.
unsafe fn column_of(rel: *mut pg_sys::RelOptInfo, key: *mut pg_sys::PathKey, layout: &Layout) -> Option<i16> {
    // SAFETY: the tags say what nodes are.
    unsafe {
        let class = &*(*key).pk_eclass;
        if class.ec_has_volatile {
            return None;
        }
        list::pointers::<pg_sys::EquivalenceMember>(class.ec_members).into_iter().find_map(|member| {
            let mut expression = (*member).em_expr;
            while node::tag(expression) == NodeTag::T_RelabelType {
                expression = (*expression.cast::<pg_sys::RelabelType>()).arg;
            }
            if node::tag(expression) != NodeTag::T_Var || !ffi::bms_equal((*member).em_relids, (*rel).relids) {
                return None;
            }
            let var = &*expression.cast::<pg_sys::Var>();
            let column = &layout.columns[layout.column_of(var.varattno)?];
            let entry = ffi::lookup_type_cache(column.type_oid, pg_sys::TYPECACHE_BTREE_OPFAMILY as i32);
            let fits = var.varattno > 0
                && is_key(var.varattno, layout)
                && (*entry).btree_opf == (*key).pk_opfamily
                && class.ec_collation == column.collation;
            fits.then_some(var.varattno)
        })
    }
}

/// How many of the first columns a query wants to be different in each row, if it wants but the first row of those that agree on them.
///
/// # Safety
/// Nodes of the running planner.
pub unsafe fn distinct(root: *mut pg_sys::PlannerInfo, order: &PathOrder) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        let query = &*(*root).parse;
        let keys = list::cells((*root).distinct_pathkeys);
        let alone = ffi::raw::bms_num_members((*root).all_baserels) == 1
            && query.commandType == pg_sys::CmdType::CMD_SELECT
            && !(query.hasAggs || query.hasWindowFuncs || query.hasTargetSRFs)
            && [query.groupClause, query.groupingSets, query.rowMarks].iter().all(|list| list.is_null())
            && query.havingQual.is_null()
            && query.setOperations.is_null()
            // Each row counts for a function with effects.
            && !ffi::contain_volatile_functions(query.targetList.cast());
        if !alone || query.distinctClause.is_null() || !order.is_complete || !order.is_plain || keys.is_empty() {
            return 0;
        }
        // What DISTINCT says of columns that are held equal to something is no key.
        let given = list::cells(order.pathkeys);
        let leads = keys.len() <= given.len() && keys.iter().zip(given).all(|(key, given)| key.ptr_value == given.ptr_value);
        if leads { keys.len() } else { 0 }
    }
}

/// As a plan keeps an order.
pub fn to_list(columns: &[SortColumn], distinct: usize) -> *mut pg_sys::List {
    let mut list = std::ptr::null_mut();
    // SAFETY: a list in the current memory context.
    unsafe {
        list = ffi::lappend_int(list, distinct as i32);
        for column in columns {
            for number in [i32::from(column.attribute), column.descending.into(), column.nulls_first.into()] {
                list = ffi::lappend_int(list, number);
            }
        }
    }
    list
}

/// What [`to_list`] made, and how many of the first columns differ from row to row; none if the list is empty.
///
/// # Safety
/// NIL, or a list that [`to_list`] made.
pub unsafe fn from_list(list: *mut pg_sys::List) -> (Vec<SortColumn>, usize) {
    // SAFETY: the caller's promise.
    let numbers = unsafe { list::ints(list) };
    let columns = numbers.get(1..).unwrap_or_default().chunks_exact(3);
    let column = |part: &[i32]| SortColumn { attribute: part[0] as i16, descending: part[1] != 0, nulls_first: part[2] != 0 };
    (columns.map(column).collect(), numbers.first().map_or(0, |number| *number as usize))
}
