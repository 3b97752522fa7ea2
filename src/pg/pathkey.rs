//! What the planner knows of order: path keys and partitions that follow each other.

use pgrx::pg_sys;

use super::expr::Expr;
use super::{ffi, list};

/// Whether a path key sorts the smallest value first.
///
/// # Safety
/// A path key of the running planner.
pub unsafe fn is_ascending(key: *mut pg_sys::PathKey) -> bool {
    // SAFETY: the caller's promise; the strategy of a btree is its number for "less".
    unsafe { (*key).pk_strategy == pg_sys::BTLessStrategyNumber as i32 }
}

/// The live partitions of a relation that is partitioned by range, in order; None unless all are leaves.
///
/// # Safety
/// A relation of the running planner.
pub unsafe fn ordered_slices(rel: *mut pg_sys::RelOptInfo) -> Option<Vec<*mut pg_sys::RelOptInfo>> {
    // SAFETY: part_rels has an element for each member of live_parts.
    unsafe {
        let rel = &*rel;
        if rel.part_scheme.is_null() || rel.boundinfo.is_null() || !ffi::partitions_are_ordered(rel.boundinfo, rel.live_parts) {
            return None;
        }
        let mut found = Vec::new();
        let mut member = ffi::raw::bms_next_member(rel.live_parts, -1);
        while member >= 0 {
            let part = *rel.part_rels.add(member as usize);
            if part.is_null() || !(*part).part_scheme.is_null() {
                return None;
            }
            if !is_dummy(part) {
                found.push(part);
            }
            member = ffi::raw::bms_next_member(rel.live_parts, member);
        }
        Some(found)
    }
}

/// How many partitions of a relation are left.
///
/// # Safety
/// A relation of the running planner.
pub unsafe fn live_partitions(rel: *mut pg_sys::RelOptInfo) -> usize {
    // SAFETY: the caller's promise.
    unsafe { ffi::raw::bms_num_members((*rel).live_parts) as usize }
}

/// `IS_DUMMY_REL`: the relation was proven empty.
unsafe fn is_dummy(rel: *mut pg_sys::RelOptInfo) -> bool {
    // SAFETY: the caller's relation is alive; its paths may be empty.
    unsafe { ffi::is_dummy_rel(rel) }
}

/// The column that a relation is partitioned by, in the order of an operator family.
///
/// # Safety
/// A relation of the running planner.
pub unsafe fn partition_column(rel: *mut pg_sys::RelOptInfo, family: pg_sys::Oid) -> Option<i16> {
    // SAFETY: partexprs has a list of expressions for each key column.
    unsafe {
        let rel = &*rel;
        if rel.part_scheme.is_null() || (*rel.part_scheme).partnatts != 1 || rel.partexprs.is_null() {
            return None;
        }
        if *(*rel.part_scheme).partopfamily != family {
            return None;
        }
        let key = list::pointers::<pg_sys::Node>(*rel.partexprs).first().copied()?;
        Expr::new(key).as_column().map(|column| column.attribute)
    }
}
