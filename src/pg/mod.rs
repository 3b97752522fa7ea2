//! The FFI fence: everything that touches PostgreSQL's memory and control flow, made safe to build on.
//!
//! An ERROR in PostgreSQL is a `longjmp`. Two disciplines keep Rust sound across it (see `README.md` beside this file):
//! slow paths call [`ffi`]'s guarded functions, hot paths call [`ffi::raw`] with no destructor pending.

#[macro_use]
pub mod fcinfo;
pub mod acl;
pub mod aggregate;
pub mod alter;
pub mod array;
pub mod axis;
pub mod call;
pub mod catalog_scan;
pub mod clone;
pub mod column;
pub mod constraint;
pub mod context;
pub mod convert;
pub mod copy_state;
pub mod database;
pub mod datetime;
pub mod datum;
pub mod evaluate;
pub mod event_trigger;
pub mod expr;
pub mod ffi;
pub mod foreign_key;
pub mod function;
pub mod guard;
pub mod index;
pub mod index_sort;
pub mod intake_am;
pub mod json;
pub mod list;
pub mod live;
pub mod new_partition;
pub mod node;
pub mod numeric;
pub mod partition;
pub mod partition_change;
pub mod pathkey;
pub mod process;
pub mod progress;
pub mod query;
pub mod relation;
pub mod rewrite;
pub mod role;
pub mod rows;
pub mod sample;
pub mod shmem;
pub mod size;
pub mod slot;
pub mod snapshot;
pub mod sort;
pub mod spi;
pub mod srf;
pub mod standby;
pub mod statement;
pub mod statistics;
pub mod syscache;
pub mod table;
pub mod template;
pub mod text_settings;
pub mod trigger;
pub mod typecache;
pub mod xact;
pub mod zone_offsets;
