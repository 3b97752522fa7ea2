//! Columns of batches that are written to the node's result at once, without a scan tuple and a projection between.

use pgrx::pg_sys;

use super::columns;
use crate::columnar::layout::Layout;
use crate::pg::{list, node};

/// The result slot, and for each of its columns which one of the scan tuple it is, if all of them are columns of batches as they are and
/// no condition is left for rows.
///
/// # Safety
/// The state of an initialised node of this kind.
pub unsafe fn slot(ps: &pg_sys::PlanState, layout: &Layout) -> Option<(*mut pg_sys::TupleTableSlot, Vec<usize>)> {
    // SAFETY: a finished plan; without a target list there is nothing to write.
    unsafe {
        let plan = ps.plan.cast::<pg_sys::CustomScan>();
        let projection = ps.ps_ProjInfo.as_ref()?;
        if !ps.qual.is_null() || (*plan).scan.plan.targetlist.is_null() {
            return None;
        }
        let attributes = columns::attributes(plan);
        let mut places = Vec::new();
        for target in list::pointers::<pg_sys::TargetEntry>((*plan).scan.plan.targetlist) {
            let var = (*target).expr.cast::<pg_sys::Var>();
            if node::tag(var) != pg_sys::NodeTag::T_Var || (*var).varno != pg_sys::INDEX_VAR {
                return None;
            }
            let place = ((*var).varattno as usize).checked_sub(1)?;
            let attribute = *attributes.get(place)?;
            if attribute <= 0 || layout.column_of(attribute).is_none() || places.contains(&place) {
                return None;
            }
            places.push(place);
        }
        Some((projection.pi_state.resultslot, places))
    }
}
