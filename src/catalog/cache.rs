//! Which relations are hypertables, remembered per backend.
//!
//! An entry falls with its relation's relcache entry: whoever changes a row of the catalog calls [`invalidate`], which reaches
//! every backend when the change commits, and this one at the next command. Changes by plain SQL (a restore) fire a trigger
//! that invalidates the catalog table itself, upon which everything is forgotten.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::pg_sys;

use super::hypertable::{self, Hypertable};
use crate::pg::{ffi, table};

#[derive(Default)]
struct Cache {
    entries: HashMap<pg_sys::Oid, Option<Rc<Hypertable>>>,
    /// The catalog's own tables: an invalidation of one of them empties the cache.
    catalog: Option<[pg_sys::Oid; 3]>,
    /// Counts invalidations, so that an entry read while one arrived is not kept.
    generation: u64,
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

/// The hypertable of a relation, if it is one.
pub fn find(relid: pg_sys::Oid) -> Option<Rc<Hypertable>> {
    // SAFETY: a syscache look-up.
    if unsafe { ffi::get_rel_relkind(relid) } as u8 != b'p' {
        return None;
    }
    if let Some(entry) = CACHE.with_borrow(|cache| cache.entries.get(&relid).cloned()) {
        return entry;
    }
    let generation = CACHE.with_borrow(|cache| cache.generation);
    let catalog = [table::oid("hypertable")?, table::oid("dimension")?, table::oid("continuous_agg")?];
    let entry = crate::pg::context::with_temporary(|| hypertable::read(relid)).map(Rc::new);
    CACHE.with_borrow_mut(|cache| {
        cache.catalog = Some(catalog);
        if cache.generation == generation {
            cache.entries.insert(relid, entry.clone());
        }
    });
    entry
}

/// Says that the catalog's rows of a relation changed in this transaction.
pub fn invalidate(relid: pg_sys::Oid) {
    forget(relid);
    // SAFETY: sends an invalidation message at commit.
    unsafe { ffi::CacheInvalidateRelcacheByRelid(relid) };
}

/// Forgets a relation that is being dropped: its pg_class row goes with an invalidation of its own.
pub fn forget(relid: pg_sys::Oid) {
    CACHE.with_borrow_mut(|cache| {
        cache.generation += 1;
        cache.entries.remove(&relid);
    });
}

/// Says that the catalog's tables were changed by plain SQL.
pub fn invalidate_all() {
    for name in ["hypertable", "dimension", "continuous_agg"] {
        if let Some(oid) = table::oid(name) {
            // SAFETY: the table exists.
            unsafe { ffi::CacheInvalidateRelcacheByRelid(oid) };
        }
    }
}

/// Installs the callback; once per backend, from `_PG_init`.
pub fn init() {
    // SAFETY: the callback is a plain function that calls nothing of PostgreSQL.
    unsafe { ffi::CacheRegisterRelcacheCallback(Some(on_invalidation), pg_sys::Datum::null()) };
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_invalidation(_arg: pg_sys::Datum, relid: pg_sys::Oid) {
    CACHE.with(|cache| {
        // Never borrowed while PostgreSQL is called, so always free here.
        if let Ok(mut cache) = cache.try_borrow_mut() {
            cache.generation += 1;
            if relid == pg_sys::InvalidOid || cache.catalog.is_some_and(|catalog| catalog.contains(&relid)) {
                cache.entries.clear();
            } else {
                cache.entries.remove(&relid);
            }
        }
    });
}
