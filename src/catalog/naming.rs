//! What messages call a hypertable. The storage of a continuous aggregate has a name that no user gave it: messages speak of the view,
//! and hints name what can be pasted.

use pgrx::pg_sys;

use super::continuous_agg;
use crate::error::{Error, Result, SqlState};
use crate::pg::relation::{qualified_name, relation_name};
use crate::pg::spi::quote_literal;
use crate::pg::{acl, ffi};

/// A hypertable, or a continuous aggregate, as users know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    relid: pg_sys::Oid,
    is_view: bool,
}

impl Known {
    /// What users know a hypertable as. The view of a continuous aggregate may be given as well as its storage.
    pub fn of(relid: pg_sys::Oid) -> Self {
        // SAFETY: a syscache look-up.
        let is_view = unsafe { ffi::get_rel_relkind(relid) } as u8 == b'v';
        let agg = if is_view { continuous_agg::of_view(relid) } else { continuous_agg::of_storage(relid) };
        agg.map_or(Self { relid, is_view: false }, |agg| Self { relid: agg.user_view, is_view: true })
    }

    /// Its name, without the schema.
    pub fn name(self) -> String {
        relation_name(self.relid)
    }

    /// `hypertable "m"` or `continuous aggregate "h"`.
    pub fn described(self) -> String {
        format!("{} \"{}\"", if self.is_view { "continuous aggregate" } else { "hypertable" }, self.name())
    }

    /// What an argument of type regclass is written as: `'public.m'`.
    pub fn literal(self) -> String {
        quote_literal(&self.qualified())
    }

    /// The beginning of a statement that alters it: `ALTER TABLE public.m`.
    pub fn alter(self) -> String {
        format!("ALTER {} {}", if self.is_view { "MATERIALIZED VIEW" } else { "TABLE" }, self.qualified())
    }

    /// Its name as a statement has it: `public.m`.
    pub fn qualified(self) -> String {
        qualified_name(self.relid).unwrap_or_else(|| self.name())
    }
}

/// Only an owner (or a superuser) of a hypertable goes on, or of the view of a continuous aggregate.
pub fn require_owner(relid: pg_sys::Oid) -> Result<()> {
    acl::require_owner(relid).map_err(|error| match Known::of(relid) {
        known if known.is_view => Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("must be owner of {}", known.described()))
            .hint("Only the owner of the view, a member of the owning role or a superuser can do this."),
        _ => error,
    })
}
