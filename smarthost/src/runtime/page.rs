//! Where the status page listens. Mail does not wait for it: what is wrong is told, the daemon goes
//! on without, and it is tried again and again.

use std::{sync::Arc, time::Duration};

use mail::clock;
use system::log::{self, Level, line};
use tokio::{sync::watch, task::JoinSet, time};

use super::control::{self, Control};
use crate::{config::Web, trail::Trail, web};

/// Pause before it is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Listens, or tells why not.
pub(super) async fn listen(
    page: Option<&Web>,
    trail: &Arc<Trail>,
) -> (Option<web::Listener>, Option<String>) {
    let Some(page) = page else {
        return (None, None);
    };
    match bind(page).await {
        Ok(listener) => {
            hear(trail);
            (Some(listener), None)
        }
        Err(error) => {
            let told = format!(
                "the status page cannot be shown on {}: {error:#}; it is tried again and again",
                place(page)
            );
            line(Level::Error, &told);
            (None, Some(told))
        }
    }
}

/// Shows it, now or as soon as that works. Its token is there when this returns, if it listens.
pub(super) fn serve(
    tasks: &mut JoinSet<()>,
    (listener, page): (Option<web::Listener>, Option<Web>),
    control: &Arc<Control>,
    ending: &watch::Receiver<bool>,
) {
    let state = control.server.current.get().config.state.clone();
    let (daemon, ending) = (Arc::clone(control), ending.clone());
    match (listener, page) {
        (Some(listener), _) => {
            tasks.spawn(web::serve(listener, daemon, &state, ending));
        }
        (None, Some(page)) => {
            tasks.spawn(async move {
                if let Some(listener) = later(&page, &daemon, ending.clone()).await {
                    web::serve(listener, daemon, &state, ending).await;
                }
            });
        }
        (None, None) => {}
    }
}

/// Tries again until it listens, or the daemon ends; then there is no fault any more.
async fn later(
    page: &Web,
    control: &Control,
    mut ending: watch::Receiver<bool>,
) -> Option<web::Listener> {
    loop {
        tokio::select! {
            () = time::sleep(AGAIN) => {}
            _ = ending.wait_for(|ending| *ending) => return None,
        }
        if let Ok(listener) = bind(page).await {
            hear(&control.trail);
            control.set_web_fault(None);
            let text = format_args!("the status page is shown on {} now", place(page));
            line(Level::Notice, &text);
            return Some(listener);
        }
    }
}

async fn bind(page: &Web) -> anyhow::Result<web::Listener> {
    Ok(match page {
        Web::Tcp(address) => web::Listener::tcp(*address).await?,
        Web::Unix(path) => web::Listener::Unix(control::bind(path, web::MODE).await?),
    })
}

/// What is logged from now on is what it finds.
fn hear(trail: &Arc<Trail>) {
    let hearing = Arc::clone(trail);
    trail.begin(clock::now());
    log::hear(move |line| hearing.hear(line, clock::now()));
}

fn place(page: &Web) -> String {
    match page {
        Web::Tcp(address) => address.to_string(),
        Web::Unix(path) => path.display().to_string(),
    }
}
