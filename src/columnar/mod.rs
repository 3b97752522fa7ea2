//! The columnar part of chunks: settings, compression, batches, changes.
