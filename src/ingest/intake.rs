//! What the trigger on an intake does: it makes the chunk that a row of logical replication lacks, and stores the row there.
//!
//! Whoever routed the row to the intake pinned its view of the partitions, so this routes again, by a view of its own. The row is
//! stored as the apply worker would (`apply_handle_insert_internal` in replication/logical/worker.c): row triggers of the chunk
//! fire, statement triggers of the hypertable don't.

use pgrx::pg_sys;

use super::slice_guard::SliceGuard;
use crate::catalog::cache;
use crate::catalog::hypertable::Hypertable;
use crate::chunk::create;
use crate::error::{Error, Result, SqlState};
use crate::pg::guard::guard;
use crate::pg::partition::{self, Found};
use crate::pg::relation::{Relation, relation_name};
use crate::pg::trigger::NewRow;
use crate::pg::{acl, context, ffi, list, node, slot};

/// Stores a row that was about to be inserted into an intake in its chunk.
pub fn redirect(row: NewRow) -> Result<()> {
    let root = partition::parent_of(row.relid).map(|root| Relation::open(root, pg_sys::RowExclusiveLock));
    let Some((root, hypertable)) = root.and_then(|root| cache::find(root.oid()).map(|hypertable| (root, hypertable))) else {
        return Err(Error::new(
            SqlState::OPERATION_NOT_SUPPORTED,
            format!("table \"{}\" is not the intake of a hypertable", relation_name(row.relid)),
        )
        .hint("Intakes are made by _timescaledb_functions.create_intake."));
    };
    acl::require_insert(root.oid())?;
    // SAFETY: the row is the running trigger's; the intake is open while it runs.
    unsafe {
        context::with_temporary(|| Store::begin(&root).run(&hypertable, row))?;
        // The next row of the same statement may be for the chunk that was made now.
        guard(|| partition::relax_constraint(row.relation));
    }
    Ok(())
}

/// An executor state for one row.
struct Store<'a> {
    root: &'a Relation,
    estate: *mut pg_sys::EState,
    modify: *mut pg_sys::ModifyTableState,
}

impl<'a> Store<'a> {
    /// As `create_edata_for_relation`.
    ///
    /// # Safety
    /// `root` is partitioned, and open for longer than this lives.
    unsafe fn begin(root: &'a Relation) -> Self {
        // SAFETY: fresh nodes; everything goes with the current memory context.
        unsafe {
            let estate = ffi::CreateExecutorState();
            let entry: *mut pg_sys::RangeTblEntry = node::make_node(pg_sys::NodeTag::T_RangeTblEntry);
            (*entry).rtekind = pg_sys::RTEKind::RTE_RELATION;
            (*entry).relid = root.oid();
            (*entry).relkind = root.class().relkind;
            (*entry).rellockmode = pg_sys::AccessShareLock as i32;
            ffi::ExecInitRangeTable(estate, list::from_pointers([entry]));
            let target: *mut pg_sys::ResultRelInfo = node::make_node(pg_sys::NodeTag::T_ResultRelInfo);
            ffi::InitResultRelInfo(target, root.as_ptr(), 1, std::ptr::null_mut(), 0);
            // By this list, AFTER triggers find the relation.
            (*estate).es_opened_result_relations = list::from_pointers([target]);
            (*estate).es_output_cid = ffi::GetCurrentCommandId(true);
            let modify: *mut pg_sys::ModifyTableState = node::make_node(pg_sys::NodeTag::T_ModifyTableState);
            (*modify).ps.state = estate;
            (*modify).operation = pg_sys::CmdType::CMD_INSERT;
            (*modify).resultRelInfo = target;
            (*modify).rootResultRelInfo = target;
            Self { root, estate, modify }
        }
    }

    /// # Safety
    /// As [`redirect`].
    unsafe fn run(self, hypertable: &Hypertable, row: NewRow) -> Result<()> {
        let (estate, modify) = (self.estate, self.modify);
        // SAFETY: the sequence is that of apply_handle_tuple_routing for an INSERT.
        unsafe {
            let stored = context::with_context((*estate).es_query_cxt, || {
                let root_row = self.root_row(row);
                self.cover(hypertable, root_row)?;
                ffi::AfterTriggerBeginQuery();
                let routing = ffi::ExecSetupPartitionTupleRouting(estate, self.root.as_ptr());
                (*modify).mt_partition_tuple_routing = routing;
                let chunk = ffi::ExecFindPartition(modify, (*modify).rootResultRelInfo, routing, root_row, estate);
                check_target((*chunk).ri_RelationDesc, row.relid)?;
                // Routing has opened the chunk's indexes.
                ffi::ExecSimpleRelationInsert(chunk, estate, self.chunk_row(chunk, root_row));
                ffi::AfterTriggerEndQuery(estate);
                ffi::ExecCleanupTupleRouting(modify, routing);
                // AFTER triggers may have opened the chunk once more: since 15.15 they don't take a routed relation for theirs.
                ffi::ExecCloseResultRelations(estate);
                ffi::ExecResetTupleTable((*estate).es_tupleTable, false);
                Ok(())
            });
            if stored.is_ok() {
                ffi::FreeExecutorState(estate);
            }
            stored
        }
    }

    /// The row in the layout of the hypertable.
    ///
    /// # Safety
    /// As [`redirect`].
    unsafe fn root_row(&self, row: NewRow) -> *mut pg_sys::TupleTableSlot {
        // SAFETY: the map fits both layouts.
        unsafe {
            let map = ffi::build_attrmap_by_name_if_req((*row.relation).rd_att, (*self.root.as_ptr()).rd_att);
            if map.is_null() {
                return row.slot;
            }
            let slot = ffi::table_slot_create(self.root.as_ptr(), &mut (*self.estate).es_tupleTable);
            ffi::execute_attr_map_slot(map, row.slot, slot)
        }
    }

    /// A copy of the row in the layout of the chunk.
    ///
    /// # Safety
    /// `chunk` was found for the row.
    unsafe fn chunk_row(&self, chunk: *mut pg_sys::ResultRelInfo, row: *mut pg_sys::TupleTableSlot) -> *mut pg_sys::TupleTableSlot {
        // SAFETY: a chunk with a layout of its own has a map and a slot.
        unsafe {
            let map = (*chunk).ri_RootToPartitionMap;
            if !map.is_null() {
                return ffi::execute_attr_map_slot((*map).attrMap, row, (*chunk).ri_PartitionTupleSlot);
            }
            let copy = ffi::table_slot_create((*chunk).ri_RelationDesc, &mut (*self.estate).es_tupleTable);
            slot::copy(copy, row);
            copy
        }
    }

    /// Makes sure that a chunk covers the row.
    ///
    /// # Safety
    /// `row` has the hypertable's columns.
    unsafe fn cover(&self, hypertable: &Hypertable, row: *mut pg_sys::TupleTableSlot) -> Result<()> {
        let mut slice = SliceGuard::new(hypertable, hypertable.time().attribute)?;
        // SAFETY: the caller's promise; a fresh guard knows no slice, so the key comes out.
        let key = unsafe { guard(|| slice.uncovered(row)) }.flatten();
        let position = slice.position(key)?;
        self.root.refresh();
        // A COPY goes on routing by what it pinned, so for most rows the chunk is there.
        match partition::find(self.root, slice.axis(), position) {
            Found::Partition(_) => Ok(()),
            Found::Gap(_) => create::ensure(self.root, position).map(drop),
        }
    }
}

/// The target must be a chunk that rows can be stored in.
///
/// # Safety
/// An open relation.
unsafe fn check_target(relation: pg_sys::Relation, intake: pg_sys::Oid) -> Result<()> {
    // SAFETY: the caller's promise.
    let (relid, kind) = unsafe { ((*relation).rd_id, (*(*relation).rd_rel).relkind as u8) };
    if relid == intake {
        return Err(Error::internal(format!("no chunk came of a row in intake {}", relid.to_u32())));
    }
    if kind != b'r' {
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, format!("cannot replicate into chunk \"{}\"", relation_name(relid)))
            .detail("It is no ordinary table."));
    }
    Ok(())
}
