//! Foreign keys of a partition: those that it has, and those of other tables that point to it.
//!
//! The same work as the static functions `CloneFkReferencing` and `CloneFkReferenced` of tablecmds.c, with one difference: the
//! other table is locked RowShareLock instead of ShareRowExclusiveLock. PostgreSQL takes the stronger lock to check existing rows
//! in peace; a new partition has none, and the stronger lock would make sessions that insert into both tables deadlock.

use pgrx::pg_sys;

use super::catalog_scan::scan;
use super::relation::Relation;
use super::syscache::{CacheTuple, form};
use super::{ffi, list, node};

/// The fixed part of pg_constraint's rows, which pgrx does not bind.
#[repr(C)]
struct FormDataPgConstraint {
    oid: pg_sys::Oid,
    conname: pg_sys::NameData,
    connamespace: pg_sys::Oid,
    contype: std::ffi::c_char,
    condeferrable: bool,
    condeferred: bool,
    convalidated: bool,
    conrelid: pg_sys::Oid,
    contypid: pg_sys::Oid,
    conindid: pg_sys::Oid,
    conparentid: pg_sys::Oid,
    confrelid: pg_sys::Oid,
    confupdtype: std::ffi::c_char,
    confdeltype: std::ffi::c_char,
    confmatchtype: std::ffi::c_char,
    conislocal: bool,
    coninhcount: i32,
    connoinherit: bool,
}

/// A row of pg_constraint that is about to be rewritten.
pub struct ConstraintRow(*mut FormDataPgConstraint);

impl ConstraintRow {
    /// True for a foreign key.
    pub fn is_foreign_key(&self) -> bool {
        // SAFETY: made by `update_constraints_of` from a copied tuple.
        unsafe { (*self.0).contype as u8 == CONSTRAINT_FOREIGN }
    }

    /// Sets whether partitions are spared the constraint.
    pub fn set_no_inherit(&mut self, no_inherit: bool) {
        // SAFETY: as above.
        unsafe { (*self.0).connoinherit = no_inherit }
    }
}

/// Lets `change` edit copies of a table's rows in pg_constraint, and writes those for which it returns true.
pub fn update_constraints_of(relid: pg_sys::Oid, change: impl Fn(&mut ConstraintRow) -> bool) {
    let catalog = Relation::open(CONSTRAINT_RELATION_ID, pg_sys::RowExclusiveLock);
    for tuple in scan(&catalog, CONSTRAINT_RELID_TYPID_NAME_INDEX_ID, ANUM_CONRELID, relid) {
        // SAFETY: a copied tuple of pg_constraint.
        unsafe {
            if change(&mut ConstraintRow(form(tuple))) {
                ffi::CatalogTupleUpdate(catalog.as_ptr(), &mut (*tuple).t_self, tuple);
            }
        }
    }
    super::table::command_counter_increment();
}

const CONSTRAINT_FOREIGN: u8 = b'f';
/// `ConstraintRelationId`
pub const CONSTRAINT_RELATION_ID: pg_sys::Oid = pg_sys::Oid::from_u32(2606);
/// `Anum_pg_constraint_confrelid`
const ANUM_CONFRELID: u32 = 12;
/// `Anum_pg_constraint_conrelid`
const ANUM_CONRELID: u32 = 8;
/// `ConstraintRelidTypidNameIndexId`
const CONSTRAINT_RELID_TYPID_NAME_INDEX_ID: u32 = 2665;

/// Creates the parent's foreign keys on the partition: those that it has, and those of other tables that point to it.
pub fn clone(parent: &Relation, partition: &Relation) {
    // SAFETY: the list belongs to the relcache; its elements are read at once.
    let referencing: Vec<pg_sys::Oid> = unsafe {
        let keys = list::pointers::<pg_sys::ForeignKeyCacheInfo>(ffi::RelationGetFKeyList(parent.as_ptr()));
        keys.iter().map(|key| (**key).conoid).collect()
    };
    clone_all(&referencing, |constraint| Side::Referencing.clone_key(constraint, parent, partition));
    // Only a table with a unique index can be referenced: most are spared the scan of pg_constraint, which has no index for it.
    if has_unique_index(parent) {
        let catalog = Relation::open(CONSTRAINT_RELATION_ID, pg_sys::RowShareLock);
        let referenced: Vec<pg_sys::Oid> = scan(&catalog, 0, ANUM_CONFRELID, parent.oid())
            .into_iter()
            // SAFETY: tuples of pg_constraint.
            .map(|tuple| unsafe { &*form::<FormDataPgConstraint>(tuple) })
            .filter(|constraint| constraint.contype as u8 == CONSTRAINT_FOREIGN)
            .map(|constraint| constraint.oid)
            .collect();
        drop(catalog);
        clone_all(&referenced, |constraint| Side::Referenced.clone_key(constraint, parent, partition));
    }
}

/// Clones each constraint but those whose parents are cloned too.
fn clone_all(constraints: &[pg_sys::Oid], clone: impl Fn(&CacheTuple)) {
    for oid in constraints {
        let Some(tuple) = CacheTuple::by_oid(pg_sys::SysCacheIdentifier::CONSTROID, *oid) else { continue };
        // SAFETY: a tuple of pg_constraint.
        let parent = unsafe { tuple.form::<FormDataPgConstraint>() }.conparentid;
        if !constraints.contains(&parent) {
            clone(&tuple);
        }
    }
}

fn has_unique_index(relation: &Relation) -> bool {
    relation.index_oids().into_iter().any(|index| {
        CacheTuple::by_oid(pg_sys::SysCacheIdentifier::INDEXRELID, index)
            // SAFETY: a tuple of pg_index.
            .is_some_and(|tuple| unsafe { tuple.form::<pg_sys::FormData_pg_index>() }.indisunique)
    })
}

/// On which side of a foreign key the partition stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Referencing,
    Referenced,
}

/// The columns and operators of a foreign key (`DeconstructFkConstraintRow`).
struct KeyColumns {
    count: i32,
    conkey: [i16; 32],
    confkey: [i16; 32],
    pf_operators: [pg_sys::Oid; 32],
    pp_operators: [pg_sys::Oid; 32],
    ff_operators: [pg_sys::Oid; 32],
    delete_count: i32,
    delete_columns: [i16; 32],
}

impl KeyColumns {
    fn of(tuple: &CacheTuple) -> Self {
        let none = [pg_sys::InvalidOid; 32];
        let mut key = Self {
            count: 0,
            conkey: [0; 32],
            confkey: [0; 32],
            pf_operators: none,
            pp_operators: none,
            ff_operators: none,
            delete_count: 0,
            delete_columns: [0; 32],
        };
        // SAFETY: the arrays hold INDEX_MAX_KEYS elements.
        unsafe {
            ffi::DeconstructFkConstraintRow(
                tuple.as_ptr(),
                &mut key.count,
                key.conkey.as_mut_ptr(),
                key.confkey.as_mut_ptr(),
                key.pf_operators.as_mut_ptr(),
                key.pp_operators.as_mut_ptr(),
                key.ff_operators.as_mut_ptr(),
                &mut key.delete_count,
                key.delete_columns.as_mut_ptr(),
            );
        }
        key
    }
}

impl Side {
    fn clone_key(self, tuple: &CacheTuple, parent: &Relation, partition: &Relation) {
        // SAFETY: a tuple of pg_constraint.
        let original = unsafe { tuple.form::<FormDataPgConstraint>() };
        let other_oid = if self == Self::Referencing { original.confrelid } else { original.conrelid };
        let other = Relation::open(other_oid, pg_sys::RowShareLock);
        let mut key = KeyColumns::of(tuple);
        // SAFETY: the map has an element for each attribute of the parent, and key columns are among them.
        unsafe {
            let map = ffi::build_attrmap_by_name((*partition.as_ptr()).rd_att, (*parent.as_ptr()).rd_att);
            let mine = if self == Self::Referencing { &mut key.conkey } else { &mut key.confkey };
            for attribute in mine.iter_mut().take(key.count as usize) {
                *attribute = *(*map).attnums.add(*attribute as usize - 1);
            }
            if self == Self::Referencing {
                for attribute in key.delete_columns.iter_mut().take(key.delete_count as usize) {
                    *attribute = *(*map).attnums.add(*attribute as usize - 1);
                }
            }
        }
        let index = match self {
            Self::Referencing => original.conindid,
            // SAFETY: the partition has a clone of each of the parent's indexes.
            Self::Referenced => unsafe { ffi::index_get_partition(partition.as_ptr(), original.conindid) },
        };
        let constraint = self.create_constraint(original, partition, &other, index, &key);
        self.create_triggers(original, partition, &other, index, constraint);
    }

    /// As `addFkConstraint`: the pg_constraint row and its dependency on the parent's.
    fn create_constraint(
        self,
        original: &FormDataPgConstraint,
        partition: &Relation,
        other: &Relation,
        index: pg_sys::Oid,
        key: &KeyColumns,
    ) -> pg_sys::Oid {
        let (referencing, referenced) = if self == Self::Referencing { (partition, other) } else { (other, partition) };
        // SAFETY: the arguments are those of addFkConstraint for a constraint with a parent.
        unsafe {
            let constraint = ffi::CreateConstraintEntry(
                constraint_name(original, referencing, key),
                referencing.class().relnamespace,
                CONSTRAINT_FOREIGN as std::ffi::c_char,
                original.condeferrable,
                original.condeferred,
                self == Self::Referenced || original.convalidated,
                original.oid,
                referencing.oid(),
                key.conkey.as_ptr(),
                key.count,
                key.count,
                pg_sys::InvalidOid,
                index,
                referenced.oid(),
                key.confkey.as_ptr(),
                key.pf_operators.as_ptr(),
                key.pp_operators.as_ptr(),
                key.ff_operators.as_ptr(),
                key.count,
                original.confupdtype,
                original.confdeltype,
                key.delete_columns.as_ptr(),
                key.delete_count,
                original.confmatchtype,
                std::ptr::null(),
                std::ptr::null_mut(),
                std::ptr::null(),
                false,
                1,
                false,
                false,
            );
            let address = node::object_address(CONSTRAINT_RELATION_ID, constraint);
            let parent = node::object_address(CONSTRAINT_RELATION_ID, original.oid);
            if self == Self::Referenced {
                ffi::recordDependencyOn(&address, &parent, pg_sys::DependencyType::DEPENDENCY_INTERNAL);
            } else {
                let table = node::object_address(pg_sys::RelationRelationId, partition.oid());
                ffi::recordDependencyOn(&address, &parent, pg_sys::DependencyType::DEPENDENCY_PARTITION_PRI);
                ffi::recordDependencyOn(&address, &table, pg_sys::DependencyType::DEPENDENCY_PARTITION_SEC);
            }
            ffi::CommandCounterIncrement();
            constraint
        }
    }

    /// As `createForeignKeyCheckTriggers` on the referencing side, `createForeignKeyActionTriggers` on the referenced one.
    fn create_triggers(
        self,
        original: &FormDataPgConstraint,
        partition: &Relation,
        other: &Relation,
        index: pg_sys::Oid,
        constraint: pg_sys::Oid,
    ) {
        let parents = self.parent_triggers(original);
        let deferrable = (original.condeferrable, original.condeferred);
        let triggers = match self {
            Self::Referencing => [
                ("RI_FKey_check_ins", pg_sys::TRIGGER_TYPE_INSERT, deferrable),
                ("RI_FKey_check_upd", pg_sys::TRIGGER_TYPE_UPDATE, deferrable),
            ],
            Self::Referenced => {
                let (on_delete, delete_deferrable) = action_function(original.confdeltype as u8, "del", deferrable);
                let (on_update, update_deferrable) = action_function(original.confupdtype as u8, "upd", deferrable);
                [(on_delete, pg_sys::TRIGGER_TYPE_DELETE, delete_deferrable), (on_update, pg_sys::TRIGGER_TYPE_UPDATE, update_deferrable)]
            }
        };
        for ((function, event, (deferrable, deferred)), parent) in triggers.into_iter().zip(parents) {
            // SAFETY: the statement is as createForeignKey*Triggers make it.
            unsafe {
                let statement: *mut pg_sys::CreateTrigStmt = node::make_node(pg_sys::NodeTag::T_CreateTrigStmt);
                (*statement).isconstraint = true;
                let name = if self == Self::Referencing { "RI_ConstraintTrigger_c" } else { "RI_ConstraintTrigger_a" };
                (*statement).trigname = node::palloc_str(name);
                (*statement).funcname = ffi::SystemFuncName(node::palloc_str(function));
                (*statement).row = true;
                (*statement).timing = pg_sys::TRIGGER_TYPE_AFTER as i16;
                (*statement).events = event as i16;
                (*statement).deferrable = deferrable;
                (*statement).initdeferred = deferred;
                ffi::CreateTrigger(
                    statement,
                    std::ptr::null(),
                    partition.oid(),
                    other.oid(),
                    constraint,
                    index,
                    pg_sys::InvalidOid,
                    parent,
                    std::ptr::null_mut(),
                    true,
                    false,
                );
                ffi::CommandCounterIncrement();
            }
        }
    }

    /// The parent constraint's triggers for the same two events (`GetForeignKeyCheckTriggers`, `GetForeignKeyActionTriggers`).
    fn parent_triggers(self, original: &FormDataPgConstraint) -> [pg_sys::Oid; 2] {
        let catalog = Relation::open(pg_sys::TriggerRelationId, pg_sys::RowExclusiveLock);
        let (table, other, kind, first_event) = match self {
            Self::Referencing => (original.conrelid, original.confrelid, pg_sys::RI_TRIGGER_FK, pg_sys::TRIGGER_TYPE_INSERT),
            Self::Referenced => (original.confrelid, original.conrelid, pg_sys::RI_TRIGGER_PK, pg_sys::TRIGGER_TYPE_DELETE),
        };
        let mut found = [pg_sys::InvalidOid; 2];
        for tuple in scan(&catalog, pg_sys::TriggerConstraintIndexId, pg_sys::Anum_pg_trigger_tgconstraint, original.oid) {
            // SAFETY: a tuple of pg_trigger.
            let trigger = unsafe { &*form::<pg_sys::FormData_pg_trigger>(tuple) };
            // SAFETY: a look-up by function OID.
            let is_kind = unsafe { ffi::RI_FKey_trigger_type(trigger.tgfoid) } as u32 == kind;
            if trigger.tgrelid == table && trigger.tgconstrrelid == other && is_kind {
                let events = trigger.tgtype as u32;
                if events & first_event != 0 {
                    found[0] = trigger.oid;
                } else if events & pg_sys::TRIGGER_TYPE_UPDATE != 0 {
                    found[1] = trigger.oid;
                }
            }
        }
        found
    }
}

/// The name that the constraint keeps, or another one if the table has one of that name.
fn constraint_name(original: &FormDataPgConstraint, referencing: &Relation, key: &KeyColumns) -> *const std::ffi::c_char {
    let name = original.conname.data.as_ptr();
    let columns: Vec<String> = key.conkey[..key.count as usize]
        .iter()
        .map(|attribute| super::relation::name_string(&referencing.attributes()[*attribute as usize - 1].attname))
        .collect();
    // SAFETY: the names are NUL-terminated; CONSTRAINT_RELATION is 0.
    unsafe {
        if !ffi::ConstraintNameIsUsed(0, referencing.oid(), name) {
            return ffi::pstrdup(name);
        }
        ffi::ChooseConstraintName(
            referencing.class().relname.data.as_ptr(),
            node::palloc_str(&columns.join("_")),
            c"fkey".as_ptr(),
            referencing.class().relnamespace,
            std::ptr::null_mut(),
        )
    }
}

/// The function of a referential action, and when it may be deferred: only NO ACTION ever is.
fn action_function(action: u8, event: &str, deferrable: (bool, bool)) -> (&'static str, (bool, bool)) {
    let at_once = (false, false);
    match (action, event) {
        (b'r', "del") => ("RI_FKey_restrict_del", at_once),
        (b'r', _) => ("RI_FKey_restrict_upd", at_once),
        (b'c', "del") => ("RI_FKey_cascade_del", at_once),
        (b'c', _) => ("RI_FKey_cascade_upd", at_once),
        (b'n', "del") => ("RI_FKey_setnull_del", at_once),
        (b'n', _) => ("RI_FKey_setnull_upd", at_once),
        (b'd', "del") => ("RI_FKey_setdefault_del", at_once),
        (b'd', _) => ("RI_FKey_setdefault_upd", at_once),
        (_, "del") => ("RI_FKey_noaction_del", deferrable),
        (_, _) => ("RI_FKey_noaction_upd", deferrable),
    }
}
