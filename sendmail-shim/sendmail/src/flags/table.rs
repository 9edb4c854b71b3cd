//! Every option that any known caller passes, with what we do about it.
//!
//! Contract: an option cannot exist without a sentence in help and manual; nothing that names a
//! file, a directory or a program is ever honoured. Where Sendmail 8 and its successors differ, the
//! manual follows this table.

use crate::mode::{Mode, NO_DAEMON};

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// As typed, without the first dash.
    pub name: &'static str,
    /// Whether a value follows.
    pub argument: Argument,
    /// What it does.
    pub effect: Effect,
    /// One sentence for help and manual.
    pub help: &'static str,
}

/// Whether a value follows an option; the text is its name in help.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Argument {
    /// None: other options may follow in the same word (`-ti`).
    None,
    /// The rest of the word, or the next word.
    Required(&'static str),
    /// The rest of the word, which may be empty.
    Attached(&'static str),
}

/// What an option does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// `-t`
    RecipientsFromHeader,
    /// `-f`, `-r`
    Sender,
    /// `-F`
    FullName,
    /// `-N`
    Notify,
    /// `-R`
    Return,
    /// `-V`
    EnvelopeId,
    /// `-v`
    Verbose,
    /// `-b…`, `-I`, `--help`
    Mode(Mode),
    /// `-q…`
    Flush,
    /// Accepted because callers pass it; changes nothing.
    Ignore,
    /// Accepted, changes nothing, and worth a warning: somebody expects what we do not do.
    Warn(&'static str),
    /// The command line is refused with this text.
    Refuse(&'static str),
}

impl Effect {
    /// The word of the compatibility table.
    pub const fn support(self) -> &'static str {
        match self {
            Self::Ignore | Self::Warn(_) => "accepted and ignored",
            Self::Refuse(_) => "refused",
            _ => "honoured",
        }
    }
}

use Argument::{Attached, None as Bare, Required};
use Effect::{Ignore, Refuse, Warn};

const FILES_ARE_INERT: &str = "no option of sendmail names a file here; see sendmail-shim --config";

const fn row(name: &'static str, argument: Argument, effect: Effect, help: &'static str) -> Flag {
    Flag {
        name,
        argument,
        effect,
        help,
    }
}

/// The table, in the order of the manual.
#[rustfmt::skip]
pub const FLAGS: &[Flag] = &[
    row("t", Bare, Effect::RecipientsFromHeader, "Take recipients from To, Cc and Bcc (or the first Resent- block) in addition to the command line; Bcc is removed."),
    row("f", Required("ADDRESS"), Effect::Sender, "Envelope sender; '' and <> are the null sender, a bare name gets the domain."),
    row("r", Required("ADDRESS"), Effect::Sender, "Old spelling of -f."),
    row("F", Required("NAME"), Effect::FullName, "Full name for a From field that is made here."),
    row("N", Required("never|success,failure,delay"), Effect::Notify, "When to send a delivery status notification (RFC 3461)."),
    row("R", Required("full|hdrs"), Effect::Return, "How much of the message a bounce returns (RFC 3461)."),
    row("V", Required("ENVID"), Effect::EnvelopeId, "Envelope identifier for bounces (RFC 3461); alone: print the version."),
    row("v", Bare, Effect::Verbose, "Print what the agent or the relayhost answered."),
    row("bm", Bare, Effect::Mode(Mode::Deliver), "Submit the message on standard input (default)."),
    row("bq", Bare, Effect::Mode(Mode::Deliver), "The same (dma): what the agent takes is queued first."),
    row("bp", Bare, Effect::Mode(Mode::ListQueue), "List the queue, as mailq does; without privileges: one's own mail."),
    row("bP", Bare, Effect::Mode(Mode::CountQueue), "Print the number of queued messages."),
    row("bs", Bare, Effect::Mode(Mode::Smtp), "Speak SMTP on standard input and output, into the agent's queue."),
    row("bi", Bare, Effect::Mode(Mode::CheckAliases), "Check the alias files, as newaliases does; there is nothing to rebuild."),
    row("I", Bare, Effect::Mode(Mode::CheckAliases), "Same as -bi."),
    row("bC", Bare, Effect::Mode(Mode::CheckConfig), "Check the configuration."),
    row("bh", Bare, Effect::Mode(Mode::Nothing), "Host status: there is none; exits 0."),
    row("bH", Bare, Effect::Mode(Mode::Nothing), "Same as -bh."),
    row("bV", Bare, Effect::Mode(Mode::Version), "Print the version."),
    row("-version", Bare, Effect::Mode(Mode::Version), "Print the version."),
    row("-help", Bare, Effect::Mode(Mode::Help), "Print this list."),
    row("bv", Bare, Effect::Mode(Mode::Verify), "Print what would become of the recipients: envelope, cause and route. Sends nothing; 67 if one cannot be mailed to."),
    row("bt", Bare, Effect::Mode(Mode::AddressTest), "The same for addresses on standard input, a line each."),
    row("q", Attached("[INTERVAL|[!]IID|[!]RTEXT|[!]STEXT]"), Effect::Flush, "Try the queue now: all of it, or what a part of its queue id (I), a recipient (R) or its sender (S) selects; ! selects the rest; 69 if there is no message with that id, or it is not yours. An interval means once."),
    row("i", Bare, Ignore, "A line with a single dot is data: always so here, except on a terminal."),
    row("oi", Attached(""), Ignore, "Same as -i."),
    row("B", Required("7BIT|8BITMIME"), Ignore, "Body type; any word. The type is determined from the content."),
    row("o", Attached("X[VALUE]"), Ignore, "Old option letters (-oem, -odi, -odq, -om, -o7 …): whatever they say, mail is queued first and delivered at once, and errors are reported by exit status and bounce."),
    row("oA", Attached("FILE"), Warn(FILES_ARE_INERT), "Alias file."),
    row("oQ", Attached("DIR"), Warn(FILES_ARE_INERT), "Queue directory."),
    row("oX", Attached("FILE"), Warn(FILES_ARE_INERT), "Traffic log."),
    row("oMa", Required("TEXT"), Ignore, "Exim: host address of the message."),
    row("oMi", Required("TEXT"), Ignore, "Exim: interface address."),
    row("oMr", Required("TEXT"), Ignore, "Exim: protocol."),
    row("oMs", Required("TEXT"), Ignore, "Exim: host name."),
    row("oMt", Required("TEXT"), Ignore, "Exim: ident."),
    row("oMm", Required("TEXT"), Ignore, "Exim: message reference."),
    row("O", Required("OPTION=VALUE"), Warn("options of Sendmail 8 (-O) have no effect"), "Any option of Sendmail 8."),
    row("e", Attached("m|p|q|w|e"), Ignore, "Error mode; see -o."),
    row("m", Bare, Ignore, "Me too."),
    row("n", Bare, Ignore, "No aliasing. Aliases apply all the same: root's mail must reach somebody."),
    row("G", Bare, Ignore, "Gateway submission. The header is completed all the same, because relays refuse an incomplete one."),
    row("U", Bare, Ignore, "SMTPUTF8 wanted. Whether it is needed is determined from the content."),
    row("h", Required("N"), Ignore, "Hop count."),
    row("L", Required("TAG"), Ignore, "Log tag."),
    row("p", Required("PROTOCOL[:HOST]"), Ignore, "Protocol of receipt."),
    row("A", Required("c|m"), Ignore, "Choice of Sendmail 8's configuration."),
    row("C", Required("FILE"), Warn(FILES_ARE_INERT), "Configuration file."),
    row("X", Required("FILE"), Warn(FILES_ARE_INERT), "Traffic log."),
    row("d", Attached("LEVEL"), Ignore, "Debugging."),
    row("4", Bare, Ignore, "IPv4 only (ssmtp)."),
    row("6", Bare, Ignore, "IPv6 only (ssmtp)."),
    row("au", Required("USER"), Warn("credentials do not belong on a command line; ignored"), "User of AUTH (ssmtp)."),
    row("ap", Required("PASSWORD"), Warn("credentials do not belong on a command line; ignored"), "Password of AUTH (ssmtp)."),
    row("am", Required("METHOD"), Ignore, "Method of AUTH (ssmtp)."),
    row("E", Bare, Ignore, "A vendor's option."),
    row("J", Bare, Ignore, "A vendor's option."),
    row("x", Bare, Ignore, "A vendor's option."),
    row("s", Bare, Ignore, "A vendor's option."),
    row("T", Bare, Ignore, "A vendor's option."),
    row("c", Bare, Ignore, "A vendor's option."),
    row("z", Bare, Ignore, "A vendor's option."),
    row("a", Required("ACCOUNT"), Refuse("there are no accounts as in msmtp; set relayhost in the configuration"), "Account (msmtp)."),
    row("bd", Attached(""), Refuse(NO_DAEMON), "Run as a daemon."),
    row("bD", Attached(""), Refuse(NO_DAEMON), "Run as a daemon in the foreground."),
    row("bl", Attached(""), Refuse(NO_DAEMON), "Run as a daemon on loopback."),
    row("bS", Bare, Refuse("batch SMTP is not spoken; use -bs"), "Batch SMTP (Exim)."),
    row("b", Attached("MODE"), Refuse("there is no such mode; see --help"), "Any other mode."),
    row("XV", Attached("XY"), Refuse("the relayhost decides about VERP; give each recipient its own -f"), "Variable envelope return paths (Postfix)."),
    row("D", Required("FILE"), Refuse(FILES_ARE_INERT), "Debugging to a file."),
    row("M", Required("TEXT"), Refuse("use `sendmail-shim queue`"), "Macros, or message ids (Exim)."),
    row("S", Required("TEXT"), Refuse("it has no meaning here"), "A vendor's option."),
    row("Q", Attached("REASON"), Refuse("use `sendmail-shim queue hold`"), "Quarantine."),
];
