//! Wants the token.

use maud::{Markup, html};

/// `wrong`: what was typed before was not it.
pub(in crate::web) fn page(wrong: bool) -> Markup {
    html! {
        div.login {
            h1 { "Status page of the relay" }
            @if wrong { p.wrong role="alert" id="wrong" { "This is not the token." } }
            form method="post" action="/login" {
                label for="token" { "Token" }
                input id="token" name="token" type="password" required autocomplete="current-password"
                    aria-describedby="hint" aria-invalid=[wrong.then_some("true")] autofocus;
                button type="submit" { "Log in" }
            }
            p.note id="hint" { "On the relay, as root: " code { "smarthost web token" } }
        }
    }
}

pub(in crate::web) fn plain(title: &str, text: &str) -> Markup {
    html! {
        h1 { (title) }
        p { (text) }
        p { a href="/" { "Overview" } }
    }
}
