//! Bounded lines that end in CRLF and nothing else.
