//! What the rest of a statement says of a target's rows: values of subqueries, keys of the other side of a join.
//!
//! A target below a join takes part with those rows only that have a partner. Where the other side can be run by itself it is, and its
//! keys become a condition `column = ANY (..)` on the target. It is the join right above the target that counts, or a nested loop that
//! hands its rows down as parameters; so nothing that lies above, a LIMIT for instance, gets other rows than it would have.

use std::collections::HashMap;
use std::ffi::c_void;

use pgrx::pg_sys::{self, NodeTag};

use super::keys::{self, Keys};
use super::plan_walk;
use super::run_plan;
use super::targets::Target;
use crate::pg::{context, ffi, list, node};

/// The value of a subquery, which the statement is to use, too, instead of running it again.
#[derive(Clone, Copy)]
pub struct Known {
    parameter: i32,
    value: pg_sys::Datum,
    is_null: bool,
}

/// What has been found out for one look at the targets.
pub struct Others {
    query: *mut pg_sys::QueryDesc,
    /// Indexes of all targets.
    targets: Vec<i32>,
    nodes: Vec<*mut pg_sys::Plan>,
    /// The node above each.
    above: HashMap<*mut pg_sys::Plan, *mut pg_sys::Plan>,
    /// EvalPlanQual's parameters.
    idle: Vec<i32>,
    /// Values of subqueries; None for those that can't be run beforehand.
    values: HashMap<i32, Option<Known>>,
    /// Keys of other sides: of a node's column.
    keys: HashMap<(*mut pg_sys::Plan, i16), Option<Keys>>,
    /// Memory that lives as long as the statement.
    outer: pg_sys::MemoryContext,
    /// Memory that lives as long as this.
    home: pg_sys::MemoryContext,
}

impl Others {
    /// # Safety
    /// The statement is about to start; `outer` lives as long as it.
    pub unsafe fn new(query: *mut pg_sys::QueryDesc, targets: &[Target], outer: pg_sys::MemoryContext) -> Self {
        let targets = targets.iter().map(|target| target.index).collect();
        // SAFETY: the caller's promise.
        let (nodes, home) = unsafe { (plan_walk::nodes((*query).plannedstmt), pg_sys::CurrentMemoryContext) };
        let mut above = HashMap::new();
        for plan in &nodes {
            // SAFETY: a node of the plan.
            above.extend(unsafe { plan_walk::children(*plan) }.into_iter().map(|child| (child, *plan)));
        }
        // SAFETY: nodes of the plan.
        let idle = unsafe { run_plan::idle_parameters(&nodes) };
        Self { query, targets, nodes, above, idle, values: HashMap::new(), keys: HashMap::new(), outer, home }
    }

    /// The values that subqueries have.
    pub fn known(&self) -> Vec<Known> {
        self.values.values().flatten().copied().collect()
    }

    /// More conditions that all rows of a target meet which the statement is about.
    ///
    /// # Safety
    /// A target of the statement.
    pub unsafe fn conditions(&mut self, target: &Target) -> Vec<*mut pg_sys::Node> {
        // SAFETY: the caller's promise.
        unsafe { context::with_context(self.home, || self.find(target)) }
    }

    /// # Safety
    /// As [`Self::conditions`].
    unsafe fn find(&mut self, target: &Target) -> Vec<*mut pg_sys::Node> {
        let mut found = Vec::new();
        // SAFETY: the caller's promise; copies of the plan's expressions.
        unsafe {
            for condition in &target.parameterised {
                let condition = self.substitute(*condition);
                if plan_walk::is_known(condition, target.index) {
                    found.push(condition);
                } else if let Some(condition) = self.of_nested_loop(condition, target.index) {
                    found.push(condition);
                }
            }
            if let Some(join) = self.join_above(target.scan) {
                let conditions = self.of_join(&join, target.scan);
                found.extend(conditions.into_iter().filter(|condition| !(target.is_guarded && ffi::contain_leaked_vars(*condition))));
            }
        }
        found
    }

    /// A copy of an expression with the values of subqueries instead of parameters.
    ///
    /// # Safety
    /// An expression of the statement.
    unsafe fn substitute(&mut self, expression: *mut pg_sys::Node) -> *mut pg_sys::Node {
        let mut parameters = Vec::new();
        // SAFETY: the walkers get what they are given here back as their context.
        unsafe {
            collect(expression, (&raw mut parameters).cast());
            let mut known: Vec<Known> = parameters.into_iter().filter_map(|parameter: i32| self.value(parameter)).collect();
            replace(expression, (&raw mut known).cast())
        }
    }

    /// The value of a parameter, if it is that of a subquery which can be run beforehand.
    ///
    /// # Safety
    /// A parameter of the statement.
    unsafe fn value(&mut self, parameter: i32) -> Option<Known> {
        if let Some(known) = self.values.get(&parameter) {
            return *known;
        }
        // SAFETY: initPlan lists hold SubPlan nodes, plan_id counts from 1.
        let known = unsafe {
            let subplans = self.nodes.iter().flat_map(|plan| list::pointers::<pg_sys::SubPlan>((**plan).initPlan));
            let subplan = subplans.into_iter().find(|subplan| list::ints((**subplan).setParam) == [parameter]);
            subplan.and_then(|subplan| {
                let plan = list::pointers::<pg_sys::Plan>((*(*self.query).plannedstmt).subplans)[(*subplan).plan_id as usize - 1];
                let is_value = (*subplan).subLinkType == pg_sys::SubLinkType::EXPR_SUBLINK && (*subplan).parParam.is_null();
                (is_value && run_plan::is_repeatable(plan, &self.targets, &self.idle))
                    .then(|| self.run(parameter, plan, (*subplan).firstColType))
                    .flatten()
            })
        };
        self.values.insert(parameter, known);
        known
    }

    /// # Safety
    /// A subquery with one column of that type.
    unsafe fn run(&self, parameter: i32, plan: *mut pg_sys::Plan, column_type: pg_sys::Oid) -> Option<Known> {
        let (mut rows, mut known) = (0, Known { parameter, value: pg_sys::Datum::null(), is_null: true });
        let outer = self.outer;
        // SAFETY: the caller's promise.
        unsafe {
            let (mut length, mut by_value) = (0, false);
            ffi::get_typlenbyval(column_type, &mut length, &mut by_value);
            run_plan::rows(self.query, plan, |row| {
                rows += 1;
                if let Some(value) = crate::pg::slot::attribute(row, 1) {
                    let caller = pg_sys::CurrentMemoryContext;
                    pg_sys::CurrentMemoryContext = outer;
                    known = Known { value: ffi::raw::datumCopy(value, by_value, length.into()), is_null: false, ..known };
                    pg_sys::CurrentMemoryContext = caller;
                }
                rows < 2
            });
        }
        // More than one row is an error that is the statement's own.
        (rows < 2).then_some(known)
    }

    /// A condition on the values that a nested loop hands down, of one that compares with such a value.
    ///
    /// # Safety
    /// A condition on the relation at `index`.
    unsafe fn of_nested_loop(&mut self, condition: *mut pg_sys::Node, index: i32) -> Option<*mut pg_sys::Node> {
        // SAFETY: the tags say what the nodes are.
        unsafe {
            let (clause, left, right) = keys::operands(condition)?;
            let parameter_of = |side: *mut pg_sys::Node| {
                let side = keys::strip(side);
                (node::tag(side) == NodeTag::T_Param).then(|| (*side.cast::<pg_sys::Param>()).paramid)
            };
            let (column, parameter, value, commuted) = match (parameter_of(left), parameter_of(right)) {
                (None, Some(parameter)) => (left, parameter, right, false),
                (Some(parameter), None) => (right, parameter, left, true),
                _ => return None,
            };
            if !plan_walk::is_known(column, index) {
                return None;
            }
            let (outer, number) = self.handed_down(parameter)?;
            let keys = self.keys_of(outer, number)?;
            keys.condition(clause, column, ffi::exprType(value), commuted)
        }
    }

    /// Where a nested loop takes a parameter from: a node and its column.
    ///
    /// # Safety
    /// A parameter of the statement.
    unsafe fn handed_down(&self, parameter: i32) -> Option<(*mut pg_sys::Plan, i16)> {
        // SAFETY: the tag says that it is a NestLoop; its parameters are columns of its outer side.
        unsafe {
            self.nodes.iter().filter(|plan| node::tag(**plan) == NodeTag::T_NestLoop).find_map(|plan| {
                let parameters = list::pointers::<pg_sys::NestLoopParam>((*plan.cast::<pg_sys::NestLoop>()).nestParams);
                let found = parameters.into_iter().find(|found| (**found).paramno == parameter)?;
                let value = (*found).paramval;
                ((*value).varno == pg_sys::OUTER_VAR).then(|| ((**plan).lefttree, (*value).varattno))
            })
        }
    }

    /// The keys in a column of a node, which is run by itself if it can be.
    ///
    /// # Safety
    /// A node of the statement's plan.
    unsafe fn keys_of(&mut self, plan: *mut pg_sys::Plan, column: i16) -> Option<&Keys> {
        let (query, targets, idle) = (self.query, &self.targets, &self.idle);
        self.keys
            .entry((plan, column))
            .or_insert_with(|| {
                // SAFETY: the caller's promise. A Hash node gives its rows to its join only.
                unsafe {
                    let plan = if node::tag(plan) == NodeTag::T_Hash { (*plan).lefttree } else { plan };
                    let may_run = run_plan::is_repeatable(plan, targets, idle) && run_plan::is_determined(plan);
                    if may_run { Keys::collect(query, plan, column) } else { None }
                }
            })
            .as_ref()
    }

    /// The way from the join above a scan down to it, if all nodes between do nothing but hand rows on.
    ///
    /// # Safety
    /// A scan of the statement's plan, or NULL.
    unsafe fn join_above(&self, scan: *mut pg_sys::Plan) -> Option<Vec<*mut pg_sys::Plan>> {
        let mut path = vec![scan];
        let mut plan = *self.above.get(&scan)?;
        loop {
            path.push(plan);
            // SAFETY: a node of the plan.
            match unsafe { node::tag(plan) } {
                NodeTag::T_NestLoop | NodeTag::T_HashJoin | NodeTag::T_MergeJoin => break,
                NodeTag::T_Append | NodeTag::T_MergeAppend | NodeTag::T_Sort | NodeTag::T_Material | NodeTag::T_Hash => {}
                _ => return None,
            }
            plan = *self.above.get(&plan)?;
        }
        path.reverse();
        Some(path)
    }

    /// Conditions that a join makes on the rows of a scan below it.
    ///
    /// # Safety
    /// The way from the join to the scan.
    unsafe fn of_join(&mut self, path: &[*mut pg_sys::Plan], scan: *mut pg_sys::Plan) -> Vec<*mut pg_sys::Node> {
        // SAFETY: the first node is a join.
        unsafe {
            let join = path[0].cast::<pg_sys::Join>();
            let is_outer = (*join).plan.lefttree == path[1];
            // The rows of this side that have no partner are not given out.
            let drops = match (*join).jointype {
                pg_sys::JoinType::JOIN_INNER | pg_sys::JoinType::JOIN_SEMI => true,
                pg_sys::JoinType::JOIN_LEFT => !is_outer,
                pg_sys::JoinType::JOIN_RIGHT => is_outer,
                _ => false,
            };
            if !drops {
                return Vec::new();
            }
            let other = if is_outer { (*join).plan.righttree } else { (*join).plan.lefttree };
            let side = if is_outer { pg_sys::OUTER_VAR } else { pg_sys::INNER_VAR };
            let mut clauses: Vec<*mut pg_sys::Node> = list::pointers((*join).joinqual);
            match node::tag(path[0]) {
                NodeTag::T_HashJoin => clauses.extend(list::pointers::<pg_sys::Node>((*join.cast::<pg_sys::HashJoin>()).hashclauses)),
                NodeTag::T_MergeJoin => clauses.extend(list::pointers::<pg_sys::Node>((*join.cast::<pg_sys::MergeJoin>()).mergeclauses)),
                _ => {}
            }
            let mut found = Vec::new();
            for clause in clauses {
                found.extend(self.of_clause(clause, &path[1..], scan, other, side));
            }
            found
        }
    }

    /// # Safety
    /// A clause of the join above `path`, whose relation on that side is `side`.
    unsafe fn of_clause(
        &mut self,
        clause: *mut pg_sys::Node,
        path: &[*mut pg_sys::Plan],
        scan: *mut pg_sys::Plan,
        other: *mut pg_sys::Plan,
        side: i32,
    ) -> Option<*mut pg_sys::Node> {
        // SAFETY: the tags say what the nodes are.
        unsafe {
            let (clause, left, right) = keys::operands(clause)?;
            let var = |side: *mut pg_sys::Node| {
                let var = keys::strip(side).cast::<pg_sys::Var>();
                (node::tag(var) == NodeTag::T_Var).then(|| ((*var).varno, (*var).varattno))
            };
            let (one, two) = (var(left)?, var(right)?);
            let (own, number, value, commuted) = if one.0 == side && two.0 != side {
                (left, two.1, right, false)
            } else if two.0 == side && one.0 != side {
                (right, one.1, left, true)
            } else {
                return None;
            };
            let column = keys::column_below(own, path, scan)?;
            let keys = self.keys_of(other, number)?;
            keys.condition(clause, column, ffi::exprType(value), commuted)
        }
    }
}

/// Collects the executor's parameters in an expression into a `Vec<i32>`.
unsafe extern "C-unwind" fn collect(expression: *mut pg_sys::Node, found: *mut c_void) -> bool {
    // SAFETY: PostgreSQL's walkers pass nodes, and the context that they were given.
    unsafe {
        if node::tag(expression) == NodeTag::T_Param {
            let parameter = &*expression.cast::<pg_sys::Param>();
            if parameter.paramkind == pg_sys::ParamKind::PARAM_EXEC {
                (*found.cast::<Vec<i32>>()).push(parameter.paramid);
            }
            return false;
        }
        !expression.is_null() && ffi::raw::expression_tree_walker(expression, collect, found)
    }
}

/// Copies an expression, with constants for the parameters in a `Vec<Known>`.
unsafe extern "C-unwind" fn replace(expression: *mut pg_sys::Node, known: *mut c_void) -> *mut pg_sys::Node {
    // SAFETY: as above.
    unsafe {
        if expression.is_null() {
            return expression;
        }
        if node::tag(expression) == NodeTag::T_Param {
            let parameter = &*expression.cast::<pg_sys::Param>();
            let is_executors = parameter.paramkind == pg_sys::ParamKind::PARAM_EXEC;
            let values = &*known.cast::<Vec<Known>>();
            if let Some(known) = values.iter().find(|known| is_executors && known.parameter == parameter.paramid) {
                let (mut length, mut by_value) = (0, false);
                ffi::raw::get_typlenbyval(parameter.paramtype, &mut length, &mut by_value);
                let (kind, modifier, collation) = (parameter.paramtype, parameter.paramtypmod, parameter.paramcollid);
                return ffi::raw::makeConst(kind, modifier, collation, length.into(), known.value, known.is_null, by_value).cast();
            }
        }
        ffi::raw::expression_tree_mutator(expression, replace, known)
    }
}

/// Gives a statement that has been started the values of subqueries that were run before.
///
/// # Safety
/// `query` has just been started; the values live as long as it.
pub unsafe fn inject(query: *mut pg_sys::QueryDesc, known: &[Known]) {
    // SAFETY: there is a slot for each parameter. Without a plan PostgreSQL takes the value as it is.
    unsafe {
        let estate = (*query).estate;
        if estate.is_null() || (*estate).es_param_exec_vals.is_null() {
            return;
        }
        for known in known {
            let parameter = &mut *(*estate).es_param_exec_vals.add(known.parameter as usize);
            parameter.value = known.value;
            parameter.isnull = known.is_null;
            parameter.execPlan = std::ptr::null_mut();
        }
    }
}

/// Copies values to memory that lives as long as the statement.
///
/// # Safety
/// `outer` does.
pub unsafe fn keep(known: Vec<Known>, outer: pg_sys::MemoryContext) -> (*mut Known, usize) {
    let count = known.len();
    if count == 0 {
        return (std::ptr::null_mut(), 0);
    }
    // SAFETY: room for as many.
    unsafe {
        let memory = context::with_context(outer, || ffi::palloc(count * size_of::<Known>())).cast::<Known>();
        memory.copy_from_nonoverlapping(known.as_ptr(), count);
        (memory, count)
    }
}
