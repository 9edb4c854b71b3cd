//! What a next hop has against this machine, and what can be done about it.

/// What is to be done about a refusal of this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// TLS first.
    Tls,
    /// No login, or not this one.
    Login,
    /// Passwords are not taken any more.
    Passwords,
    /// No permission to relay.
    Permission,
    /// None to use this sender.
    Sender,
    /// This machine's address or name.
    Address,
    /// The key by which it knew this machine.
    Key,
    /// The account that logs in.
    Account,
    /// So much was sent that no more is taken for some time.
    Quota,
    /// It takes no mail now, or does not understand what it must.
    Session,
}

impl Refusal {
    /// Whether it would meet any other sender, too.
    pub(in crate::delivery) const fn is_of_any_mail(self) -> bool {
        matches!(self, Self::Key)
    }

    /// For log, `mailq` and `check`.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Tls => {
                "it wants TLS first: allow STARTTLS in tls (sendmail-shim) or relay_tls (smarthost)"
            }
            Self::Login => {
                "it wants a login, or refuses this one: see auth (sendmail-shim) or relay_auth (smarthost)"
            }
            Self::Passwords => {
                "it takes no passwords any more: set a token in auth (sendmail-shim) or relay_auth (smarthost), or have \
                 its administrator let this address in without one"
            }
            Self::Permission => {
                "it does not relay for this machine: have its administrator allow this address, login and sender"
            }
            Self::Sender => {
                "it does not take mail of this sender from here: have its administrator allow this sender to this address \
                 or login"
            }
            Self::Address => {
                "it refuses this machine's address or name: see hostname, and ask its administrator"
            }
            Self::Key => {
                "it believes the key of this machine no more: have its administrator make a line by `smarthost enroll`, \
                 then here: sendmail-shim enroll --new-key LINE"
            }
            Self::Account => {
                "it refuses the account of auth (sendmail-shim) or relay_auth (smarthost): ask its administrator"
            }
            Self::Quota => {
                "it takes no more for some time: ask its administrator for a higher quota, or send less"
            }
            Self::Session => {
                "it does not take mail as a relay must: see whether relayhost and its port are right"
            }
        }
    }
}
