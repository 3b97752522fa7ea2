//! Whose continuous aggregates a query may be answered from, and whose functions it may call for that.
//!
//! Others than its owner may define continuous aggregates over a hypertable. What storage holds is as good as the functions that
//! computed it; and what its live side calls is called by the role that queries the hypertable, which has never heard of it. So an owner
//! must be one who could change the hypertable, too, or act as the role that asks. A function, or a type with conditions, must
//! be a superuser's or of one who could act as the role that asks; or the query calls it itself.
//!
//! Nothing of this is remembered: it depends on who asks. A plan holds for the role that it was made for, and until memberships change
//! (`candidate.rs`); relations, functions and types that get another owner invalidate plans by themselves.

use std::cell::OnceCell;
use std::ffi::c_void;

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use crate::catalog::continuous_agg::ContinuousAgg;
use crate::pg::relation::Relation;
use crate::pg::syscache::CacheTuple;
use crate::pg::{context, ffi, function, guard, list, node, query};

/// What an expression or a query calls that is not PostgreSQL's own.
#[derive(Debug, Default)]
pub struct Calls {
    functions: Vec<pg_sys::Oid>,
    /// Types to which values are converted: domains have conditions.
    types: Vec<pg_sys::Oid>,
    /// Something, PostgreSQL's own functions included, may give another result to another role or in another session.
    pub mutable: bool,
}

impl Calls {
    /// # Safety
    /// A Query.
    pub unsafe fn of(query: *mut pg_sys::Query) -> Self {
        let mut calls = Self::default();
        // SAFETY: the walker gets the calls back as its context.
        unsafe { find_calls(query.cast(), std::ptr::from_mut(&mut calls).cast()) };
        calls
    }

    fn add_function(&mut self, oid: pg_sys::Oid) {
        if oid.to_u32() >= pg_sys::FirstNormalObjectId && !self.functions.contains(&oid) {
            self.functions.push(oid);
        }
    }

    fn add_type(&mut self, oid: pg_sys::Oid) {
        if oid.to_u32() >= pg_sys::FirstNormalObjectId && !self.types.contains(&oid) {
            self.types.push(oid);
        }
    }
}

/// Aggregates that write values as JSON count as stable, as what they call depends on the type; of PostgreSQL's types it is PostgreSQL's.
fn is_mutable(oid: pg_sys::Oid, aggregate: bool) -> bool {
    !aggregate && function::describe(oid).is_none_or(|function| function.volatility != b'i')
}

/// # Safety
/// An aggregate.
unsafe fn has_types_of_users(aggregate: &pg_sys::Aggref) -> bool {
    // SAFETY: a list of OIDs.
    let types = unsafe { list::oids(aggregate.aggargtypes) };
    types.iter().any(|oid| oid.to_u32() >= pg_sys::FirstNormalObjectId || *oid == pg_sys::RECORDOID || *oid == pg_sys::RECORDARRAYOID)
}

struct Found<'a> {
    calls: &'a mut Calls,
    aggregate: bool,
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn found(oid: pg_sys::Oid, context: *mut c_void) -> bool {
    // SAFETY: the context that `find_calls` gave.
    unsafe {
        guard::boundary(|| {
            let found = &mut *context.cast::<Found>();
            found.calls.mutable |= is_mutable(oid, found.aggregate);
            found.calls.add_function(oid);
            Ok(false)
        })
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn find_calls(tree: *mut pg_sys::Node, context: *mut c_void) -> bool {
    // SAFETY: PostgreSQL's walkers pass nodes, and the context of `Calls::of`.
    unsafe {
        guard::boundary(|| {
            let calls = &mut *context.cast::<Calls>();
            let mut aggregate = false;
            match node::tag(tree) {
                NodeTag::T_Invalid => return Ok(false),
                NodeTag::T_Query => return Ok(ffi::query_tree_walker(tree.cast(), find_calls, context, 0)),
                NodeTag::T_SQLValueFunction | NodeTag::T_NextValueExpr => calls.mutable = true,
                NodeTag::T_CoerceToDomain => calls.add_type((*tree.cast::<pg_sys::CoerceToDomain>()).resulttype),
                NodeTag::T_CoerceViaIO => calls.add_type((*tree.cast::<pg_sys::CoerceViaIO>()).resulttype),
                NodeTag::T_Aggref => {
                    let call = &*tree.cast::<pg_sys::Aggref>();
                    aggregate = !has_types_of_users(call);
                }
                _ => {}
            }
            let mut of_node = Found { calls, aggregate };
            ffi::check_functions_in_node(tree, Some(found), std::ptr::from_mut(&mut of_node).cast());
            Ok(ffi::expression_tree_walker(tree, find_calls, context))
        })
    }
}

/// Who asks for rows of a hypertable.
pub struct Asker {
    /// The role whose rights on the hypertable count.
    user: pg_sys::Oid,
    /// The hypertable's owner.
    owner: pg_sys::Oid,
    query: *mut pg_sys::Query,
    calls: OnceCell<Calls>,
}

impl Asker {
    /// # Safety
    /// A Query that is not changed while this is in use, and the number of the hypertable in its range table.
    pub unsafe fn of(query: *mut pg_sys::Query, source: usize, raw: &Relation) -> Self {
        // SAFETY: the caller's promise.
        let view_owner = unsafe { query::entry(query, source) }.checkAsUser;
        let user = if view_owner == pg_sys::InvalidOid { context::current_user() } else { view_owner };
        Self { user, owner: raw.class().relowner, query, calls: OnceCell::new() }
    }

    /// Whether the owner of a continuous aggregate could as well have changed the hypertable, or act as who asks.
    pub fn trusts_owner(&self, agg: &ContinuousAgg) -> bool {
        [agg.storage, agg.partial_view].into_iter().all(|relid| {
            let Some(class) = CacheTuple::by_oid(pg_sys::SysCacheIdentifier::RELOID, relid) else { return false };
            // SAFETY: a row of pg_class.
            let owner = unsafe { class.form::<pg_sys::FormData_pg_class>() }.relowner;
            acts_as(owner, self.owner) || acts_as(owner, self.user)
        })
    }

    /// Whether who asks may call what a continuous aggregate calls, and does so without danger.
    pub fn trusts_calls(&self, calls: &Calls) -> bool {
        let own = || {
            // SAFETY: the constructor's promise.
            self.calls.get_or_init(|| unsafe { Calls::of(self.query) })
        };
        let functions = calls.functions.iter().all(|oid| {
            let owner = CacheTuple::by_oid(pg_sys::SysCacheIdentifier::PROCOID, *oid)
                // SAFETY: a row of pg_proc.
                .map(|tuple| unsafe { tuple.form::<pg_sys::FormData_pg_proc>() }.proowner);
            owner.is_some_and(|owner| self.trusts_code_of(owner) || own().functions.contains(oid)) && may_execute(*oid)
        });
        functions
            && calls.types.iter().all(|oid| {
                let owner = CacheTuple::by_oid(pg_sys::SysCacheIdentifier::TYPEOID, *oid)
                    // SAFETY: a row of pg_type.
                    .map(|tuple| unsafe { tuple.form::<pg_sys::FormData_pg_type>() }.typowner);
                owner.is_some_and(|owner| self.trusts_code_of(owner) || own().types.contains(oid))
            })
    }

    fn trusts_code_of(&self, owner: pg_sys::Oid) -> bool {
        // SAFETY: a look-up.
        acts_as(owner, self.user) || unsafe { ffi::superuser_arg(owner) }
    }
}

/// Whether a role has all that another one may do.
fn acts_as(role: pg_sys::Oid, other: pg_sys::Oid) -> bool {
    // SAFETY: look-ups.
    unsafe { ffi::has_privs_of_role(role, other) }
}

/// Functions are called by the current role, behind views, too.
fn may_execute(function: pg_sys::Oid) -> bool {
    // SAFETY: look-ups.
    unsafe { ffi::pg_proc_aclcheck(function, context::current_user(), pg_sys::ACL_EXECUTE) == pg_sys::AclResult::ACLCHECK_OK }
}
