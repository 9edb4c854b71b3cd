//! The binary `sendmail-shim`; all of it is in the library, where tests reach it.

fn main() -> std::process::ExitCode {
    sendmail_shim::admin::cli::main(std::env::args_os()).into()
}
