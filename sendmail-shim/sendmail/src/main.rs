//! The binary behind `sendmail`, `mailq` and `newaliases`; all of it is in the library, where tests
//! reach it.

fn main() -> std::process::ExitCode {
    system::terminal::end("sendmail", sendmail::main())
}
