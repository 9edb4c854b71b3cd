//! Links the unwinder into the program, where the C library is glibc.
//!
//! `sendmail` runs once a message, and a shared `libgcc_s` costs each run a fifth of its CPU time:
//! it is found, mapped and relocated, and then never called. Named before the standard library's
//! own `-lgcc_s`, the archive that every gcc ships resolves those symbols first.

#[expect(clippy::disallowed_methods, reason = "cargo asks in the environment")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu") {
        println!("cargo::rustc-link-lib=gcc_eh");
    }
}
