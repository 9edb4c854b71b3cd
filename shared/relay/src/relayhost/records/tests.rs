use domain::{
    base::{MessageBuilder, Serial, Ttl},
    rdata::{Cname, Ns, Soa},
};

use super::*;

fn name(text: &str) -> Name<Vec<u8>> {
    text.parse().unwrap()
}

/// What an answer to a question for the MX records of `a.example` is made of.
#[derive(Clone, Copy)]
struct Given {
    code: Rcode,
    opcode: Opcode,
    /// It is an alias.
    alias: bool,
    /// So many records, and whose they are, if not its own.
    found: u16,
    of: Option<&'static str>,
    /// Whose SOA it has, and whose servers it names.
    soa: Option<&'static str>,
    servers: Option<&'static str>,
    /// RA: the server looks for itself. AA: it has the zone.
    looks: bool,
    has: bool,
    cut: bool,
    /// It echoes another question.
    other: bool,
}

const PLAIN: Given = Given {
    code: Rcode::NOERROR,
    opcode: Opcode::QUERY,
    alias: false,
    found: 0,
    of: None,
    soa: None,
    servers: None,
    looks: false,
    has: false,
    cut: false,
    other: false,
};

/// With this changed.
fn with(mut given: Given, change: impl Fn(&mut Given)) -> Given {
    change(&mut given);
    given
}

fn lame(change: impl Fn(&mut Given)) -> Given {
    with(PLAIN, change)
}

/// Of a server that looks for itself.
fn looked(change: impl Fn(&mut Given)) -> Given {
    with(lame(|it| it.looks = true), change)
}

/// With the SOA of the zone.
fn proved(change: impl Fn(&mut Given)) -> Given {
    with(lame(|it| it.soa = Some("example")), change)
}

fn answer(given: &Given) -> Message<Vec<u8>> {
    let mut question = MessageBuilder::new_vec().question();
    let kind = if given.other { Rtype::A } else { Rtype::MX };
    question.push((name("a.example"), kind)).unwrap();
    let asked = question.into_message();
    let answer = MessageBuilder::new_vec().start_answer(&asked, given.code);
    let mut answer = answer.unwrap();
    let header = answer.header_mut();
    header.set_opcode(given.opcode);
    header.set_tc(given.cut);
    header.set_ra(given.looks);
    header.set_aa(given.has);
    if given.alias {
        let alias = Cname::new(name("b.example"));
        answer.push((name("a.example"), 60, alias)).unwrap();
    }
    let owner = if given.alias {
        "b.example"
    } else {
        "a.example"
    };
    let owner = name(given.of.unwrap_or(owner));
    for number in 0..given.found {
        let data = Mx::new(1000 - number, name(&format!("mx{number}.example")));
        answer.push((owner.clone(), 60, data)).unwrap();
    }
    let mut authority = answer.authority();
    if let Some(zone) = given.soa {
        let (server, person, day) = (name("ns.example"), name("it.example"), Ttl::from_days(1));
        let data = Soa::new(server, person, Serial(1), day, day, day, day);
        authority.push((name(zone), 60, data)).unwrap();
    }
    if let Some(zone) = given.servers {
        let data = Ns::new(name("ns.example"));
        authority.push((name(zone), 60, data)).unwrap();
    }
    authority.into_message()
}

/// What it says, if anything.
fn says(given: &Given) -> Option<Said> {
    said(answer(given).for_slice(), Rtype::MX).ok()
}

fn no_name(given: Given) -> Given {
    with(given, |it| it.code = Rcode::NXDOMAIN)
}

#[test]
fn there_is_none_is_what_an_soa_or_a_server_that_knows_says() {
    for given in [
        proved(|_| {}),
        proved(|it| it.soa = Some(".")),
        proved(|it| it.servers = Some("example")),
        proved(|it| it.alias = true),
        // As forwarders and home routers have it.
        looked(|_| {}),
        lame(|it| it.has = true),
    ] {
        assert_eq!(says(&given), Some(Said::None));
        assert_eq!(says(&no_name(given)), Some(Said::NoName));
    }
    assert_eq!(says(&lame(|it| it.found = 1)), Some(Said::Records));
    let alias = lame(|it| it.alias = true);
    assert_eq!(says(&with(alias, |it| it.found = 2)), Some(Said::Records));
    assert_eq!(says(&alias), Some(Said::Alias(name("b.example"))));
    // The alias itself was asked for.
    let found = records(
        answer(&alias).for_slice(),
        |_: &Cname<ParsedName<&[u8]>>| (),
    );
    assert_eq!(found, Ok(vec![()]));
}

#[test]
fn an_answer_that_says_nothing_is_none() {
    for given in [
        PLAIN,
        no_name(PLAIN),
        // A referral; another zone's.
        lame(|it| it.servers = Some(".")),
        looked(|it| it.servers = Some(".")),
        lame(|it| it.soa = Some("other")),
        // Of another name; to another question; of another kind; cut.
        looked(|it| (it.found, it.of) = (1, Some("x.example"))),
        proved(|it| (it.found, it.of) = (1, Some("x.example"))),
        with(looked(|it| it.other = true), |it| it.soa = Some("example")),
        proved(|it| (it.opcode, it.looks) = (Opcode::NOTIFY, true)),
        with(looked(|it| it.cut = true), |it| it.soa = Some("example")),
        with(looked(|it| it.cut = true), |it| it.found = 2),
    ] {
        assert_eq!(says(&given), None, "{:?}", answer(&given).as_slice());
    }
    for code in [
        Rcode::SERVFAIL,
        Rcode::REFUSED,
        Rcode::NOTIMP,
        Rcode::FORMERR,
    ] {
        let given = with(looked(|it| it.code = code), |it| it.soa = Some("example"));
        assert_eq!(says(&given), None, "{code}");
    }
}

#[test]
fn no_record_of_many_is_overlooked_and_those_of_an_answer_that_was_cut_count_for_nobody() {
    for (found, alias) in [(0, false), (0, true), (2, true), (900, false)] {
        let whole = lame(|it| (it.found, it.alias) = (found, alias));
        let count = |given: &Given| {
            let answer = answer(given);
            read(answer.for_slice(), false).map(|found| found.len())
        };
        assert_eq!(count(&whole), Ok(usize::from(found)));
        assert!(count(&with(whole, |it| it.cut = true)).is_err());
    }
}

#[test]
fn what_dns_says_and_no_host_can_be_called_is_no_host() {
    for name in ["mx1.example.org", "mail_1.example", "xn--bcher-kva.example"] {
        assert!(is_host_name(name), "{name}");
    }
    for name in [
        "",
        ".",
        "-o.example",
        "a;b.example",
        "$(x).example",
        "a\\059b",
        "a..b",
    ] {
        assert!(!is_host_name(name), "{name}");
    }
}
