//! The catalogue of what the log says of sessions, messages and the daemons themselves: the manual
//! is made from it, and a test holds each line of a mixed load against it.
//!
//! Contract: what is in braces stands for any text, also for none; a line is of the first event
//! that it fits.

/// Whose log has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    Both,
    Smarthost,
    Agent,
}

/// One kind of line.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub by: By,
    /// Without what stands before it: time, program, `warning: `.
    pub form: &'static str,
    /// A sentence for administrators.
    pub meaning: &'static str,
}

const fn event(by: By, form: &'static str, meaning: &'static str) -> Event {
    Event { by, form, meaning }
}

use By::{Agent, Both, Smarthost};

/// All of them, those of a session first, in the order in which they come.
pub const EVENTS: &[Event] = &[
    event(
        Smarthost,
        "connect from {client}",
        "A client has connected: its name as confirmed by DNS, or \"unknown\", and its address.",
    ),
    event(
        Smarthost,
        "Anonymous TLS connection established from {client}: {summary}",
        "TLS is on; the client showed no known key.",
    ),
    event(
        Smarthost,
        "Verified TLS connection established from {client}: {summary}, key of {name}",
        "TLS is on, and the client is known by its key.",
    ),
    event(
        Smarthost,
        "TLS handshake with {client} failed: {why}",
        "The client then continued in clear text, or left.",
    ),
    event(
        Smarthost,
        "{client}: SASL {method} authentication failed: {why}, sasl_username={login}",
        "A login failed (fail2ban's mode auth reads it).",
    ),
    event(
        Smarthost,
        "too many failed logins from {client}: {what}",
        "Logins from there are not checked for ten minutes.",
    ),
    event(
        Smarthost,
        "Connection concurrency limit exceeded: {count} from {client} for service smtp",
        "The client already has as many sessions as it may have.",
    ),
    event(
        Smarthost,
        "NOQUEUE: {action}: {step} from {client}: {reply}; {about}proto={protocol} helo=<{name}>",
        "A refusal: the action (\"reject\", \"warn\", \"reject_warning\" or \"milter-reject\"), \
         the step of the session, the reply, and sender and recipient as far as they were known.",
    ),
    event(
        Smarthost,
        "{id}: {action}: END-OF-MESSAGE from {client}: {reply}; {about}proto={protocol} helo=<{name}>",
        "The same for a message that already had an id.",
    ),
    event(
        Smarthost,
        "{what} after {command} from {client}",
        "The session was cut off: \"lost connection\", \"timeout\" or \"too many errors\", after \
         the named command.",
    ),
    event(
        Smarthost,
        "disconnect from {client} messages={count} refused={count}",
        "The end of a session: the numbers of accepted messages and of refusals.",
    ),
    event(
        Smarthost,
        "{id}: client={client}, sasl_method={method}, sasl_username={login}",
        "This client sent the message, and had logged in.",
    ),
    event(
        Smarthost,
        "{id}: client={client}",
        "This client sent the message.",
    ),
    event(
        Smarthost,
        "{id}: written by {who}",
        "Who wrote it on the machine that sent it, according to its kernel: user, unit, program.",
    ),
    event(
        Both,
        "{id}: message-id={message-id}",
        "Its Message-ID, under which others know it.",
    ),
    event(
        Agent,
        "lost connection from {user}: {why}",
        "A program of this user closed its connection in the middle of a session.",
    ),
    event(
        Agent,
        "NOQUEUE: reject: from {user}: {reply}",
        "A message of this user was refused.",
    ),
    event(
        Both,
        "{id}: from=<{sender}>, size={bytes}, nrcpt={count} (queue active){more}",
        "It is in the queue and on disk. At the end: the count and limit of a counted client, or, \
         on a machine, who sent it.",
    ),
    event(
        Both,
        "{id}: from=<{sender}>, size={bytes}, nrcpt={count} (queue hold{why}){more}",
        "It is on disk, and on hold.",
    ),
    event(
        Agent,
        "{id}: from=<{sender}>, one more like it, {count} now (counted for the digest){more}",
        "The same mail again: it is counted and reported in a digest.",
    ),
    event(
        Agent,
        "{id}: digest of {count} messages: {id}",
        "The digest is sent in place of this many counted messages.",
    ),
    event(
        Agent,
        "{id}: over the budget of {budget}, {count} wait now",
        "Automatic mail beyond the budget waits.",
    ),
    event(
        Agent,
        "{id}: goes, within the budget of {budget}",
        "It waited for the budget, and is sent now.",
    ),
    event(
        Agent,
        "{id}: says the same as on {time}, waits for the digest",
        "A report with nothing new waits for its digest.",
    ),
    event(
        Smarthost,
        "{id}: DKIM-Signature field added (s={selector}, d={domain})",
        "It goes signed.",
    ),
    event(
        Both,
        "{trust} TLS connection established to {relay}: {summary}",
        "\"Verified\": the next hop's key is known by a pin, DANE or a certificate. \"Trusted\", \
         \"Untrusted\" and \"Anonymous\" mean the same as in Postfix.",
    ),
    event(
        Both,
        "TLS does not work, going on in clear text: {why}",
        "Only where any key would have been accepted.",
    ),
    event(
        Both,
        "{id}: to=<{recipient}>, {more}relay={relay}, delay={seconds}, dsn={code}, status=sent ({reply})",
        "The next hop has accepted it. If an alias named the recipient, orig_to=<…> follows.",
    ),
    event(
        Agent,
        "{id}: to=<{recipient}>, {more}relay=local, delay={seconds}, dsn={code}, status=replaced ({what})",
        "Aliases have changed while it waited: the message goes on under the id that is named, to \
         whoever they name now.",
    ),
    event(
        Both,
        "{id}: to=<{recipient}>, {more}relay={relay}, delay={seconds}, dsn={code}, status=deferred ({why})",
        "Deferred: it is tried again.",
    ),
    event(
        Both,
        "{id}: to=<{recipient}>, {more}relay={relay}, delay={seconds}, dsn={code}, status=bounced ({why})",
        "Failed for good: the sender is told.",
    ),
    event(
        Smarthost,
        "delivery to {destination} temporarily suspended until {time}: {why}",
        "A destination accepts no mail; at that time one delivery tries it again.",
    ),
    event(
        Smarthost,
        "{destination} turns senders away ({count}), whose mail waits until {time}: {why}",
        "A destination closes the connection, or has too many, when it hears who sends; mail of others goes on.",
    ),
    event(
        Agent,
        "the relayhost turns senders away ({count}), whose mail waits until {time}: {why}",
        "It closes the connection, or has too many, when it hears who sends; mail of others goes on.",
    ),
    event(
        Agent,
        "the relayhost cannot be used, next attempt {time}: {why}",
        "All mail of this machine waits.",
    ),
    event(
        Smarthost,
        "a relayhost refuses mail of this server: {why}",
        "Another relayhost accepts it meanwhile.",
    ),
    event(
        Smarthost,
        "{hosts}: too many connections, {count} at once from now on",
        "The hosts have said how many connections they accept.",
    ),
    event(
        Both,
        "{id}: from=<{sender}>, status=expired, returned to sender",
        "It has been tried for the time set in retry.lifetime.",
    ),
    event(
        Both,
        "{id}: sender non-delivery notification: {id}",
        "The bounce, by its own id.",
    ),
    event(
        Both,
        "{id}: sender delay notification: {id}",
        "The warning that it is late.",
    ),
    event(
        Both,
        "{id}: sender delivery status notification: {id}",
        "The notification of its delivery that the sender had asked for.",
    ),
    event(
        Both,
        "{id}: kept on hold, its failure can be told to nobody: {why}",
        "Dead mail; smarthost queue list shows it.",
    ),
    event(
        Both,
        "{id}: deleted by order, undelivered recipients: {count}",
        "By an order.",
    ),
    event(
        Both,
        "{id}: the order to hold, delete or return it came too late: it has been delivered",
        "An attempt was under way when the order came, and succeeded.",
    ),
    event(
        Agent,
        "{id}: its user (uid {uid}) orders: {order}",
        "The user's order about his own mail: hold, release, delete, bounce or flush.",
    ),
    event(
        Both,
        "{id}: removed",
        "It has left the queue; all its recipients are settled.",
    ),
    event(
        Both,
        "the clock was set {how}: no mail is older for it",
        "The wall clock jumped.",
    ),
    event(
        Smarthost,
        "made a key and a self-signed certificate for {host}: {file}",
        "At the first start.",
    ),
    event(
        Both,
        "queue: {count} messages, {bytes} bytes of a torn write cut",
        "The queue as found at the start.",
    ),
    event(
        Agent,
        "{count} messages in the queue",
        "The same on a machine.",
    ),
    event(
        Smarthost,
        "smarthost {version} for {host} listens on {addresses}",
        "The daemon runs.",
    ),
    event(Agent, "listening on {socket}", "The agent runs."),
    event(
        Smarthost,
        "clients pin this key: {pin}",
        "Machines put this pin into their configuration.",
    ),
    event(
        Smarthost,
        "reload: {setting}: {value} -> {value}",
        "A setting that changed.",
    ),
    event(
        Agent,
        "changed: {setting}: {value} -> {value}",
        "A setting that changed since the last start.",
    ),
    event(
        Smarthost,
        "`{setting}` takes effect at the next restart",
        "It has changed, but is not in force yet.",
    ),
    event(
        Smarthost,
        "reloaded {file}",
        "The configuration is in force.",
    ),
    event(
        Smarthost,
        "reload failed, the old configuration stays in force: {why}",
        "The text gives the place and the remedy.",
    ),
    event(
        Both,
        "notice: {subject}",
        "A notice was sent to the administrators.",
    ),
];

impl Event {
    /// Whether a line is of this kind.
    pub fn fits(&self, line: &str) -> bool {
        let mut parts = self.form.split('{').enumerate().map(|(index, part)| {
            // What stands before the first brace, then what is behind each closing one.
            match part.split_once('}') {
                Some((_, behind)) if index > 0 => behind,
                _ => part,
            }
        });
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = line.strip_prefix(first) else {
            return false;
        };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            let Some(at) = rest.find(part) else {
                return false;
            };
            rest = rest.get(at + part.len()..).unwrap_or_default();
        }
        true
    }
}

/// The event that a line of this program is of.
pub fn of(by: By, line: &str) -> Option<&'static Event> {
    let mut own = EVENTS.iter().filter(|it| it.by == by || it.by == Both);
    own.find(|event| event.fits(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_of_the_event_whose_words_it_has_in_order_and_of_no_other() {
        let form = |line| of(Smarthost, line).map(|it| it.form);
        assert_eq!(form("A1: removed"), Some("{id}: removed"));
        assert_eq!(form("A1: removed by hand"), None);
        assert_eq!(form("removed"), None);
        assert_eq!(
            form("A1: client=x[192.0.2.1], sasl_method=PLAIN, sasl_username=u"),
            Some("{id}: client={client}, sasl_method={method}, sasl_username={login}")
        );
        assert_eq!(
            form("A1: client=x[192.0.2.1]"),
            Some("{id}: client={client}")
        );
        assert_eq!(form("listening on /run/x"), None, "that is the agent's");
        assert!(of(Agent, "listening on /run/x").is_some());
        let sent = "A1: to=<a@b>, relay=c[192.0.2.1]:25, delay=1, dsn=2.0.0, status=sent (250 ok)";
        assert!(form(sent).is_some_and(|form| form.contains("status=sent")));
        assert_eq!(form(&sent.replace("status=sent", "status=odd")), None);
    }
}
