//! Making a partition of a table that is in use.
//!
//! PostgreSQL refuses `PARTITION OF` and `ATTACH` while the statement that needs the partition runs, so this does at catalog
//! level what `DefineRelation` does for `PARTITION OF` (tablecmds.c), under ShareUpdateExclusiveLock on the parent. The table
//! is made first ([`create`]) and attached later ([`attach`]), so that rows can be moved in between without index upkeep.

use pgrx::pg_sys;

use super::partition::Bound;
use super::relation::Relation;
use super::{clone, ffi, foreign_key, list, node};

/// What the new table is.
pub struct NewPartition<'a> {
    /// Its schema.
    pub schema: pg_sys::Oid,
    /// Its name.
    pub name: &'a str,
    /// Its tablespace, `InvalidOid` for the database's.
    pub tablespace: pg_sys::Oid,
    /// Storage parameters as `name=value`; those that begin with `toast.` go to the TOAST table.
    pub options: &'a [String],
    /// The access method of its storage, None for heap.
    pub access_method: Option<pg_sys::Oid>,
    /// Whether its columns stand in the reverse order of the parent's.
    pub reversed: bool,
    /// If the partition is itself partitioned by hash: on which column of the parent.
    pub hash_column: Option<HashColumn>,
}

/// A hash key.
#[derive(Clone, Copy)]
pub struct HashColumn {
    /// The parent's attribute number.
    pub attribute: i16,
    /// A function to apply first, if any.
    pub function: Option<pg_sys::Oid>,
}

/// Creates the table with the columns, defaults and CHECKs that a partition of `parent` inherits, owned by the parent's owner,
/// not attached yet. The caller holds a lock on the parent that conflicts with itself.
pub fn create(parent: &Relation, new: &NewPartition) -> pg_sys::Oid {
    let class = parent.class();
    let kind = if new.hash_column.is_some() { b'p' } else { b'r' };
    let (options, toast_options) = reloptions(new.options, kind);
    let columns = Columns::inherited(parent, new.reversed);
    let access_method = new.access_method.unwrap_or(pg_sys::HEAP_TABLE_AM_OID);
    let name = super::relation::c_string(new.name);
    // SAFETY: the descriptor and the lists were made for this call; the arguments are those of DefineRelation.
    let oid = unsafe {
        let oid = ffi::heap_create_with_catalog(
            name.as_ptr(),
            new.schema,
            new.tablespace,
            pg_sys::InvalidOid,
            pg_sys::InvalidOid,
            pg_sys::InvalidOid,
            class.relowner,
            if kind == b'r' { access_method } else { pg_sys::InvalidOid },
            columns.desc,
            columns.constraints,
            kind as std::ffi::c_char,
            class.relpersistence,
            false,
            false,
            pg_sys::OnCommitAction::ONCOMMIT_NOOP,
            options,
            false,
            false,
            false,
            pg_sys::InvalidOid,
            std::ptr::null_mut(),
        );
        ffi::CommandCounterIncrement();
        oid
    };
    if kind == b'r' {
        // SAFETY: the table exists and is visible.
        unsafe { ffi::NewRelationCreateToastTable(oid, toast_options) };
    }
    let partition = Relation::open(oid, pg_sys::AccessExclusiveLock);
    if let Some(column) = new.hash_column {
        store_hash_key(parent, &partition, column);
    }
    super::column::copy_options(parent, &partition);
    super::acl::copy(parent, &partition);
    oid
}

/// Attaches a table made by [`create`], with the parent's indexes, row triggers and foreign keys.
pub fn attach(parent: &Relation, partition: &Relation, bound: Bound) {
    let name = super::relation::c_string(&partition.name());
    // SAFETY: both relations are open and locked; the sequence is that of DefineRelation with a partition bound.
    unsafe {
        let state = ffi::make_parsestate(std::ptr::null_mut());
        ffi::check_new_partition_bound(name.as_ptr().cast_mut(), parent.as_ptr(), bound.as_ptr(), state);
        ffi::free_parsestate(state);
        ffi::StorePartitionBound(partition.as_ptr(), parent.as_ptr(), bound.as_ptr());
        ffi::StoreSingleInheritance(partition.oid(), parent.oid(), 1);
        let child = node::object_address(pg_sys::RelationRelationId, partition.oid());
        let referenced = node::object_address(pg_sys::RelationRelationId, parent.oid());
        ffi::recordDependencyOn(&child, &referenced, pg_sys::DependencyType::DEPENDENCY_AUTO);
        ffi::SetRelationHasSubclass(parent.oid(), true);
        ffi::CommandCounterIncrement();
    }
    clone::indexes(parent, partition);
    clone::row_triggers(parent, partition);
    foreign_key::clone(parent, partition);
}

struct Columns {
    desc: pg_sys::TupleDesc,
    constraints: *mut pg_sys::List,
}

impl Columns {
    /// As `MergeAttributes` would make them for a partition: no dropped columns, everything inherited, no identity.
    fn inherited(parent: &Relation, reversed: bool) -> Self {
        let mut live: Vec<&pg_sys::FormData_pg_attribute> = parent.attributes().iter().filter(|column| !column.attisdropped).collect();
        if reversed {
            live.reverse();
        }
        // SAFETY: the template has room for as many attributes as are written; attrmap and constraints follow PostgreSQL's shapes.
        unsafe {
            let desc = ffi::CreateTemplateTupleDesc(live.len() as i32);
            let attributes = (*desc).attrs.as_mut_slice(live.len());
            for (index, (to, from)) in attributes.iter_mut().zip(&live).enumerate() {
                *to = **from;
                to.attnum = index as i16 + 1;
                to.attcacheoff = -1;
                to.attinhcount = 1;
                to.attislocal = false;
                to.atthasmissing = false;
                to.attidentity = 0;
            }
            let parent_desc = (*parent.as_ptr()).rd_att;
            let map = ffi::build_attrmap_by_name(desc, parent_desc);
            let constraints = cooked_constraints(parent_desc, map);
            Self { desc, constraints }
        }
    }
}

/// The parent's defaults and CHECK constraints as `heap_create_with_catalog` wants them.
///
/// # Safety
/// `desc` is a relation's descriptor and `map` maps its attributes to the partition's.
unsafe fn cooked_constraints(desc: pg_sys::TupleDesc, map: *mut pg_sys::AttrMap) -> *mut pg_sys::List {
    // SAFETY: constr is NULL or holds num_defval defaults and num_check constraints.
    unsafe {
        let Some(constr) = (*desc).constr.as_ref() else { return std::ptr::null_mut() };
        let defaults = (0..constr.num_defval as usize).map(|index| {
            let default = &*constr.defval.add(index);
            let attribute = *(*map).attnums.add(default.adnum as usize - 1);
            cooked(pg_sys::ConstrType::CONSTR_DEFAULT, attribute, std::ptr::null_mut(), mapped_expression(default.adbin, map), true, true)
        });
        let checks = (0..constr.num_check as usize).map(|index| {
            let check = &*constr.check.add(index);
            let name = ffi::pstrdup(check.ccname);
            cooked(pg_sys::ConstrType::CONSTR_CHECK, 0, name, mapped_expression(check.ccbin, map), !check.ccvalid, false)
        });
        list::from_pointers(defaults.chain(checks))
    }
}

/// # Safety
/// `text` is a stored expression over the parent's attributes.
unsafe fn mapped_expression(text: *const std::ffi::c_char, map: *mut pg_sys::AttrMap) -> *mut pg_sys::Node {
    let mut whole_row = false;
    // SAFETY: the caller's promise.
    unsafe { ffi::map_variable_attnos(ffi::stringToNode(text).cast(), 1, 0, map, pg_sys::InvalidOid, &mut whole_row) }
}

fn cooked(
    kind: pg_sys::ConstrType::Type,
    attribute: i16,
    name: *mut std::ffi::c_char,
    expression: *mut pg_sys::Node,
    skip_validation: bool,
    is_default: bool,
) -> *mut pg_sys::CookedConstraint {
    // SAFETY: palloc'd memory of the struct's size.
    unsafe {
        let constraint = ffi::palloc0(size_of::<pg_sys::CookedConstraint>()).cast::<pg_sys::CookedConstraint>();
        (*constraint).contype = kind;
        (*constraint).attnum = attribute;
        (*constraint).name = name;
        (*constraint).expr = expression;
        (*constraint).skip_validation = skip_validation && !is_default;
        (*constraint).is_local = is_default;
        (*constraint).inhcount = i32::from(!is_default);
        constraint
    }
}

/// Storage parameters for the table and for its TOAST table.
fn reloptions(options: &[String], kind: u8) -> (pg_sys::Datum, pg_sys::Datum) {
    if kind != b'r' || options.is_empty() {
        return (pg_sys::Datum::null(), pg_sys::Datum::null());
    }
    let (toast, main): (Vec<&String>, Vec<&String>) = options.iter().partition(|option| option.starts_with("toast."));
    let array = |options: Vec<String>| {
        if options.is_empty() { pg_sys::Datum::null() } else { pgrx::IntoDatum::into_datum(options).unwrap_or(pg_sys::Datum::null()) }
    };
    (
        array(main.into_iter().cloned().collect()),
        array(toast.into_iter().map(|option| option.trim_start_matches("toast.").to_owned()).collect()),
    )
}

/// Makes `partition` itself partitioned by hash of a column.
fn store_hash_key(parent: &Relation, partition: &Relation, column: HashColumn) {
    let source = &parent.attributes()[column.attribute as usize - 1];
    // SAFETY: the column exists in the partition by the same name; one-element arrays for one key column.
    unsafe {
        let name = super::relation::name_str(&source.attname);
        let attribute = ffi::get_attnum(partition.oid(), name.as_ptr());
        let (mut type_oid, mut typmod, mut collation) = (pg_sys::InvalidOid, 0, pg_sys::InvalidOid);
        ffi::get_atttypetypmodcoll(partition.oid(), attribute, &mut type_oid, &mut typmod, &mut collation);
        let (mut attributes, expressions) = match column.function {
            None => ([attribute], std::ptr::null_mut()),
            Some(function) => {
                let variable = ffi::makeVar(1, attribute, type_oid, typmod, collation, 0);
                type_oid = ffi::get_func_rettype(function);
                let arguments = list::from_pointers([variable]);
                let call = ffi::makeFuncExpr(
                    function,
                    type_oid,
                    arguments,
                    pg_sys::InvalidOid,
                    collation,
                    pg_sys::CoercionForm::COERCE_EXPLICIT_CALL,
                );
                collation = ffi::get_typcollation(type_oid);
                ([0], list::from_pointers([call]))
            }
        };
        let mut class = [ffi::GetDefaultOpClass(type_oid, pg_sys::HASH_AM_OID)];
        let mut collations = [collation];
        ffi::StorePartitionKey(
            partition.as_ptr(),
            b'h' as std::ffi::c_char,
            1,
            attributes.as_mut_ptr(),
            expressions,
            class.as_mut_ptr(),
            collations.as_mut_ptr(),
        );
        ffi::CommandCounterIncrement();
    }
}
