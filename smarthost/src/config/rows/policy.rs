//! What is decided about mail, and what must come.

use settings::{
    form::Word as _,
    rows::{array, list, path, quote, span},
};

use super::super::file::Only;
use super::super::forms::{
    GREYLIST_DELAY, GREYLIST_ONLY, NEGATIVE, OUTAGE, POSITIVE, THRESHOLD, TROUBLE,
};
use super::written::{Row, milter, verify_from, wanted};

pub(super) const POLICY: &[Row] = &[
    Row::new(
        "restrictions",
        "list of restrictions",
        "What is checked at each RCPT, in this order, until one restriction decides. They are Postfix's, one per string; \"warn_if_reject\" in front of one only logs what it would refuse. Permission to relay is decided before them and by nothing else. Limits and unknown recipients are checked after them, whatever their result. See RESTRICTIONS.",
        |c| Some(list(&c.restrictions)),
    )
    .default("[\"permit_mynetworks\", \"permit_sasl_authenticated\", \"permit_tls_clientcerts\", \"reject_unauth_destination\", \"reject_unlisted_recipient\"]"),
    Row::new(
        "milters",
        "list of filters",
        "Filters that see each session and message, in this order; each sees what the one before made of it. Write \"unix:/run/rspamd/milter.sock\", \"inet:127.0.0.1:11332\", or { address = \"inet:127.0.0.1:11332\", on_failure = \"tempfail\", timeout = \"30s\" }. If a filter does not answer, on_failure decides: mail is deferred (\"tempfail\", the default), accepted as it is (\"accept\"), refused (\"reject\") or put on hold (\"quarantine\"). smarthost waits 30 seconds for an answer, five minutes for one about a message's content, or as long as timeout says; all filters together have nine minutes for a message. Filters are asked after the restrictions. See MILTERS.",
        |c| Some(array(c.milters.iter().map(milter))),
    )
    .otherwise("none"),
    Row::form(
        &THRESHOLD,
        "reject_dnsbl_score refuses a client whose weights add up to this or more.",
        |c| Some(c.dnsbl.scores.threshold.to_string()),
    ),
    Row::new(
        "dnsbl.lists",
        "list of texts",
        "DNS block lists with their weights, for reject_dnsbl_score, such as \"list.example=127.0.0.[2..11]*2\". Without codes, 127.0.0.2 to 127.0.255.254 count.",
        |c| Some(list(&c.dnsbl.scores.lists)),
    ),
    Row::new(
        "dnsbl.keys",
        "path",
        "File with a line NAME = key for each ${NAME} in a list. It must belong to root or the daemon's user, and nobody else may read it. Keys appear in no reply and no log.",
        |c| c.dnsbl.keys.as_deref().map(path),
    ),
    Row::form(
        &GREYLIST_DELAY,
        "How long the restriction greylist makes an unknown network wait.",
        |c| Some(span(c.greylist.delay)),
    ),
    Row::form(
        &GREYLIST_ONLY,
        "Which clients greylist applies to: \"listed\", clients with a score above 0 in dnsbl.lists or without a confirmed name; \"all\", everybody.",
        |c| {
            let only = if c.greylist.listed_only {
                Only::Listed
            } else {
                Only::All
            };
            Some(quote(only.as_str()))
        },
    ),
    Row::new(
        "verify.from",
        "mail address",
        "The sender that reject_unverified_recipient uses when it asks whether a recipient exists: \"<>\", or an address.",
        |c| Some(verify_from(c)),
    )
    .default("\"<>\""),
    Row::form(
        &OUTAGE,
        "What happens while the next hop does not answer. Mail for recipients that are known to exist is always accepted; this setting decides about the others. \"accept-known\": they get a temporary error, and after a day mail up to 1 MiB is accepted for them. \"accept-all\": mail up to 1 MiB is accepted for them from the beginning. \"defer\": they get a temporary error for as long as it takes. While the next hop refuses this machine, only known recipients get mail, whatever this setting says.",
        |c| Some(quote(c.verify.settings.outage.as_str())),
    ),
    Row::form(
        &POSITIVE,
        "How long the answer that a recipient exists is believed.",
        |c| Some(span(c.verify.settings.positive)),
    ),
    Row::form(
        &NEGATIVE,
        "How long a recipient that does not exist is refused without asking again.",
        |c| Some(span(c.verify.settings.negative)),
    ),
    Row::form(
        &TROUBLE,
        "How long a failure of the next hop is remembered before it is asked again.",
        |c| Some(span(c.verify.settings.trouble)),
    ),
    Row::new(
        "expected",
        "list of tables",
        "Mail that must come: [{ client = \"vm7\", sender = \"root@*\", subject = \"backup*\", every = \"1d\", grace = \"3h\" }]. admins get mail when it has not come within that time plus grace, and when it comes again. A client is the name of its key, its login, its host name, its address or a network. In sender and subject, * stands for anything and \\* for a star. What you leave out may be anything, but only mail from clients that may relay counts. Whole days are calendar days. grace is an eighth of the time by default. `smarthost expected add` declares more.",
        |c| Some(array(c.expected.iter().map(wanted))),
    )
    .otherwise("none"),
];
