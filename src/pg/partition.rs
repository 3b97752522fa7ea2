//! A partitioned table's key, bounds and descriptor.

use pgrx::pg_sys;
use tsc_kernel::axis::{Axis, Slice};

use super::catalog_scan;
use super::ffi::raw;
use super::relation::Relation;
use super::{axis, ffi, list, node};

/// `PartitionKeyData` of utils/partcache.h, which pgrx keeps opaque.
#[repr(C)]
struct PartitionKeyData {
    strategy: std::ffi::c_char,
    partnatts: i16,
    partattrs: *mut pg_sys::AttrNumber,
    partexprs: *mut pg_sys::List,
    partopfamily: *mut pg_sys::Oid,
    partopcintype: *mut pg_sys::Oid,
    partsupfunc: *mut pg_sys::FmgrInfo,
    partcollation: *mut pg_sys::Oid,
    parttypid: *mut pg_sys::Oid,
}

/// The partition key of a table with one key column or expression.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `b'r'`, `b'h'` or `b'l'`.
    pub strategy: u8,
    /// The number of key columns.
    pub columns: i16,
    /// The first key column; 0 if it is an expression.
    pub attribute: i16,
    /// The type of the first key column.
    pub type_oid: pg_sys::Oid,
    /// The expression, if `attribute` is 0; it belongs to the relcache.
    pub expression: *mut pg_sys::Expr,
    /// The partition support function (comparison or extended hash) of the first key column.
    pub support: *mut pg_sys::FmgrInfo,
    /// Its collation.
    pub collation: pg_sys::Oid,
}

/// The partition key of a relation; None if it is not partitioned.
pub fn key(relation: &Relation) -> Option<Key> {
    // SAFETY: the key lives in the relcache entry of an open relation; the first elements exist as partnatts > 0.
    unsafe {
        let key = ffi::RelationGetPartitionKey(relation.as_ptr()).cast::<PartitionKeyData>();
        let key = key.as_ref()?;
        Some(Key {
            strategy: key.strategy as u8,
            columns: key.partnatts,
            attribute: *key.partattrs,
            type_oid: *key.parttypid,
            expression: list::pointers(key.partexprs).first().copied().unwrap_or(std::ptr::null_mut()),
            support: key.partsupfunc,
            collation: *key.partcollation,
        })
    }
}

/// The type of the first partition key column.
pub fn key_type(relation: &Relation) -> Option<pg_sys::Oid> {
    key(relation).map(|key| key.type_oid)
}

/// A partition of a range-partitioned table.
#[derive(Clone, Copy, Debug)]
pub struct Partition {
    /// Its bounds.
    pub slice: Slice,
    /// The table.
    pub oid: pg_sys::Oid,
    /// False if it is itself partitioned.
    pub is_leaf: bool,
}

/// What [`find`] found at a position.
#[derive(Clone, Copy, Debug)]
pub enum Found {
    /// A partition covers it.
    Partition(Partition),
    /// Nothing does; this is the gap between the neighbours.
    Gap(Slice),
}

#[derive(Clone, Copy)]
struct Bounds {
    desc: *mut pg_sys::PartitionDescData,
    axis: Axis,
}

/// An end of a range: -1 is MINVALUE, 1 MAXVALUE, 0 a position.
type End = (i32, i64);

impl Bounds {
    /// # Safety
    /// `relation` is open, partitioned by range on one column of the axis's type, and not invalidated while this lives.
    unsafe fn new(relation: &Relation, axis: Axis) -> Self {
        // SAFETY: the relation is partitioned.
        Self { desc: unsafe { ffi::RelationGetPartitionDesc(relation.as_ptr(), true) }, axis }
    }

    fn len(self) -> usize {
        // SAFETY: boundinfo is NULL when there is no partition.
        unsafe { (*self.desc).boundinfo.as_ref().map_or(0, |info| info.ndatums as usize) }
    }

    fn bound(self, index: usize) -> End {
        // SAFETY: index < ndatums; range bounds have a kind for each column.
        unsafe {
            let info = &*(*self.desc).boundinfo;
            match **info.kind.add(index) {
                pg_sys::PartitionRangeDatumKind::PARTITION_RANGE_DATUM_VALUE => (0, axis::position(self.axis, **info.datums.add(index))),
                kind => (kind, 0),
            }
        }
    }

    /// The partition that ends at bound `index` (one more than there are bounds: the one after the last); None for a gap.
    fn partition_before(self, index: usize) -> Option<(pg_sys::Oid, bool)> {
        // SAFETY: `indexes` has nindexes = ndatums + 1 elements.
        unsafe {
            let info = &*(*self.desc).boundinfo;
            let partition = *info.indexes.add(index);
            (partition >= 0).then(|| (*(*self.desc).oids.add(partition as usize), *(*self.desc).is_leaf.add(partition as usize)))
        }
    }

    fn slice_before(self, index: usize) -> Slice {
        let position = |bound: End| (bound.0 == 0).then_some(bound.1);
        Slice {
            start: index.checked_sub(1).and_then(|before| position(self.bound(before))),
            end: (index < self.len()).then(|| position(self.bound(index))).flatten(),
        }
    }
}

/// What lies at `position` of a table that is partitioned by range on one column.
pub fn find(relation: &Relation, axis: Axis, position: i64) -> Found {
    // SAFETY: the descriptor is used before anything can invalidate it.
    unsafe { find_in(ffi::RelationGetPartitionDesc(relation.as_ptr(), true), axis, position) }
}

/// What lies at `position` in a descriptor.
///
/// # Safety
/// `desc` is of a table that is partitioned by range on one column of the axis's type, and stays valid during the call.
pub unsafe fn find_in(desc: *mut pg_sys::PartitionDescData, axis: Axis, position: i64) -> Found {
    let bounds = Bounds { desc, axis };
    let (mut low, mut high) = (0, bounds.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        if bounds.bound(middle) <= (0, position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if bounds.len() == 0 {
        return Found::Gap(Slice { start: None, end: None });
    }
    match bounds.partition_before(low) {
        Some((oid, is_leaf)) => Found::Partition(Partition { slice: bounds.slice_before(low), oid, is_leaf }),
        None => Found::Gap(bounds.slice_before(low)),
    }
}

/// From where to where the partitions of a table that is partitioned by range on one column reach, leaving out what has no bound.
pub fn extent(relation: &Relation, axis: Axis) -> Option<(i64, i64)> {
    // SAFETY: the descriptor is used before anything can invalidate it.
    let bounds = unsafe { Bounds::new(relation, axis) };
    let finite = |index: usize| {
        let (kind, position) = bounds.bound(index);
        (kind == 0).then_some(position)
    };
    let (first, last) = ((0..bounds.len()).find_map(finite)?, (0..bounds.len()).rev().find_map(finite)?);
    (first < last).then_some((first, last))
}

/// The partitions of a table that is partitioned by range on one column, in order.
pub fn partitions(relation: &Relation, axis: Axis) -> Vec<Partition> {
    // SAFETY: the descriptor is used before anything can invalidate it.
    let bounds = unsafe { Bounds::new(relation, axis) };
    if bounds.len() == 0 {
        return Vec::new();
    }
    (0..=bounds.len())
        .filter_map(|index| {
            let (oid, is_leaf) = bounds.partition_before(index)?;
            Some(Partition { slice: bounds.slice_before(index), oid, is_leaf })
        })
        .collect()
}

/// The direct partitions of any partitioned table but a DEFAULT one, and whether each is a leaf.
pub fn children(relation: &Relation) -> Vec<(pg_sys::Oid, bool)> {
    // SAFETY: the arrays have nparts elements.
    unsafe {
        let desc = ffi::RelationGetPartitionDesc(relation.as_ptr(), true);
        let default = default_index(desc);
        (0..(*desc).nparts as usize)
            .filter(|index| Some(*index) != default)
            .map(|index| (*(*desc).oids.add(index), *(*desc).is_leaf.add(index)))
            .collect()
    }
}

/// # Safety
/// `desc` is a partition descriptor.
unsafe fn default_index(desc: *mut pg_sys::PartitionDescData) -> Option<usize> {
    // SAFETY: boundinfo is NULL when there is no partition.
    unsafe { (*desc).boundinfo.as_ref().and_then(|info| usize::try_from(info.default_index).ok()) }
}

/// The DEFAULT partition of a table, if it has one.
pub fn default_of(relation: &Relation) -> Option<pg_sys::Oid> {
    // SAFETY: the array has nparts elements, the default among them.
    unsafe {
        let desc = ffi::RelationGetPartitionDesc(relation.as_ptr(), true);
        default_index(desc).map(|index| *(*desc).oids.add(index))
    }
}

/// `InheritsRelationId`
const INHERITS_RELATION_ID: pg_sys::Oid = pg_sys::Oid::from_u32(2611);
/// `InheritsRelidSeqnoIndexId`
const INHERITS_RELID_SEQNO_INDEX_ID: u32 = 2680;
/// `Anum_pg_inherits_inhrelid` and `Anum_pg_inherits_inhparent`
const INHERITS_COLUMNS: [u32; 2] = [1, 2];

/// The parent of a partition; None if the relation is no partition.
pub fn parent_of(relid: pg_sys::Oid) -> Option<pg_sys::Oid> {
    // SAFETY: a syscache look-up.
    if unsafe { !ffi::get_rel_relispartition(relid) } {
        return None;
    }
    // Not by get_partition_parent: a partition that is not locked may be dropped at this moment, and that is no error here.
    let inherits = Relation::open(INHERITS_RELATION_ID, pg_sys::AccessShareLock);
    let tuples = catalog_scan::scan(&inherits, INHERITS_RELID_SEQNO_INDEX_ID, INHERITS_COLUMNS[0], relid);
    // SAFETY: a tuple of pg_inherits.
    let parent = tuples.first().and_then(|tuple| unsafe { catalog_scan::attribute(&inherits, *tuple, INHERITS_COLUMNS[1]) })?;
    Some(pg_sys::Oid::from(parent.value() as u32))
}

/// The root of a partition's tree; the relation itself if it is no partition.
pub fn root_of(relid: pg_sys::Oid) -> pg_sys::Oid {
    std::iter::successors(Some(relid), |relid| parent_of(*relid)).last().unwrap_or(relid)
}

/// The bound of a partition to be, a node in the memory context in which it was made.
#[derive(Clone, Copy, Debug)]
pub struct Bound(*mut pg_sys::PartitionBoundSpec);

impl Bound {
    /// PostgreSQL's node.
    pub(super) fn as_ptr(self) -> *mut pg_sys::PartitionBoundSpec {
        self.0
    }
}

/// `FOR VALUES FROM ... TO ...` for one slice.
pub fn range_bound(axis: Axis, type_oid: pg_sys::Oid, slice: Slice) -> Bound {
    let datum = |position: Option<i64>, open: pg_sys::PartitionRangeDatumKind::Type| {
        let datum: *mut pg_sys::PartitionRangeDatum = node::make_node(pg_sys::NodeTag::T_PartitionRangeDatum);
        // SAFETY: a fresh node; the Const is of the key's type.
        unsafe {
            (*datum).location = -1;
            match position {
                Some(position) => {
                    (*datum).kind = pg_sys::PartitionRangeDatumKind::PARTITION_RANGE_DATUM_VALUE;
                    (*datum).value = node::make_const(type_oid, axis::datum(axis, position)).cast();
                }
                None => (*datum).kind = open,
            }
        }
        datum
    };
    let spec = bound_spec(b'r');
    // SAFETY: a fresh node.
    unsafe {
        (*spec).lowerdatums = list::from_pointers([datum(slice.start, pg_sys::PartitionRangeDatumKind::PARTITION_RANGE_DATUM_MINVALUE)]);
        (*spec).upperdatums = list::from_pointers([datum(slice.end, pg_sys::PartitionRangeDatumKind::PARTITION_RANGE_DATUM_MAXVALUE)]);
    }
    Bound(spec)
}

/// `DEFAULT`, of a table partitioned by range.
pub fn default_bound() -> Bound {
    let spec = bound_spec(b'r');
    // SAFETY: a fresh node.
    unsafe { (*spec).is_default = true };
    Bound(spec)
}

/// `FOR VALUES WITH (MODULUS ..., REMAINDER ...)`.
pub fn hash_bound(modulus: i32, remainder: i32) -> Bound {
    let spec = bound_spec(b'h');
    // SAFETY: a fresh node.
    unsafe {
        (*spec).modulus = modulus;
        (*spec).remainder = remainder;
    }
    Bound(spec)
}

fn bound_spec(strategy: u8) -> *mut pg_sys::PartitionBoundSpec {
    let spec: *mut pg_sys::PartitionBoundSpec = node::make_node(pg_sys::NodeTag::T_PartitionBoundSpec);
    // SAFETY: a fresh node.
    unsafe {
        (*spec).strategy = strategy as std::ffi::c_char;
        (*spec).location = -1;
    }
    spec
}

/// How many partitions of a hash-partitioned parent the partition divides by, and which of them it is.
pub fn hash_bound_of(relid: pg_sys::Oid) -> Option<(i32, i32)> {
    // SAFETY: relpartbound of a partition is the text of a PartitionBoundSpec.
    unsafe {
        let spec = super::syscache::partition_bound(relid)?;
        ((*spec).strategy as u8 == b'h').then(|| ((*spec).modulus, (*spec).remainder))
    }
}

/// The slice of a partition that is divided by range on one column; None if its bound is another one.
pub fn range_bound_of(axis: Axis, relid: pg_sys::Oid) -> Option<Slice> {
    // SAFETY: relpartbound of a partition is the text of a PartitionBoundSpec.
    unsafe {
        let spec = super::syscache::partition_bound(relid)?;
        if (*spec).strategy as u8 != b'r' || (*spec).is_default {
            return None;
        }
        Some(Slice { start: range_end(axis, (*spec).lowerdatums), end: range_end(axis, (*spec).upperdatums) })
    }
}

/// # Safety
/// `datums` is one end of a range bound on a column of the axis's type.
unsafe fn range_end(axis: Axis, datums: *mut pg_sys::List) -> Option<i64> {
    // SAFETY: a stored bound holds Consts, or neither value for MINVALUE and MAXVALUE.
    unsafe {
        let datum = *list::pointers::<pg_sys::PartitionRangeDatum>(datums).first()?;
        ((*datum).kind == pg_sys::PartitionRangeDatumKind::PARTITION_RANGE_DATUM_VALUE)
            .then(|| axis::position(axis, (*(*datum).value.cast::<pg_sys::Const>()).constvalue))
    }
}

/// The direct partitions of a table as pg_inherits has them, without a lock.
pub fn children_unlocked(relid: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    // SAFETY: a catalog scan; the list holds OIDs.
    unsafe { list::oids(ffi::find_inheritance_children(relid, pg_sys::NoLock as i32)) }
}

/// The partition hash of a value (None is NULL) by the key of a table that is partitioned by hash on one column.
pub fn hash_of(relation: &Relation, value: Option<pg_sys::Datum>) -> u64 {
    let Some(key) = key(relation) else { return 0 };
    let (mut values, mut nulls) = ([value.unwrap_or(pg_sys::Datum::null())], [value.is_none()]);
    let mut collation = [key.collation];
    // SAFETY: one-element arrays for a key of one column, whose support function lives in the relcache.
    unsafe { ffi::compute_partition_hash_value(1, key.support, collation.as_mut_ptr(), values.as_mut_ptr(), nulls.as_mut_ptr()) }
}

/// Builds the relation's partition descriptor if it is out of date.
pub fn build_descriptor(relation: &Relation) {
    // SAFETY: a partitioned relation.
    unsafe { ffi::RelationGetPartitionDesc(relation.as_ptr(), true) };
}

/// The memory of the relation's newest partition descriptor; older ones that may still be in use are its children, each below
/// the next newer one (`RelationBuildPartitionDesc`). NULL if none was built yet.
pub fn descriptor_memory(relation: &Relation) -> pg_sys::MemoryContext {
    // SAFETY: an open relation.
    unsafe { (*relation.as_ptr()).rd_pdcxt }
}

/// Frees the descriptors between the newest one and `keep`. PostgreSQL would keep them until nobody has the relation open.
///
/// # Safety
/// Nobody holds a pointer to a descriptor that is newer than `keep` and older than the newest.
pub unsafe fn free_descriptors(relation: &Relation, keep: pg_sys::MemoryContext) {
    // SAFETY: contexts hang below each other, one child each; a chain of another shape is left alone.
    unsafe {
        let newest = descriptor_memory(relation);
        if newest.is_null() || newest == keep || (*newest).firstchild == keep {
            return;
        }
        let mut context = newest;
        while !context.is_null() && context != keep {
            let child = (*context).firstchild;
            if !child.is_null() && !(*child).nextchild.is_null() {
                return;
            }
            context = child;
        }
        let superseded = (*newest).firstchild;
        if !context.is_null() {
            ffi::MemoryContextSetParent(keep, newest);
        }
        if !superseded.is_null() {
            ffi::MemoryContextDelete(superseded);
        }
    }
}

/// Lets this backend take the constraint of a partition for true, until the relcache hears of a change to the partition.
///
/// `ExecFindPartition` checks a row that it routed to the DEFAULT partition against the bounds of all others as they are at that
/// moment, which may be newer than those that it routed by. A partition that stores nothing needs no such check, but there is no
/// other way to say so. TRUE and not nothing, since only a constraint that is there is kept for the rows that follow.
///
/// # Safety
/// `relation` is an open partition; nothing with a destructor is pending.
pub unsafe fn relax_constraint(relation: pg_sys::Relation) {
    // SAFETY: these fields belong to generate_partition_qual, which hands out copies only; the relcache frees the context.
    unsafe {
        let relation = &mut *relation;
        if relation.rd_partcheckvalid && list::cells(relation.rd_partcheck).first().is_some_and(|cell| is_constant(cell)) {
            return;
        }
        let context = raw::AllocSetContextCreateInternal(
            pg_sys::CacheMemoryContext,
            c"partition constraint".as_ptr(),
            pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
            pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
            pg_sys::ALLOCSET_SMALL_MAXSIZE as usize,
        );
        let caller = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = context;
        let constant = raw::makeConst(pg_sys::BOOLOID, -1, pg_sys::InvalidOid, 1, pg_sys::Datum::from(true), false, true);
        let constraint = raw::lappend(std::ptr::null_mut(), constant.cast());
        pg_sys::CurrentMemoryContext = caller;
        let old = relation.rd_partcheckcxt;
        (relation.rd_partcheck, relation.rd_partcheckcxt, relation.rd_partcheckvalid) = (constraint, context, true);
        if !old.is_null() {
            raw::MemoryContextDelete(old);
        }
    }
}

/// # Safety
/// A cell of a list of nodes.
unsafe fn is_constant(cell: &pg_sys::ListCell) -> bool {
    // SAFETY: the caller's promise.
    unsafe { node::tag(cell.ptr_value.cast::<pg_sys::Node>()) == pg_sys::NodeTag::T_Const }
}

/// Of a table partitioned by hash: the greatest modulus, and the remainders that no partition takes. None without partitions.
pub fn hash_gaps(relation: &Relation) -> Option<(i32, Vec<i32>)> {
    // SAFETY: boundinfo is NULL when there is no partition; for hash it has an index for each remainder of the greatest modulus.
    unsafe {
        let info = (*ffi::RelationGetPartitionDesc(relation.as_ptr(), true)).boundinfo.as_ref()?;
        let gaps = (0..info.nindexes).filter(|remainder| *info.indexes.add(*remainder as usize) < 0).collect();
        Some((info.nindexes, gaps))
    }
}
