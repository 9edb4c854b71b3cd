//! Whether a reload may take the tables as they are now.
//!
//! Contract: a line that was read before and cannot be read now, or a table that is suddenly empty,
//! lets no rule and no recipient vanish: the reload fails, as it does where the configuration is
//! wrong; and a start goes on with the copy of that file. What was wrong at the first start already
//! keeps nobody from reloading.

use super::Setup;

impl Setup {
    /// A table that has become faulty or empty would let rules and recipients vanish; until it is
    /// mended what is in force stays, as without a reload.
    pub(super) fn follows(&self, before: &Self) -> anyhow::Result<()> {
        let lost = self.tables.known().lost(&before.tables.known());
        match lost.into_iter().next() {
            Some(why) => Err(anyhow::Error::msg(why)),
            None => Ok(()),
        }
    }
}
