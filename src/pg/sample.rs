//! ANALYZE of tables that have more rows than their heaps.
//!
//! PostgreSQL samples a table through its access method: the size in blocks, then the rows of blocks that it draws. While a table is
//! analysed here, its relcache entry has an access method that is heap but for these callbacks: after the heap's blocks come others,
//! which stand for so many of the other rows each as a page of the heap would hold. So everything is computed by ANALYZE itself,
//! statistics of trees of tables, of expressions and of several columns included.

use std::cell::Cell;
use std::ffi::CStr;
use std::sync::OnceLock;

use pgrx::pg_sys;

use super::ffi;
use super::guard::{boundary, guard, on_error};
use super::relation::{Relation, c_string};

/// Blocks of a file of a relation (`RELSEG_SIZE`): prefetching beyond it would look for files that are not there.
const BLOCKS_OF_FILE: u64 = 131_072;

/// Rows that are not in the heap, in some order.
pub trait Rows {
    /// How many there are.
    fn count(&self) -> u64;

    /// Writes a row to arrays that have an element for each attribute of the table.
    ///
    /// # Safety
    /// `index` is less than `count`. By-reference values live until the next call. May jump.
    unsafe fn row(&mut self, index: u64, values: &mut [pg_sys::Datum], nulls: &mut [bool]);
}

/// Rows of a table that are not in its heap.
pub struct Source {
    /// The table, open.
    pub relation: Relation,
    /// The rows.
    pub rows: Box<dyn Rows>,
    /// How many of them a page of the heap would hold.
    pub rows_per_page: u64,
}

/// A source while it is sampled.
struct Sampled {
    relid: pg_sys::Oid,
    relation: pg_sys::Relation,
    heap_blocks: u64,
    other_blocks: u64,
    rows_per_block: u64,
    rows: Box<dyn Rows>,
    /// Rows of the block at hand that are still to come.
    next: u64,
    end: u64,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

thread_local! {
    /// What is being sampled; it belongs to [`analyze`]'s frame, since a session that is ended drops what its threads' variables own, when
    /// it is too late to close relations. ANALYZE does not run within itself.
    static SAMPLED: Cell<*mut [Sampled]> = const { Cell::new(std::ptr::slice_from_raw_parts_mut(std::ptr::null_mut(), 0)) };
}

struct Routine(pg_sys::TableAmRoutine);

// SAFETY: function pointers that are written once.
unsafe impl Sync for Routine {}
// SAFETY: as above.
unsafe impl Send for Routine {}

static ROUTINE: OnceLock<Routine> = OnceLock::new();

fn heap() -> &'static pg_sys::TableAmRoutine {
    // SAFETY: heap's own static structure.
    unsafe { &*ffi::GetHeapamTableAmRoutine() }
}

fn routine() -> *const pg_sys::TableAmRoutine {
    let routine = ROUTINE.get_or_init(|| {
        Routine(pg_sys::TableAmRoutine {
            relation_size: Some(relation_size),
            scan_analyze_next_block: Some(next_block),
            scan_analyze_next_tuple: Some(next_tuple),
            ..*heap()
        })
    });
    &raw const routine.0
}

impl Sampled {
    fn new(source: Source) -> Self {
        let relation = source.relation.as_ptr();
        let columns = source.relation.attributes().len();
        // SAFETY: an open relation. A tablespace may insist on prefetching.
        let (heap_blocks, prefetches) = unsafe {
            let blocks = ffi::RelationGetNumberOfBlocksInFork(relation, pg_sys::ForkNumber::MAIN_FORKNUM);
            let tablespace = source.relation.class().reltablespace;
            (u64::from(blocks), ffi::get_tablespace_maintenance_io_concurrency(tablespace) > 0)
        };
        let rows = source.rows.count();
        let most = if prefetches { BLOCKS_OF_FILE.saturating_sub(heap_blocks).max(1) } else { u64::from(u32::MAX / 2) };
        let rows_per_block = source.rows_per_page.clamp(1, 60_000).max(rows.div_ceil(most));
        Self {
            relid: source.relation.oid(),
            relation,
            heap_blocks,
            other_blocks: rows.div_ceil(rows_per_block),
            rows_per_block,
            rows: source.rows,
            next: 0,
            end: 0,
            values: vec![pg_sys::Datum::null(); columns],
            nulls: vec![true; columns],
        }
    }
}

/// Analyses a table with all rows of `sources`, each of which is the table itself or one below it. `columns` is a list of names, or NIL
/// for all. Columns without a target of their own get at most `target` (of `default_statistics_target`). The caller has a snapshot.
///
/// # Safety
/// A valid list. Nobody else changes the sources' catalog rows (ShareUpdateExclusiveLock).
pub unsafe fn analyze(relid: pg_sys::Oid, columns: *mut pg_sys::List, target: Option<i32>, sources: Vec<Source>) {
    // SAFETY: the caller's promise; what is changed is changed back on both ways out. The relations stay open meanwhile.
    unsafe {
        let level = ffi::NewGUCNestLevel();
        set(c"maintenance_io_concurrency", "0");
        if let Some(most) = target.filter(|most| *most < pg_sys::default_statistics_target) {
            set(c"default_statistics_target", &most.to_string());
        }
        let own = Relation::open(relid, pg_sys::ShareUpdateExclusiveLock);
        let class = *own.class();
        drop(own);
        let mut open = Vec::with_capacity(sources.len());
        let mut sampled = Vec::with_capacity(sources.len());
        for source in sources {
            open.push(Relation::open(source.relation.oid(), pg_sys::NoLock));
            sampled.push(Sampled::new(source));
        }
        SAMPLED.set(sampled.as_mut_slice());
        let mut parameters = pg_sys::VacuumParams {
            options: pg_sys::VACOPT_ANALYZE,
            freeze_min_age: -1,
            freeze_table_age: -1,
            multixact_freeze_min_age: -1,
            multixact_freeze_table_age: -1,
            log_min_duration: -1,
            ..Default::default()
        };
        let strategy = ffi::GetAccessStrategy(pg_sys::BufferAccessStrategyType::BAS_VACUUM);
        let swap = |routine: *const pg_sys::TableAmRoutine| {
            for relation in &open {
                (*relation.as_ptr()).rd_tableam = routine;
            }
        };
        let finish = || {
            swap(heap());
            SAMPLED.set(&mut []);
        };
        swap(routine());
        on_error(|| ffi::analyze_rel(relid, std::ptr::null_mut(), &mut parameters, columns, true, strategy), finish);
        finish();
        ffi::AtEOXact_GUC(true, level);
        ffi::CommandCounterIncrement();
        if class.relkind as u8 != b'p' {
            restore(relid, &class);
        }
    }
}

/// pg_class speaks of the heap: VACUUM counts nothing else. Like ANALYZE's own change this one is not undone by a ROLLBACK.
///
/// # Safety
/// An existing heap, and its row of pg_class.
unsafe fn restore(relid: pg_sys::Oid, class: &pg_sys::FormData_pg_class) {
    let relation = Relation::open(relid, pg_sys::NoLock);
    // SAFETY: the caller's promise.
    unsafe {
        ffi::vac_update_relstats(
            relation.as_ptr(),
            class.relpages as u32,
            f64::from(class.reltuples),
            class.relallvisible as u32,
            class.relhasindex,
            pg_sys::InvalidTransactionId,
            pg_sys::MultiXactId::from(0u32),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            true,
        );
        ffi::CommandCounterIncrement();
    }
}

/// Sets a setting for the nest level at hand.
fn set(name: &CStr, value: &str) {
    let value = c_string(value);
    // SAFETY: names and values of settings that any role may change.
    unsafe {
        ffi::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}

/// Calls `f` with what is sampled of a relation.
fn with<T>(relid: pg_sys::Oid, f: impl FnOnce(&mut Sampled) -> T) -> Option<T> {
    // SAFETY: the slice lives as long as ANALYZE runs, and nothing else refers to it meanwhile.
    let sampled = unsafe { SAMPLED.get().as_mut() }?;
    sampled.iter_mut().find(|one| one.relid == relid).map(f)
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn relation_size(relation: pg_sys::Relation, fork: pg_sys::ForkNumber::Type) -> u64 {
    // SAFETY: PostgreSQL passes an open relation.
    unsafe {
        boundary(|| {
            let size = heap().relation_size.map_or(0, |size| guard(|| size(relation, fork)));
            let is_main = fork == pg_sys::ForkNumber::MAIN_FORKNUM || fork == pg_sys::ForkNumber::InvalidForkNumber;
            // As it was when sampling was prepared, so that block numbers mean the same all the time.
            let both = with((*relation).rd_id, |one| (one.heap_blocks + one.other_blocks) * u64::from(pg_sys::BLCKSZ));
            Ok(both.filter(|_| is_main).unwrap_or(size))
        })
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn next_block(
    scan: pg_sys::TableScanDesc,
    block: pg_sys::BlockNumber,
    strategy: pg_sys::BufferAccessStrategy,
) -> bool {
    // SAFETY: PostgreSQL passes an open scan of one of the relations.
    unsafe {
        boundary(|| {
            let other = with((*(*scan).rs_rd).rd_id, |one| {
                let other = u64::from(block).checked_sub(one.heap_blocks);
                one.next = other.map_or(0, |other| other * one.rows_per_block);
                one.end = other.map_or(0, |_| (one.next + one.rows_per_block).min(one.rows.count()));
                other.is_some()
            });
            Ok(other == Some(true) || heap().scan_analyze_next_block.is_some_and(|next| guard(|| next(scan, block, strategy))))
        })
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn next_tuple(
    scan: pg_sys::TableScanDesc,
    oldest: pg_sys::TransactionId,
    live: *mut f64,
    dead: *mut f64,
    slot: *mut pg_sys::TupleTableSlot,
) -> bool {
    // SAFETY: PostgreSQL passes an open scan of one of the relations, and a slot for its rows.
    unsafe {
        boundary(|| {
            let row = with((*(*scan).rs_rd).rd_id, |one| match one.end {
                0 => None,
                end => Some(one.next < end && one.store(slot)),
            });
            Ok(match row.flatten() {
                Some(stored) => {
                    *live += f64::from(u8::from(stored));
                    stored
                }
                None => heap().scan_analyze_next_tuple.is_some_and(|next| guard(|| next(scan, oldest, live, dead, slot))),
            })
        })
    }
}

impl Sampled {
    /// Stores the next row of the block at hand.
    ///
    /// # Safety
    /// A slot for rows of the relation; there is a next row.
    unsafe fn store(&mut self, slot: *mut pg_sys::TupleTableSlot) -> bool {
        let index = self.next;
        self.next += 1;
        let (block, offset) = (self.heap_blocks + index / self.rows_per_block, index % self.rows_per_block);
        let (rows, values, nulls) = (&mut self.rows, self.values.as_mut_slice(), self.nulls.as_mut_slice());
        // SAFETY: the caller's promise; the arrays have an element for each attribute. Only references live on the frames.
        unsafe {
            let desc = (*self.relation).rd_att;
            guard(|| {
                rows.row(index, values, nulls);
                let tuple = ffi::raw::heap_form_tuple(desc, values.as_mut_ptr(), nulls.as_mut_ptr());
                // Rows are put into their order by their addresses.
                (*tuple).t_self = pg_sys::ItemPointerData {
                    ip_blkid: pg_sys::BlockIdData { bi_hi: (block >> 16) as u16, bi_lo: block as u16 },
                    ip_posid: offset as u16 + 1,
                };
                ffi::raw::ExecForceStoreHeapTuple(tuple, slot, true);
            });
        }
        true
    }
}
