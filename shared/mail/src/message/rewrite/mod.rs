//! Rewriting: one policy for envelope and header (rows A1, A2, B9, B18, D2).
//!
//! | what | becomes |
//! |---|---|
//! | envelope sender | a local name, or one of our own addresses that revaliases name: what revaliases say, else `name@domain` |
//! | `From`, `Resent-From` | the same; without `from_override`, anything else becomes the caller's own address |
//! | `Sender`, `Reply-To`, `Resent-Sender` | as the envelope sender |
//! | recipients | local names: what aliases say, else `admin`, else `name@domain` |
//! | `To`, `Cc`, `Resent-To`, `Resent-Cc` | local names: `name@domain` |
//!
//! Contract: pure; only the address inside a field changes, all else of it stays byte for byte;
//! `root (Cron Daemon)` becomes `"Cron Daemon" <root@…>`. Every change is told, with the line or
//! the setting that caused it.
//! Failures: [`RewriteError`], the caller's or the administrator's; never a guess about a
//! recipient.

mod fields;
mod recipient;
mod rules;
mod sender;
#[cfg(test)]
mod tests;

pub use recipient::{local_name, resolve};
pub use rules::{Caller, Change, RewriteError, Rules, rewrite};
pub use sender::{account_named, account_of, default_from};
