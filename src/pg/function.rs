//! Looking up functions that users name, and calling them.

use pgrx::pg_sys;

use super::relation::{c_string, name_string, optional_string};
use super::syscache::CacheTuple;
use super::{ffi, list, node};

/// A function's schema and name.
pub type FunctionName = (String, String);

/// What a function looks like.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its OID.
    pub oid: pg_sys::Oid,
    /// Its schema and name.
    pub name: FunctionName,
    /// The types of its arguments.
    pub arguments: Vec<pg_sys::Oid>,
    /// What it returns.
    pub result: pg_sys::Oid,
    /// `b'i'`, `b's'` or `b'v'`.
    pub volatility: u8,
    /// `b'f'`, `b'p'`, `b'a'` or `b'w'`: a function, a procedure, an aggregate or a window function.
    pub kind: u8,
}

/// Describes the function with this OID.
pub fn describe(oid: pg_sys::Oid) -> Option<Function> {
    let tuple = CacheTuple::by_oid(pg_sys::SysCacheIdentifier::PROCOID, oid)?;
    // SAFETY: a tuple of pg_proc; proargtypes ends the fixed part and holds pronargs elements.
    unsafe {
        let form = tuple.form::<pg_sys::FormData_pg_proc>();
        let schema = optional_string(ffi::get_namespace_name(form.pronamespace))?;
        Some(Function {
            oid,
            name: (schema, name_string(&form.proname)),
            arguments: form.proargtypes.values.as_slice(form.pronargs as usize).to_vec(),
            result: form.prorettype,
            volatility: form.provolatile as u8,
            kind: form.prokind as u8,
        })
    }
}

/// Finds a function by name and argument types.
pub fn find(name: &FunctionName, arguments: &[pg_sys::Oid]) -> Option<pg_sys::Oid> {
    let names = list::from_pointers([node::make_string(&name.0), node::make_string(&name.1)]);
    // SAFETY: a list of String nodes; missing_ok gives InvalidOid.
    let oid = unsafe { ffi::LookupFuncName(names, arguments.len() as i32, arguments.as_ptr(), true) };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// Finds a function or procedure by name and the exact types of its arguments.
pub fn find_routine(name: &FunctionName, arguments: &[pg_sys::Oid]) -> Option<pg_sys::Oid> {
    let schema = schema_oid(&name.0)?;
    let text = c_string(&name.1);
    // SAFETY: the cache's keys are a name, an oidvector and an OID; a C string is as good as a name. A row of pg_proc, if there is one.
    unsafe {
        let types = ffi::buildoidvector(arguments.as_ptr(), arguments.len() as i32);
        let key = pg_sys::Datum::from(text.as_ptr());
        CacheTuple::by_three_keys(pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP, key, pg_sys::Datum::from(types), schema.into())
            .map(|tuple| tuple.form::<pg_sys::FormData_pg_proc>().oid)
    }
}

/// Finds a function of one argument for a column of a type: it takes the type itself or anyelement.
pub fn find_for_type(name: &FunctionName, column_type: pg_sys::Oid) -> Option<pg_sys::Oid> {
    find(name, &[column_type]).or_else(|| find(name, &[pg_sys::ANYELEMENTOID]))
}

/// The result type of a function.
pub fn result_type(oid: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: a syscache look-up.
    unsafe { ffi::get_func_rettype(oid) }
}

/// The OID of a schema.
pub fn schema_oid(name: &str) -> Option<pg_sys::Oid> {
    let text = c_string(name);
    // SAFETY: missing_ok gives InvalidOid.
    let oid = unsafe { ffi::get_namespace_oid(text.as_ptr(), true) };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// The role that owns a schema.
pub fn schema_owner(oid: pg_sys::Oid) -> pg_sys::Oid {
    CacheTuple::by_oid(pg_sys::SysCacheIdentifier::NAMESPACEOID, oid)
        // SAFETY: a tuple of pg_namespace.
        .map_or(pg_sys::InvalidOid, |tuple| unsafe { tuple.form::<pg_sys::FormData_pg_namespace>() }.nspowner)
}

/// The OID of a tablespace.
pub fn tablespace_oid(name: &str) -> Option<pg_sys::Oid> {
    let text = c_string(name);
    // SAFETY: missing_ok gives InvalidOid.
    let oid = unsafe { ffi::get_tablespace_oid(text.as_ptr(), true) };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// `OPERATOR(schema.name)`, as SQL calls an operator whatever the search path is; None if it is gone.
pub fn operator_name(oid: pg_sys::Oid) -> Option<String> {
    let tuple = super::syscache::CacheTuple::by_oid(pg_sys::SysCacheIdentifier::OPEROID, oid)?;
    // SAFETY: a row of pg_operator; a palloc'd name or NULL.
    let (name, schema) = unsafe {
        let form = tuple.form::<pg_sys::FormData_pg_operator>();
        (super::relation::name_string(&form.oprname), super::relation::optional_string(ffi::get_namespace_name(form.oprnamespace))?)
    };
    Some(format!("OPERATOR({}.{name})", super::relation::quote_identifier(&schema)))
}
