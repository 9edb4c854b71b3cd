//! How many files this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is enough for every connection that the programs allow, and each message under delivery.
const ENOUGH: u64 = 65_536;

/// Raises the limit as far as the system lets us and as is of use; a service starts with 1,024.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(u64::MAX).min(ENOUGH);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            ..limit
        };
        // What it is now suffices for all but a storm of connections.
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_is_as_high_as_is_allowed_and_of_use() {
        let limit = getrlimit(Resource::Nofile);
        let low = Rlimit {
            current: Some(256),
            ..limit
        };
        setrlimit(Resource::Nofile, low).unwrap();
        raise();
        let most = limit.maximum.unwrap_or(u64::MAX).min(ENOUGH);
        assert_eq!(getrlimit(Resource::Nofile).current, Some(most));
    }
}
