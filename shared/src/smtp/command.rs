//! Commands, read and written.
