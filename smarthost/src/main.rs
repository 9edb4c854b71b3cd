//! The binary `smarthost`; all of it is in the library, where tests reach it.

fn main() -> std::process::ExitCode {
    if system::scout::was_one() {
        return std::process::ExitCode::SUCCESS;
    }
    system::terminal::end("smarthost", smarthost::cli::main())
}
