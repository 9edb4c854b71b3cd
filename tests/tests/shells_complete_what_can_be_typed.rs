//! bash, zsh and fish with the completions that are installed: commands, options of `sendmail`, and
//! the ids of the mail that waits.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, process::Command};

use tests::{
    agent::Agent,
    binaries::{binaries, repository, write_program},
    identity, peers,
    session::Session,
    smarthost::Smarthost,
};

/// Loads every file for bash, then completes the words given, the last of which is being typed.
const BASH: &str = r#"
for file in "$COMPLETIONS"/bash/*; do . "$file"; done
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
spec=$(complete -p "$1") || exit
if [[ $spec =~ -F\ ([^ ]+) ]]; then
    ${BASH_REMATCH[1]} "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\n' "${COMPREPLY[@]}"
else
    spec=${spec% "$1"}
    eval "compgen ${spec#complete} -- '${COMP_WORDS[COMP_CWORD]}'"
fi
"#;

/// Types a line into an interactive zsh, presses the tab key, and writes what then stands in the
/// line.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty shell "exec zsh -f -i"
zpty -w shell 'PS1= fpath=($COMPLETIONS/zsh $fpath); autoload -Uz compinit; compinit -u -d $HOME/dump'
zpty -w shell 'show() { print -r -- "$BUFFER" > $HOME/line; exit }; zle -N show; bindkey "^X" show'
zpty -w -n shell "$*"$'\t\C-x'
while zpty -r shell > /dev/null; do :; done
cat $HOME/line
"#;

/// Words that may stand at the end of the line.
const FISH: &str = r#"
for file in $COMPLETIONS/fish/*; source $file; end
complete -C "$argv" | string replace -r '\t.*' ''
"#;

/// A machine with mail that waits, and a smarthost with a client, as programs that a shell finds.
struct Programs {
    node: Agent,
    _relay: Smarthost,
    path: String,
}

impl Programs {
    fn start() -> Self {
        let relay = Smarthost::start(
            "domains = { local = [\"example.test\"] }\nlimits = { per_client = [\"100/day\"] }\n",
        );
        let node = Agent::start("relayhost = \"[127.0.0.1]:1\"\n");
        node.send(&["-i", "root@example.test"], "that waits");
        Session::greeted(relay.address())
            .mail("cron@example.test", &["root@example.test"], b"counted\r\n")
            .unwrap();
        let bin = node.directory().join("bin");
        let script = format!(
            "#!/bin/sh\nexec {} --config {} \"$@\"\n",
            binaries().smarthost.display(),
            relay.config().display()
        );
        write_program(&bin.join("smarthost"), &script);
        for (name, text) in documents::files(&repository().join("packaging/manual")).unwrap() {
            let file = node.directory().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            identity::write(&file, text);
        }
        Self {
            path: format!("{}:/usr/bin:/bin", bin.display()),
            _relay: relay,
            node,
        }
    }

    /// What a shell offers for the last word.
    fn offered(&self, shell: &str, script: &str, words: &[&str]) -> Vec<String> {
        let output = Command::new(shell)
            .args(["-c", script])
            .args((shell != "fish").then_some(shell))
            .args(words)
            .env("PATH", &self.path)
            .env("HOME", self.node.directory())
            .env("COMPLETIONS", self.node.directory().join("completions"))
            .env("SENDMAIL_SHIM_CONFIG", self.node.config())
            .output()
            .unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(complaints.is_empty(), "{shell} {words:?}: {complaints}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// What is typed, and what each shell must offer among others.
fn expectations(id: &str) -> Vec<(Vec<&str>, &str)> {
    vec![
        (vec!["sendmail-shim", "qu"], "queue"),
        (vec!["sendmail-shim", "queue", "del"], "delete"),
        (vec!["sendmail-shim", "queue", "delete", ""], id),
        (vec!["sendmail-shim", "queue", "show", ""], id),
        (
            vec!["sendmail-shim", "import", "--from", "nullm"],
            "nullmailer",
        ),
        (vec!["smarthost", "lim"], "limits"),
        (vec!["smarthost", "limits", "show", ""], "127.0.0.1"),
        (vec!["smarthost", "queue", "list", "--js"], "--json"),
        (vec!["sendmail", "-N", "ne"], "never"),
        (vec!["sendmail", "--vers"], "--version"),
        (vec!["sendmail", "roo"], "root"),
        (vec!["mailq", "--vers"], "--version"),
        (vec!["newaliases", "--vers"], "--version"),
    ]
}

#[test]
fn each_shell_completes_commands_options_and_what_is_listed() {
    let programs = Programs::start();
    let listing = programs.node.admin(&["queue", "list", "--json"]);
    let row: serde_json::Value = serde_json::from_slice(&listing.stdout).unwrap();
    let id = row["queue_id"].as_str().unwrap();
    for (shell, script) in [("bash", BASH), ("fish", FISH)] {
        if peers::find(shell).is_none() {
            continue;
        }
        for (words, expected) in expectations(id) {
            let offered = programs.offered(shell, script, &words);
            assert!(
                offered.iter().any(|word| word == expected),
                "{shell} {words:?}: {offered:?}"
            );
        }
    }
    if peers::find("zsh").is_some() {
        for (words, expected) in expectations(id) {
            let line = [&words[..words.len() - 1], &[expected]].concat().join(" ");
            let shown = programs.offered("zsh", ZSH, &words);
            assert_eq!(
                shown.first().map(|shown| shown.trim_end()),
                Some(&*line),
                "{words:?}"
            );
        }
    }
}
