//! From expressions to conditions.

use std::rc::Rc;

use pgrx::pg_sys::{self, NodeTag};
use tsc_codec::Kind;
use tsc_kernel::select::Comparison;

use super::{Compare, Condition, Constant, Filter, List, Predicate};
use crate::columnar::image::Image;
use crate::columnar::layout::Layout;
use crate::columnar::order::{Hash, Order};
use crate::columnar::value;
use crate::pg::guard::guard;
use crate::pg::{ffi, list, node};

/// Where column references point to.
struct Source<'a> {
    varno: i32,
    layout: &'a Layout,
}

impl Filter {
    /// True if an expression can be a condition on a chunk: `varno` is what its Vars refer to the chunk by. Vars of other relations count
    /// as constants: PostgreSQL makes parameters of them where they are known.
    ///
    /// # Safety
    /// An expression of a query that is being planned.
    pub unsafe fn accepts(expression: *mut pg_sys::Node, varno: i32, layout: &Layout) -> bool {
        // SAFETY: the caller's promise.
        unsafe { Source { varno, layout }.condition(expression).is_some() }
    }

    /// Makes a filter of expressions that [`Self::accepts`] accepts; others are left out. `parent` is the node that runs it, or NULL, and
    /// then `parameters` are those of the statement. Lives in the current memory context.
    ///
    /// # Safety
    /// Expressions of a finished plan; `chunk` is the descriptor of the chunk, which stays open.
    pub unsafe fn compile(
        expressions: &[*mut pg_sys::Node],
        varno: i32,
        layout: &Rc<Layout>,
        chunk: pg_sys::TupleDesc,
        parent: *mut pg_sys::PlanState,
        parameters: pg_sys::ParamListInfo,
    ) -> Self {
        let source = Source { varno, layout };
        // SAFETY: the caller's promise.
        unsafe {
            let mut conditions: Vec<Condition> = expressions.iter().filter_map(|expression| source.condition(*expression)).collect();
            for condition in &mut conditions {
                initialise(condition, &mut |expression| {
                    if parent.is_null() {
                        ffi::ExecInitExprWithParams(expression, parameters)
                    } else {
                        ffi::ExecInitExpr(expression, parent)
                    }
                });
            }
            let context = ffi::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"timescale_compat filter".as_ptr(),
                pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
                pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
                pg_sys::ALLOCSET_SMALL_MAXSIZE as usize,
            );
            // A copy, since the relcache counts who uses its own.
            let slot = ffi::MakeSingleTupleTableSlot(ffi::CreateTupleDescCopy(chunk), &raw const pg_sys::TTSOpsVirtual);
            Self { conditions, econtext: std::ptr::null_mut(), slot, context }
        }
    }

    /// Evaluates the constants, for the first or another scan. Needed before the first batch and whenever a parameter has changed.
    ///
    /// # Safety
    /// `econtext` outlives the scan, and nobody else relies on its scan tuple or per-tuple memory while the filter runs.
    pub unsafe fn prepare(&mut self, econtext: *mut pg_sys::ExprContext) {
        self.econtext = econtext;
        let context = self.context;
        // SAFETY: the caller's promise; references only on the frames that an ERROR jumps over.
        unsafe {
            ffi::MemoryContextReset(context);
            ffi::MemoryContextReset((*econtext).ecxt_per_tuple_memory);
            for condition in &mut self.conditions {
                guard(|| prepare(condition, econtext, context));
            }
        }
    }
}

impl Source<'_> {
    /// # Safety
    /// `expression` is an expression of a query.
    unsafe fn condition(&self, expression: *mut pg_sys::Node) -> Option<Condition> {
        // SAFETY: the tag says what the node is.
        unsafe {
            if ffi::contain_volatile_functions(expression) || ffi::contain_subplans(expression) {
                return None;
            }
            match node::tag(expression) {
                NodeTag::T_BoolExpr => self.boolean(expression.cast()),
                NodeTag::T_OpExpr => self.comparison(expression.cast()),
                NodeTag::T_ScalarArrayOpExpr => self.membership(expression.cast()),
                NodeTag::T_NullTest => self.null_test(expression.cast()),
                NodeTag::T_Var => {
                    let column = self.column(expression)?;
                    (self.layout.columns[column].kind == Kind::Bool).then_some(Condition::IsTrue { column })
                }
                _ => None,
            }
            .or_else(|| self.predicate(expression).map(Condition::Predicate))
        }
    }

    /// # Safety
    /// A BoolExpr.
    unsafe fn boolean(&self, expression: *mut pg_sys::BoolExpr) -> Option<Condition> {
        // SAFETY: the caller's promise.
        unsafe {
            let parts: Vec<Condition> =
                list::pointers((*expression).args).into_iter().map(|part| self.condition(part)).collect::<Option<_>>()?;
            match (*expression).boolop {
                pg_sys::BoolExprType::AND_EXPR => Some(Condition::And(parts)),
                pg_sys::BoolExprType::OR_EXPR => Some(Condition::Or(parts)),
                _ => parts.into_iter().next().map(|part| Condition::Not(Box::new(part))),
            }
        }
    }

    /// # Safety
    /// An OpExpr.
    unsafe fn comparison(&self, expression: *mut pg_sys::OpExpr) -> Option<Condition> {
        // SAFETY: the caller's promise.
        unsafe {
            let operands: Vec<*mut pg_sys::Node> = list::pointers((*expression).args);
            let [left, right] = operands[..] else { return None };
            let (column, constant, commuted) = match (self.column(left), self.column(right)) {
                (Some(column), _) if self.is_constant(right) => (column, right, false),
                (_, Some(column)) if self.is_constant(left) => (column, left, true),
                _ => return None,
            };
            let compare = self.compare(expression.cast(), (*expression).opno, (*expression).inputcollid, column, constant, commuted)?;
            Some(Condition::Compare(compare))
        }
    }

    /// # Safety
    /// A ScalarArrayOpExpr.
    unsafe fn membership(&self, expression: *mut pg_sys::ScalarArrayOpExpr) -> Option<Condition> {
        // SAFETY: the caller's promise.
        unsafe {
            let operands: Vec<*mut pg_sys::Node> = list::pointers((*expression).args);
            let [left, right] = operands[..] else { return None };
            let column = self.column(left)?;
            if !self.is_constant(right) {
                return None;
            }
            let compare = self.compare(expression.cast(), (*expression).opno, (*expression).inputcollid, column, right, false)?;
            let is_in = (*expression).useOr && compare.comparison == Comparison::Equal;
            let is_not_in = !(*expression).useOr && compare.comparison == Comparison::NotEqual;
            // The expression of a NOT IN tells itself which values are not in the list: only integers are looked up here.
            let looked_up = compare.is_native && matches!(compare.order, Order::Signed);
            if !(is_in || is_not_in && looked_up) {
                return None;
            }
            let compare = Compare { comparison: Comparison::Equal, ..compare };
            let found = Condition::In { compare, list: List::default() };
            Some(if is_in { found } else { Condition::Not(Box::new(found)) })
        }
    }

    /// # Safety
    /// A NullTest.
    unsafe fn null_test(&self, expression: *mut pg_sys::NullTest) -> Option<Condition> {
        // SAFETY: the caller's promise.
        unsafe {
            if (*expression).argisrow {
                return None;
            }
            let column = self.column((*expression).arg.cast())?;
            Some(Condition::IsNull { column, negated: (*expression).nulltesttype == pg_sys::NullTestType::IS_NOT_NULL })
        }
    }

    /// What an operator says of a column and a constant.
    ///
    /// # Safety
    /// `whole` is the expression, the others its parts.
    unsafe fn compare(
        &self,
        whole: *mut pg_sys::Node,
        operator: pg_sys::Oid,
        collation: pg_sys::Oid,
        column: usize,
        constant: *mut pg_sys::Node,
        commuted: bool,
    ) -> Option<Compare> {
        // SAFETY: look-ups of an operator and types; the expression is the caller's.
        unsafe {
            let description = &self.layout.columns[column];
            let entry =
                ffi::lookup_type_cache(description.type_oid, (pg_sys::TYPECACHE_BTREE_OPFAMILY | pg_sys::TYPECACHE_CMP_PROC_FINFO) as i32);
            let comparison = strategy(operator, (*entry).btree_opf)?;
            let (mut left, mut right) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
            ffi::op_input_types(operator, &mut left, &mut right);
            let other = if commuted { left } else { right };
            let order = Order::of(description.type_oid, description.collation);
            let is_word = description.image == Image::Word;
            let same_type = other == (*entry).btree_opintype;
            let is_native = is_word
                && match order {
                    Order::Signed => same_type || (is_integer((*entry).btree_opintype) && is_integer(other)),
                    Order::Float8 | Order::Float4 => matches!(other, pg_sys::FLOAT4OID | pg_sys::FLOAT8OID),
                    _ => false,
                };
            let same_collation = collation == description.collation;
            let has_bounds = is_native || (same_type && same_collation && !matches!(order, Order::None));
            let hashable = same_type && same_collation && !matches!(description.image, Image::Text { .. });
            Some(Compare {
                column,
                comparison: if commuted { comparison.commuted() } else { comparison },
                constant: Constant { expression: constant.cast(), state: std::ptr::null_mut(), type_oid: other, value: None },
                order,
                is_native,
                has_bounds,
                hash: if hashable { Hash::of(description.type_oid, description.collation) } else { None },
                predicate: self.predicate(whole)?,
            })
        }
    }

    /// # Safety
    /// An expression that is not volatile.
    unsafe fn predicate(&self, expression: *mut pg_sys::Node) -> Option<Predicate> {
        // SAFETY: the caller's promise.
        let columns = unsafe { self.columns(expression) }?;
        let [column] = columns[..] else { return None };
        Some(Predicate {
            column,
            expression: expression.cast(),
            state: std::ptr::null_mut(),
            of_null: None,
            distinct: Vec::new(),
            batch: 0,
        })
    }

    /// The column that an expression is, but for a change of type that leaves values as they are.
    ///
    /// # Safety
    /// An expression.
    unsafe fn column(&self, expression: *mut pg_sys::Node) -> Option<usize> {
        // SAFETY: the tag says what the node is.
        unsafe {
            match node::tag(expression) {
                NodeTag::T_RelabelType => self.column((*expression.cast::<pg_sys::RelabelType>()).arg.cast()),
                NodeTag::T_Var => {
                    let var = &*expression.cast::<pg_sys::Var>();
                    if var.varno != self.varno || var.varlevelsup != 0 || var.varattno <= 0 {
                        return None;
                    }
                    self.layout.column_of(var.varattno)
                }
                _ => None,
            }
        }
    }

    /// The columns of the chunk in an expression; None if it refers to anything else of it, such as the whole row.
    ///
    /// # Safety
    /// An expression.
    unsafe fn columns(&self, expression: *mut pg_sys::Node) -> Option<Vec<usize>> {
        let mut columns = Vec::new();
        // SAFETY: the elements of the list are Vars.
        unsafe {
            for var in list::pointers::<pg_sys::Var>(ffi::pull_var_clause(expression, pg_sys::PVC_RECURSE_PLACEHOLDERS as i32)) {
                if (*var).varno == self.varno {
                    let column = self.column(var.cast())?;
                    if !columns.contains(&column) {
                        columns.push(column);
                    }
                }
            }
        }
        Some(columns)
    }

    /// # Safety
    /// An expression that is not volatile.
    unsafe fn is_constant(&self, expression: *mut pg_sys::Node) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            list::pointers::<pg_sys::Var>(ffi::pull_var_clause(expression, pg_sys::PVC_RECURSE_PLACEHOLDERS as i32))
                .into_iter()
                .all(|var| (*var).varno != self.varno)
        }
    }
}

fn is_integer(type_oid: pg_sys::Oid) -> bool {
    matches!(type_oid, pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID)
}

/// What an operator means in a btree operator family.
fn strategy(operator: pg_sys::Oid, family: pg_sys::Oid) -> Option<Comparison> {
    // SAFETY: look-ups in the catalog.
    unsafe {
        match ffi::get_op_opfamily_strategy(operator, family) {
            1 => Some(Comparison::Less),
            2 => Some(Comparison::LessOrEqual),
            3 => Some(Comparison::Equal),
            4 => Some(Comparison::GreaterOrEqual),
            5 => Some(Comparison::Greater),
            _ => {
                let negator = ffi::get_negator(operator);
                let is_unequal = negator != pg_sys::InvalidOid && ffi::get_op_opfamily_strategy(negator, family) == 3;
                is_unequal.then_some(Comparison::NotEqual)
            }
        }
    }
}

/// # Safety
/// `make` makes states of the expressions of a finished plan.
unsafe fn initialise(condition: &mut Condition, make: &mut impl FnMut(*mut pg_sys::Expr) -> *mut pg_sys::ExprState) {
    let mut of_compare = |compare: &mut Compare, needs_predicate: bool| {
        compare.constant.state = make(compare.constant.expression);
        if needs_predicate {
            compare.predicate.state = make(compare.predicate.expression);
        }
    };
    match condition {
        Condition::Compare(compare) => {
            let needs_predicate = !compare.is_native;
            of_compare(compare, needs_predicate);
        }
        Condition::In { compare, .. } => of_compare(compare, true),
        Condition::Predicate(predicate) => predicate.state = make(predicate.expression),
        // SAFETY: the caller's promise.
        Condition::And(parts) | Condition::Or(parts) => unsafe {
            for part in parts {
                initialise(part, make);
            }
        },
        // SAFETY: the caller's promise.
        Condition::Not(part) => unsafe { initialise(part, make) },
        Condition::IsNull { .. } | Condition::IsTrue { .. } => {}
    }
}

/// # Safety
/// The condition is initialised. May jump.
unsafe fn prepare(condition: &mut Condition, econtext: *mut pg_sys::ExprContext, context: pg_sys::MemoryContext) {
    // SAFETY: the caller's promise.
    unsafe {
        match condition {
            Condition::Compare(compare) => {
                compare.predicate.forget();
                evaluate_constant(&mut compare.constant, econtext, context);
            }
            Condition::In { compare, list } => {
                compare.predicate.forget();
                evaluate_constant(&mut compare.constant, econtext, context);
                list.read(compare, context);
            }
            Condition::Predicate(predicate) => predicate.forget(),
            Condition::And(parts) | Condition::Or(parts) => {
                for part in parts {
                    prepare(part, econtext, context);
                }
            }
            Condition::Not(part) => prepare(part, econtext, context),
            Condition::IsNull { .. } | Condition::IsTrue { .. } => {}
        }
    }
}

/// # Safety
/// As [`prepare`].
unsafe fn evaluate_constant(constant: &mut Constant, econtext: *mut pg_sys::ExprContext, context: pg_sys::MemoryContext) {
    // SAFETY: the state was made for this expression; the value is copied into memory that lives until the next preparation.
    unsafe {
        let mut is_null = false;
        let outer = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = (*econtext).ecxt_per_tuple_memory;
        let evaluate = (*constant.state).evalfunc;
        let result = evaluate.map_or(pg_sys::Datum::null(), |evaluate| evaluate(constant.state, econtext, &mut is_null));
        pg_sys::CurrentMemoryContext = context;
        constant.value = if is_null {
            None
        } else {
            let (mut length, mut by_value, mut align) = (0, false, 0);
            ffi::raw::get_typlenbyvalalign(ffi::raw::exprType(constant.expression.cast()), &mut length, &mut by_value, &mut align);
            let copy = ffi::raw::datumCopy(result, by_value, length.into());
            Some(if by_value { value::canonical(copy, length) } else { copy })
        };
        pg_sys::CurrentMemoryContext = outer;
    }
}

impl List {
    /// Reads the array that the constant of a comparison is.
    ///
    /// # Safety
    /// The constant was evaluated; elements that are kept live in `context`. May jump.
    unsafe fn read(&mut self, compare: &Compare, context: pg_sys::MemoryContext) {
        self.sorted.clear();
        self.ordered.clear();
        self.has_null = false;
        let Some(array) = compare.constant.value else { return };
        let is_integer = compare.is_native && matches!(compare.order, Order::Signed);
        // SAFETY: the caller's promise; the arrays are palloc'd.
        unsafe {
            let outer = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = context;
            let array: *mut pg_sys::ArrayType = ffi::raw::pg_detoast_datum(array.cast_mut_ptr()).cast();
            let (mut length, mut by_value, mut align) = (0, false, 0);
            let element = (*array).elemtype;
            ffi::raw::get_typlenbyvalalign(element, &mut length, &mut by_value, &mut align);
            let (mut elements, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
            ffi::raw::deconstruct_array(array, element, length.into(), by_value, align, &mut elements, &mut nulls, &mut count);
            pg_sys::CurrentMemoryContext = outer;
            for index in 0..count as usize {
                if *nulls.add(index) {
                    self.has_null = true;
                } else if is_integer {
                    self.sorted.push((*elements.add(index)).value() as i64);
                } else if compare.has_bounds && !compare.is_native {
                    self.ordered.push(*elements.add(index));
                }
            }
            self.sorted.sort_unstable();
            self.sorted.dedup();
            let order = compare.order;
            self.ordered.sort_unstable_by(|left, right| order.compare(*left, *right));
        }
    }
}
