//! The functions that jobs run, and those that check their configs.

use pgrx::pg_sys;

use crate::catalog::job::Job;
use crate::error::{Error, Result, SqlState};
use crate::pg::function::{self, Function, FunctionName};
use crate::pg::relation::quote_identifier;
use crate::pg::spi::quote_literal;
use crate::pg::{acl, call, context, json};

const RUN: [pg_sys::Oid; 2] = [pg_sys::INT4OID, pg_sys::JSONBOID];
const CHECK: [pg_sys::Oid; 1] = [pg_sys::JSONBOID];

fn describe(oid: pg_sys::Oid, arguments: &[pg_sys::Oid], expected: &str) -> Result<Function> {
    let found = function::describe(oid).ok_or_else(|| {
        Error::new(SqlState::UNDEFINED_FUNCTION, format!("function or procedure with OID {} does not exist", oid.to_u32()))
    })?;
    let name = &found.name.1;
    if !matches!(found.kind, b'f' | b'p') {
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a function or procedure")));
    }
    if found.arguments != arguments {
        return Err(Error::new(SqlState::UNDEFINED_FUNCTION, format!("function or procedure {name}({expected}) not found"))
            .detail("Its arguments are others.")
            .hint(format!("Declare it as {name}({expected}).")));
    }
    acl::require_execute(oid)?;
    Ok(found)
}

/// The function or procedure of a job by its OID, if the current role may call it.
pub fn for_job(oid: pg_sys::Oid) -> Result<FunctionName> {
    Ok(describe(oid, &RUN, "job_id int, config jsonb")?.name)
}

/// The function that checks a config by its OID, if the current role may call it.
pub fn for_check(oid: pg_sys::Oid) -> Result<FunctionName> {
    Ok(describe(oid, &CHECK, "config jsonb")?.name)
}

/// Has a job's check function, if it has one, look at its config: an ERROR of that function's refuses it. It is run as
/// the job's owner, whose choice it is: whoever alters somebody's job must not lend that role his own privileges.
pub fn check_config(job: &Job) -> Result<()> {
    let Some(name) = &job.check else { return Ok(()) };
    let oid = function::find_routine(name, &CHECK).ok_or_else(|| missing(name, "jsonb"))?;
    context::as_owner(job.owner, || {
        acl::require_execute(oid)?;
        call::call_for_effect(oid, job.config.as_deref().map(json::datum));
        Ok(())
    })
}

fn missing(name: &FunctionName, arguments: &str) -> Error {
    Error::new(
        SqlState::UNDEFINED_FUNCTION,
        format!("function or procedure {}.{}({arguments}) does not exist", quote_identifier(&name.0), quote_identifier(&name.1)),
    )
}

/// The statement that runs a job.
pub fn statement(job: &Job) -> Result<String> {
    let oid = function::find_routine(&job.proc, &RUN).ok_or_else(|| missing(&job.proc, "int, jsonb"))?;
    let procedure = function::describe(oid).is_some_and(|found| found.kind == b'p');
    let config = job.config.as_deref().map_or_else(|| "NULL".to_owned(), quote_literal);
    Ok(format!(
        "{} {}.{}({}::pg_catalog.int4, {config}::pg_catalog.jsonb)",
        if procedure { "CALL" } else { "SELECT" },
        quote_identifier(&job.proc.0),
        quote_identifier(&job.proc.1),
        job.id
    ))
}
