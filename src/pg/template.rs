//! Expressions written in SQL with placeholders `$1`, `$2`, ..: parsed once per backend and types of the placeholders, then filled in.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_void;

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::expr::Expr;
use super::relation::c_string;
use super::{context, ffi, guard, list, node};
use crate::error::{Error, SqlState};

/// A text and the types of its placeholders.
type Key = (&'static str, Vec<pg_sys::Oid>);

struct Cache {
    parsed: HashMap<Key, *mut pg_sys::Node>,
    /// Where the trees live; NULL before the first.
    memory: pg_sys::MemoryContext,
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::new(Cache { parsed: HashMap::new(), memory: std::ptr::null_mut() });
    /// Functions were changed since the trees were made.
    static STALE: Cell<bool> = const { Cell::new(false) };
}

/// The expression that `sql` is with `arguments` in place of `$1` and so on, in the current memory context.
///
/// Names are looked up in pg_catalog alone, whatever the search path: others are to be written with their schema. The arguments have
/// no collation, nor do functions of them.
pub fn expression(sql: &'static str, arguments: &[Expr]) -> Expr {
    let types = arguments.iter().map(|argument| argument.type_oid()).collect();
    let tree = cached((sql, types));
    // SAFETY: the tree lives in the cache until the next look-up, and is copied; the context outlives the call.
    unsafe { Expr::new(fill(tree, std::ptr::from_ref(&arguments).cast_mut().cast())) }
}

fn cached(key: Key) -> *mut pg_sys::Node {
    let memory = CACHE.with_borrow_mut(|cache| {
        // SAFETY: a context of this module's own. Nobody holds a tree of it: what is handed out are copies.
        unsafe {
            if cache.memory.is_null() {
                cache.memory = ffi::AllocSetContextCreateInternal(
                    pg_sys::TopMemoryContext,
                    c"timescale_compat templates".as_ptr(),
                    pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
                    pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
                    pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
                );
            } else if STALE.get() {
                cache.parsed.clear();
                ffi::MemoryContextReset(cache.memory);
            }
        }
        STALE.set(false);
        cache.memory
    });
    if let Some(tree) = CACHE.with_borrow(|cache| cache.parsed.get(&key).copied()) {
        return tree;
    }
    let tree = parse(&key);
    // SAFETY: the context lives as long as the backend.
    let tree = unsafe { context::with_context(memory, || ffi::copyObjectImpl(tree.cast()).cast()) };
    CACHE.with_borrow_mut(|cache| cache.parsed.insert(key, tree));
    tree
}

/// Parses a template into a tree whose placeholders are Params.
fn parse((sql, types): &Key) -> *mut pg_sys::Node {
    let text = c_string(&format!("SELECT {sql}"));
    // SAFETY: the parser gives one RawStmt with a SELECT of one expression, as the text is; the hook reads the types that outlive it.
    context::with_catalog_path(|| unsafe {
        let statements = list::pointers::<pg_sys::RawStmt>(ffi::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT));
        let targets = list::pointers::<pg_sys::ResTarget>((*(*statements[0]).stmt.cast::<pg_sys::SelectStmt>()).targetList);
        let state = ffi::make_parsestate(std::ptr::null_mut());
        (*state).p_sourcetext = text.as_ptr();
        (*state).p_paramref_hook = Some(placeholder);
        (*state).p_ref_hook_state = std::ptr::from_ref(types).cast_mut().cast();
        let tree = ffi::transformExpr(state, (*targets[0]).val, pg_sys::ParseExprKind::EXPR_KIND_SELECT_TARGET);
        ffi::assign_expr_collations(state, tree);
        ffi::free_parsestate(state);
        tree
    })
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn placeholder(state: *mut pg_sys::ParseState, reference: *mut pg_sys::ParamRef) -> *mut pg_sys::Node {
    // SAFETY: the parser's own arguments; the state is what `parse` put there.
    unsafe {
        guard::boundary(|| {
            let types = &*(*state).p_ref_hook_state.cast::<Vec<pg_sys::Oid>>();
            let number = (*reference).number;
            let Some(type_oid) = usize::try_from(number).ok().and_then(|number| types.get(number.checked_sub(1)?)) else {
                return Err(Error::new(SqlState("42P02"), format!("there is no parameter ${number}")));
            };
            let param: *mut pg_sys::Param = node::make_node(NodeTag::T_Param);
            (*param).paramkind = pg_sys::ParamKind::PARAM_EXTERN;
            (*param).paramid = number;
            (*param).paramtype = *type_oid;
            (*param).paramtypmod = -1;
            (*param).location = -1;
            Ok(param.cast())
        })
    }
}

/// Copies a tree; the context is a reference to the slice of what takes the place of Params.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn fill(tree: *mut pg_sys::Node, arguments: *mut c_void) -> *mut pg_sys::Node {
    // SAFETY: PostgreSQL's mutators pass nodes; the numbers of the Params were checked when they were made.
    unsafe {
        guard::boundary(|| {
            Ok(if node::tag(tree) == NodeTag::T_Param {
                let values = *arguments.cast::<&[Expr]>();
                values[(*tree.cast::<pg_sys::Param>()).paramid as usize - 1].copy().as_ptr()
            } else {
                ffi::expression_tree_mutator(tree, fill, arguments)
            })
        })
    }
}

/// Installs the callback; once, at server start.
pub fn init() {
    // SAFETY: the callback is a plain function that calls nothing of PostgreSQL.
    unsafe { ffi::CacheRegisterSyscacheCallback(pg_sys::SysCacheIdentifier::PROCOID as i32, Some(on_invalidation), pg_sys::Datum::null()) };
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_invalidation(_arg: pg_sys::Datum, _cache: i32, _hash: u32) {
    STALE.set(true);
}
