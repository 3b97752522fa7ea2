//! DDL on chunks that have batches. PostgreSQL carries a command out on the row parts; what it did is made true of the batches in the
//! same transaction, or the command is refused before it begins.
//!
//! What a command did is found by comparing a chunk's catalog rows before and after: so it does not matter which command it was, of
//! which table, or how it was written.

pub mod check;
pub mod columns;
pub mod extension;
mod foreign_key;
pub mod index;
mod rewrite;
pub mod types;
mod unique;

use pgrx::pg_sys::{self, AlterTableType as Kind};

use crate::catalog::columnar_chunk;
use crate::columnar::layout;
use crate::error::{Error, Result, SqlState};
use crate::pg::constraint::{self, Constraint};
use crate::pg::relation::{Relation, optional_string, relation_name};
use crate::pg::{context, ffi, list};

/// What a chunk was like before a command.
struct Before {
    relid: pg_sys::Oid,
    /// Attributes, dropped ones included.
    attributes: usize,
    not_null: Vec<i16>,
    /// CHECKs and foreign keys that hold for all rows.
    constraints: Vec<pg_sys::Oid>,
    unique: Vec<pg_sys::Oid>,
}

/// The chunks with batches that a command is about to change.
#[derive(Default)]
pub struct Watch {
    chunks: Vec<Before>,
    /// Whether columns may get another type.
    retypes: bool,
}

/// The chunks with batches at or below a table, which get locked.
pub fn chunks_below(relid: pg_sys::Oid, lock: u32) -> Vec<pg_sys::Oid> {
    if crate::pg::table::oid("columnar_chunk").is_none() {
        return Vec::new();
    }
    // SAFETY: a catalog scan; the list holds OIDs.
    let all = unsafe { list::oids(ffi::find_all_inheritors(relid, lock as i32, std::ptr::null_mut())) };
    all.into_iter().filter(|relid| context::with_temporary(|| columnar_chunk::find(*relid)).is_some()).collect()
}

/// True for a constraint that rows of batches must be checked for.
fn must_hold(constraint: &Constraint) -> bool {
    constraint.is_valid && matches!(constraint.kind, b'c' | b'f')
}

impl Before {
    fn of(relid: pg_sys::Oid) -> Self {
        let chunk = Relation::open(relid, pg_sys::NoLock);
        let not_null = chunk.attributes().iter().filter(|attribute| attribute.attnotnull && !attribute.attisdropped);
        Self {
            relid,
            attributes: chunk.attributes().len(),
            not_null: not_null.map(|attribute| attribute.attnum).collect(),
            constraints: context::with_temporary(|| {
                constraint::of_table(relid).iter().filter(|constraint| must_hold(constraint)).map(|constraint| constraint.oid).collect()
            }),
            unique: unique::indexes_of(&chunk),
        }
    }

    /// Makes true of the batches what has become true of the row part.
    fn follow(&self, watch: &Watch) -> Result<()> {
        columns::add(self.relid, self.attributes)?;
        if watch.retypes {
            columns::follow_types(self.relid)?;
        }
        let Some(layout) = layout::find(self.relid) else { return Ok(()) };
        let chunk = Relation::open(self.relid, pg_sys::NoLock);
        let constraints = constraint::of_table(self.relid);
        let fresh = |kind: u8| {
            constraints
                .iter()
                .filter(move |constraint| must_hold(constraint) && constraint.kind == kind && !self.constraints.contains(&constraint.oid))
        };
        let not_null = chunk.attributes().iter().filter(|attribute| attribute.attnotnull && !attribute.attisdropped);
        let not_null: Vec<i16> = not_null.map(|attribute| attribute.attnum).filter(|number| !self.not_null.contains(number)).collect();
        check::rows(&layout, &chunk, &not_null, &fresh(b'c').collect::<Vec<_>>())?;
        for index in unique::indexes_of(&chunk).into_iter().filter(|index| !self.unique.contains(index)) {
            unique::check(&layout, &chunk, index)?;
        }
        // From now on rows have to be compared with those in batches.
        crate::columnar::dml::unique::trigger::ensure(&chunk)?;
        drop(chunk);
        fresh(b'f').try_for_each(|constraint| foreign_key::check(self.relid, constraint))
    }
}

impl Watch {
    /// Before an `ALTER TABLE`: locks what it will lock, and refuses what can't be done. None if no batches are concerned.
    ///
    /// # Safety
    /// A statement of the parser's.
    pub unsafe fn before_alter(statement: *mut pg_sys::AlterTableStmt) -> Result<Option<Self>> {
        // SAFETY: the caller's promise.
        unsafe {
            let commands = list::pointers::<pg_sys::AlterTableCmd>((*statement).cmds);
            let concerns = commands.iter().any(|command| concerns((**command).subtype));
            if (*statement).objtype != pg_sys::ObjectType::OBJECT_TABLE || !concerns {
                return Ok(None);
            }
            // As AlterTable's caller does, which checks the owner before it waits for the lock.
            let lock = ffi::AlterTableGetLockLevel((*statement).cmds);
            let relid = ffi::AlterTableLookupRelation(statement, lock);
            if relid == pg_sys::InvalidOid {
                return Ok(None);
            }
            // VALIDATE CONSTRAINT lets writers go on, but they must not move a row from a batch that has not been looked at to where
            // PostgreSQL has looked already.
            let lock = if (lock as u32) < pg_sys::ShareLock { pg_sys::ShareLock } else { lock as u32 };
            let chunks = chunks_below(relid, lock);
            let mut watch = Self::default();
            for command in &commands {
                watch.look_at(&chunks, *command, &commands)?;
            }
            watch.chunks = chunks.into_iter().map(Before::of).collect();
            Ok(Some(watch))
        }
    }

    /// # Safety
    /// Commands of the parser's.
    unsafe fn look_at(
        &mut self,
        chunks: &[pg_sys::Oid],
        command: *mut pg_sys::AlterTableCmd,
        all: &[*mut pg_sys::AlterTableCmd],
    ) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe {
            let first = chunks.first().copied();
            match (*command).subtype {
                Kind::AT_AddColumn => match (first, column_name(command)) {
                    (Some(chunk), Some(name)) if all.iter().any(|other| sets_default(*other, &name)) => Err(two_statements(chunk, &name)),
                    _ => Ok(()),
                },
                Kind::AT_AlterColumnType => {
                    self.retypes = true;
                    chunks.iter().try_for_each(|chunk| types::check_change(*chunk, command))
                }
                Kind::AT_AddConstraint => {
                    let constraint = (*command).def.cast::<pg_sys::Constraint>();
                    match first {
                        Some(chunk) if (*constraint).contype == pg_sys::ConstrType::CONSTR_EXCLUSION => Err(exclusion(chunk)),
                        _ => Ok(()),
                    }
                }
                Kind::AT_SetAccessMethod => first.map_or(Ok(()), |chunk| Err(refused(chunk, "change the access method of"))),
                _ => Ok(()),
            }
        }
    }

    /// Before `CREATE INDEX`.
    ///
    /// # Safety
    /// A statement of the parser's.
    pub unsafe fn before_index(statement: *mut pg_sys::IndexStmt) -> Result<Option<Self>> {
        // SAFETY: the caller's promise.
        unsafe {
            let lock = if (*statement).concurrent { pg_sys::ShareUpdateExclusiveLock } else { pg_sys::ShareLock };
            if (*statement).relation.is_null() {
                return Ok(None);
            }
            // As DefineIndex's caller does. PostgreSQL says what is wrong if there is no such table.
            let missing = pg_sys::RVROption::RVR_MISSING_OK;
            let owns = Some(ffi::raw::RangeVarCallbackOwnsRelation as _);
            let relid = ffi::RangeVarGetRelidExtended((*statement).relation, lock as i32, missing, owns, std::ptr::null_mut());
            if relid == pg_sys::InvalidOid {
                return Ok(None);
            }
            // Partitions can't be indexed concurrently, and a chunk in two transactions can't be watched from one to the other.
            let chunks = chunks_below(relid, if (*statement).concurrent { pg_sys::NoLock } else { lock });
            let Some(first) = chunks.first().copied() else { return Ok(None) };
            if !(*statement).excludeOpNames.is_null() {
                return Err(exclusion(first));
            }
            if (*statement).concurrent {
                return if (*statement).unique { Err(concurrently(first)) } else { Ok(None) };
            }
            Ok(Some(Self { chunks: chunks.into_iter().map(Before::of).collect(), ..Self::default() }))
        }
    }

    /// After the command, in the same transaction.
    pub fn after(&self) -> Result<()> {
        self.chunks.iter().try_for_each(|before| context::with_temporary(|| before.follow(self)))
    }

    /// After `CREATE INDEX`: batches get what finds values of its columns quickly.
    pub fn after_index(&self) -> Result<()> {
        self.after()?;
        self.chunks.iter().for_each(|before| context::with_temporary(|| index::refresh(before.relid)));
        Ok(())
    }
}

fn concerns(subtype: Kind::Type) -> bool {
    matches!(
        subtype,
        Kind::AT_AddColumn
            | Kind::AT_SetNotNull
            | Kind::AT_AddConstraint
            | Kind::AT_ValidateConstraint
            | Kind::AT_AlterColumnType
            | Kind::AT_AddIndex
            | Kind::AT_AddIndexConstraint
            | Kind::AT_SetAccessMethod
    )
}

/// # Safety
/// An ADD COLUMN.
unsafe fn column_name(command: *mut pg_sys::AlterTableCmd) -> Option<String> {
    // SAFETY: the caller's promise.
    unsafe { optional_string((*(*command).def.cast::<pg_sys::ColumnDef>()).colname) }
}

/// # Safety
/// A command of the parser's.
unsafe fn sets_default(command: *mut pg_sys::AlterTableCmd, column: &str) -> bool {
    // SAFETY: the caller's promise.
    unsafe { (*command).subtype == Kind::AT_ColumnDefault && optional_string((*command).name).as_deref() == Some(column) }
}

/// The error that something can't be done with a chunk that has batches.
pub fn refused(chunk: pg_sys::Oid, what: &str) -> Error {
    Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot {what} compressed chunk \"{}\"", relation_name(chunk)))
        .hint("Decompress the chunk with decompress_chunk(), and try again.")
}

fn two_statements(chunk: pg_sys::Oid, column: &str) -> Error {
    Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot add column \"{column}\" and change its default in one statement"))
        .detail(format!("Chunk \"{}\" is compressed.", relation_name(chunk)))
        .hint("Use two ALTER TABLE statements.")
}

fn exclusion(chunk: pg_sys::Oid) -> Error {
    Error::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("cannot add an exclusion constraint to compressed chunk \"{}\"", relation_name(chunk)),
    )
    .detail("Rows in batches can't be checked.")
    .hint("Decompress the chunk with decompress_chunk(), and try again.")
}

fn concurrently(chunk: pg_sys::Oid) -> Error {
    Error::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("cannot create a unique index on compressed chunk \"{}\" concurrently", relation_name(chunk)),
    )
    .hint("Create the index without CONCURRENTLY, or decompress the chunk first.")
}
