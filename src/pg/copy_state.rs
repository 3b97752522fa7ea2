//! COPY's reader: what of its private state a copy loop needs (`CopyFromStateData` of commands/copyfrom_internal.h).
//!
//! PostgreSQL keeps the layout within a major version; the assertions below hold the offsets that its headers give.

use std::ffi::{c_char, c_void};

use pgrx::pg_sys;

use super::ffi;
use super::relation::Relation;

/// The reader's state down to the last field that is used here.
#[repr(C)]
pub struct CopyFromState {
    copy_src: u32,
    copy_file: *mut c_void,
    fe_msgbuf: *mut c_void,
    eol_type: u32,
    file_encoding: i32,
    need_transcoding: bool,
    conversion_proc: pg_sys::Oid,
    rel: pg_sys::Relation,
    attnumlist: *mut pg_sys::List,
    filename: *mut c_char,
    is_program: bool,
    data_source_cb: *mut c_void,
    /// The options as parsed.
    pub opts: pg_sys::CopyFormatOptions,
    convert_select_flags: *mut bool,
    where_clause: *mut pg_sys::Node,
    cur_relname: *const c_char,
    /// The line (or binary row) that is being read, for error messages.
    pub cur_lineno: u64,
    cur_attname: *const c_char,
    cur_attval: *const c_char,
    copycontext: pg_sys::MemoryContext,
    num_defaults: i16,
    in_functions: *mut pg_sys::FmgrInfo,
    typioparams: *mut pg_sys::Oid,
    defmap: *mut i32,
    defexprs: *mut *mut pg_sys::ExprState,
    /// A default may look at the table: rows must not be collected.
    pub volatile_defexprs: bool,
    range_table: *mut pg_sys::List,
    qualexpr: *mut pg_sys::ExprState,
    transition_capture: *mut pg_sys::TransitionCaptureState,
    attribute_buf: pg_sys::StringInfoData,
    max_fields: i32,
    raw_fields: *mut *mut c_char,
    /// The line as it came.
    pub line_buf: pg_sys::StringInfoData,
    /// Whether `line_buf` belongs to the row that is being worked on.
    pub line_buf_valid: bool,
}

/// An open COPY FROM. Dropping it does not end the copy: an error ends it with the transaction, success with [`Copy::finish`].
pub struct Copy {
    state: *mut CopyFromState,
}

impl Copy {
    /// Begins to read for `statement` (`BeginCopyFrom`), from the client, a file or a program.
    ///
    /// # Safety
    /// `state` is a parse state whose range table has the relation as its only entry; `statement` is valid.
    pub unsafe fn begin(state: *mut pg_sys::ParseState, relation: &Relation, statement: &pg_sys::CopyStmt) -> Self {
        // SAFETY: the caller's promise. The WHERE clause is the copy loop's matter.
        let copy = unsafe {
            ffi::BeginCopyFrom(
                state,
                relation.as_ptr(),
                std::ptr::null_mut(),
                statement.filename,
                statement.is_program,
                None,
                statement.attlist,
                statement.options,
            )
        };
        Self { state: copy.cast() }
    }

    /// The reader's state.
    pub fn state(&self) -> *mut CopyFromState {
        self.state
    }

    /// Ends the copy: closes the file, waits for the program.
    pub fn finish(self) {
        // SAFETY: begun by `begin`, not ended yet.
        unsafe { ffi::EndCopyFrom(self.state.cast()) }
    }
}

/// The offsets in the headers of PostgreSQL 15, so that a field that is missing here can't go unnoticed.
const _: () = {
    use std::mem::offset_of;
    assert!(offset_of!(CopyFromState, rel) == 40);
    assert!(offset_of!(CopyFromState, opts) == 80);
    assert!(offset_of!(CopyFromState, cur_lineno) == 240);
    assert!(offset_of!(CopyFromState, volatile_defexprs) == 312);
    assert!(offset_of!(CopyFromState, line_buf) == 384);
    assert!(offset_of!(CopyFromState, line_buf_valid) == 408);
};
