fn main() -> std::process::ExitCode {
    sendmail_shim::main()
}
