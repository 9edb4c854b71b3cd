//! What is decided about mail, and what must come.

use settings::rows::{array, list, path, quote, span};

use super::written::{Row, milter, outage, verify_from, wanted};

pub(super) const POLICY: &[Row] = &[
    Row::new(
        "restrictions",
        "What is decided at each RCPT, in this order, until one decides: Postfix's restrictions, one a text; \"warn_if_reject\" in front of one only logs what it would refuse. Permission to relay is decided before them and by nothing else; limits and unknown recipients are decided behind them, whatever they say. Default: permit_mynetworks, permit_sasl_authenticated, permit_tls_clientcerts, reject_unauth_destination, reject_unlisted_recipient. See RESTRICTIONS.",
        |c| Some(list(&c.restrictions)),
    ),
    Row::new(
        "milters",
        "Filters that see each session and message, in this order, each what the one before made of it: \"unix:/run/rspamd/milter.sock\", \"inet:127.0.0.1:11332\", or { address = \"inet:127.0.0.1:11332\", on_failure = \"tempfail\", timeout = \"30s\" }. Without an answer of one mail is deferred (\"tempfail\"), taken as it is (\"accept\"), refused (\"reject\") or kept on hold (\"quarantine\"). An answer is waited for 30 seconds, about a message's content five minutes, or as long as timeout says. They are asked behind the restrictions. Default: none. See MILTERS.",
        |c| Some(array(c.milters.iter().map(milter))),
    ),
    Row::new(
        "dnsbl.threshold",
        "The sum of weights from which on reject_dnsbl_score refuses. Default: 1.",
        |c| Some(c.dnsbl.scores.threshold.to_string()),
    ),
    Row::new(
        "dnsbl.lists",
        "DNS block lists with their weights, as \"list.example=127.0.0.[2..11]*2\", for reject_dnsbl_score. Without codes 127.0.0.2 to 127.0.255.254 count.",
        |c| Some(list(&c.dnsbl.scores.lists)),
    ),
    Row::new(
        "dnsbl.keys",
        "File with a line NAME = key for each ${NAME} in a list; of root or the daemon's user, who alone may read it. Keys are in no reply and no log.",
        |c| c.dnsbl.keys.as_deref().map(path),
    ),
    Row::new(
        "greylist.delay",
        "How long a network that nobody knows waits for the restriction greylist.",
        |c| Some(span(c.greylist.delay)),
    ),
    Row::new(
        "greylist.only",
        "Whom greylist is for: \"listed\" for clients with a score above 0 in dnsbl.lists or without a name that is confirmed, \"all\" for everybody.",
        |c| {
            Some(quote(if c.greylist.listed_only {
                "listed"
            } else {
                "all"
            }))
        },
    ),
    Row::new(
        "verify.from",
        "Sender of the question whether a recipient exists (reject_unverified_recipient): \"<>\", or an address.",
        |c| Some(verify_from(c)),
    ),
    Row::new(
        "verify.outage",
        "What is done while the next hop does not answer. \"accept-known\": who is known gets mail, others are told to come again, and after a day everybody gets mail up to 1 MiB; \"accept-all\": that from the beginning; \"defer\": never that. Where the next hop refuses this machine it stays at what is known.",
        |c| Some(quote(outage(c.verify.settings.outage))),
    ),
    Row::new(
        "verify.positive",
        "How long a recipient that exists is believed to.",
        |c| Some(span(c.verify.settings.positive)),
    ),
    Row::new(
        "verify.negative",
        "How long a recipient that does not exist is refused without a new question.",
        |c| Some(span(c.verify.settings.negative)),
    ),
    Row::new(
        "verify.trouble",
        "How long trouble of the next hop is remembered; 1m at most.",
        |c| Some(span(c.verify.settings.trouble)),
    ),
    Row::new(
        "expected",
        "Mail that must come: [{ client = \"vm7\", sender = \"root@*\", subject = \"backup*\", every = \"1d\", grace = \"3h\" }]. admins are told when it does not come in that time and grace, and when it comes again. A client is the name of its key, its login, its host name, its address or a network; in sender and subject * stands for anything, \\* for a star; what is left out may be anything, but only mail of clients that may relay counts. Whole days are those of the calendar. Default of grace: an eighth of the time. More are declared by `smarthost expected add`. Default: none.",
        |c| Some(array(c.expected.iter().map(wanted))),
    ),
];
