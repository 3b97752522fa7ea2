//! When open batches take too much memory: the rows that are left are sorted.

use super::*;

impl Merge {
    /// Sorts all rows that were not handed on.
    #[cold]
    pub(super) unsafe fn sort_rest(&mut self) {
        // SAFETY: as for `advance`.
        unsafe {
            self.begin_sort();
            while let Some(open) = self.open.pop() {
                self.spare.push(open.run);
                self.push_all();
            }
            while let Some(entry) = self.entries.pop() {
                let Some(run) = self.spare.last_mut() else { break };
                let run: *mut Run = &raw mut **run;
                self.read(&entry, &mut (*run).reader);
                self.base.counters.read += 1;
                (*run).begin(Way::Forward, entry.all, &mut self.base.filter, &self.keys);
                if (*run).advance(&mut self.base.filter) {
                    self.push_all();
                }
            }
            boundary(|| {
                self.release();
                if let Some(sorter) = &mut self.sorter {
                    sorter.sort();
                }
                Ok(())
            });
        }
    }

    pub(super) unsafe fn begin_sort(&mut self) {
        // SAFETY: nothing with a destructor is pending; the slot lives as long as the node.
        unsafe {
            boundary(|| {
                let key = |key: &Key| SortKey {
                    attribute: key.position as i16 + 1,
                    descending: key.sort.descending,
                    nulls_first: key.sort.nulls_first,
                };
                let keys: Vec<SortKey> = self.keys.iter().map(key).collect();
                let desc = (*self.target).tts_tupleDescriptor;
                let sorter = crate::pg::context::with_context(self.context, || Sorter::on(desc, &keys, pg_sys::work_mem))?;
                self.sorter = Some(sorter);
                Ok(())
            });
        }
    }

    /// Hands the row that the last spare run stands on, and all after it, to the sorter.
    pub(super) unsafe fn push_all(&mut self) {
        let (Some(run), Some(sorter)) = (self.spare.last_mut(), &mut self.sorter) else { return };
        // SAFETY: as for `advance`.
        unsafe {
            loop {
                if pg_sys::InterruptPending != 0 {
                    raw::ProcessInterrupts();
                }
                slot::clear(self.target);
                run.fill(&mut self.base.columns);
                raw::ExecStoreVirtualTuple(self.target);
                sorter.push(self.target);
                if !run.advance(&mut self.base.filter) {
                    return;
                }
            }
        }
    }

    pub(super) unsafe fn advance_sorted(&mut self) -> bool {
        // SAFETY: as for `advance`; the sorter's rows are like the target.
        unsafe {
            let Some(row) = self.sorter.as_mut().and_then(|sorter| sorter.next()) else { return false };
            let width = (*(*row).tts_tupleDescriptor).natts as usize;
            std::ptr::copy_nonoverlapping((*row).tts_values, (*self.target).tts_values, width);
            std::ptr::copy_nonoverlapping((*row).tts_isnull, (*self.target).tts_isnull, width);
            for (key, value) in self.keys.iter().zip(&mut self.sorted_key) {
                *value = (!*(*row).tts_isnull.add(key.position)).then(|| *(*row).tts_values.add(key.position));
            }
            true
        }
    }
}
