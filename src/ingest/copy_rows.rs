//! The loop of COPY: read, filter, route, collect, write.
//!
//! Unguarded as a whole: an ERROR jumps out of [`copy_rows`] to the guard around it, so nothing here has a destructor. Memory
//! is palloc'd and goes with the executor state.

use std::ffi::c_void;

use pgrx::pg_sys;

use super::routing::{self, SetAside};
use super::slice_guard::SliceGuard;
use crate::columnar::direct::{Direct, Way};
use crate::columnar::dml::unique;
use crate::pg::copy_state::CopyFromState;
use crate::pg::ffi::raw;
use crate::pg::guard::boundary;
use crate::pg::slot;

/// The most rows that wait for one chunk.
const BUFFER_ROWS: usize = 1000;
/// The most bytes of rows that wait in all buffers; then all are written. Larger than PostgreSQL's own limit, so that rows in
/// no order of time still reach their chunks in batches.
const BUFFERED_BYTES: usize = 8 << 20;

/// The most chunks that rows wait for at once: buffers hold slots and pin a page each.
const MOST_BUFFERS: usize = 64;

/// Rows that wait for one chunk.
struct Buffer {
    target: *mut pg_sys::ResultRelInfo,
    bulk: pg_sys::BulkInsertState,
    used: usize,
    slots: [*mut pg_sys::TupleTableSlot; BUFFER_ROWS],
    lines: [u64; BUFFER_ROWS],
    next: *mut Buffer,
}

/// The state of the loop.
pub struct Loop {
    copy: *mut CopyFromState,
    estate: *mut pg_sys::EState,
    modify: *mut pg_sys::ModifyTableState,
    filter: *mut pg_sys::ExprState,
    time: SliceGuard,
    /// Whether rows may be written in batches, as far as the whole table is concerned.
    collect: bool,
    /// Writes rows straight into columns where that can be; NULL if that was not asked for.
    direct: *mut Direct,
    /// Whether rows for `previous` go that way.
    direct_previous: bool,
    /// What renewals of the routing set aside.
    pub aside: SetAside,
    command: pg_sys::CommandId,
    buffers: *mut Buffer,
    buffer_count: usize,
    bytes: usize,
    previous: *mut pg_sys::ResultRelInfo,
    /// Whether rows for `previous` meet BEFORE triggers.
    before_previous: bool,
    /// Whether the only one is that of unique keys, which is called by itself: it need not keep rows from being collected.
    unique_previous: bool,
    /// Whether rows for `previous` may be written in batches.
    collect_previous: bool,
    single: pg_sys::BulkInsertState,
}

impl Loop {
    /// # Safety
    /// The executor state and its parts are initialised, and live as long as the loop.
    pub unsafe fn new(
        copy: *mut CopyFromState,
        estate: *mut pg_sys::EState,
        modify: *mut pg_sys::ModifyTableState,
        filter: *mut pg_sys::ExprState,
        time: SliceGuard,
        collect: bool,
        direct: *mut Direct,
    ) -> Self {
        // SAFETY: marks the current command as one that writes.
        let command = unsafe { crate::pg::ffi::GetCurrentCommandId(true) };
        Self {
            copy,
            estate,
            modify,
            filter,
            time,
            collect,
            direct,
            direct_previous: false,
            aside: SetAside::NONE,
            command,
            buffers: std::ptr::null_mut(),
            buffer_count: 0,
            bytes: 0,
            previous: std::ptr::null_mut(),
            before_previous: false,
            unique_previous: false,
            collect_previous: false,
            single: std::ptr::null_mut(),
        }
    }

    fn triggers(target: *mut pg_sys::ResultRelInfo) -> Option<&'static pg_sys::TriggerDesc> {
        // SAFETY: NULL or the relation's trigger descriptor, which lives as long as the statement.
        unsafe { (*target).ri_TrigDesc.as_ref() }
    }
}

/// Copies all rows and returns their number.
///
/// # Safety
/// `work` is initialised; nothing with a destructor is pending in the caller up to its guard.
pub unsafe fn copy_rows(work: *mut Loop) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        let work = &mut *work;
        let estate = work.estate;
        let target = (*work.modify).rootResultRelInfo;
        let row = raw::table_slot_create((*target).ri_RelationDesc, &mut (*estate).es_tupleTable);
        work.single = raw::GetBulkInsertState();
        let per_tuple = per_tuple_context(estate);
        let outer = pg_sys::CurrentMemoryContext;
        let mut error_context = pg_sys::ErrorContextCallback {
            previous: pg_sys::error_context_stack,
            callback: Some(raw::CopyFromErrorCallback),
            arg: work.copy.cast::<c_void>(),
        };
        pg_sys::error_context_stack = &mut error_context;
        let (mut processed, mut excluded) = (0u64, 0i64);
        loop {
            if pg_sys::InterruptPending != 0 {
                raw::ProcessInterrupts();
            }
            raw::MemoryContextReset((*per_tuple).ecxt_per_tuple_memory);
            pg_sys::CurrentMemoryContext = (*per_tuple).ecxt_per_tuple_memory;
            slot::clear(row);
            if !raw::NextCopyFrom(work.copy.cast(), per_tuple, (*row).tts_values, (*row).tts_isnull) {
                break;
            }
            raw::ExecStoreVirtualTuple(row);
            (*row).tts_tableOid = (*(*target).ri_RelationDesc).rd_id;
            pg_sys::CurrentMemoryContext = outer;
            if !passes(work, per_tuple, row) {
                excluded += 1;
                raw::pgstat_progress_update_param(pg_sys::PROGRESS_COPY_TUPLES_EXCLUDED as i32, excluded);
                continue;
            }
            if put(work, target, row) {
                processed += 1;
                raw::pgstat_progress_update_param(pg_sys::PROGRESS_COPY_TUPLES_PROCESSED as i32, processed as i64);
            }
        }
        pg_sys::CurrentMemoryContext = outer;
        flush_all(work);
        pg_sys::error_context_stack = error_context.previous;
        if let Some(direct) = work.direct.as_mut() {
            boundary(|| direct.end());
        }
        raw::FreeBulkInsertState(work.single);
        free_buffers(work);
        processed
    }
}

/// `GetPerTupleExprContext`
unsafe fn per_tuple_context(estate: *mut pg_sys::EState) -> *mut pg_sys::ExprContext {
    // SAFETY: makes it at the first call.
    unsafe {
        if (*estate).es_per_tuple_exprcontext.is_null() { raw::MakePerTupleExprContext(estate) } else { (*estate).es_per_tuple_exprcontext }
    }
}

unsafe fn passes(work: &Loop, context: *mut pg_sys::ExprContext, row: *mut pg_sys::TupleTableSlot) -> bool {
    if work.filter.is_null() {
        return true;
    }
    // SAFETY: ExecQual: the expression is NULL-free by construction and gives a boolean; it runs in per-tuple memory.
    unsafe {
        (*context).ecxt_scantuple = row;
        let outer = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = (*context).ecxt_per_tuple_memory;
        let mut null = false;
        let passed = (*work.filter).evalfunc.is_some_and(|evaluate| evaluate(work.filter, context, &mut null).value() != 0);
        pg_sys::CurrentMemoryContext = outer;
        passed
    }
}

/// Routes a row to its chunk and inserts or collects it. False if a BEFORE trigger dropped it.
unsafe fn put(work: &mut Loop, root: *mut pg_sys::ResultRelInfo, row: *mut pg_sys::TupleTableSlot) -> bool {
    // SAFETY: the sequence is that of CopyFrom.
    unsafe {
        if let Some(key) = work.time.uncovered(row) {
            cover(work, key);
        }
        let chunk = raw::ExecFindPartition(work.modify, root, (*work.modify).mt_partition_tuple_routing, row, work.estate);
        if chunk != work.previous {
            enter(work, chunk);
        }
        let before = work.before_previous;
        if let Some(capture) = (*work.modify).mt_transition_capture.as_mut() {
            capture.tcs_original_insert_tuple = if before { std::ptr::null_mut() } else { row };
        }
        let buffer = if work.collect_previous { (*chunk).ri_CopyMultiInsertBuffer.cast::<Buffer>() } else { std::ptr::null_mut() };
        let row = convert(chunk, row, buffer);
        (*row).tts_tableOid = (*(*chunk).ri_RelationDesc).rd_id;
        if before && !raw::ExecBRInsertTriggers(work.estate, chunk, row) {
            return false;
        }
        if work.unique_previous {
            check_keys(work, chunk, row);
        }
        check(work, chunk, row, before);
        if work.direct_previous {
            (*work.direct).push((*(*chunk).ri_RelationDesc).rd_id, row);
        } else if buffer.is_null() {
            insert(work, chunk, row)
        } else {
            collect(work, buffer, row)
        }
        true
    }
}

/// What the trigger of unique keys does, before the row waits: nobody adds batches to the chunk until it is written, since that takes a
/// lock which the statement's excludes. Rows that wait are in no batch, and their index finds them.
unsafe fn check_keys(work: &Loop, chunk: *mut pg_sys::ResultRelInfo, row: *mut pg_sys::TupleTableSlot) {
    // SAFETY: nothing is pending here; the scraps of a trigger go with the row.
    unsafe {
        let (stack, outer) = (pg_sys::error_context_stack, pg_sys::CurrentMemoryContext);
        pg_sys::CurrentMemoryContext = (*per_tuple_context(work.estate)).ecxt_per_tuple_memory;
        let relation = (*chunk).ri_RelationDesc;
        boundary(|| unique::check(relation, row, None));
        pg_sys::CurrentMemoryContext = outer;
        pg_sys::error_context_stack = stack;
    }
}

/// The slow path: a chunk must be found or made, and the routing renewed.
#[cold]
unsafe fn cover(work: &mut Loop, key: Option<pg_sys::Datum>) {
    // SAFETY: nothing is pending here; the error context stays ours.
    unsafe {
        let stack = pg_sys::error_context_stack;
        let (modify, time, aside) = (work.modify, &mut work.time, &mut work.aside);
        boundary(|| {
            let position = time.position(key)?;
            let covered = routing::cover(modify, time.axis(), position, aside)?;
            time.remember(covered.slice);
            Ok(())
        });
        pg_sys::error_context_stack = stack;
        // Result relations of the old routing stay open to the end; rows that wait for them must not be overtaken.
        flush_all(work);
        free_buffers(work);
        work.previous = std::ptr::null_mut();
    }
}

/// A row for another chunk than the last one.
unsafe fn enter(work: &mut Loop, chunk: *mut pg_sys::ResultRelInfo) {
    // SAFETY: as in CopyFrom.
    unsafe {
        let before = Loop::triggers(chunk).filter(|triggers| triggers.trig_insert_before_row);
        work.unique_previous = before.is_some_and(unique::trigger::is_alone);
        let before = before.is_some() && !work.unique_previous;
        work.before_previous = before;
        if before {
            work.time.note_slice();
        }
        work.direct_previous = enter_columns(work, chunk);
        work.collect_previous = work.collect && !before && (*chunk).ri_FdwRoutine.is_null() && !work.direct_previous;
        if !work.collect_previous {
            flush_all(work);
        } else if (*chunk).ri_CopyMultiInsertBuffer.is_null() {
            add_buffer(work, chunk);
        }
        raw::ReleaseBulkInsertStatePin(work.single);
        work.previous = chunk;
    }
}

/// Whether rows for a chunk go straight into columns.
unsafe fn enter_columns(work: &mut Loop, chunk: *mut pg_sys::ResultRelInfo) -> bool {
    // SAFETY: nothing is pending here; the error context stays ours.
    unsafe {
        let Some(direct) = work.direct.as_mut() else { return false };
        let stack = pg_sys::error_context_stack;
        let way = boundary(|| direct.enter(chunk));
        pg_sys::error_context_stack = stack;
        way == Way::Columns
    }
}

unsafe fn add_buffer(work: &mut Loop, chunk: *mut pg_sys::ResultRelInfo) {
    // SAFETY: zeroed memory of the executor state's context.
    unsafe {
        if work.buffer_count == MOST_BUFFERS {
            flush_all(work);
            free_buffers(work);
        }
        work.buffer_count += 1;
        let buffer = raw::MemoryContextAllocZero((*work.estate).es_query_cxt, size_of::<Buffer>()).cast::<Buffer>();
        (*buffer).target = chunk;
        (*buffer).bulk = raw::GetBulkInsertState();
        (*buffer).next = work.buffers;
        work.buffers = buffer;
        (*chunk).ri_CopyMultiInsertBuffer = buffer.cast();
    }
}

/// The row in the chunk's shape, in the buffer's next slot if there is a buffer.
unsafe fn convert(chunk: *mut pg_sys::ResultRelInfo, row: *mut pg_sys::TupleTableSlot, buffer: *mut Buffer) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: as in CopyFrom.
    unsafe {
        let map = (*chunk).ri_RootToPartitionMap;
        if buffer.is_null() {
            return if map.is_null() { row } else { raw::execute_attr_map_slot((*map).attrMap, row, (*chunk).ri_PartitionTupleSlot) };
        }
        let place = &mut (*buffer).slots[(*buffer).used];
        if place.is_null() {
            *place = raw::table_slot_create((*chunk).ri_RelationDesc, std::ptr::null_mut());
        }
        if !map.is_null() {
            return raw::execute_attr_map_slot((*map).attrMap, row, *place);
        }
        if let Some(copy) = (*(**place).tts_ops).copyslot {
            copy(*place, row);
        }
        *place
    }
}

/// Generated columns, constraints and, after a trigger that may have changed the row, the partition's bounds.
unsafe fn check(work: &Loop, chunk: *mut pg_sys::ResultRelInfo, row: *mut pg_sys::TupleTableSlot, before: bool) {
    // SAFETY: as in CopyFrom.
    unsafe {
        if let Some(constraints) = (*(*(*chunk).ri_RelationDesc).rd_att).constr.as_ref() {
            if constraints.has_generated_stored {
                raw::ExecComputeStoredGenerated(chunk, work.estate, row, pg_sys::CmdType::CMD_INSERT);
            }
            if (*chunk).ri_FdwRoutine.is_null() {
                raw::ExecConstraints(chunk, row, work.estate);
            }
        }
        if before {
            raw::ExecPartitionCheck(chunk, row, work.estate, true);
        }
    }
}

unsafe fn collect(work: &mut Loop, buffer: *mut Buffer, row: *mut pg_sys::TupleTableSlot) {
    // SAFETY: the row is in the buffer's next slot.
    unsafe {
        if let Some(materialize) = (*(*row).tts_ops).materialize {
            materialize(row);
        }
        (*buffer).lines[(*buffer).used] = (*work.copy).cur_lineno;
        (*buffer).used += 1;
        let tuple = (*row.cast::<pg_sys::HeapTupleTableSlot>()).tuple;
        work.bytes += if tuple.is_null() { 0 } else { (*tuple).t_len as usize } + size_of::<pg_sys::HeapTupleData>();
        if work.bytes > BUFFERED_BYTES {
            flush_all(work);
        } else if (*buffer).used == BUFFER_ROWS {
            flush(work, buffer);
        }
    }
}

/// Inserts one row at once (`table_tuple_insert`, or a foreign table's way).
unsafe fn insert(work: &mut Loop, chunk: *mut pg_sys::ResultRelInfo, row: *mut pg_sys::TupleTableSlot) {
    // SAFETY: as in CopyFrom. Chunks are heaps, since only heaps are made and adopted.
    unsafe {
        let relation = (*chunk).ri_RelationDesc;
        if let Some(insert) = (*(*relation).rd_tableam).tuple_insert {
            insert(relation, row, work.command, 0, work.single);
        }
        after_insert(work, chunk, row);
    }
}

/// Index entries and AFTER ROW triggers.
unsafe fn after_insert(work: &Loop, chunk: *mut pg_sys::ResultRelInfo, row: *mut pg_sys::TupleTableSlot) {
    // SAFETY: as in CopyFrom.
    unsafe {
        let recheck = if (*chunk).ri_NumIndices > 0 {
            raw::ExecInsertIndexTuples(chunk, row, work.estate, false, false, std::ptr::null_mut(), std::ptr::null_mut())
        } else {
            std::ptr::null_mut()
        };
        raw::ExecARInsertTriggers(work.estate, chunk, row, recheck, (*work.modify).mt_transition_capture);
        raw::list_free(recheck);
    }
}

/// Writes what waits for one chunk.
unsafe fn flush(work: &mut Loop, buffer: *mut Buffer) {
    // SAFETY: as in CopyMultiInsertBufferFlush.
    unsafe {
        let used = (*buffer).used;
        if used == 0 {
            return;
        }
        let copy = &mut *work.copy;
        let (line, line_is_valid) = (copy.cur_lineno, copy.line_buf_valid);
        copy.line_buf_valid = false;
        let target = (*buffer).target;
        let relation = (*target).ri_RelationDesc;
        let outer = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = (*per_tuple_context(work.estate)).ecxt_per_tuple_memory;
        if let Some(multi_insert) = (*(*relation).rd_tableam).multi_insert {
            multi_insert(relation, (*buffer).slots.as_mut_ptr(), used as i32, work.command, 0, (*buffer).bulk);
        }
        pg_sys::CurrentMemoryContext = outer;
        let triggers = Loop::triggers(target).is_some_and(|triggers| triggers.trig_insert_after_row || triggers.trig_insert_new_table);
        for index in 0..used {
            let row = (*buffer).slots[index];
            if (*target).ri_NumIndices > 0 || triggers {
                (*work.copy).cur_lineno = (*buffer).lines[index];
                after_insert(work, target, row);
            }
            slot::clear(row);
        }
        (*buffer).used = 0;
        raw::ReleaseBulkInsertStatePin((*buffer).bulk);
        (*work.copy).cur_lineno = line;
        (*work.copy).line_buf_valid = line_is_valid;
    }
}

unsafe fn flush_all(work: &mut Loop) {
    let mut buffer = work.buffers;
    while !buffer.is_null() {
        // SAFETY: a list of buffers.
        unsafe {
            flush(work, buffer);
            buffer = (*buffer).next;
        }
    }
    work.bytes = 0;
}

unsafe fn free_buffers(work: &mut Loop) {
    while !work.buffers.is_null() {
        // SAFETY: a list of empty buffers.
        unsafe {
            let buffer = work.buffers;
            for row in (*buffer).slots.iter().take_while(|row| !row.is_null()) {
                raw::ExecDropSingleTupleTableSlot(*row);
            }
            raw::FreeBulkInsertState((*buffer).bulk);
            (*(*buffer).target).ri_CopyMultiInsertBuffer = std::ptr::null_mut();
            work.buffers = (*buffer).next;
            raw::pfree(buffer.cast());
        }
    }
    work.buffer_count = 0;
}
