//! How many of something, as a file says it.

use serde::Deserialize;

/// A number from 1.
#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "u32")]
pub(super) struct Count(pub usize);
impl TryFrom<u32> for Count {
    type Error = String;
    fn try_from(number: u32) -> Result<Self, String> {
        match usize::try_from(number) {
            Ok(number @ 1..=1_000_000) => Ok(Self(number)),
            _ => Err(format!(
                "{number} is out of range; write a number from 1 to 1000000"
            )),
        }
    }
}
