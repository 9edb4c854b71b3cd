//! Commands that need no daemon.

use std::{path::Path, sync::Arc};

use settings::provision::{Given, write};

use super::{arguments::Provision, failed::Failed, kept};
use crate::{
    config::{Config, rows},
    route::Router,
    transport::pipe::serve::serve,
    web::access,
};

/// Row D7.
pub(super) fn config(path: &Path, all: bool) -> Result<String, Failed> {
    let config = Config::load(path)?;
    let machine = Config::machine_default()?;
    let settings = if all {
        config.settings()
    } else {
        config.changed_settings(&machine)
    };
    Ok(console::config::text(
        config.layers(),
        &settings,
        &machine.settings(),
        all.then_some(rows::about),
    ))
}

/// What lets an administrator see the status page.
pub(super) fn token(path: &Path) -> Result<String, Failed> {
    // The token is found whatever else is wrong in the file.
    let (config, _) = Config::load_anyway(path)?;
    let file = access::file(&kept::state(&config));
    let text = system::read::text(&file, 16 * 1024).map_err(|error| {
        let remedy = if config.web.is_none() {
            "there is no status page: set web = \"127.0.0.1:8025\", and restart smarthost"
        } else {
            "start smarthost, which makes it, and ask as root or as its user"
        };
        Failed::new(format!("{}: {error}; {remedy}", file.display()))
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Row D3: the answers to the package's questions, or a credential of the machine.
pub(super) fn provision(config: &Path, settings: &Provision) -> Result<String, Failed> {
    let given = match &settings.credential {
        Some(file) => Given::Credential(file),
        None => Given::Answers(&settings.answers),
    };
    if config != Path::new(Config::PATH) {
        let (own, file) = (Config::PATH, config.display());
        return Err(Failed::arguments(format!(
            "settings are provided beside {own} alone: beside {file} nothing reads them. Write them \
             into {file}, or leave out --config"
        )));
    }
    let directory = config.parent().unwrap_or(Path::new(""));
    let written = write(directory, given, Config::usable)?;
    Ok(written.map_or_else(String::new, |path| format!("{} written", path.display())))
}

/// A pipe transport in a unit of its own: of the tables it reads only what it needs.
pub(super) fn pipe(path: &Path, name: &str) -> Result<String, Failed> {
    let mut config = Config::load(path)?;
    config
        .aliases
        .retain(|it| it.programs.as_deref() == Some(name));
    config.transport.clear();
    let (aliases, _) = config.read_aliases()?;
    let router = Router::new(&config, Arc::clone(aliases.table()), Arc::default());
    serve(&config, router.running(config.runners()), name).map_err(Failed::new)?;
    Ok(String::new())
}
