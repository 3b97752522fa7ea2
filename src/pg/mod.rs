//! The FFI fence: everything that touches PostgreSQL's memory and control flow, made safe to build on.
//!
//! An ERROR in PostgreSQL is a `longjmp`. Two disciplines keep Rust sound across it (see `README.md` beside this file):
//! slow paths call [`ffi`]'s guarded functions, hot paths call [`ffi::raw`] with no destructor pending.

pub mod aggregate;
pub mod datetime;
pub mod datum;
#[macro_use]
pub mod fcinfo;
pub mod ffi;
pub mod guard;
pub mod typecache;
