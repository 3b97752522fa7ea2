//! Paths: a chunk with a columnar part is read by ColumnarScan and nothing else, with the paths of its row part below it.

use std::cell::OnceCell;
use std::rc::Rc;

use pgrx::pg_sys::{self, NodeTag};

use super::cost::{self, Cost, Work};
use super::estimate::{self, Estimate};
use super::order::{self, PathOrder, SortColumn};
use super::plan::{self, Split};
use super::{is_changed, params, sample};
use crate::columnar::layout::Layout;
use crate::error::{Error, Result, SqlState};
use crate::pg::{ffi, list, node};
use crate::{custom, guc};

/// What the paths of a chunk are made from.
struct Chunk {
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    layout: Rc<Layout>,
    estimate: Estimate,
    /// The columns that the row part hands on: those of the relation's target, each once.
    target: *mut pg_sys::PathTarget,
    /// The relation's own conditions.
    conditions: Split,
    /// The cost of reading all that meet them, in one process.
    cost: OnceCell<Cost>,
}

/// Makes the planner read both parts of a chunk: replaces what it would read the row part alone by. `bucket` is the column whose buckets
/// the query asks to be sorted by first, if it does.
///
/// # Safety
/// As PostgreSQL calls `set_rel_pathlist_hook`.
pub unsafe fn replace_paths(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    entry: *mut pg_sys::RangeTblEntry,
    bucket: impl FnOnce() -> Option<i16>,
) -> Result<()> {
    // SAFETY: nodes of the running planner.
    unsafe {
        if (*entry).rtekind != pg_sys::RTEKind::RTE_RELATION || ffi::is_dummy_rel(rel) || is_changed(root, (*rel).relid) {
            return Ok(());
        }
        let Some(layout) = estimate::layout_of(root, rel) else { return Ok(()) };
        let estimate = estimate::of(rel).unwrap_or_else(|| estimate::late(rel, &layout));
        let sample = (*entry).tablesample;
        if !sample.is_null() && !sample::is_known(sample) {
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "this TABLESAMPLE method can't read compressed chunks")
                .hint("Use TABLESAMPLE BERNOULLI or SYSTEM."));
        }
        let target = row_target(rel);
        let conditions = plan::split(&list::pointers((*rel).baserestrictinfo), (*rel).relid as i32, &layout);
        let chunk = Chunk { root, rel, layout, estimate, target, conditions, cost: OnceCell::new() };
        if !sample.is_null() {
            chunk.sample();
            return Ok(());
        }
        let row_paths = chunk.row_paths();
        let mut sources = params::sources(root, rel, &chunk.layout, &chunk.estimate);
        for path in &row_paths {
            params::add_set(outer(*path), &mut sources);
        }
        (*rel).pathlist = std::ptr::null_mut();
        (*rel).partial_pathlist = std::ptr::null_mut();
        chunk.add((*rel).lateral_relids, &row_paths);
        if guc::enable_decompression_sorted_merge()
            && (*rel).lateral_relids.is_null()
            && let Some(order) = order::wanted(root, rel, &chunk.layout, bucket())
        {
            chunk.add_ordered(&order, &row_paths);
        }
        if (*rel).consider_parallel && (*rel).lateral_relids.is_null() {
            chunk.add_parallel();
        }
        for source in sources {
            if !ffi::bms_equal(source, (*rel).lateral_relids) {
                chunk.add(source, &row_paths);
            }
        }
        Ok(())
    }
}

/// `PATH_REQ_OUTER`
///
/// # Safety
/// A path.
unsafe fn outer(path: *mut pg_sys::Path) -> pg_sys::Relids {
    // SAFETY: the caller's promise.
    unsafe { (*path).param_info.as_ref().map_or(std::ptr::null_mut(), |info| info.ppi_req_outer) }
}

/// The columns of a relation in its target, each once, system columns and the whole row among them.
///
/// # Safety
/// A relation of the running planner, whose target is complete.
unsafe fn row_target(rel: *mut pg_sys::RelOptInfo) -> *mut pg_sys::PathTarget {
    // SAFETY: the elements of the list are Vars.
    unsafe {
        let target = ffi::create_empty_pathtarget();
        let flags = pg_sys::PVC_RECURSE_PLACEHOLDERS as i32;
        // Vars of one relation with one number are equal.
        let mut found: Vec<*mut pg_sys::Var> = Vec::new();
        for var in list::pointers::<pg_sys::Var>(ffi::pull_var_clause((*(*rel).reltarget).exprs.cast(), flags)) {
            if (*var).varno == (*rel).relid as i32 && !found.iter().any(|known| (**known).varattno == (*var).varattno) {
                found.push(var);
            }
        }
        (*target).exprs = list::from_pointers(found);
        (*target).width = (*(*rel).reltarget).width;
        target
    }
}

impl Chunk {
    /// The ways to read the row part, with its own size: cheapest first within each set of parameters.
    unsafe fn row_paths(&self) -> Vec<*mut pg_sys::Path> {
        // SAFETY: nodes of the running planner. The functions are those of set_plain_rel_pathlist.
        unsafe {
            let mut paths = self.as_row_part(|root, rel| {
                ffi::add_path(rel, ffi::create_seqscan_path(root, rel, (*rel).lateral_relids, 0));
                if (*rel).pages > 0 {
                    ffi::create_index_paths(root, rel);
                }
                list::pointers::<pg_sys::Path>((*rel).pathlist)
            });
            paths.retain(|path| size_of_path(*path).is_some());
            paths.sort_by(|one, other| (**one).total_cost.total_cmp(&(**other).total_cost));
            paths
        }
    }

    /// Runs `f` while the planner's node of the relation has the size of the row part, and no paths.
    unsafe fn as_row_part<T>(&self, f: impl FnOnce(*mut pg_sys::PlannerInfo, *mut pg_sys::RelOptInfo) -> T) -> T {
        // SAFETY: nodes of the running planner, and plain values. An ERROR ends the planning.
        unsafe {
            let rel = self.rel;
            let both = ((*rel).pages, (*rel).tuples, (*rel).rows, (*rel).pathlist, (*rel).partial_pathlist);
            (*rel).rows = ((*rel).rows * self.estimate.heap_tuples / (*rel).tuples.max(1.0)).max(1.0).round();
            (*rel).pages = self.estimate.heap_pages;
            (*rel).tuples = self.estimate.heap_tuples;
            (*rel).pathlist = std::ptr::null_mut();
            (*rel).partial_pathlist = std::ptr::null_mut();
            let result = f(self.root, rel);
            ((*rel).pages, (*rel).tuples, (*rel).rows, (*rel).pathlist, (*rel).partial_pathlist) = both;
            result
        }
    }

    /// Adds the path with parameters from these relations, or none.
    unsafe fn add(&self, source: pg_sys::Relids, row_paths: &[*mut pg_sys::Path]) {
        // SAFETY: nodes of the running planner.
        unsafe {
            let info = ffi::get_baserel_parampathinfo(self.root, self.rel, source);
            // The row part's plan has to apply the same join clauses.
            let exact = row_paths.iter().copied().find(|path| ffi::bms_equal(outer(*path), source));
            let path = exact.unwrap_or_else(|| self.as_row_part(|root, rel| ffi::create_seqscan_path(root, rel, source, 0)));
            let Some(child) = self.child(path, self.target) else { return };
            let (path, _) = self.scan(info, child, 0);
            ffi::add_path(self.rel, path.cast());
        }
    }

    /// Replaces the path of a TABLESAMPLE.
    unsafe fn sample(&self) {
        // SAFETY: nodes of the running planner. As set_tablesample_rel_pathlist for these methods.
        unsafe {
            let rel = self.rel;
            let info = ffi::get_baserel_parampathinfo(self.root, rel, (*rel).lateral_relids);
            let path = self.as_row_part(|root, rel| ffi::create_samplescan_path(root, rel, (*rel).lateral_relids));
            let Some(child) = self.child(path, self.target) else { return };
            (*rel).pathlist = std::ptr::null_mut();
            (*rel).partial_pathlist = std::ptr::null_mut();
            let (path, _) = self.scan(info, child, 0);
            ffi::add_path(rel, path.cast());
        }
    }

    /// Adds the path in an order.
    unsafe fn add_ordered(&self, order: &PathOrder, row_paths: &[*mut pg_sys::Path]) {
        // SAFETY: nodes of the running planner.
        unsafe {
            let plain: Vec<_> = row_paths.iter().copied().filter(|path| outer(*path).is_null()).collect();
            let is_sorted = |path: &*mut pg_sys::Path| order.is_plain && ffi::pathkeys_contained_in(order.pathkeys, (**path).pathkeys);
            let sorted = plain.iter().copied().find(is_sorted);
            let Some(path) = sorted.or(plain.first().copied()) else { return };
            let Some(child) = self.child(path, self.target_with(&order.columns)) else { return };
            let distinct = order::distinct(self.root, order);
            let (path, cost) = self.scan(std::ptr::null_mut(), child, 0);
            let work = cost::Ordered {
                rel: self.rel,
                layout: &self.layout,
                estimate: &self.estimate,
                order,
                distinct,
                columns: list::cells((*self.target).exprs).len(),
                sorted_rows: if sorted.is_some() { 0.0 } else { (*child).rows },
                visits: cost.visits,
            };
            cost::add_order(self.root, &mut (*path).path, &work);
            (*path).path.pathkeys = order.pathkeys;
            let mut flags = ffi::lappend_int(std::ptr::null_mut(), sorted.is_none().into());
            if distinct > 0 {
                // What tells the scans of one query from those of another in the same statement.
                let number = self.root as u64;
                flags = ffi::lappend_int(ffi::lappend_int(flags, (number >> 32) as i32), number as i32);
            }
            (*path).custom_private = list::from_pointers([order::to_list(&order.columns, distinct), flags]);
            ffi::add_path(self.rel, path.cast());
        }
    }

    /// The target of the row part's plan, with columns to sort by.
    unsafe fn target_with(&self, columns: &[SortColumn]) -> *mut pg_sys::PathTarget {
        // SAFETY: nodes of the running planner.
        unsafe {
            let target = ffi::create_empty_pathtarget();
            *target = *self.target;
            (*target).exprs = ffi::list_copy((*self.target).exprs);
            for column in columns {
                let vars = list::pointers::<pg_sys::Var>((*target).exprs);
                if !vars.iter().any(|var| (**var).varattno == column.attribute)
                    && let Some(index) = self.layout.column_of(column.attribute)
                {
                    let column = &self.layout.columns[index];
                    let relation = (*self.rel).relid as i32;
                    let var = ffi::makeVar(relation, column.attribute, column.type_oid, column.typmod, column.collation, 0);
                    (*target).exprs = ffi::lappend((*target).exprs, var.cast());
                }
            }
            target
        }
    }

    /// Adds the path that several processes share.
    unsafe fn add_parallel(&self) {
        // SAFETY: nodes of the running planner. As create_plain_partial_paths.
        unsafe {
            let pages = f64::from((*self.rel).pages);
            let workers = ffi::compute_parallel_worker(self.rel, pages, -1.0, pg_sys::max_parallel_workers_per_gather);
            if workers <= 0 {
                return;
            }
            let none = std::ptr::null_mut();
            let path = self.as_row_part(|root, rel| ffi::create_seqscan_path(root, rel, none, workers));
            let Some(child) = self.child(path, self.target) else { return };
            let (path, _) = self.scan(none.cast(), child, workers);
            ffi::add_partial_path(self.rel, path.cast());
        }
    }

    /// A copy of a row part's path that hands on the columns of our target in its order.
    unsafe fn child(&self, path: *mut pg_sys::Path, target: *mut pg_sys::PathTarget) -> Option<*mut pg_sys::Path> {
        // SAFETY: the tag says how large the node is.
        unsafe {
            let size = size_of_path(path)?;
            let copy = ffi::palloc(size).cast::<u8>();
            copy.copy_from_nonoverlapping(path.cast::<u8>(), size);
            let copy = copy.cast::<pg_sys::Path>();
            (*copy).pathtarget = target;
            Some(copy)
        }
    }

    /// A path, and the cost of reading batches in it.
    unsafe fn scan(&self, info: *mut pg_sys::ParamPathInfo, child: *mut pg_sys::Path, workers: i32) -> (*mut pg_sys::CustomPath, Cost) {
        // SAFETY: a fresh node, and nodes of the running planner.
        unsafe {
            let rel = &*self.rel;
            let rows = info.as_ref().map_or(rel.rows, |info| info.ppi_rows);
            let cost = if info.is_null() && workers == 0 {
                *self.cost.get_or_init(|| self.cost(&self.conditions, rows, workers))
            } else {
                let joins = info.as_ref().map_or(std::ptr::null_mut(), |info| info.ppi_clauses);
                if joins.is_null() {
                    self.cost(&self.conditions, rows, workers)
                } else {
                    let clauses: Vec<*mut pg_sys::RestrictInfo> =
                        list::pointers(rel.baserestrictinfo).into_iter().chain(list::pointers(joins)).collect();
                    self.cost(&plan::split(&clauses, rel.relid as i32, &self.layout), rows, workers)
                }
            };
            let path: *mut pg_sys::CustomPath = node::make_node(NodeTag::T_CustomPath);
            (*path).path.pathtype = NodeTag::T_CustomScan;
            (*path).path.parent = self.rel;
            (*path).path.pathtarget = rel.reltarget;
            (*path).path.param_info = info;
            (*path).path.parallel_safe = rel.consider_parallel && (*child).parallel_safe;
            (*path).path.parallel_aware = workers > 0;
            (*path).path.parallel_workers = workers;
            let rows = if workers > 0 { (rows / processes(workers)).round().max(1.0) } else { rows };
            (*path).path.rows = rows;
            (*path).path.startup_cost = cost.startup + (*rel.reltarget).cost.startup;
            (*path).path.total_cost =
                cost.total + (*child).total_cost + (*rel.reltarget).cost.startup + (*rel.reltarget).cost.per_tuple * rows;
            if !guc::enable_columnarscan() {
                (*path).path.startup_cost += pg_sys::disable_cost;
                (*path).path.total_cost += pg_sys::disable_cost;
            }
            (*path).flags = pg_sys::CUSTOMPATH_SUPPORT_PROJECTION;
            (*path).custom_paths = list::from_pointers([child]);
            (*path).methods = plan::methods();
            (path, cost)
        }
    }

    /// The cost of reading batches with these conditions, which leave so many rows of both parts.
    unsafe fn cost(&self, (filter, rest): &Split, rows: f64, workers: i32) -> Cost {
        // SAFETY: nodes of the running planner.
        unsafe {
            let work = Work {
                layout: &self.layout,
                estimate: &self.estimate,
                filter,
                rest,
                columns: list::cells((*self.target).exprs).len(),
                processes: processes(workers),
                selected: (rows / (*self.rel).tuples.max(1.0)).min(1.0),
            };
            cost::of(self.root, self.rel, &work)
        }
    }
}

/// How many processes share the work, as `get_parallel_divisor` counts.
fn processes(workers: i32) -> f64 {
    let workers = f64::from(workers);
    // SAFETY: a setting.
    let leads = unsafe { pg_sys::parallel_leader_participation };
    (workers + if leads { (1.0 - 0.3 * workers).max(0.0) } else { 0.0 }).max(1.0)
}

/// The size of a scan's path node; None for a kind that is not known.
///
/// # Safety
/// A path.
unsafe fn size_of_path(path: *mut pg_sys::Path) -> Option<usize> {
    // SAFETY: the caller's promise.
    match unsafe { node::tag(path) } {
        NodeTag::T_Path => Some(size_of::<pg_sys::Path>()),
        NodeTag::T_IndexPath => Some(size_of::<pg_sys::IndexPath>()),
        NodeTag::T_BitmapHeapPath => Some(size_of::<pg_sys::BitmapHeapPath>()),
        _ => None,
    }
}

/// Keeps the module table in one place.
pub fn node_methods() -> custom::Methods {
    custom::methods::<super::exec::ColumnarScan>()
}
