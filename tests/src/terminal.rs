//! A program in a terminal of its own (python3's pty), where somebody looks and types.
//!
//! Contract: each step waits for what it wants to see; the end tells whether the terminal is as it
//! was.

use std::process::{Command, Output};

use serde_json::Value;

use crate::{installation::hermetic, peers};

/// What somebody does there.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// Waits until this is shown after what was seen before.
    Sees(&'a str),
    Types(&'a str),
    /// Sends this signal to the program.
    Signal(i32),
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// All that was written to the terminal.
    pub shown: String,
    /// The exit status; of a signal, its number below zero.
    pub status: i64,
    /// The terminal's modes are those of before.
    pub restored: bool,
}

/// argv: steps as JSON, columns, the program and its arguments.
const PYTHON: &str = r#"
import fcntl, json, os, pty, select, struct, sys, termios, time
steps, columns, command = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
begin, go = os.pipe()
pid, terminal = pty.fork()
if pid == 0:
    os.close(go)
    os.read(begin, 1)
    os.execvp(command[0], command)
os.close(begin)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
before = termios.tcgetattr(terminal)
os.close(go)
shown, seen, deadline = b"", 0, time.monotonic() + 60
def more():
    global shown
    if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
        sys.exit("nothing more came: %r, steps left: %r" % (shown, steps))
    try:
        came = os.read(terminal, 65536)
    except OSError:
        return False
    shown += came
    return came != b""
while steps:
    what, value = steps[0]
    if what == "sees":
        place = shown.find(value.encode(), seen)
        if place < 0:
            if not more():
                sys.exit("it ended: %r, steps left: %r" % (shown, steps))
            continue
        seen = place + len(value.encode())
    elif what == "types":
        os.write(terminal, value.encode())
    else:
        os.kill(pid, value)
    steps.pop(0)
status = None
while status is None:
    done, ended = os.waitpid(pid, os.WNOHANG)
    if done:
        status = os.waitstatus_to_exitcode(ended)
        after = termios.tcgetattr(terminal)
        while select.select([terminal], [], [], 0)[0] and more():
            pass
    elif select.select([terminal], [], [], 0.02)[0] and not more():
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        after = termios.tcgetattr(terminal)
print(json.dumps({"shown": shown.decode(errors="replace"), "status": status, "restored": after == before}))
"#;

/// Runs it in a terminal so wide; `None` where there is no python3.
pub fn run(command: &Command, columns: u16, steps: &[Step<'_>]) -> Option<Ended> {
    let python = peers::find("python3")?;
    let steps = steps.iter().map(|step| match step {
        Step::Sees(text) => serde_json::json!(["sees", text]),
        Step::Types(text) => serde_json::json!(["types", text]),
        Step::Signal(signal) => serde_json::json!(["signal", signal]),
    });
    let steps = Value::Array(steps.collect());
    let mut run = hermetic(python);
    run.args(["-c", PYTHON, &steps.to_string(), &columns.to_string()]);
    run.arg(command.get_program()).args(command.get_args());
    let output: Output = run.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    Some(Ended {
        shown: told["shown"].as_str().unwrap().to_owned(),
        status: told["status"].as_i64().unwrap(),
        restored: told["restored"] == true,
    })
}
