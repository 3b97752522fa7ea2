//! What reading batches costs, in PostgreSQL's units: one is about 4 microseconds of work.

use pgrx::pg_sys;

use super::estimate::Estimate;
use super::order::{PathOrder, SortColumn};
use crate::columnar::layout::Layout;
use crate::pg::{ffi, list};

/// Finding a batch and looking at its bounds.
const VISIT: f64 = 0.3;
/// Fetching a column of a batch.
const FETCH: f64 = 1.0;
/// Decoding a value.
const DECODE: f64 = 0.000_2;
/// Evaluating a vectorised condition on a value.
const CONDITION: f64 = 0.000_2;
/// Handing on a row.
const EMIT: f64 = 0.004;

/// What a scan of batches does.
pub struct Work<'a> {
    /// The chunk.
    pub layout: &'a Layout,
    /// Its size.
    pub estimate: &'a Estimate,
    /// Conditions that are evaluated on vectors.
    pub filter: &'a [*mut pg_sys::RestrictInfo],
    /// Conditions that are evaluated row by row.
    pub rest: &'a [*mut pg_sys::RestrictInfo],
    /// Columns of the result.
    pub columns: usize,
    /// By how many processes the work is divided; 1 if it is not.
    pub processes: f64,
    /// The share of all rows that meet the conditions.
    pub selected: f64,
}

/// Cost before the first row, and of all rows.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Before the first row.
    pub startup: f64,
    /// All in all.
    pub total: f64,
    /// Of that, finding batches.
    pub visits: f64,
}

/// The cost of reading a chunk's batches.
///
/// # Safety
/// Nodes of the running planner.
pub unsafe fn of(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo, work: &Work) -> Cost {
    let batches = work.estimate.batches;
    if batches == 0.0 {
        return Cost { startup: 0.0, total: 0.0, visits: 0.0 };
    }
    let rows_per_batch = work.estimate.rows / batches;
    // SAFETY: the caller's promise.
    let (read, by_index) = unsafe { batches_read(root, rel, work) };
    let by_index = by_index && work.processes == 1.0;
    let visited = if by_index { read + 1.0 } else { batches };
    let rows_read = read * rows_per_batch;
    let rows_out = (work.estimate.rows * work.selected).min(rows_read);
    let filter_columns = work.filter.len() as f64;
    // A column of the result is decoded for vectors with rows that are wanted, and not again if the filter decoded it.
    let vectors_out = (rows_read / 1024.0).min(rows_out.max(1.0));
    let batches_out = read.min(rows_out.max(1.0));
    let output = (work.columns as f64) * (batches_out * FETCH + vectors_out * 1024.0_f64.min(rows_per_batch) * DECODE);
    let conditions = filter_columns * (read * FETCH + rows_read * (DECODE + CONDITION));
    // SAFETY: a setting.
    let operator = unsafe { pg_sys::cpu_operator_cost };
    let rows = rows_out * (EMIT + work.rest.len() as f64 * operator * 2.0);
    let startup = if by_index { 1.0 } else { 0.1 };
    let visits = visited * VISIT;
    Cost { startup, total: startup + (visits + conditions + output + rows) / work.processes, visits }
}

/// How many batches can't be told to hold no row that is wanted, and whether the index finds them.
///
/// # Safety
/// As [`of`].
unsafe fn batches_read(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo, work: &Work) -> (f64, bool) {
    let layout = work.layout;
    let (mut of_segments, mut of_orders) = (Vec::new(), Vec::new());
    let mut leads = false;
    // SAFETY: the caller's promise.
    unsafe {
        for clause in work.filter {
            let Some(key) = key_of(rel, layout, *clause) else { continue };
            leads |= key == 0;
            if key < layout.segments { &mut of_segments } else { &mut of_orders }.push(*clause);
        }
        let share = |clauses: Vec<*mut pg_sys::RestrictInfo>| {
            if clauses.is_empty() {
                return 1.0;
            }
            let list = list::from_pointers(clauses);
            ffi::clauselist_selectivity(root, list, (*rel).relid as i32, pg_sys::JoinType::JOIN_INNER, std::ptr::null_mut())
        };
        let batches = work.estimate.batches;
        let segments = share(of_segments);
        // The batches of as many segments, of each of which a run is read, with a batch at each end that is read in vain.
        let of_them = (batches * segments).max(1.0);
        let orders = share(of_orders);
        let read = if orders < 1.0 { (of_them * orders + 1.0).min(of_them) } else { of_them };
        (read.clamp(1.0, batches), leads && (segments < 1.0 || layout.segments == 0))
    }
}

/// The key that a condition is on, if it is on one column.
///
/// # Safety
/// As [`of`].
unsafe fn key_of(rel: *mut pg_sys::RelOptInfo, layout: &Layout, clause: *mut pg_sys::RestrictInfo) -> Option<usize> {
    // SAFETY: the elements of the list are Vars.
    unsafe {
        let vars = ffi::pull_var_clause((*clause).clause.cast(), pg_sys::PVC_RECURSE_PLACEHOLDERS as i32);
        let mut attributes =
            list::pointers::<pg_sys::Var>(vars).into_iter().filter(|var| (**var).varno == (*rel).relid as i32).map(|var| (*var).varattno);
        let attribute = attributes.next()?;
        if attributes.any(|other| other != attribute) {
            return None;
        }
        layout.key_of(layout.column_of(attribute)?)
    }
}

/// What reading in order does besides.
pub struct Ordered<'a> {
    /// The chunk.
    pub rel: *mut pg_sys::RelOptInfo,
    /// The chunk's columnar part.
    pub layout: &'a Layout,
    /// Its size.
    pub estimate: &'a Estimate,
    /// The order.
    pub order: &'a PathOrder,
    /// Only the first row of those that agree on so many keys is wanted; 0 if all are.
    pub distinct: usize,
    /// Columns of the result.
    pub columns: usize,
    /// Rows of the row part that have to be sorted.
    pub sorted_rows: f64,
    /// The cost of finding batches, all of them before the first row.
    pub visits: f64,
}

/// Looking for the next row among open batches, for each comparison.
const COMPARE: f64 = 0.002;

/// Adds the cost of order to that of a path without.
///
/// # Safety
/// Nodes of the running planner.
pub unsafe fn add_order(root: *mut pg_sys::PlannerInfo, path: &mut pg_sys::Path, work: &Ordered) {
    // SAFETY: the caller's promise.
    unsafe {
        let batches = work.estimate.batches.max(1.0);
        let groups = |columns: &[SortColumn]| {
            let exprs = columns.iter().filter_map(|column| {
                let index = work.layout.column_of(column.attribute)?;
                let of = &work.layout.columns[index];
                Some(ffi::makeVar((*work.rel).relid as i32, of.attribute, of.type_oid, of.typmod, of.collation, 0))
            });
            let exprs = list::from_pointers(exprs);
            ffi::estimate_num_groups(root, exprs, (*work.rel).tuples.max(1.0), std::ptr::null_mut(), std::ptr::null_mut())
        };
        let leads_with_segment = work.order.columns.first().is_some_and(|column| {
            let key = work.layout.column_of(column.attribute).and_then(|index| work.layout.key_of(index));
            key.is_some_and(|key| key < work.layout.segments)
        });
        // So many batches are open at once: those of one segment follow each other.
        let open = if leads_with_segment || work.layout.segments == 0 {
            2.0
        } else {
            let segments: Vec<SortColumn> = work.layout.keys[..work.layout.segments]
                .iter()
                .map(|key| SortColumn { attribute: work.layout.columns[key.column].attribute, descending: false, nulls_first: false })
                .collect();
            groups(&segments).min(batches) * ((*work.rel).rows / (*work.rel).tuples.max(1.0)).clamp(1.0 / batches, 1.0).max(2.0 / batches)
        };
        let opening = open.clamp(1.0, batches) * (FETCH + 1024.0 * DECODE) * (work.order.columns.len() as f64);
        let sort = work.sorted_rows * work.sorted_rows.max(2.0).log2() * 2.0 * pg_sys::cpu_operator_cost;
        path.startup_cost += work.visits + opening + sort;
        path.total_cost += opening + sort;
        if work.distinct > 0 {
            let firsts = groups(&work.order.columns[..work.distinct]).min(path.rows).max(1.0);
            let each = (work.columns as f64) * (FETCH + 1024.0 * DECODE) + VISIT;
            path.rows = firsts;
            path.total_cost = path.total_cost.min(path.startup_cost + firsts * each);
        } else {
            path.total_cost += path.rows * COMPARE * (open + 1.0).log2().max(1.0);
        }
    }
}
