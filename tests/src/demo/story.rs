//! The steps of the demonstration. Each one is told only after it was seen to happen.

use std::{
    fs,
    io::Write,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use anyhow::{Context as _, bail, ensure};

use super::{client::Client, program::Program, scene::Scene};
use crate::binaries::Binaries;

/// What cron sends when a job has written something.
const CRON: &str = "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@vm1> /usr/local/bin/backup\nX-Cron-Env: <LOGNAME=root>\n\n\
                    backup: 3 files copied, 0 errors\n";
/// A pin of nobody's key.
const WRONG_PIN: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
/// The machine where cron and the agent run.
const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const FLOODER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
const MONITORING: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 3));

/// Plays the demonstration in an empty directory, and tells it to `out`; an error is the first step
/// that did not happen.
pub fn run(directory: &Path, programs: &Binaries, out: &mut dyn Write) -> anyhow::Result<()> {
    let scene = Scene::new(directory, programs)?;
    Story::begin(&scene, out)?.tell()
}

struct Story<'a> {
    scene: &'a Scene<'a>,
    out: &'a mut dyn Write,
    smarthost: Program,
    agent: Program,
    server: SocketAddr,
    pin: String,
    step: u32,
}

impl<'a> Story<'a> {
    fn begin(scene: &'a Scene<'a>, out: &'a mut dyn Write) -> anyhow::Result<Self> {
        writeln!(
            out,
            "One message, end to end: cron -> sendmail -> agent -> pinned TLS -> smarthost -> mailbox."
        )?;
        let mut smarthost = scene.smarthost()?;
        let listening = smarthost.line_with(&["listens on "])?;
        let server = after(&listening, "listens on ")?
            .parse()
            .with_context(|| format!("no address in: {listening}"))?;
        let pin = after(
            &smarthost.line_with(&["clients pin this key: "])?,
            "clients pin this key: ",
        )?
        .to_owned();
        let agent = scene.agent("agent", server, &pin)?;
        Ok(Self {
            scene,
            out,
            smarthost,
            agent,
            server,
            pin,
            step: 0,
        })
    }

    fn tell(mut self) -> anyhow::Result<()> {
        self.step("The smarthost runs, without privileges, with a key made a moment ago")?;
        self.say(&format!("   listens on {}, key {}", self.server, self.pin))?;
        self.step("The agent runs, and trusts this key alone")?;
        self.agent
            .line_with(&["agent.sock"])
            .context("the agent does not take mail")?;
        self.say(&format!(
            "   takes mail at {}",
            self.scene.path("agent.sock").display()
        ))?;
        let mail = self.cron_mail()?;
        self.step("The smarthost counts what each client sends")?;
        self.usage_is(LOCAL, 1)?;
        self.flood()?;
        self.exempt()?;
        self.wrong_key()?;
        self.step("The message of step 3, as it was delivered")?;
        self.say(&format!("   {}", mail.display()))?;
        for line in fs::read_to_string(&mail)?.lines() {
            self.say(&format!("   | {line}"))?;
        }
        self.agent.end()?;
        self.smarthost.end()?;
        writeln!(
            self.out,
            "\nEach step was seen to happen. All programs have ended."
        )?;
        Ok(())
    }

    /// One mail from cron to the mailbox; its file.
    fn cron_mail(&mut self) -> anyhow::Result<PathBuf> {
        self.step("cron pipes a message to `sendmail -i -t -oem`")?;
        let began = Instant::now();
        self.submit("agent")?;
        self.say(&format!(
            "   exit status 0 after {:.1} ms: the message is on this machine's disk",
            began.elapsed().as_secs_f64() * 1000.0
        ))?;
        self.step("The agent hands it on, over TLS, after comparing the key")?;
        let session = self
            .agent
            .line_with(&["TLS connection established to", "TLSv1.3"])?;
        self.say(&format!("   {}", event(&session)))?;
        let sent = self
            .agent
            .line_with(&["to=<admins@demo.example>", "status=sent"])?;
        self.say(&format!("   {}", event(&sent)))?;
        self.step("The smarthost has it on disk, and delivers it")?;
        let queue_id = after(&sent, "queued as ")?.trim_end_matches(')').to_owned();
        for part in ["client=unknown[127.0.0.1]", "from=<", "status=sent"] {
            let line = self.smarthost.line_with(&[&queue_id, part])?;
            self.say(&format!("   {}", event(&line)))?;
        }
        let delivered = self.smarthost.line_with(&[&queue_id, "status=sent"])?;
        let name = after(&delivered, "delivered to maildir as ")?.trim_end_matches(')');
        let path = self.scene.path("Maildir/new").join(name);
        ensure!(
            fs::read_to_string(&path)?.contains("backup: 3 files copied"),
            "{} is not the message",
            path.display()
        );
        Ok(path)
    }

    /// What the smarthost has counted of a client.
    fn usage_is(&mut self, client: IpAddr, expected: u32) -> anyhow::Result<()> {
        let report = self.scene.ask(&["limits", "show", &client.to_string()])?;
        ensure!(
            report.contains(&format!(" {expected} of 100 ")),
            "{client} has sent {expected}, the smarthost counts: {report}"
        );
        self.say(&format!("   {}", report.trim()))
    }

    fn flood(&mut self) -> anyhow::Result<()> {
        self.step(&format!(
            "A broken web application at {FLOODER} sends without end"
        ))?;
        let mut client = Client::connect(FLOODER, self.server)?;
        for number in 1..=100 {
            let reply = client.send(
                "www@demo.example",
                "admins@demo.example",
                &format!("flood {number}"),
            )?;
            ensure!(
                reply.starts_with("250 "),
                "message {number} of the flood got: {reply}"
            );
        }
        let reply = client.send("www@demo.example", "admins@demo.example", "flood 101")?;
        ensure!(
            reply.starts_with("450 4.7.1 "),
            "message 101 of the flood got: {reply}"
        );
        self.say("   messages 1 to 100: 250")?;
        self.say(&format!("   message 101: {reply}"))?;
        self.usage_is(FLOODER, 100)
    }

    fn exempt(&mut self) -> anyhow::Result<()> {
        self.step(&format!("The monitoring host at {MONITORING} is exempt"))?;
        let mut client = Client::connect(MONITORING, self.server)?;
        let mut last = String::new();
        for number in 1..=101 {
            last = client.send(
                "zabbix@demo.example",
                "admins@demo.example",
                &format!("alert {number}"),
            )?;
            ensure!(last.starts_with("250 "), "alert {number} got: {last}");
        }
        self.say(&format!("   messages 1 to 101: 250; the last one: {last}"))
    }

    fn wrong_key(&mut self) -> anyhow::Result<()> {
        self.step("Another machine expects another key: the smarthost could be anybody")?;
        let mut agent = self.scene.agent("suspicious", self.server, WRONG_PIN)?;
        agent
            .line_with(&["suspicious.sock"])
            .context("the agent does not take mail")?;
        self.submit("suspicious")?;
        // The refusal names the key that was seen.
        let refused = agent.line_with(&[&self.pin])?;
        self.say(&format!("   {}", event(&refused)))?;
        self.say("   The mail is kept, and mailq tells why:")?;
        let listing = self.scene.command("mailq", "suspicious").output()?;
        let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
        ensure!(
            listing.contains("admins@demo.example") && listing.contains(&self.pin),
            "mailq does not tell it: {listing}"
        );
        for line in listing.lines() {
            self.say(&format!("   | {line}"))?;
        }
        self.say("   The smarthost has got nothing of it:")?;
        self.usage_is(LOCAL, 1)?;
        agent.end()
    }

    /// Pipes the message of cron to `sendmail`.
    fn submit(&self, agent: &str) -> anyhow::Result<()> {
        let mut command = self.scene.command("sendmail", agent);
        let mut child = command
            .args(["-i", "-t", "-oem"])
            .stdin(Stdio::piped())
            .spawn()
            .context("cannot start sendmail")?;
        child
            .stdin
            .take()
            .context("no standard input")?
            .write_all(CRON.as_bytes())?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!(
                "sendmail ended with {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }

    fn say(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.out, "{text}")?)
    }

    fn step(&mut self, title: &str) -> anyhow::Result<()> {
        self.step += 1;
        self.say(&format!("\n{}. {title}", self.step))
    }
}

/// What follows `mark` in a line.
fn after<'a>(line: &'a str, mark: &str) -> anyhow::Result<&'a str> {
    line.split_once(mark)
        .map(|(_, rest)| rest)
        .with_context(|| format!("no {mark:?} in: {line}"))
}

/// A log line without its time stamp and program.
fn event(line: &str) -> &str {
    line.split_once("]: ")
        .or_else(|| line.split_once(": "))
        .map_or(line, |(_, text)| text)
}
