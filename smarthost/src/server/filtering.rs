//! What filters are told of a session, and what becomes of their answers.
//!
//! Contract: each filter in its order sees the message as the one before made it; the first that
//! refuses decides. What filters want to change is carried out as a whole or not at all. A
//! recipient that a filter adds is one that the client itself could have named: no filter gives
//! permission to relay.
//! Failures: those of a filter are its own `on_failure`; see [`crate::milter`].

use std::time::{Duration, Instant};

use mail::{
    address::{Address, Mailbox},
    envelope::{Mail, Rcpt, Recipient},
};
use smtp::{
    capability::Capabilities,
    command::{write_mail, write_recipient},
    reply::Reply,
    session::{Question, Verdict},
};
use spool::QueueId;
use tokio::time;

use super::{
    asking,
    filter::{Edits, Filter, Known},
    session::Connection,
    transaction::{Received, Transaction},
};
use crate::{
    maillog::{self, Subject},
    milter::{Edit, EditedHeader, Macros, Outcome, Stage},
    policy::{Answer, ClientName, Query, service::encryption, view},
};

/// Longest wait for the client's name.
const NAME: Duration = Duration::from_secs(5);
/// A client that says all that there is.
fn everything() -> Capabilities {
    Capabilities {
        size: Some(0),
        eight_bit_mime: true,
        smtputf8: true,
        dsn: true,
        ..Capabilities::default()
    }
}

/// What filters changed.
pub(super) struct Filtered {
    pub(super) message: Received,
    pub(super) transaction: Transaction,
}

impl Connection {
    /// What filters say of a command that the chain has nothing against.
    pub(super) async fn filter(&mut self, question: &Question) -> Verdict {
        if let Question::Mail(_) = question {
            self.renew_filters().await;
        }
        if self.filters.is_empty() {
            return Verdict::Accept;
        }
        if let Question::Connect = question {
            self.look_up_name().await;
        }
        if let Question::Helo { .. } = question {
            self.message_over().await;
        }
        let known = self.known(question);
        let arguments = arguments(question);
        let stage = match question {
            Question::Connect => Stage::Connect {
                name: &known.name,
                address: known.address,
                port: known.port,
            },
            Question::Helo { name, .. } => Stage::Helo(name),
            Question::Mail(_) => Stage::Mail(&arguments),
            Question::Recipient(_) => Stage::Recipient(&arguments),
            Question::Data => Stage::Data,
            Question::Auth
            | Question::Login(_)
            | Question::Client(_)
            | Question::Enroll(_)
            | Question::Message { .. } => {
                return Verdict::Accept;
            }
        };
        for filter in &mut self.filters {
            let refusal = match filter.tell(stage, &known).await {
                Outcome::Pass | Outcome::Enough => continue,
                Outcome::Refuse(reply) => Verdict::Refuse(reply),
                Outcome::Close(reply) => Verdict::Close(reply),
            };
            self.rule = Some(filter.milter.rule());
            return self.tempered(refusal);
        }
        Verdict::Accept
    }

    /// What they make of a whole message; our own `Received` is in its header at the place `own`.
    pub(super) async fn filter_message(
        &mut self,
        mut all: Filtered,
        own: usize,
    ) -> Result<Filtered, Verdict> {
        if self.filters.is_empty() {
            return Ok(all);
        }
        let id = all.message.id;
        let mut known = self.known(&Question::Message { size: 0 });
        known.macros = known.macros.with("i", id.to_string());
        let mut header = EditedHeader::new(std::mem::take(&mut all.message.header), own);
        let mut filters = std::mem::take(&mut self.filters);
        let (mut refused, since) = (None, Instant::now());
        for filter in &mut filters {
            let asked = self.ask_about(filter, &mut all, &mut header, &known, since);
            if let Some(outcome) = asked.await {
                refused = Some((outcome, filter.milter.rule()));
                break;
            }
        }
        self.filters = filters;
        all.message.header = header.into_header();
        let Some((verdict, rule)) = refused else {
            self.hold(&mut all.transaction, id);
            return Ok(all);
        };
        self.rule = Some(rule);
        self.subject = Some(about(&all.transaction));
        self.refused_id = Some(id);
        Err(self.tempered(verdict))
    }

    /// One filter, with what follows; its refusal.
    async fn ask_about(
        &self,
        filter: &mut Filter,
        all: &mut Filtered,
        header: &mut EditedHeader,
        known: &Known,
        since: Instant,
    ) -> Option<Verdict> {
        let most = self.setup.config.message_size;
        let mut outcome = filter
            .examine(header, &all.message.draft, most, known, since)
            .await;
        if matches!(outcome, Outcome::Pass | Outcome::Enough) {
            let carried_out = match filter.edits() {
                Ok(edits) => self.carry_out(edits, all, header),
                Err(why) => Err(why),
            };
            match carried_out {
                Ok(Some(hold)) => drop(filter.hold.get_or_insert(hold)),
                Ok(None) => {}
                Err(why) => outcome = filter.cannot(why).await,
            }
        }
        match outcome {
            Outcome::Pass | Outcome::Enough => None,
            Outcome::Refuse(reply) => Some(Verdict::Refuse(reply)),
            Outcome::Close(reply) => Some(Verdict::Close(reply)),
        }
    }

    /// All wishes of a filter, or none of them and why; gives back why the message is held then.
    fn carry_out(
        &self,
        edits: Edits,
        all: &mut Filtered,
        header: &mut EditedHeader,
    ) -> Result<Option<String>, String> {
        let mut envelope = Wanted {
            sender: None,
            recipients: all.transaction.recipients.clone(),
        };
        for wish in &edits.wishes {
            envelope.change(wish, |address| self.may_receive(address))?;
        }
        for wish in &edits.wishes {
            header.edit(wish, edits.leading_blank);
        }
        if let Some((draft, ascii)) = edits.body {
            all.message.draft = draft;
            all.message.content.eight_bit = !ascii;
        }
        let mut fields = header.visible();
        all.message.content.utf8 |= fields.any(|field| !field.raw().is_ascii());
        if let Some(mail) = envelope.sender {
            all.transaction.mail.sender = mail.sender;
        }
        if envelope.recipients.is_empty() {
            let hold = "it removed all recipients; they are kept".to_owned();
            return Ok(Some(hold));
        }
        all.transaction.recipients = envelope.recipients;
        Ok(None)
    }

    /// Whether the client itself could have named this recipient.
    fn may_receive(&self, address: &Address) -> Result<(), String> {
        let router = &self.setup.router;
        if !self.is_ours() && !view::is_ours(router, address) {
            return Err(format!(
                "it adds the recipient {address}, for which {} has no permission to relay",
                self.name
            ));
        }
        match router.unlisted(address) {
            Some(table) => Err(format!(
                "it adds the recipient {address}, who is not in the {table}"
            )),
            None => Ok(()),
        }
    }

    /// On hold, where a filter wanted it or gave no answer; said in the log.
    fn hold(&mut self, transaction: &mut Transaction, id: QueueId) {
        for filter in &mut self.filters {
            let Some(reason) = filter.hold.take() else {
                continue;
            };
            let rule = filter.milter.rule();
            transaction.hold(format!("{rule}: {reason}"));
            maillog::reject(&maillog::Rejected {
                id: Some(id),
                action: "milter-hold",
                stage: "END-OF-MESSAGE",
                client: &self.name,
                reply: &format!("milter triggers HOLD action: {reason} ({rule})"),
                subject: about(transaction),
                protocol: self.machine.protocol(),
                helo: self.machine.helo(),
            });
        }
    }

    /// Without its configuration the daemon does not know what to refuse.
    pub(super) fn tempered(&self, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Refuse(reply) | Verdict::Close(reply) if self.server.current.only_queues() => {
                Verdict::Refuse(not_for_good(reply))
            }
            verdict => verdict,
        }
    }

    /// Filters forget the message.
    pub(super) async fn message_over(&mut self) {
        for filter in &mut self.filters {
            filter.message_over().await;
        }
    }

    /// Filters forget the session.
    pub(super) async fn quit_filters(&mut self) {
        for mut filter in std::mem::take(&mut self.filters) {
            filter.quit().await;
        }
    }

    /// Those of the configuration as it is now.
    pub(super) async fn renew_filters(&mut self) {
        let milters = &self.setup.config.milters;
        let same = self.filters.iter().map(|filter| &filter.milter).eq(milters);
        if !same {
            self.quit_filters().await;
            self.filters = self.server.world.filters(&self.setup);
        }
    }

    /// Filters go by the client's name, as policy servers do.
    async fn look_up_name(&mut self) {
        self.client_name = self.called.clone().unwrap_or(ClientName::Unknown);
        if self.called.is_some() || self.client.is_loopback() {
            return;
        }
        let queries = vec![Query::ClientName(self.client)];
        let asked = asking::ask(&self.server, &self.setup, queries);
        if let Ok(answers) = time::timeout(NAME, asked).await
            && let Some((_, Answer::ClientName(name))) = answers.into_iter().next()
        {
            self.client_name = name;
        }
    }

    /// What is known of the session now.
    fn known(&self, question: &Question) -> Known {
        let (name, pointer) = (self.client_name.confirmed(), self.client_name.reverse());
        let (name, pointer) = (name.unwrap_or("unknown"), pointer.unwrap_or("unknown"));
        let address = self.client.to_string();
        let hostname = self.setup.config.hostname.as_str();
        let (version, cipher, bits) = self.tls.as_deref().map_or(("", "", ""), encryption);
        let local = self
            .local
            .map(|local| (local.ip().to_canonical(), local.port()));
        let forged = if name == pointer {
            ""
        } else {
            " (may be forged)"
        };
        let macros = Macros::default()
            .with("j", hostname)
            .with("daemon_name", hostname)
            .with(
                "daemon_addr",
                local.map_or_else(String::new, |(ip, _)| ip.to_string()),
            )
            .with(
                "daemon_port",
                local.map_or_else(String::new, |(_, port)| port.to_string()),
            )
            .with("v", concat!("smarthost ", env!("CARGO_PKG_VERSION")))
            .with("_", format!("{pointer} [{address}]{forged}"))
            .with("client_addr", &*address)
            .with("client_name", name)
            .with("client_ptr", pointer)
            .with("client_port", self.port.to_string())
            .with("tls_version", version)
            .with("cipher", cipher)
            .with("cipher_bits", bits)
            .with("cert_subject", self.pinned.clone().unwrap_or_default())
            .with("auth_type", self.method)
            .with("auth_authen", self.machine.login().unwrap_or_default());
        let id = self.transaction.as_ref().and_then(Transaction::queue_id);
        let macros = macros.with("i", id.map_or_else(String::new, |id| id.to_string()));
        Known {
            name: match self.client_name.confirmed() {
                Some(name) => name.to_owned(),
                None => format!("[{address}]"),
            },
            address: self.client,
            port: self.port,
            helo: self.machine.helo().map(str::to_owned),
            macros: match question {
                Question::Mail(mail) => macros.with("mail_addr", mail.sender().to_string()),
                Question::Recipient(rcpt) => macros.with("rcpt_addr", rcpt.to.to_string()),
                _ => macros,
            },
        }
    }
}

/// Without its configuration the daemon does not know what to refuse.
fn not_for_good(reply: Reply) -> Reply {
    if reply.code.value() < 500 {
        return reply;
    }
    Reply::literal("451 4.3.5 Error: server configuration problem")
}

/// What a line of the log about a whole message names.
fn about(transaction: &Transaction) -> Subject {
    let last = transaction.recipients.last();
    Subject {
        sender: Some(transaction.sender()),
        recipient: last.map(|recipient| recipient.address.clone()),
    }
}

/// `<address>` and parameters, as the client could have written them.
fn arguments(question: &Question) -> Vec<String> {
    let mut line = Vec::new();
    let path = match question {
        Question::Mail(mail) => {
            write_mail(&mut line, mail, mail.utf8, &everything());
            let sender = mail.sender.as_ref().map(ToString::to_string);
            format!("<{}>", sender.unwrap_or_default())
        }
        Question::Recipient(rcpt) => {
            write_recipient(&mut line, rcpt, true, &everything());
            format!("<{}>", rcpt.to)
        }
        _ => return Vec::new(),
    };
    let line = String::from_utf8_lossy(&line);
    let (_, parameters) = line.split_once(&path).unwrap_or_default();
    let parameters = parameters.split_ascii_whitespace().map(str::to_owned);
    std::iter::once(path).chain(parameters).collect()
}

/// The envelope as a filter wants it.
struct Wanted {
    sender: Option<Mail>,
    recipients: Vec<Recipient>,
}

impl Wanted {
    fn change(
        &mut self,
        wish: &Edit,
        may_receive: impl Fn(&Address) -> Result<(), String>,
    ) -> Result<(), String> {
        match wish {
            Edit::Sender(mail) => self.sender = Some(Mail::clone(mail)),
            Edit::AddRecipient(rcpt) => {
                let Mailbox::Address(address) = &rcpt.to else {
                    return Err(format!(
                        "it adds the recipient {}, which is not an \
                         address",
                        rcpt.to
                    ));
                };
                may_receive(address)?;
                if self.recipients.len() >= mail::limits::RECIPIENTS {
                    return Err("it adds more recipients than a message can have".to_owned());
                }
                Transaction::add_to(&mut self.recipients, Rcpt::clone(rcpt));
            }
            Edit::DeleteRecipient(mailbox) => {
                let key = mailbox.address().map(Address::key);
                self.recipients
                    .retain(|recipient| Some(recipient.address.key()) != key);
            }
            Edit::Add { .. } | Edit::Insert { .. } | Edit::Change { .. } | Edit::Body(_) => {}
        }
        Ok(())
    }
}
