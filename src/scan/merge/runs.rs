//! Opening and closing batches.

use super::*;

impl Merge {
    /// Opens a batch, and puts it into the heap if it has rows.
    pub(super) unsafe fn open(&mut self, entry: &Entry) {
        // SAFETY: as for `advance`. The batch was visible to the snapshot, and is still.
        unsafe {
            // It is nowhere but in the heap, whatever jumps.
            let run = match self.spare.pop() {
                Some(run) => run,
                None => self.new_run(),
            };
            self.open.push(Open { rank: 0, run });
            let last = self.open.len() - 1;
            let run: *mut Run = &raw mut *self.open[last].run;
            self.read(entry, &mut (*run).reader);
            let is_natural = (*run).reader.is_single() || self.base.layout.segments == 0;
            let way = if is_natural { self.way } else { Way::Sorted };
            (*run).constant = entry.constant;
            self.base.counters.read += 1;
            (*run).begin(way, entry.all, &mut self.base.filter, &self.keys);
            if (*run).advance(&mut self.base.filter) {
                self.open[last].rank = self.keys[0].rank(self.open[last].run.key[0]);
                self.sift_up(last);
            } else if let Some(open) = self.open.pop() {
                self.spare.push(open.run);
            }
        }
    }

    #[cold]
    pub(super) unsafe fn new_run(&mut self) -> Box<Run> {
        // SAFETY: nothing with a destructor is pending.
        unsafe {
            boundary(|| {
                let blocks = &raw mut *self.base.blocks;
                let run = || Box::new(Run::new(&self.base.layout, &self.keys, &self.base.columns, blocks));
                Ok(crate::pg::context::with_context(self.context, run))
            })
        }
    }

    pub(super) unsafe fn read(&self, entry: &Entry, reader: &mut crate::columnar::reader::BatchReader) {
        // SAFETY: as for `open`; the table's access method is the heap's.
        unsafe {
            let relation = self.base.scan.relation();
            let mut tid = entry.tid;
            let fetch = (*(*relation).rd_tableam).tuple_fetch_row_version;
            if !fetch.is_some_and(|fetch| fetch(relation, &mut tid, self.snapshot, self.slot)) {
                boundary(|| Err::<(), _>(crate::error::Error::internal("a batch is gone while a query reads it")));
            }
            reader.open(raw::ExecFetchSlotHeapTuple(self.slot, false, std::ptr::null_mut()), (*relation).rd_att);
            slot::clear(self.slot);
        }
    }

    pub(super) unsafe fn close_top(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let top = self.open.swap_remove(0);
        self.spare.push(top.run);
        if self.open.is_empty() && self.entries.is_empty() {
            // SAFETY: as for `advance`.
            unsafe { self.close_all() };
        } else if !self.open.is_empty() {
            // SAFETY: as for `advance`.
            unsafe { self.sift_down(0) };
        }
    }

    /// Frees what batches took, early: other chunks may come.
    #[cold]
    pub(super) unsafe fn close_all(&mut self) {
        // SAFETY: nothing with a destructor is pending.
        unsafe {
            boundary(|| {
                self.release();
                Ok(())
            });
        }
    }
}
