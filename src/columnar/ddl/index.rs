//! `CREATE INDEX` says that values of a column will be looked for: batches get a bloom filter of it.

use std::rc::Rc;

use tsc_codec::Column as Data;

use super::columns::zone_of;
use super::rewrite;
use crate::catalog::columnar_chunk;
use crate::columnar::builder::describe_values;
use crate::columnar::layout::{self, Column, Layout};
use crate::columnar::order::has_bloom;
use crate::columnar::part::indexed_columns;
use crate::columnar::reader::BatchReader;
use crate::columnar::value;
use crate::pg::guard::guard;
use crate::pg::relation::Relation;
use crate::pg::table;
use pgrx::pg_sys;

/// Gives batches the bloom filters that they would get if they were written now.
pub fn refresh(relid: pg_sys::Oid) {
    let Some(layout) = layout::find(relid) else { return };
    let columns = wanting(&layout);
    if columns.is_empty() {
        return;
    }
    note(relid, &columns);
    rewrite::batches(&layout, |batch| {
        let mut zone = zone_of(batch);
        let mut changed = false;
        for index in &columns {
            // Of a column that the zone map doesn't know nothing is said.
            if let Some(known) = zone.columns.get_mut(*index).filter(|known| known.bloom.is_none()) {
                let column = &layout.columns[*index];
                let data = values(batch, *index, column);
                // SAFETY: values of the column's type.
                known.bloom = unsafe { guard(|| describe_values(column, &data, true)) }.bloom;
                changed = true;
            }
        }
        if changed { vec![(layout.zone, Some(zone.encode()))] } else { Vec::new() }
    });
}

/// Enters columns into the catalog as having a filter.
fn note(relid: pg_sys::Oid, columns: &[usize]) {
    let Some(mut entry) = columnar_chunk::find(relid) else { return };
    let fresh: Vec<usize> = columns.iter().copied().filter(|column| !entry.blooms.contains(column)).collect();
    if !fresh.is_empty() {
        entry.blooms.extend(fresh);
        entry.blooms.sort_unstable();
        columnar_chunk::put(&entry);
        table::command_counter_increment();
    }
}

/// Columns of the layout that a builder of batches would give a filter.
fn wanting(layout: &Rc<Layout>) -> Vec<usize> {
    let chunk = Relation::open(layout.chunk, pg_sys::NoLock);
    let indexed = indexed_columns(&chunk);
    let wants = |index: &usize| {
        let column = &layout.columns[*index];
        column.attribute != 0
            && indexed.contains(&column.attribute)
            && layout.key_of(*index).is_none()
            && column.length != 1
            && column.length != 2
            && has_bloom(column)
    };
    (0..layout.columns.len()).filter(wants).collect()
}

/// All values of a column of an open batch.
fn values(batch: &mut BatchReader, index: usize, column: &Column) -> Data {
    let mut data = Data::default();
    let target = &mut data;
    // SAFETY: the batch is open; only references live on the frames that an ERROR jumps over.
    unsafe {
        guard(|| {
            for vector in 0..batch.vectors() {
                let rows = batch.vector_rows(vector);
                let decoded = batch.vector(index, vector);
                for row in 0..rows {
                    if decoded.is_valid(row) {
                        value::push(column.image, target, pg_sys::Datum::from(decoded.words[row]));
                    } else {
                        target.push_null();
                    }
                }
            }
        });
    }
    data
}
