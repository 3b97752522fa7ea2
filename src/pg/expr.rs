//! Expression trees of queries, read and built.

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::{ffi, list, node};

/// A node of an expression tree. It belongs to a query that is being planned and outlives every `Expr` made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expr(*mut pg_sys::Node);

/// A column of a relation of some query level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The index of the relation in the range table, from 1.
    pub relation: usize,
    /// The attribute number.
    pub attribute: i16,
}

/// What a comparison of a btree operator family says of its left side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `=`
    Equal,
    /// `>=`
    GreaterEqual,
    /// `>`
    Greater,
}

impl Comparison {
    fn from_strategy(strategy: i32) -> Option<Self> {
        Some(match strategy {
            1 => Self::Less,
            2 => Self::LessEqual,
            3 => Self::Equal,
            4 => Self::GreaterEqual,
            5 => Self::Greater,
            _ => return None,
        })
    }

    fn strategy(self) -> i16 {
        match self {
            Self::Less => 1,
            Self::LessEqual => 2,
            Self::Equal => 3,
            Self::GreaterEqual => 4,
            Self::Greater => 5,
        }
    }
}

impl Expr {
    /// # Safety
    /// `pointer` is a node that is alive, and not changed in place, as long as this and what is read from it.
    pub unsafe fn new<T>(pointer: *mut T) -> Self {
        Self(pointer.cast())
    }

    /// PostgreSQL's pointer.
    pub fn as_ptr<T>(self) -> *mut T {
        self.0.cast()
    }

    /// The node as a `T`, if it has that tag.
    fn cast<'a, T>(self, tag: NodeTag) -> Option<&'a T> {
        // SAFETY: `new`'s promise; a node with the tag is a `T`.
        unsafe { (node::tag(self.0) == tag).then(|| &*self.0.cast::<T>()) }
    }

    /// Its type.
    pub fn type_oid(self) -> pg_sys::Oid {
        // SAFETY: `new`'s promise.
        unsafe { ffi::exprType(self.0) }
    }

    /// The collation of its value; 0 if its type has none.
    pub fn collation(self) -> pg_sys::Oid {
        // SAFETY: `new`'s promise.
        unsafe { ffi::exprCollation(self.0) }
    }

    /// The collation that it goes by itself; 0 if it needs none.
    pub fn input_collation(self) -> pg_sys::Oid {
        // SAFETY: `new`'s promise.
        unsafe { ffi::exprInputCollation(self.0) }
    }

    /// A deep copy.
    #[must_use]
    pub fn copy(self) -> Self {
        // SAFETY: `new`'s promise.
        Self(unsafe { ffi::copyObjectImpl(self.0.cast()) }.cast())
    }

    /// Whether it is equal to another, as PostgreSQL compares trees.
    pub fn equals(self, other: Self) -> bool {
        // SAFETY: `new`'s promise.
        unsafe { ffi::equal(self.0.cast(), other.0.cast()) }
    }

    /// The operator and both arguments of a binary operator.
    pub fn as_operator(self) -> Option<(pg_sys::Oid, Self, Self)> {
        let operator: &pg_sys::OpExpr = self.cast(NodeTag::T_OpExpr)?;
        match self.elements(operator.args)[..] {
            [left, right] => Some((operator.opno, left, right)),
            _ => None,
        }
    }

    /// The function and the arguments of a call.
    pub fn as_call(self) -> Option<(pg_sys::Oid, Vec<Self>)> {
        let call: &pg_sys::FuncExpr = self.cast(NodeTag::T_FuncExpr)?;
        Some((call.funcid, self.elements(call.args)))
    }

    /// An aggregate of this query level.
    pub fn as_aggregate<'a>(self) -> Option<&'a pg_sys::Aggref> {
        self.cast(NodeTag::T_Aggref).filter(|aggregate: &&pg_sys::Aggref| aggregate.agglevelsup == 0)
    }

    /// A constant that is not NULL: its type and value.
    pub fn as_const(self) -> Option<(pg_sys::Oid, pg_sys::Datum)> {
        let constant: &pg_sys::Const = self.cast(NodeTag::T_Const)?;
        (!constant.constisnull).then_some((constant.consttype, constant.constvalue))
    }

    /// True for a constant, NULL or not.
    pub fn is_const(self) -> bool {
        self.cast(NodeTag::T_Const).is_some_and(|_: &pg_sys::Const| true)
    }

    /// True for a constant NULL.
    pub fn is_null_const(self) -> bool {
        self.cast(NodeTag::T_Const).is_some_and(|constant: &pg_sys::Const| constant.constisnull)
    }

    /// A column of this query level.
    pub fn as_column(self) -> Option<Column> {
        let var: &pg_sys::Var = self.cast(NodeTag::T_Var)?;
        (var.varlevelsup == 0 && var.varno > 0).then_some(Column { relation: var.varno as usize, attribute: var.varattno })
    }

    /// `CURRENT_TIMESTAMP` and the like.
    pub fn as_clock(self) -> Option<pg_sys::SQLValueFunctionOp::Type> {
        self.cast(NodeTag::T_SQLValueFunction).map(|value: &pg_sys::SQLValueFunction| value.op)
    }

    /// The arguments of AND (true) or OR (false).
    pub fn as_and_or(self) -> Option<(bool, Vec<Self>)> {
        let junction: &pg_sys::BoolExpr = self.cast(NodeTag::T_BoolExpr)?;
        let is_and = match junction.boolop {
            pg_sys::BoolExprType::AND_EXPR => true,
            pg_sys::BoolExprType::OR_EXPR => false,
            _ => return None,
        };
        Some((is_and, self.elements(junction.args)))
    }

    /// The conditions that are true when this one is, taken apart at AND.
    pub fn conjuncts(self) -> Vec<Self> {
        match self.as_and_or() {
            Some((true, parts)) => parts.into_iter().flat_map(Self::conjuncts).collect(),
            _ => vec![self],
        }
    }

    /// The nodes of a list that belongs to this expression.
    fn elements(self, list: *mut pg_sys::List) -> Vec<Self> {
        // SAFETY: the lists of expression nodes hold nodes.
        unsafe { list::pointers(list) }.into_iter().map(Self).collect()
    }

    /// Whether it has columns of this query level, subqueries or volatile functions: then it has no one value in a scan.
    pub fn varies(self) -> bool {
        // SAFETY: `new`'s promise; none of the three changes the tree.
        unsafe { ffi::contain_vars_of_level(self.0, 0) || ffi::contain_subplans(self.0) || ffi::contain_volatile_functions(self.0) }
    }

    /// What kind of node it is.
    pub fn tag(self) -> NodeTag {
        // SAFETY: `new`'s promise.
        unsafe { node::tag(self.0) }
    }

    /// The operator of `a op b` or `a op ANY (b)`.
    pub fn as_comparison_operator(self) -> Option<pg_sys::Oid> {
        let of_array = || self.cast(NodeTag::T_ScalarArrayOpExpr).map(|operator: &pg_sys::ScalarArrayOpExpr| operator.opno);
        self.as_operator().map(|(operator, ..)| operator).or_else(of_array)
    }

    /// The arguments of an operator.
    pub fn arguments(self) -> Vec<Self> {
        match self.cast(NodeTag::T_ScalarArrayOpExpr) {
            Some(operator) => self.elements({
                let operator: &pg_sys::ScalarArrayOpExpr = operator;
                operator.args
            }),
            None => self.as_operator().map(|(_, left, right)| vec![left, right]).unwrap_or_default(),
        }
    }

    /// A copy of an operator with other arguments.
    #[must_use]
    pub fn with_arguments(self, arguments: &[Self]) -> Self {
        let copy = self.copy();
        let list = list::from_pointers(arguments.iter().map(|argument| argument.0));
        // SAFETY: a copy, changed in place; its tag says what it is.
        unsafe {
            match node::tag(copy.0) {
                NodeTag::T_OpExpr => (*copy.0.cast::<pg_sys::OpExpr>()).args = list,
                NodeTag::T_ScalarArrayOpExpr => (*copy.0.cast::<pg_sys::ScalarArrayOpExpr>()).args = list,
                _ => {}
            }
        }
        copy
    }

    /// What a binary operator compares, by the default order of the left side's type.
    pub fn as_comparison(self) -> Option<(Comparison, Self, Self)> {
        let (operator, left, right) = self.as_operator()?;
        Some((comparison_of(operator, left.type_oid())?, left, right))
    }

    /// The same comparison with its sides exchanged.
    pub fn commuted(self) -> Option<Self> {
        let (operator, left, right) = self.as_operator()?;
        // SAFETY: a syscache look-up.
        let commutator = unsafe { ffi::get_commutator(operator) };
        (commutator != pg_sys::InvalidOid).then(|| operator_call(commutator, right, left))
    }
}

fn order_of(type_oid: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: entries of the type cache live as long as the backend.
    unsafe { (*ffi::lookup_type_cache(type_oid, pg_sys::TYPECACHE_BTREE_OPFAMILY as i32)).btree_opf }
}

fn comparison_of(operator: pg_sys::Oid, left: pg_sys::Oid) -> Option<Comparison> {
    // SAFETY: a syscache look-up; 0 if the operator is not of the family.
    Comparison::from_strategy(unsafe { ffi::get_op_opfamily_strategy(operator, order_of(left)) })
}

fn operator_call(operator: pg_sys::Oid, left: Expr, right: Expr) -> Expr {
    // SAFETY: both arguments are expressions of the operator's types, of types without collation.
    Expr(unsafe {
        ffi::make_opclause(operator, pg_sys::BOOLOID, false, left.as_ptr(), right.as_ptr(), pg_sys::InvalidOid, pg_sys::InvalidOid).cast()
    })
}

/// `left op right` by the default order of the left side's type; None if it does not compare with the right side's. The
/// arguments are copied.
pub fn compare(left: Expr, comparison: Comparison, right: Expr) -> Option<Expr> {
    let (left_type, right_type) = (left.type_oid(), right.type_oid());
    // SAFETY: a syscache look-up.
    let operator = unsafe { ffi::get_opfamily_member(order_of(left_type), left_type, right_type, comparison.strategy()) };
    (operator != pg_sys::InvalidOid).then(|| operator_call(operator, left.copy(), right.copy()))
}

/// A constant of a type that is passed by value.
pub fn constant(type_oid: pg_sys::Oid, value: pg_sys::Datum) -> Expr {
    // SAFETY: callers pass types of integers, dates and times.
    Expr(unsafe { node::make_const(type_oid, value) }.cast())
}

/// AND (true) or OR (false) of expressions; the expression itself if it is one.
pub fn junction(is_and: bool, parts: &[Expr]) -> Expr {
    if let [only] = parts {
        return *only;
    }
    let operation = if is_and { pg_sys::BoolExprType::AND_EXPR } else { pg_sys::BoolExprType::OR_EXPR };
    // SAFETY: a list of boolean expressions.
    Expr(unsafe { ffi::makeBoolExpr(operation, list::from_pointers(parts.iter().map(|part| part.0)), -1) }.cast())
}

/// A condition that is looked at only where another one is true, and is false elsewhere.
pub fn guarded(guard: Expr, condition: Expr) -> Expr {
    let (choice, arm): (*mut pg_sys::CaseExpr, *mut pg_sys::CaseWhen) =
        (node::make_node(NodeTag::T_CaseExpr), node::make_node(NodeTag::T_CaseWhen));
    // SAFETY: fresh nodes.
    unsafe {
        (*arm).expr = guard.as_ptr();
        (*arm).result = condition.as_ptr();
        (*arm).location = -1;
        (*choice).casetype = pg_sys::BOOLOID;
        (*choice).args = list::from_pointers([arm]);
        (*choice).defresult = ffi::makeBoolConst(false, false).cast();
        (*choice).location = -1;
    }
    Expr(choice.cast())
}

/// Folds what is constant, parameters of known value included.
pub fn fold(expr: Expr, parameters: pg_sys::ParamListInfo) -> Expr {
    let global: *mut pg_sys::PlannerGlobal = node::make_node(NodeTag::T_PlannerGlobal);
    let root: *mut pg_sys::PlannerInfo = node::make_node(NodeTag::T_PlannerInfo);
    // SAFETY: eval_const_expressions takes from its root the parameters, and adds dependencies to it. It copies what it changes.
    unsafe {
        (*global).boundParams = parameters;
        (*root).glob = global;
        Expr(ffi::eval_const_expressions(root, expr.copy().0))
    }
}

/// Whether an expression is made of constants, and of types and functions of PostgreSQL's own: who evaluates it runs no code of a user's.
pub fn is_plain(expr: Expr) -> bool {
    let is_own = |oid: pg_sys::Oid| oid.to_u32() < pg_sys::FirstUnpinnedObjectId;
    if !is_own(expr.type_oid()) {
        return false;
    }
    if let Some((function, args)) = expr.as_call() {
        return is_own(function) && args.into_iter().all(is_plain);
    }
    if let Some(operator) = expr.cast::<pg_sys::OpExpr>(NodeTag::T_OpExpr) {
        return is_own(operator.opno) && expr.elements(operator.args).into_iter().all(is_plain);
    }
    if let Some(relabel) = expr.cast::<pg_sys::RelabelType>(NodeTag::T_RelabelType) {
        return is_plain(Expr(relabel.arg.cast()));
    }
    expr.is_const()
}

/// An argument of a call without the name that it was given by.
pub fn unnamed(argument: Expr) -> Expr {
    argument.cast(NodeTag::T_NamedArgExpr).map_or(argument, |named: &pg_sys::NamedArgExpr| Expr(named.arg.cast()))
}

/// What is likely to come out, to plan by: stable functions are called, too.
pub fn estimate(expr: Expr, parameters: pg_sys::ParamListInfo) -> Expr {
    let global: *mut pg_sys::PlannerGlobal = node::make_node(NodeTag::T_PlannerGlobal);
    let root: *mut pg_sys::PlannerInfo = node::make_node(NodeTag::T_PlannerInfo);
    // SAFETY: as for `fold`.
    unsafe {
        (*global).boundParams = parameters;
        (*root).glob = global;
        Expr(ffi::estimate_expression_value(root, expr.copy().0))
    }
}

/// A constant text; None: NULL.
pub fn text_constant(text: Option<&str>) -> Expr {
    // SAFETY: a Datum of type text, or none.
    Expr(unsafe {
        match text.and_then(pgrx::IntoDatum::into_datum) {
            Some(datum) => node::make_const(pg_sys::TEXTOID, datum),
            None => ffi::makeConst(pg_sys::TEXTOID, -1, pg_sys::InvalidOid, -1, pg_sys::Datum::null(), true, false),
        }
        .cast()
    })
}

/// An array of expressions of one type.
pub fn array(element: pg_sys::Oid, elements: &[Expr]) -> Expr {
    let array: *mut pg_sys::ArrayExpr = node::make_node(NodeTag::T_ArrayExpr);
    // SAFETY: a fresh node; a syscache look-up.
    unsafe {
        (*array).array_typeid = ffi::get_array_type(element);
        (*array).element_typeid = element;
        (*array).elements = list::from_pointers(elements.iter().map(|element| element.0));
        (*array).location = -1;
    }
    Expr(array.cast())
}

/// A column of a relation `levels_up` query levels further up.
pub fn column(relation: usize, attribute: i16, like: Expr, levels_up: u32) -> Expr {
    // SAFETY: the type is that of another expression.
    Expr(unsafe {
        ffi::makeVar(relation as i32, attribute, like.type_oid(), ffi::exprTypmod(like.0), ffi::exprCollation(like.0), levels_up).cast()
    })
}

/// A column `levels` query levels up, as that level itself writes it; None if it is something else.
pub fn lowered(expr: Expr, levels: u32) -> Option<Expr> {
    let var: &pg_sys::Var = expr.cast(NodeTag::T_Var)?;
    if var.varlevelsup != levels {
        return None;
    }
    let copy = expr.copy();
    // SAFETY: a copy, changed in place.
    unsafe { (*copy.0.cast::<pg_sys::Var>()).varlevelsup = 0 };
    Some(copy)
}

/// Whether an expression has columns of a relation of its own query level.
pub fn mentions(expr: Expr, relation: usize) -> bool {
    // SAFETY: an expression of a query; the set is palloc'd.
    unsafe { ffi::bms_is_member(relation as i32, ffi::pull_varnos_of_level(std::ptr::null_mut(), expr.0, 0)) }
}

/// Whether an operator compares by the default order of its left side's type.
pub fn is_in_default_order(operator: pg_sys::Oid, left: Expr) -> bool {
    comparison_of(operator, left.type_oid()).is_some()
}

/// A copy of a call with `new` in place of the argument `old`, which may be named.
pub fn put(call: Expr, old: Expr, new: Expr) -> Expr {
    let copy = call.copy();
    // SAFETY: a copy, changed in place; a FuncExpr's arguments are nodes.
    unsafe {
        if node::tag(copy.0) == NodeTag::T_FuncExpr {
            let function = &mut *copy.0.cast::<pg_sys::FuncExpr>();
            let arguments = list::pointers::<pg_sys::Node>(function.args);
            function.args = list::from_pointers(arguments.into_iter().map(|argument| match node::tag(argument) {
                _ if Expr(argument).equals(old) => new.copy().0,
                NodeTag::T_NamedArgExpr if unnamed(Expr(argument)).equals(old) => {
                    (*argument.cast::<pg_sys::NamedArgExpr>()).arg = new.copy().as_ptr();
                    argument
                }
                _ => argument,
            }));
        }
    }
    copy
}

/// The operators that sort a type's values and find them equal, by its default order.
pub fn sort_operators(type_oid: pg_sys::Oid, descending: bool) -> Option<(pg_sys::Oid, pg_sys::Oid)> {
    let flags = pg_sys::TYPECACHE_LT_OPR | pg_sys::TYPECACHE_GT_OPR | pg_sys::TYPECACHE_EQ_OPR;
    // SAFETY: entries of the type cache live as long as the backend.
    let entry = unsafe { &*ffi::lookup_type_cache(type_oid, flags as i32) };
    let sort = if descending { entry.gt_opr } else { entry.lt_opr };
    (sort != pg_sys::InvalidOid && entry.eq_opr != pg_sys::InvalidOid).then_some((sort, entry.eq_opr))
}

/// True if a column has a default that may give each row a value of its own.
pub fn has_volatile_default(relation: &super::relation::Relation, attribute: i16) -> bool {
    // SAFETY: an open relation; the expression is palloc'd, NULL if there is none.
    unsafe {
        let default = ffi::build_column_default(relation.as_ptr(), i32::from(attribute));
        !default.is_null() && ffi::contain_volatile_functions(default)
    }
}
