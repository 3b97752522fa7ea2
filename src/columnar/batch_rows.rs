//! Sorted rows into a batch table.

use pgrx::pg_sys;

use super::batch_writer::BatchWriter;
use super::builder::{Batch, Builder, Cut};
use super::row_sorter::RowSorter;
use crate::pg::guard::guard;
use crate::pg::{context, ffi, progress};

/// Where sorted rows come from.
pub trait Source {
    /// Adds rows until a batch is to be taken; returns of how many rows, 0 at the end.
    ///
    /// # Safety
    /// The builder is for columns of the rows' chunk. May jump.
    unsafe fn fill(&mut self, builder: &mut Builder) -> usize;
}

/// Writes sorted rows as batches.
pub fn write(source: &mut impl Source, builder: &mut Builder, writer: &mut BatchWriter) {
    if builder.writes_text() {
        context::with_portable_text(|| write_all(source, builder, writer));
    } else {
        write_all(source, builder, writer);
    }
}

fn write_all(source: &mut impl Source, builder: &mut Builder, writer: &mut BatchWriter) {
    let mut batch = Batch::default();
    loop {
        // SAFETY: references only on the frames that an ERROR jumps over; scraps go with the temporary context.
        let rows = context::with_temporary(|| unsafe { guard(|| source.fill(builder)) });
        if rows == 0 {
            return;
        }
        context::with_temporary(|| {
            // SAFETY: as above; the bounds live until the batch is written.
            unsafe { guard(|| builder.take(rows, &mut batch)) };
            writer.write(&batch);
            progress::done(writer.rows);
        });
    }
}

impl Source for RowSorter {
    unsafe fn fill(&mut self, builder: &mut Builder) -> usize {
        // SAFETY: the sorter's rows are rows of the chunk.
        unsafe {
            loop {
                if pg_sys::InterruptPending != 0 {
                    ffi::raw::ProcessInterrupts();
                }
                let Some((values, nulls)) = self.peek() else { return builder.next_cut() };
                if let Cut::Rows(rows) = builder.cut_before(values, nulls) {
                    return rows;
                }
                builder.push(values, nulls);
                self.advance();
            }
        }
    }
}
