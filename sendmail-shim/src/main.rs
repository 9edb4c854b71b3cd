//! The binary behind `sendmail`, `mailq`, `newaliases` and `sendmail-shim`; all of it is in the library, where tests reach it.

fn main() -> std::process::ExitCode {
    sendmail_shim::main()
}
