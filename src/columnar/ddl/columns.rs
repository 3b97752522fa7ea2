//! Columns that come and go.

use std::cell::Cell;
use std::rc::Rc;

use pgrx::pg_sys;
use tsc_codec::Column as Data;

use super::rewrite;
use crate::catalog::columnar_chunk;
use crate::columnar::builder::describe_values;
use crate::columnar::image::{self, Image};
use crate::columnar::layout::{self, Column, Layout, block_name};
use crate::columnar::value;
use crate::error::Result;
use crate::pg::evaluate::{Evaluator, Prepared};
use crate::pg::guard::guard;
use crate::pg::relation::Relation;
use crate::pg::slot::Virtual;
use crate::pg::{alter, context, ffi, table};

/// Gives batches the columns that PostgreSQL has just added to their chunk. `known` is the number of attributes that the chunk had.
pub fn add(relid: pg_sys::Oid, known: usize) -> Result<()> {
    let added: Vec<(i16, String)> = {
        let chunk = Relation::open(relid, pg_sys::NoLock);
        let fresh = chunk.attributes()[known.min(chunk.attributes().len())..].iter().filter(|attribute| !attribute.attisdropped);
        fresh.map(|attribute| (attribute.attnum, crate::pg::relation::name_string(&attribute.attname))).collect()
    };
    let Some(mut entry) = columnar_chunk::find(relid).filter(|_| !added.is_empty()) else { return Ok(()) };
    let first = entry.columns.len();
    for (attribute, name) in &added {
        let missing = missing_block(relid, *attribute);
        alter::add_bytes(entry.batches, &block_name(entry.columns.len()), missing.as_deref());
        entry.columns.push(name.clone());
    }
    columnar_chunk::put(&entry);
    table::command_counter_increment();
    fill(relid, first)
}

/// The block of a column whose rows all have the same value: that which PostgreSQL keeps for rows that were there before (a constant
/// default). It stands for any number of rows.
fn missing_block(relid: pg_sys::Oid, attribute: i16) -> Option<Vec<u8>> {
    let chunk = Relation::open(relid, pg_sys::NoLock);
    let (column, value) = missing_value(&chunk, attribute)?;
    let mut data = Data::default();
    let target = &mut data;
    // SAFETY: a value of the column's type.
    context::with_portable_text(|| unsafe { guard(|| value::push(column.image, target, value)) });
    Some(match column.image {
        Image::Word => tsc_codec::encode_constant_words(column.kind, data.words[0]),
        _ => tsc_codec::encode_constant_bytes(column.kind, data.bytes(0)),
    })
}

fn missing_value(chunk: &Relation, attribute: i16) -> Option<(Column, pg_sys::Datum)> {
    let column = layout::columns_of(chunk).into_iter().find(|column| column.attribute == attribute)?;
    let mut null = true;
    // SAFETY: an attribute of an open relation.
    let value = unsafe { ffi::getmissingattr((*chunk.as_ptr()).rd_att, attribute.into(), &mut null) };
    (!null).then_some((column, value))
}

/// A new column whose values differ from row to row, or have to be computed.
struct Computed {
    index: usize,
    column: Column,
    /// None: NULL, which the column's domain may not like.
    default: Option<Prepared>,
}

/// Computes the values of new columns (from position `first`) that have no constant default, as PostgreSQL does for the row part when
/// it rewrites it.
fn fill(relid: pg_sys::Oid, first: usize) -> Result<()> {
    let Some(layout) = layout::find(relid) else { return Ok(()) };
    let chunk = Relation::open(relid, pg_sys::NoLock);
    let evaluator = Evaluator::default();
    let computed: Vec<Computed> =
        (first..layout.columns.len()).filter_map(|index| computed(&chunk, &layout.columns[index], index, &evaluator)).collect();
    // The text of such values must be made with other settings than those that the expression is evaluated with.
    if let Some(text) = computed.iter().find(|one| one.default.is_some() && image::depends_on_settings(&one.column)) {
        return Err(super::refused(relid, &format!("compute values of column \"{}\" in", text.column.name)));
    }
    if !computed.is_empty() {
        let slot = Virtual::new(&chunk);
        rewrite::batches(&layout, |batch| {
            let rows = batch.rows();
            let mut data: Vec<Data> = computed.iter().map(|_| Data::default()).collect();
            let (target, evaluator, computed) = (data.as_mut_slice(), &evaluator, computed.as_slice());
            // SAFETY: the batch is open; only references live on the frames that an ERROR jumps over.
            unsafe {
                guard(|| {
                    for row in 0..rows {
                        let (values, nulls) = slot.arrays();
                        batch.row(row, values, nulls);
                        compute(evaluator, slot.stored(), computed, target);
                    }
                });
            }
            let mut changes: rewrite::Changes = Vec::new();
            let mut zone = zone_of(batch);
            for (computed, data) in computed.iter().zip(&data) {
                changes.push((computed.column.block, encode(&computed.column, data)));
                describe(&mut zone, computed.index, &computed.column, data);
            }
            changes.push((layout.zone, Some(zone.encode())));
            changes
        });
        slot.end();
    }
    evaluator.end();
    Ok(())
}

/// # Safety
/// The slot holds a row of the chunk. May jump.
unsafe fn compute(evaluator: &Evaluator, slot: *mut pg_sys::TupleTableSlot, computed: &[Computed], data: &mut [Data]) {
    // SAFETY: the caller's promise; values are copied before the evaluator turns to the next row.
    unsafe {
        evaluator.turn_to(slot);
        for (computed, data) in computed.iter().zip(data) {
            match computed.default.map(|default| evaluator.value(default)) {
                Some(Some(value)) => value::push(computed.column.image, data, value),
                Some(None) => data.push_null(),
                None => {
                    ffi::raw::domain_check(
                        pg_sys::Datum::null(),
                        true,
                        computed.column.type_oid,
                        std::ptr::null_mut(),
                        std::ptr::null_mut(),
                    );
                    data.push_null();
                }
            }
        }
    }
}

fn computed(chunk: &Relation, column: &Column, index: usize, evaluator: &Evaluator) -> Option<Computed> {
    if column.attribute == 0 || missing_value(chunk, column.attribute).is_some() {
        return None;
    }
    // SAFETY: an attribute of an open relation; the expression is a copy. It is the one that ADD COLUMN used: a statement that also
    // changes the default of the column was refused.
    unsafe {
        let default = ffi::build_column_default(chunk.as_ptr(), column.attribute.into());
        if default.is_null() && !ffi::DomainHasConstraints(column.type_oid) {
            return None;
        }
        let default = (!default.is_null()).then(|| evaluator.prepare(default));
        Some(Computed { index, column: column.clone(), default })
    }
}

/// The block of a column; None if all its values are NULL.
pub fn encode(column: &Column, data: &Data) -> Option<Vec<u8>> {
    (data.values() > 0).then(|| {
        let mut block = Vec::new();
        tsc_codec::encode(column.kind, data, &mut block);
        block
    })
}

/// The zone map of an open batch; an empty one if it has none.
pub fn zone_of(batch: &mut crate::columnar::reader::BatchReader) -> tsc_codec::ZoneMap {
    // SAFETY: the batch is open.
    unsafe { guard(|| batch.zone().map(std::ptr::from_ref)).map(|zone| (*zone).clone()).unwrap_or_default() }
}

/// Enters a column into a zone map, if those before it are there.
fn describe(zone: &mut tsc_codec::ZoneMap, index: usize, column: &Column, data: &Data) {
    if zone.columns.len() == index {
        // SAFETY: values of the column's type.
        zone.columns.push(unsafe { guard(|| describe_values(column, data, false)) });
    }
}

/// Gives the bounds of a key the type that the key has been given.
pub fn follow_types(relid: pg_sys::Oid) -> Result<()> {
    let Some(layout) = layout::find(relid) else { return Ok(()) };
    let commands: Vec<String> = context::with_temporary(|| type_changes(&layout));
    let Some(name) = crate::pg::relation::qualified_name(layout.batches).filter(|_| !commands.is_empty()) else { return Ok(()) };
    context::with_set(&FOLLOWING, layout.batches, || crate::pg::spi::execute(&format!("ALTER TABLE {name} {}", commands.join(", "))))
}

thread_local! {
    /// The table of batches that the next statement to alter it makes follow its chunk.
    static FOLLOWING: Cell<pg_sys::Oid> = const { Cell::new(pg_sys::InvalidOid) };
}

/// Whether a statement is about to make a table of batches follow its chunk. Statements of functions that it calls do not.
pub fn is_following(batches: pg_sys::Oid) -> bool {
    let follows = batches == FOLLOWING.get();
    if follows {
        FOLLOWING.set(pg_sys::InvalidOid);
    }
    follows
}

fn type_changes(layout: &Rc<Layout>) -> Vec<String> {
    let batches = Relation::open(layout.batches, pg_sys::AccessShareLock);
    let mut commands = Vec::new();
    for (position, key) in layout.keys.iter().enumerate() {
        let column = &layout.columns[key.column];
        for (attribute, max) in [(key.min, false), (key.max, true)] {
            let Some(bound) = (attribute as usize).checked_sub(1).and_then(|index| batches.attributes().get(index)) else { continue };
            if (bound.atttypid, bound.atttypmod) != (column.type_oid, column.typmod) && column.attribute != 0 {
                let type_name = crate::pg::relation::qualified_type_name_with(column.type_oid, column.typmod);
                commands.push(format!("ALTER COLUMN {} TYPE {type_name}", layout::bound_name(position, max)));
            }
        }
    }
    commands
}
