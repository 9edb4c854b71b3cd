//! The message between DATA and `CRLF . CRLF`, both directions.
