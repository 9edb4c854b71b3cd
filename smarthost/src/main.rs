fn main() -> std::process::ExitCode {
    smarthost::cli::main()
}
