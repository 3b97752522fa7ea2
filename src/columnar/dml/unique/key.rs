//! A unique index: how its key is made from a row, and which conditions find it in batches.

use std::rc::Rc;

use pgrx::pg_sys;

use crate::columnar::filter::Filter;
use crate::columnar::layout::Layout;
use crate::columnar::reader::BatchReader;
use crate::pg::ffi::{self, raw};
use crate::pg::relation::Relation;
use crate::pg::{list, node, slot};

const MOST: usize = pg_sys::INDEX_MAX_KEYS as usize;

/// The values of a key.
#[derive(Clone, Copy)]
pub struct Values {
    /// The values.
    pub datums: [pg_sys::Datum; MOST],
    /// Whether each is NULL.
    pub nulls: [bool; MOST],
}

/// How to compare a column of the key.
struct Part {
    /// The column; 0 for an expression.
    attribute: i16,
    operator: pg_sys::Oid,
    equal: pg_sys::FmgrInfo,
    collation: pg_sys::Oid,
    input_type: pg_sys::Oid,
}

/// A unique index. Its memory is that of the context in which it was made.
pub struct Key {
    info: *mut pg_sys::IndexInfo,
    predicate: *mut pg_sys::ExprState,
    parts: Vec<Part>,
    nulls_distinct: bool,
    parameters: pg_sys::ParamListInfo,
    /// A filter for each set of columns that are NULL.
    filters: Vec<(u32, Filter)>,
    /// The columns that the key is made from (attribute numbers).
    attributes: Vec<i16>,
    /// The same, by index in the layout and in the row; None if batches lack one of them.
    needed: Option<Vec<(usize, usize)>>,
}

/// The attribute numbers of a table's generated columns.
///
/// # Safety
/// An open table.
pub unsafe fn generated(relation: pg_sys::Relation) -> Vec<i16> {
    // SAFETY: the descriptor has as many attributes.
    unsafe {
        let desc = (*relation).rd_att;
        let attributes = (*desc).attrs.as_slice((*desc).natts as usize);
        attributes
            .iter()
            .filter(|attribute| !attribute.attisdropped && attribute.attgenerated != 0)
            .map(|attribute| attribute.attnum)
            .collect()
    }
}

impl Key {
    /// # Safety
    /// A unique index of the chunk that the layout is of, which is locked.
    pub unsafe fn new(oid: pg_sys::Oid, layout: &Layout, estate: *mut pg_sys::EState) -> Self {
        let index = Relation::open(oid, pg_sys::AccessShareLock);
        // SAFETY: an open index has arrays with an element for each key.
        unsafe {
            let info = ffi::BuildIndexInfo(index.as_ptr());
            let attributes = attributes(info);
            let parts = (0..(*info).ii_NumIndexKeyAttrs as usize).map(|at| Part::new(&index, info, at)).collect();
            Self {
                info,
                predicate: ffi::ExecPrepareQual((*info).ii_Predicate, estate),
                parts,
                nulls_distinct: !(*info).ii_NullsNotDistinct,
                parameters: ffi::makeParamList((*info).ii_NumIndexKeyAttrs),
                filters: Vec::new(),
                needed: attributes
                    .iter()
                    .map(|attribute| layout.column_of(*attribute).map(|column| (column, *attribute as usize - 1)))
                    .collect(),
                attributes,
            }
        }
    }

    /// Whether the key is made from one of these columns.
    pub fn uses(&self, mut columns: impl Iterator<Item = i16>) -> bool {
        columns.any(|column| self.attributes.contains(&column))
    }

    /// The key of a row; None if it has none: the predicate does not hold, or a value is missing.
    ///
    /// # Safety
    /// The slot holds a row of the chunk; the state is the one that the key was made with. The values live as long as the row, and the
    /// state's per-tuple memory. May jump.
    pub unsafe fn of(&self, row: *mut pg_sys::TupleTableSlot, estate: *mut pg_sys::EState) -> Option<Values> {
        // SAFETY: the caller's promise.
        unsafe {
            let econtext = per_tuple(estate);
            (*econtext).ecxt_scantuple = row;
            if !self.predicate.is_null() && !holds(self.predicate, econtext) {
                return None;
            }
            let mut values = Values { datums: [pg_sys::Datum::null(); MOST], nulls: [true; MOST] };
            raw::FormIndexDatum(self.info, row, estate, values.datums.as_mut_ptr(), values.nulls.as_mut_ptr());
            let lacks_value = self.nulls_distinct && values.nulls[..self.parts.len()].contains(&true);
            (!lacks_value).then_some(values)
        }
    }

    /// The value of a column in a key; None if it is NULL, or no column of the key.
    pub fn value_of(&self, attribute: i16, values: &Values) -> Option<pg_sys::Datum> {
        let at = self.parts.iter().position(|part| part.attribute == attribute)?;
        (!values.nulls[at]).then_some(values.datums[at])
    }

    /// Whether two keys are the same one to the index.
    ///
    /// # Safety
    /// Keys of this index. May jump.
    pub unsafe fn equal(&mut self, one: &Values, other: &Values) -> bool {
        self.parts.iter_mut().enumerate().all(|(at, part)| match (one.nulls[at], other.nulls[at]) {
            (true, true) => true,
            // SAFETY: the caller's promise.
            (false, false) => unsafe {
                raw::FunctionCall2Coll(&mut part.equal, part.collation, one.datums[at], other.datums[at]).value() as u8 != 0
            },
            _ => false,
        })
    }

    /// A filter that the rows with a key pass, and others perhaps: it looks at plain columns only. To be prepared.
    ///
    /// # Safety
    /// As [`Key::new`]; `desc` describes the chunk's rows.
    pub unsafe fn filter(
        &mut self,
        values: &Values,
        layout: &Rc<Layout>,
        desc: pg_sys::TupleDesc,
        econtext: *mut pg_sys::ExprContext,
    ) -> usize {
        let mut nulls = 0u32;
        // SAFETY: the list has an element for each part.
        unsafe {
            let parameters = (*self.parameters).params.as_mut_slice(self.parts.len());
            for (at, part) in self.parts.iter().enumerate() {
                nulls |= u32::from(values.nulls[at]) << at;
                parameters[at] = pg_sys::ParamExternData {
                    value: values.datums[at],
                    isnull: values.nulls[at],
                    pflags: pg_sys::PARAM_FLAG_CONST as u16,
                    ptype: part.input_type,
                };
            }
            (*econtext).ecxt_param_list_info = self.parameters;
            if let Some(found) = self.filters.iter().position(|(mask, _)| *mask == nulls) {
                return found;
            }
            let plain = self.parts.iter().enumerate().filter(|(_, part)| part.attribute > 0);
            let conditions: Vec<*mut pg_sys::Node> = plain.filter_map(|(at, part)| part.condition(at, values.nulls[at], layout)).collect();
            let filter = Filter::compile(&conditions, 1, layout, desc, std::ptr::null_mut(), self.parameters);
            self.filters.push((nulls, filter));
            self.filters.len() - 1
        }
    }

    /// A filter that [`Self::filter`] found.
    pub fn filter_mut(&mut self, number: usize) -> &mut Filter {
        &mut self.filters[number].1
    }

    /// Puts what the key is made from of a batch's row into a slot.
    ///
    /// # Safety
    /// An open batch with that row; a virtual slot for rows of the chunk. May jump.
    pub unsafe fn fill(&self, batch: &mut BatchReader, row: usize, target: slot::Virtual) -> *mut pg_sys::TupleTableSlot {
        // SAFETY: the caller's promise.
        unsafe {
            let (datums, nulls) = target.arrays();
            match &self.needed {
                None => batch.row(row, datums, nulls),
                Some(columns) => {
                    nulls.fill(true);
                    let (vector, index) = (row / tsc_codec::VECTOR_ROWS, row % tsc_codec::VECTOR_ROWS);
                    for (column, attribute) in columns {
                        let values = batch.vector(*column, vector);
                        if values.is_valid(index) {
                            datums[*attribute] = pg_sys::Datum::from(values.words[index]);
                            nulls[*attribute] = false;
                        }
                    }
                }
            }
            target.stored()
        }
    }
}

impl Part {
    /// # Safety
    /// An open index with its description.
    unsafe fn new(index: &Relation, info: *mut pg_sys::IndexInfo, at: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            let relation = index.as_ptr();
            let (family, input_type) = (*(*relation).rd_opfamily.add(at), *(*relation).rd_opcintype.add(at));
            let operator = ffi::get_opfamily_member(family, input_type, input_type, pg_sys::BTEqualStrategyNumber as i16);
            let mut equal = pg_sys::FmgrInfo::default();
            ffi::fmgr_info(ffi::get_opcode(operator), &mut equal);
            let collation = *(*relation).rd_indcollation.add(at);
            Self { attribute: (&(*info).ii_IndexAttrNumbers)[at], operator, equal, collation, input_type }
        }
    }

    /// `column = $n`, or `column IS NULL`; None if the batches lack the column.
    ///
    /// # Safety
    /// As [`Key::filter`].
    unsafe fn condition(&self, at: usize, is_null: bool, layout: &Layout) -> Option<*mut pg_sys::Node> {
        let column = &layout.columns[layout.column_of(self.attribute)?];
        // SAFETY: fresh nodes in the current memory context.
        unsafe {
            let var: *mut pg_sys::Expr = ffi::makeVar(1, self.attribute, column.type_oid, column.typmod, column.collation, 0).cast();
            if is_null {
                let test: *mut pg_sys::NullTest = node::make_node(pg_sys::NodeTag::T_NullTest);
                (*test).arg = var;
                (*test).nulltesttype = pg_sys::NullTestType::IS_NULL;
                (*test).location = -1;
                return Some(test.cast());
            }
            let parameter: *mut pg_sys::Param = node::make_node(pg_sys::NodeTag::T_Param);
            (*parameter).paramkind = pg_sys::ParamKind::PARAM_EXTERN;
            (*parameter).paramid = at as i32 + 1;
            (*parameter).paramtype = self.input_type;
            (*parameter).paramtypmod = -1;
            (*parameter).paramcollid = column.collation;
            (*parameter).location = -1;
            let boolean = (pg_sys::BOOLOID, pg_sys::InvalidOid);
            let sides = (relabel(var, column, self.input_type), parameter.cast());
            let clause = ffi::make_opclause(self.operator, boolean.0, false, sides.0, sides.1, boolean.1, self.collation);
            ffi::set_opfuncid(clause.cast());
            Some(clause.cast())
        }
    }
}

/// The column as a value of the type that the operator takes, if that is another one.
///
/// # Safety
/// An expression that is of the column's type.
unsafe fn relabel(var: *mut pg_sys::Expr, column: &crate::columnar::layout::Column, input_type: pg_sys::Oid) -> *mut pg_sys::Expr {
    // SAFETY: the caller's promise.
    unsafe {
        if column.type_oid == input_type || ffi::get_typtype(input_type) as u8 == b'p' {
            return var;
        }
        ffi::makeRelabelType(var, input_type, -1, column.collation, pg_sys::CoercionForm::COERCE_IMPLICIT_CAST).cast()
    }
}

/// The columns that a key is made from.
///
/// # Safety
/// An index's description.
unsafe fn attributes(info: *mut pg_sys::IndexInfo) -> Vec<i16> {
    // SAFETY: Vars of an index are numbered by its table, as relation 1.
    unsafe {
        let mut attributes: Vec<i16> = (&(*info).ii_IndexAttrNumbers)[..(*info).ii_NumIndexKeyAttrs as usize].to_vec();
        attributes.retain(|attribute| *attribute > 0);
        for expressions in [(*info).ii_Expressions, (*info).ii_Predicate] {
            let vars = list::pointers::<pg_sys::Var>(ffi::pull_var_clause(expressions.cast(), 0));
            attributes.extend(vars.into_iter().map(|var| (*var).varattno));
        }
        attributes.sort_unstable();
        attributes.dedup();
        attributes
    }
}

/// `GetPerTupleExprContext`
///
/// # Safety
/// An executor state. May jump.
pub unsafe fn per_tuple(estate: *mut pg_sys::EState) -> *mut pg_sys::ExprContext {
    // SAFETY: makes it at the first call.
    unsafe {
        if (*estate).es_per_tuple_exprcontext.is_null() { raw::MakePerTupleExprContext(estate) } else { (*estate).es_per_tuple_exprcontext }
    }
}

/// `ExecQual`
///
/// # Safety
/// A prepared list of conditions. May jump.
unsafe fn holds(conditions: *mut pg_sys::ExprState, econtext: *mut pg_sys::ExprContext) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let outer = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = (*econtext).ecxt_per_tuple_memory;
        let mut is_null = false;
        let result = (*conditions).evalfunc.is_some_and(|evaluate| evaluate(conditions, econtext, &mut is_null).value() as u8 != 0);
        pg_sys::CurrentMemoryContext = outer;
        result
    }
}
