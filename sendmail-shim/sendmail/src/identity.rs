//! Who a user is, by number: name and full name through NSS, or `uid-61234` for one that has no
//! entry (`DynamicUser`).
//!
//! Contract: never the environment, never a failure.

use mail::message::rewrite::Caller;
use uzers::os::unix::UserExt as _;

/// The caller with this number.
pub fn caller(uid: u32) -> Caller {
    let Some(user) = uzers::get_user_by_uid(uid) else {
        return Caller {
            user: format!("uid-{uid}"),
            full_name: String::new(),
        };
    };
    let name = user.name().to_string_lossy().into_owned();
    let gecos = user.gecos().to_string_lossy().into_owned();
    let full_name = full_name(&gecos, &name);
    Caller {
        user: name,
        full_name,
    }
}

/// The first part of GECOS; an `&` in it is the login name with a capital, as finger(1) has it.
fn full_name(gecos: &str, login: &str) -> String {
    let first = gecos.split(',').next().unwrap_or_default();
    let mut letters = login.chars();
    let capital: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect();
    first.replace('&', &capital)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_an_entry_has_a_name_all_the_same() {
        assert_eq!(
            caller(4_000_061_234),
            Caller {
                user: "uid-4000061234".into(),
                full_name: String::new()
            }
        );
        assert_eq!(caller(0).user, "root");
        assert_eq!(full_name("Charlie &,,,", "root"), "Charlie Root");
    }
}
