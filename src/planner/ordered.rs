//! Paths in the order of `time_bucket(width, time)`: an index on time gives it, since a bucket never falls as time rises.
//!
//! Each chunk's index path says that it is sorted by the bucket, from which PostgreSQL makes a MergeAppend below the grouping
//! or sorting. As chunks follow each other in time, the same paths in a row are sorted, too: an Append takes its place, which
//! opens no chunk before it is needed.

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::bucket::Bucket;
use crate::pg::expr::Expr;
use crate::pg::{ffi, list, node, pathkey};

/// Adds to a chunk's paths those by an index on time, if the query wants rows in the order of buckets.
///
/// # Safety
/// As PostgreSQL calls `set_rel_pathlist_hook`.
pub unsafe fn add_bucket_paths(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) {
    // SAFETY: nodes of the running planner.
    unsafe {
        let Some(wanted) = list::pointers::<pg_sys::PathKey>((*root).query_pathkeys).first().copied() else { return };
        let parameters = (*(*root).glob).boundParams;
        let Some(time) = bucketed_time(wanted, (*rel).relids, parameters) else { return };
        for index in list::pointers::<pg_sys::IndexOptInfo>((*rel).indexlist) {
            if is_ordered_by(index, time, wanted) {
                ffi::add_path(rel, bucket_path(root, rel, index, wanted));
            }
        }
    }
}

/// The column whose buckets the first path key of a query sorts by.
///
/// # Safety
/// Nodes of the running planner.
pub unsafe fn wanted_bucket(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) -> Option<i16> {
    // SAFETY: the caller's promise.
    unsafe {
        let wanted = list::pointers::<pg_sys::PathKey>((*root).query_pathkeys).first().copied()?;
        bucketed_time(wanted, (*rel).relids, (*(*root).glob).boundParams)
    }
}

/// Whether a query groups by buckets of a relation's time, perhaps among other things.
///
/// # Safety
/// Nodes of the running planner.
pub unsafe fn groups_by_bucket(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let parameters = (*(*root).glob).boundParams;
        list::pointers::<pg_sys::PathKey>((*root).group_pathkeys)
            .into_iter()
            .any(|key| bucketed_time(key, (*rel).relids, parameters).is_some())
    }
}

/// The column of these relations whose buckets a path key sorts by.
unsafe fn bucketed_time(key: *mut pg_sys::PathKey, relids: pg_sys::Relids, parameters: pg_sys::ParamListInfo) -> Option<i16> {
    // SAFETY: nodes of the running planner.
    unsafe {
        list::pointers::<pg_sys::EquivalenceMember>((*(*key).pk_eclass).ec_members).into_iter().find_map(|member| {
            if node::tag((*member).em_expr) != NodeTag::T_FuncExpr || !ffi::bms_equal((*member).em_relids, relids) {
                return None;
            }
            let bucket = Bucket::of(Expr::new((*member).em_expr))?;
            let time = bucket.time.as_column()?;
            bucket.is_monotone(parameters).then_some(time.attribute)
        })
    }
}

/// Whether a whole index is sorted by a column first, by the order of the path key.
unsafe fn is_ordered_by(index: *mut pg_sys::IndexOptInfo, column: i16, key: *mut pg_sys::PathKey) -> bool {
    // SAFETY: an index of the planner has at least one key; sortopfamily is NULL if it has no order.
    unsafe {
        let index = &*index;
        !index.hypothetical
            && !index.sortopfamily.is_null()
            && *index.sortopfamily == (*key).pk_opfamily
            && *index.indexkeys == i32::from(column)
            && (index.indpred.is_null() || index.predOK)
            && (*index.nulls_first == (*key).pk_nulls_first) == (*index.reverse_sort != pathkey::is_ascending(key))
    }
}

/// A scan of the index in the direction of the path key, with the conditions that PostgreSQL found for it, or those on time.
unsafe fn bucket_path(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    index: *mut pg_sys::IndexOptInfo,
    wanted: *mut pg_sys::PathKey,
) -> *mut pg_sys::Path {
    // SAFETY: nodes of the running planner.
    unsafe {
        let known = list::pointers::<pg_sys::IndexPath>((*rel).pathlist)
            .into_iter()
            .find(|path| node::tag(*path) == NodeTag::T_IndexPath && (**path).indexinfo == index && (**path).path.param_info.is_null());
        let (clauses, only) = known.map_or_else(
            || (time_clauses(rel, index), false),
            |path| ((*path).indexclauses, (*path).path.pathtype == NodeTag::T_IndexOnlyScan),
        );
        let forward = pathkey::is_ascending(wanted) != *(*index).reverse_sort;
        ffi::create_index_path(
            root,
            index,
            clauses,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            list::from_pointers([wanted]),
            if forward { pg_sys::ScanDirection::ForwardScanDirection } else { pg_sys::ScanDirection::BackwardScanDirection },
            only,
            std::ptr::null_mut(),
            1.0,
            false,
        )
        .cast()
    }
}

/// The conditions on the index's first column, as PostgreSQL would give them to a scan of it.
unsafe fn time_clauses(rel: *mut pg_sys::RelOptInfo, index: *mut pg_sys::IndexOptInfo) -> *mut pg_sys::List {
    // SAFETY: nodes of the running planner.
    unsafe {
        let column = *(*index).indexkeys;
        let clauses = list::pointers::<pg_sys::RestrictInfo>((*rel).baserestrictinfo).into_iter().filter_map(|info| {
            let (operator, left, right) = Expr::new((*info).clause).as_operator()?;
            let fits = (*info).security_level <= (*rel).baserestrict_min_security
                && i32::from(left.as_column()?.attribute) == column
                && !right.varies()
                && ffi::get_op_opfamily_strategy(operator, *(*index).opfamily) != 0;
            fits.then(|| {
                let clause: *mut pg_sys::IndexClause = node::make_node(NodeTag::T_IndexClause);
                (*clause).rinfo = info;
                (*clause).indexquals = list::from_pointers([info]);
                clause
            })
        });
        list::from_pointers(clauses)
    }
}

/// Adds to the paths of a step those that read chunks one after the other instead of merging them.
///
/// # Safety
/// As PostgreSQL calls `create_upper_paths_hook`.
pub unsafe fn add_appended_paths(root: *mut pg_sys::PlannerInfo, output: *mut pg_sys::RelOptInfo) {
    // SAFETY: nodes of the running planner.
    unsafe {
        if (*root).query_pathkeys.is_null() {
            return;
        }
        for path in list::pointers::<pg_sys::Path>((*output).pathlist) {
            if let Some(better) = appended(root, path) {
                ffi::add_path(output, better);
            }
        }
    }
}

/// A copy of a path with an Append in place of a MergeAppend of chunks in the order of buckets; None if there is none.
unsafe fn appended(root: *mut pg_sys::PlannerInfo, path: *mut pg_sys::Path) -> Option<*mut pg_sys::Path> {
    // SAFETY: the tag says what the node is. A path's cost is that of its input and what it adds.
    unsafe {
        match node::tag(path) {
            NodeTag::T_MergeAppendPath => append_of(root, path.cast()),
            NodeTag::T_AggPath if (*path.cast::<pg_sys::AggPath>()).aggstrategy == pg_sys::AggStrategy::AGG_SORTED => {
                above(root, path.cast::<pg_sys::AggPath>(), |path| &mut path.subpath)
            }
            NodeTag::T_GroupPath => above(root, path.cast::<pg_sys::GroupPath>(), |path| &mut path.subpath),
            NodeTag::T_ProjectionPath => above(root, path.cast::<pg_sys::ProjectionPath>(), |path| &mut path.subpath),
            NodeTag::T_IncrementalSortPath => above(root, path.cast::<pg_sys::IncrementalSortPath>(), |path| &mut path.spath.subpath),
            _ => None,
        }
    }
}

/// # Safety
/// `T` is a node that begins with a `Path` and may be copied with its fields.
unsafe fn above<T>(
    root: *mut pg_sys::PlannerInfo,
    path: *mut T,
    input: impl Fn(&mut T) -> &mut *mut pg_sys::Path,
) -> Option<*mut pg_sys::Path> {
    // SAFETY: the caller's promise.
    unsafe {
        let old = *input(&mut *path);
        let new = appended(root, old)?;
        let copy = ffi::palloc(size_of::<T>()).cast::<T>();
        copy.copy_from_nonoverlapping(path, 1);
        *input(&mut *copy) = new;
        let header = copy.cast::<pg_sys::Path>();
        (*header).startup_cost += (*new).startup_cost - (*old).startup_cost;
        (*header).total_cost += (*new).total_cost - (*old).total_cost;
        Some(header)
    }
}

/// The paths of a MergeAppend in a row, if that sorts them: they are chunks, each later than the one before, and sorted by
/// buckets alone. (By more they are not: two chunks may share a bucket.)
unsafe fn append_of(root: *mut pg_sys::PlannerInfo, merge: *mut pg_sys::MergeAppendPath) -> Option<*mut pg_sys::Path> {
    // SAFETY: nodes of the running planner.
    unsafe {
        let rel = (*merge).path.parent;
        let [key] = list::pointers::<pg_sys::PathKey>((*merge).path.pathkeys)[..] else { return None };
        let parameters = (*(*root).glob).boundParams;
        let slices = pathkey::ordered_slices(rel)?;
        if !(*merge).path.param_info.is_null()
            || bucketed_time(key, (*rel).relids, parameters)? != pathkey::partition_column(rel, (*key).pk_opfamily)?
        {
            return None;
        }
        let mut inputs = list::pointers::<pg_sys::Path>((*merge).subpaths);
        if !inputs.iter().map(|input| (**input).parent).eq(slices.iter().copied()) {
            return None;
        }
        if !pathkey::is_ascending(key) {
            inputs.reverse();
        }
        let append = ffi::create_append_path(
            root,
            rel,
            list::from_pointers(inputs),
            std::ptr::null_mut(),
            (*merge).path.pathkeys,
            std::ptr::null_mut(),
            0,
            false,
            -1.0,
        );
        (*append).path.pathtarget = (*merge).path.pathtarget;
        // PostgreSQL counts the start of all inputs. Only the first one's comes before the first row, and few queries with a LIMIT go on.
        if let Some(first) = list::pointers::<pg_sys::Path>((*append).subpaths).first() {
            (*append).path.startup_cost = (**first).startup_cost;
        }
        Some(append.cast())
    }
}
