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
        "What is decided at each RCPT, in this order, until one decides: Postfix's restrictions, one a text; \"warn_if_reject\" in front of one only logs what it would refuse. Permission to relay is decided before them and by nothing else; limits and unknown recipients are decided behind them, whatever they say. See RESTRICTIONS.",
        |c| Some(list(&c.restrictions)),
    )
    .default("[\"permit_mynetworks\", \"permit_sasl_authenticated\", \"permit_tls_clientcerts\", \"reject_unauth_destination\", \"reject_unlisted_recipient\"]"),
    Row::new(
        "milters",
        "list of filters",
        "Filters that see each session and message, in this order, each what the one before made of it: \"unix:/run/rspamd/milter.sock\", \"inet:127.0.0.1:11332\", or { address = \"inet:127.0.0.1:11332\", on_failure = \"tempfail\", timeout = \"30s\" }. Without an answer of one mail is deferred (\"tempfail\"), taken as it is (\"accept\"), refused (\"reject\") or kept on hold (\"quarantine\"). An answer is waited for 30 seconds, about a message's content five minutes, or as long as timeout says. They are asked behind the restrictions. See MILTERS.",
        |c| Some(array(c.milters.iter().map(milter))),
    )
    .otherwise("none"),
    Row::form(
        &THRESHOLD,
        "The sum of weights from which on reject_dnsbl_score refuses.",
        |c| Some(c.dnsbl.scores.threshold.to_string()),
    ),
    Row::new(
        "dnsbl.lists",
        "list of texts",
        "DNS block lists with their weights, as \"list.example=127.0.0.[2..11]*2\", for reject_dnsbl_score. Without codes 127.0.0.2 to 127.0.255.254 count.",
        |c| Some(list(&c.dnsbl.scores.lists)),
    ),
    Row::new(
        "dnsbl.keys",
        "path",
        "File with a line NAME = key for each ${NAME} in a list; of root or the daemon's user, who alone may read it. Keys are in no reply and no log.",
        |c| c.dnsbl.keys.as_deref().map(path),
    ),
    Row::form(
        &GREYLIST_DELAY,
        "How long a network that nobody knows waits for the restriction greylist.",
        |c| Some(span(c.greylist.delay)),
    ),
    Row::form(
        &GREYLIST_ONLY,
        "Whom greylist is for: \"listed\" for clients with a score above 0 in dnsbl.lists or without a name that is confirmed, \"all\" for everybody.",
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
        "Sender of the question whether a recipient exists (reject_unverified_recipient): \"<>\", or an address.",
        |c| Some(verify_from(c)),
    )
    .default("\"<>\""),
    Row::form(
        &OUTAGE,
        "What is done while the next hop does not answer. \"accept-known\": who is known gets mail, others are told to come again, and after a day everybody gets mail up to 1 MiB; \"accept-all\": that from the beginning; \"defer\": never that. Where the next hop refuses this machine it stays at what is known.",
        |c| Some(quote(c.verify.settings.outage.as_str())),
    ),
    Row::form(
        &POSITIVE,
        "How long a recipient that exists is believed to.",
        |c| Some(span(c.verify.settings.positive)),
    ),
    Row::form(
        &NEGATIVE,
        "How long a recipient that does not exist is refused without a new question.",
        |c| Some(span(c.verify.settings.negative)),
    ),
    Row::form(
        &TROUBLE,
        "How long trouble of the next hop is remembered.",
        |c| Some(span(c.verify.settings.trouble)),
    ),
    Row::new(
        "expected",
        "list of tables",
        "Mail that must come: [{ client = \"vm7\", sender = \"root@*\", subject = \"backup*\", every = \"1d\", grace = \"3h\" }]. admins are told when it does not come in that time and grace, and when it comes again. A client is the name of its key, its login, its host name, its address or a network; in sender and subject * stands for anything, \\* for a star; what is left out may be anything, but only mail of clients that may relay counts. Whole days are those of the calendar. Default of grace: an eighth of the time. More are declared by `smarthost expected add`.",
        |c| Some(array(c.expected.iter().map(wanted))),
    )
    .otherwise("none"),
];
