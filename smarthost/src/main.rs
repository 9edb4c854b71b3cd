//! The binary `smarthost`; all of it is in the library, where tests reach it.

fn main() -> std::process::ExitCode {
    system::terminal::end("smarthost", smarthost::cli::main())
}
