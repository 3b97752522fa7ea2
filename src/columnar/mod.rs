//! The columnar part of chunks: settings, compression, batches, changes. README.md says what must always hold.

pub mod batch_rows;
pub mod batch_scan;
pub mod batch_table;
pub mod batch_writer;
pub mod builder;
pub mod compress;
pub mod ddl;
pub mod decompress;
pub mod defaults;
pub mod direct;
pub mod dml;
pub mod filter;
pub mod fold;
pub mod image;
pub mod layout;
pub mod order;
pub mod part;
pub mod reader;
pub mod row_sorter;
pub mod row_writer;
pub mod settings;
pub mod settings_change;
pub mod settings_check;
pub mod settings_text;
pub mod shape;
pub mod value;
