//! Reports that say what was said before: a job's report that is the same as its last one, numbers
//! apart, waits in the queue until a digest tells of it in one line.
//!
//! | part | what |
//! |---|---|
//! | [`report`] | what a report says, and of which job it is; pure |
//! | [`table`] | what was said last, and what waits; pure |
//! | [`digest`] | what the digest says; pure |
//! | [`keeping`] | the same, with spool and file |
//!
//! | step | on disk | after a crash |
//! |---|---|---|
//! | 1. another report than the last one comes | the job is forgotten, then the report is accepted, then remembered | what is not known is sent |
//! | 2. the same comes | why it waits, in the table | no message: forgotten |
//! | 3. it is accepted | held, with the record that promises it | it waits; without its line in the table it is sent |
//! | 4. the digest is due | the digest, accepted | told once more |
//! | 5. those that it tells of are removed | gone, then out of the table | |
//!
//! Nothing is thrown away unseen: a line whose numbers differ is in the digest, and a report with
//! more of them than a digest shows is sent. So is one whose last full copy is older than
//! [`table::REPEAT`]: whoever reads "as on" must still find it.

pub(crate) mod digest;
pub(crate) mod report;
pub(crate) mod table;

pub(super) mod keeping;

#[cfg(test)]
mod tests;
