//! Expressions over rows of a table, evaluated one row at a time outside a query.

use pgrx::pg_sys;

use super::ffi::{self, raw};

/// What expressions are evaluated in.
pub struct Evaluator {
    estate: *mut pg_sys::EState,
    context: *mut pg_sys::ExprContext,
}

/// An expression that is ready to be evaluated; it lives as long as its evaluator.
#[derive(Clone, Copy)]
pub struct Prepared(*mut pg_sys::ExprState);

impl Default for Evaluator {
    fn default() -> Self {
        // SAFETY: a child of the current memory context.
        unsafe {
            let estate = ffi::CreateExecutorState();
            Self { estate, context: ffi::MakePerTupleExprContext(estate) }
        }
    }
}

impl Evaluator {
    /// Makes an expression ready, whose Vars of relation 1 are columns of the rows.
    ///
    /// # Safety
    /// `expression` is an expression that is not used elsewhere.
    pub unsafe fn prepare(&self, expression: *mut pg_sys::Node) -> Prepared {
        // SAFETY: the caller's promise.
        Prepared(unsafe { ffi::ExecPrepareExpr(expression.cast(), self.estate) })
    }

    /// Turns to a row. What was evaluated for the last one is gone.
    ///
    /// # Safety
    /// `slot` holds a row of the table. May jump.
    pub unsafe fn turn_to(&self, slot: *mut pg_sys::TupleTableSlot) {
        // SAFETY: the caller's promise.
        unsafe {
            raw::MemoryContextReset((*self.context).ecxt_per_tuple_memory);
            (*self.context).ecxt_scantuple = slot;
        }
    }

    /// The value of an expression for the row; None if NULL.
    ///
    /// # Safety
    /// Of this evaluator. May jump.
    pub unsafe fn value(&self, prepared: Prepared) -> Option<pg_sys::Datum> {
        // SAFETY: the caller's promise; a prepared expression has its function.
        unsafe {
            let outer = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = (*self.context).ecxt_per_tuple_memory;
            let mut null = false;
            let value = (*prepared.0).evalfunc.map(|evaluate| evaluate(prepared.0, self.context, &mut null));
            pg_sys::CurrentMemoryContext = outer;
            value.filter(|_| !null)
        }
    }

    /// Turns to a value of a domain, whose rules are to be evaluated.
    ///
    /// # Safety
    /// A value of the domain, or None for NULL. May jump.
    pub unsafe fn turn_to_value(&self, value: Option<pg_sys::Datum>) {
        // SAFETY: the caller's promise.
        unsafe {
            raw::MemoryContextReset((*self.context).ecxt_per_tuple_memory);
            (*self.context).domainValue_datum = value.unwrap_or(pg_sys::Datum::null());
            (*self.context).domainValue_isNull = value.is_none();
        }
    }

    /// Ends it.
    pub fn end(self) {
        // SAFETY: made by `default`.
        unsafe { ffi::FreeExecutorState(self.estate) }
    }
}
