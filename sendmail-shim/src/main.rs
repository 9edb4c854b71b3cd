//! The binary `sendmail-shim`; all of it is in the library, where tests reach it.

fn main() -> std::process::ExitCode {
    if system::scout::was_one() {
        return std::process::ExitCode::SUCCESS;
    }
    let exit = sendmail_shim::admin::cli::main(std::env::args_os());
    system::terminal::end("sendmail-shim", exit.into())
}
