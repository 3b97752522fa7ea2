//! Statistics for the planner, of chunks with batches and of hypertables that have such chunks.
//!
//! They are kept where PostgreSQL keeps those of any table: pg_statistic has them for all rows of a chunk, while pg_class has pages and
//! rows of the heap only. PostgreSQL's own ANALYZE sees the heaps, so after it the same is done once more with all rows.

use std::rc::Rc;

use pgrx::pg_sys;

use super::ddl::chunks_below;
use super::layout::{self, Layout};
use super::reader::BatchReader;
use crate::catalog::columnar_chunk;
use crate::pg::relation::{Relation, descriptor};
use crate::pg::sample::{self, Rows, Source};
use crate::pg::{acl, alter, context, ffi, partition, rows, syscache, table};

/// The rows of a chunk's batches.
struct BatchRows {
    batches: Relation,
    reader: BatchReader,
    /// The number of the first row of each batch, and where the batch lies.
    places: Vec<(u64, pg_sys::ItemPointerData)>,
    count: u64,
    /// Which batch the reader has open.
    current: Option<usize>,
}

impl BatchRows {
    fn new(layout: &Rc<Layout>) -> Self {
        layout.require_sound();
        let batches = Relation::open(layout.batches, pg_sys::AccessShareLock);
        let mut places = Vec::new();
        let mut count = 0;
        let mut scan = rows::Reader::open(&batches);
        while let Some(batch) = scan.next(layout.count.into()) {
            places.push((count, batch.tid()));
            count += batch.column(layout.count).map_or(0, |rows| (rows.value() as i32).max(0) as u64);
        }
        drop(scan);
        Self { reader: BatchReader::new(Rc::clone(layout)), batches, places, count, current: None }
    }

    /// # Safety
    /// May jump.
    unsafe fn open(&mut self, place: usize) {
        let mut tuple = pg_sys::HeapTupleData { t_self: self.places[place].1, ..Default::default() };
        let mut buffer = 0;
        // SAFETY: the snapshot that found the batch keeps it from being removed; the reader copies it.
        unsafe {
            let any = &raw mut pg_sys::SnapshotAnyData;
            ffi::raw::heap_fetch(self.batches.as_ptr(), any, &mut tuple, &mut buffer, false);
            if buffer != 0 {
                self.reader.open(&mut tuple, descriptor(&self.batches));
                ffi::raw::ReleaseBuffer(buffer);
            }
        }
        self.current = Some(place);
    }
}

impl Rows for BatchRows {
    fn count(&self) -> u64 {
        self.count
    }

    unsafe fn row(&mut self, index: u64, values: &mut [pg_sys::Datum], nulls: &mut [bool]) {
        let place = self.places.partition_point(|(first, _)| *first <= index) - 1;
        // SAFETY: the caller's promise.
        unsafe {
            if self.current != Some(place) {
                self.open(place);
            }
            self.reader.row((index - self.places[place].0) as usize, values, nulls);
        }
    }
}

/// How many rows of a chunk a page of its heap would hold: as it was when the chunk was compressed, or by the length of its columns.
fn rows_per_page(relation: &Relation, layout: &Layout) -> u64 {
    let page = u64::from(pg_sys::BLCKSZ);
    let before = columnar_chunk::find(relation.oid()).map_or(0, |entry| entry.before.table) as u64 / page;
    let rows = layout.rows.max(0) as u64;
    if before > 0 && rows > 0 {
        return (rows / before).clamp(1, page / 28);
    }
    let live = relation.attributes().iter().filter(|attribute| !attribute.attisdropped);
    let width: u64 = live.map(|attribute| u64::try_from(attribute.attlen).unwrap_or(16)).sum();
    (page / (width + 28)).max(1)
}

fn source(relid: pg_sys::Oid) -> Option<Source> {
    let relation = Relation::try_open(relid, pg_sys::ShareUpdateExclusiveLock)?;
    let layout = layout::find(relid)?;
    let rows_per_page = rows_per_page(&relation, &layout);
    Some(Source { relation, rows: Box::new(BatchRows::new(&layout)), rows_per_page })
}

/// A table of which statistics were asked for, and a list of columns or NIL.
#[derive(Clone, Copy)]
pub struct Wanted {
    /// The table.
    pub relid: pg_sys::Oid,
    /// Names, as nodes of the parser's.
    pub columns: *mut pg_sys::List,
}

/// After ANALYZE: makes statistics of tables anew, and of what is below them, as far as there are batches.
pub fn after_analyze(wanted: &[Wanted]) {
    with_snapshot(|| {
        for wanted in wanted {
            context::with_temporary(|| analyze_tree(*wanted));
        }
    });
}

/// Tables of the database that have batches somewhere below, once each.
pub fn all_roots() -> Vec<pg_sys::Oid> {
    let mut roots: Vec<pg_sys::Oid> = columnar_chunk::all().into_iter().map(partition::root_of).collect();
    roots.sort_unstable_by_key(|oid| oid.to_u32());
    roots.dedup();
    roots
}

fn analyze_tree(wanted: Wanted) {
    // Whoever may not is told so by ANALYZE itself, with a warning.
    if acl::require_owner(wanted.relid).is_err() {
        return;
    }
    let chunks = chunks_below(wanted.relid, pg_sys::AccessShareLock);
    for chunk in &chunks {
        context::with_temporary(|| analyze_with(*chunk, wanted.columns, &[*chunk]));
    }
    // Slices that are divided by hash, and the root.
    for table in tables_above(wanted.relid, &chunks) {
        let below: Vec<pg_sys::Oid> = chunks_below(table, pg_sys::AccessShareLock);
        context::with_temporary(|| analyze_with(table, wanted.columns, &below));
    }
}

/// The partitioned tables at or below a table that have one of `chunks` below them.
fn tables_above(relid: pg_sys::Oid, chunks: &[pg_sys::Oid]) -> Vec<pg_sys::Oid> {
    let mut tables = Vec::new();
    for chunk in chunks {
        let mut table = *chunk;
        while table != relid {
            let Some(parent) = partition::parent_of(table) else { break };
            table = parent;
            if !tables.contains(&table) {
                tables.push(table);
            }
        }
    }
    tables
}

fn analyze_with(relid: pg_sys::Oid, columns: *mut pg_sys::List, chunks: &[pg_sys::Oid]) {
    let sources: Vec<Source> = chunks.iter().filter_map(|chunk| source(*chunk)).collect();
    if !sources.is_empty() {
        // SAFETY: the statement's list; the sources are locked.
        unsafe { sample::analyze(relid, columns, None, sources) };
    }
}

/// VACUUM commits its transaction and begins another, which has no snapshot.
fn with_snapshot(f: impl FnOnce()) {
    // SAFETY: within a transaction; a snapshot that is pushed is popped, or goes with the transaction.
    unsafe {
        let pushes = !ffi::ActiveSnapshotSet();
        if pushes {
            ffi::PushActiveSnapshot(ffi::GetTransactionSnapshot());
        }
        f();
        if pushes {
            ffi::PopActiveSnapshot();
        }
    }
}

/// Before a chunk's rows become batches: has it analysed if that was never done, or if much has changed since. Its statistics stay.
pub fn before_compress(chunk: &Relation) {
    if !is_known(chunk) {
        renew(chunk.oid());
    }
}

/// Has a chunk, which is locked, analysed with all its rows.
pub fn renew(relid: pg_sys::Oid) {
    context::with_temporary(|| {
        let sources: Vec<Source> = source(relid).into_iter().collect();
        // SAFETY: all columns; the chunk is locked.
        unsafe { sample::analyze(relid, std::ptr::null_mut(), Some(QUICK_TARGET), sources) };
    });
}

/// A chunk was emptied, and its rows are batches: what pg_class says of the heap, and that autovacuum's ANALYZE, which would find the few
/// rows that come later, is to leave its statistics alone.
pub fn after_compress(relid: pg_sys::Oid) {
    crate::pg::convert::update_class(relid, |class| (class.relpages, class.reltuples) = (0, 0.0));
    table::command_counter_increment();
    keep_autovacuum_out(relid);
}

/// A chunk that this transaction made has got rows straight in batches: the same for it. Nothing but this would ever analyse it.
pub fn after_direct(relid: pg_sys::Oid) {
    before_compress(&Relation::open(relid, pg_sys::ShareUpdateExclusiveLock));
    keep_autovacuum_out(relid);
}

fn keep_autovacuum_out(relid: pg_sys::Oid) {
    if !syscache::reloptions(relid).iter().any(|option| option.starts_with(THRESHOLD)) {
        alter::set_option(relid, THRESHOLD, Some(NEVER));
    }
}

/// A chunk has its rows back: autovacuum may analyse it again.
pub fn after_decompress(relid: pg_sys::Oid) {
    if syscache::reloptions(relid).contains(&format!("{THRESHOLD}={NEVER}")) {
        alter::set_option(relid, THRESHOLD, None);
    }
}

/// The statistics target while a chunk is compressed: to sample and sort as many rows as ANALYZE does could take longer than to compress
/// them.
const QUICK_TARGET: i32 = 30;
/// The storage parameter that says after how many changes autovacuum analyses a table.
const THRESHOLD: &str = "autovacuum_analyze_threshold";
/// Its greatest value.
const NEVER: &str = "2147483647";

/// Autovacuum analyses a table again when a tenth of its rows have changed; so here.
fn is_known(chunk: &Relation) -> bool {
    let Some(column) = chunk.attributes().iter().find(|attribute| !attribute.attisdropped) else { return true };
    // SAFETY: look-ups; the entry lives until the transaction ends.
    unsafe {
        let key = (pg_sys::Datum::from(chunk.oid()), pg_sys::Datum::from(column.attnum), pg_sys::Datum::from(false));
        let cache = pg_sys::SysCacheIdentifier::STATRELATTINH as i32;
        let known = ffi::SearchSysCacheExists(cache, key.0, key.1, key.2, pg_sys::Datum::null());
        let changes = ffi::pgstat_fetch_stat_tabentry(chunk.oid()).as_ref().map_or(0, |entry| entry.changes_since_analyze);
        known && changes as f64 <= f64::from(chunk.class().reltuples.max(0.0)) / 10.0 + 50.0
    }
}
