//! Unique keys over both parts of a chunk.
//!
//! PostgreSQL's unique indexes know the row part. Before a row goes there, the batch that holds its key, if there is one, is moved there,
//! too: then PostgreSQL finds the conflict by itself, raises its error or does what ON CONFLICT says. A trigger on the chunk calls
//! [`check`]; README.md says why.
//!
//! Most rows are newer than all batches, which is seen from what a session remembers of a chunk ([`Known`]). For others [`search`] looks
//! into the batches.

mod key;
mod open;
mod search;
pub mod trigger;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::pg_sys;

use crate::columnar::image::Image;
use crate::columnar::layout::{self, Layout};
use crate::columnar::order::Order;
use crate::columnar::value;
use crate::error::Result;
use crate::pg::ffi::{self, raw};
use crate::pg::guard::guard;
use crate::pg::relation::Relation;
use crate::pg::{context, slot};
use search::Search;

/// Chunks that a session remembers.
const MOST_KNOWN: usize = 1000;

/// What a session remembers of a chunk, for as long as its layout: a compression, or a new index, changes that.
struct Known {
    layout: Rc<Layout>,
    keys: Vec<KnownKey>,
}

/// A unique index.
struct KnownKey {
    index: pg_sys::Oid,
    /// The columns that the key is made of; 0 for an expression.
    columns: Vec<i16>,
    /// A row without a value in one of the columns has no key.
    nulls_distinct: bool,
    /// Whether the columns alone say if two rows have the same key: there is no expression and no predicate.
    is_plain: bool,
    /// Columns of which the batches hold values within these bounds only.
    ranges: Vec<Range>,
}

#[derive(Clone, Copy)]
struct Range {
    attribute: i16,
    length: i16,
    order: Order,
    family: pg_sys::Oid,
    least: pg_sys::Datum,
    greatest: pg_sys::Datum,
}

#[derive(Default)]
struct Memory {
    known: HashMap<pg_sys::Oid, Rc<Known>>,
    /// Searches of this transaction.
    searches: HashMap<pg_sys::Oid, Box<Search>>,
    transaction: pg_sys::LocalTransactionId,
}

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::default();
}

/// Moves the batches that hold a key of a row which is about to be stored in a chunk. `old` is the row that it takes the place of.
///
/// # Safety
/// The chunk is open and locked by the statement; the slots hold rows with its columns.
pub unsafe fn check(chunk: pg_sys::Relation, row: *mut pg_sys::TupleTableSlot, old: Option<*mut pg_sys::TupleTableSlot>) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let relid = (*chunk).rd_id;
        let Some(layout) = layout::find(relid).filter(|layout| layout.compressed) else { return Ok(()) };
        let known = MEMORY.with_borrow(|memory| memory.known.get(&relid).filter(|known| Rc::ptr_eq(&known.layout, &layout)).cloned());
        let known = match known {
            Some(known) => known,
            None => learn(chunk, &layout),
        };
        for (number, key) in known.keys.iter().enumerate() {
            if guard(|| may_be_taken(key, chunk, row, old)) {
                search(chunk, &known, number, row)?;
            }
        }
        Ok(())
    }
}

/// Whether a batch may hold the key of a row, as far as is seen from the row.
///
/// # Safety
/// As [`check`]. May jump.
unsafe fn may_be_taken(
    key: &KnownKey,
    chunk: pg_sys::Relation,
    row: *mut pg_sys::TupleTableSlot,
    old: Option<*mut pg_sys::TupleTableSlot>,
) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        for range in &key.ranges {
            if let Some(value) = slot::attribute(row, range.attribute) {
                let value = value::canonical(value, range.length);
                let below = range.order.compare(value, range.least).is_lt();
                if below || range.order.compare(value, range.greatest).is_gt() {
                    return false;
                }
            }
        }
        let lacks_value = |column: &i16| *column > 0 && slot::attribute(row, *column).is_none();
        if key.nulls_distinct && key.columns.iter().any(lacks_value) {
            return false;
        }
        match old {
            // The row part has the key already, so no batch has.
            Some(old) if key.is_plain => !key.columns.iter().all(|column| is_same(chunk, *column, row, old)),
            _ => true,
        }
    }
}

/// # Safety
/// As [`may_be_taken`].
unsafe fn is_same(chunk: pg_sys::Relation, column: i16, one: *mut pg_sys::TupleTableSlot, other: *mut pg_sys::TupleTableSlot) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        match (slot::attribute(one, column), slot::attribute(other, column)) {
            (None, None) => true,
            (Some(one), Some(other)) => {
                let attribute = &(*(*chunk).rd_att).attrs.as_slice(column as usize)[column as usize - 1];
                raw::datum_image_eq(one, other, attribute.attbyval, attribute.attlen.into())
            }
            _ => false,
        }
    }
}

/// Looks into the batches.
///
/// # Safety
/// As [`check`].
unsafe fn search(chunk: pg_sys::Relation, known: &Rc<Known>, number: usize, row: *mut pg_sys::TupleTableSlot) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let relid = (*chunk).rd_id;
        let transaction = (*pg_sys::MyProc).lxid;
        let found = MEMORY.with_borrow_mut(|memory| {
            if memory.transaction != transaction {
                // What they are made of went with the transaction.
                memory.searches.clear();
                memory.transaction = transaction;
            }
            // Taken out: an index's expression may run statements of its own.
            memory.searches.remove(&relid)
        });
        let mut search = match found {
            Some(search) if Rc::ptr_eq(&search.layout, &known.layout) => search,
            Some(old) => {
                old.end();
                Box::new(Search::new(chunk, known))
            }
            None => Box::new(Search::new(chunk, known)),
        };
        search.run(number, row)?;
        let replaced = MEMORY.with_borrow_mut(|memory| memory.searches.insert(relid, search));
        if let Some(replaced) = replaced {
            replaced.end();
        }
        Ok(())
    }
}

/// # Safety
/// As [`check`].
unsafe fn learn(chunk: pg_sys::Relation, layout: &Rc<Layout>) -> Rc<Known> {
    // SAFETY: the caller's promise.
    unsafe {
        let keys = match context::with_temporary(|| ranges(layout)) {
            None => Vec::new(),
            Some(ranges) => {
                let generated = key::generated(chunk);
                let indexes = crate::pg::list::oids(ffi::RelationGetIndexList(chunk));
                indexes.into_iter().filter_map(|oid| known_key(oid, &ranges, &generated)).collect()
            }
        };
        let known = Rc::new(Known { layout: Rc::clone(layout), keys });
        MEMORY.with_borrow_mut(|memory| {
            if memory.known.len() >= MOST_KNOWN {
                memory.known.clear();
            }
            memory.known.insert(layout.chunk, Rc::clone(&known));
        });
        known
    }
}

/// None if the index is not unique.
///
/// # Safety
/// An index of the chunk, which is open.
unsafe fn known_key(oid: pg_sys::Oid, ranges: &[Range], generated: &[i16]) -> Option<KnownKey> {
    let index = Relation::open(oid, pg_sys::AccessShareLock);
    // SAFETY: an open index has rd_index with as many keys.
    unsafe {
        let form = &*(*index.as_ptr()).rd_index;
        if !form.indisunique || !form.indisready {
            return None;
        }
        let columns: Vec<i16> = form.indkey.values.as_slice(form.indnkeyatts as usize).to_vec();
        // A generated column has its value after the trigger only.
        let is_given = |column: &i16| !generated.contains(column);
        let has_predicate = !ffi::RelationGetIndexPredicate(index.as_ptr()).is_null();
        let is_plain = !has_predicate && columns.iter().all(|column| *column > 0 && is_given(column));
        // Bounds are by the type's own order.
        let by_default = |at: usize, range: &Range| range.family == *(*index.as_ptr()).rd_opfamily.add(at);
        let bounds = |range: &Range| columns.iter().position(|column| *column == range.attribute).is_some_and(|at| by_default(at, range));
        let ranges = ranges.iter().copied().filter(|range| is_given(&range.attribute) && bounds(range)).collect();
        let columns = columns.into_iter().map(|column| if is_given(&column) { column } else { 0 }).collect();
        Some(KnownKey { index: oid, columns, nulls_distinct: !form.indnullsnotdistinct, is_plain, ranges })
    }
}

/// The bounds of all batches' keys that are passed by value. Batches are added under a lock that the caller's excludes, and not without
/// a change of the layout; so what is found stays true, also if some that are counted were never committed. None without any batch.
fn ranges(layout: &Layout) -> Option<Vec<Range>> {
    let orders: Vec<(usize, Order)> = (0..layout.keys.len())
        .filter_map(|key| {
            let column = &layout.columns[layout.keys[key].column];
            let order = Order::of(column.type_oid, column.collation);
            let is_usable = column.image == Image::Word && column.attribute != 0 && !matches!(order, Order::None | Order::Function(..));
            is_usable.then_some((key, order))
        })
        .collect();
    let mut found: Vec<Option<(pg_sys::Datum, pg_sys::Datum)>> = vec![None; orders.len()];
    layout.require_sound();
    let batches = Relation::open(layout.batches, pg_sys::AccessShareLock);
    let heap = batches.as_ptr();
    let (orders, bounds) = (&orders, &mut found);
    // SAFETY: an open heap; only plain values and references live on the frames that an ERROR jumps over.
    let known = unsafe {
        guard(|| {
            let flags = pg_sys::ScanOptions::SO_TYPE_SEQSCAN | pg_sys::ScanOptions::SO_ALLOW_STRAT;
            let any = &raw mut pg_sys::SnapshotAnyData;
            let scan = raw::heap_beginscan(heap, any, 0, std::ptr::null_mut(), std::ptr::null_mut(), flags);
            let row = raw::table_slot_create(heap, std::ptr::null_mut());
            let (mut known, mut any_batch) = (true, false);
            while known && raw::heap_getnextslot(scan, pg_sys::ScanDirection::ForwardScanDirection, row) {
                any_batch = true;
                // Keys that were too long to be kept.
                known = slot::attribute(row, layout.single).is_some();
                for ((key, order), bounds) in orders.iter().zip(bounds.iter_mut()) {
                    let key = layout.keys[*key];
                    let (Some(least), Some(greatest)) = (slot::attribute(row, key.min), slot::attribute(row, key.max)) else { continue };
                    let (low, high) = bounds.unwrap_or((least, greatest));
                    let low = if order.compare(least, low).is_lt() { least } else { low };
                    *bounds = Some((low, if order.compare(greatest, high).is_gt() { greatest } else { high }));
                }
            }
            raw::ExecDropSingleTupleTableSlot(row);
            raw::heap_endscan(scan);
            any_batch.then_some(known)
        })
    }?;
    if !known {
        return Some(Vec::new());
    }
    let range = |((key, order), bounds): (&(usize, Order), Option<(pg_sys::Datum, pg_sys::Datum)>)| {
        let column = &layout.columns[layout.keys[*key].column];
        // SAFETY: entries of the type cache live as long as the backend.
        let family = unsafe { (*ffi::lookup_type_cache(column.type_oid, pg_sys::TYPECACHE_BTREE_OPFAMILY as i32)).btree_opf };
        let (attribute, length) = (column.attribute, column.length);
        bounds.map(|(least, greatest)| Range { attribute, length, order: *order, family, least, greatest })
    };
    Some(orders.iter().zip(found).filter_map(range).collect())
}
