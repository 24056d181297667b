//! What a process says at the end of its start: where it is reached, and how it is stopped.

use std::{path::Path, time::Duration};

use tokio_util::sync::CancellationToken;

use super::settings::Settings;
use crate::{
    http::server::{Listening, reachable},
    observability::readiness::Readiness,
    runtime::{output, wrapped},
};

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// For a person: `Shop http://… · API http://… · Console http://… · data /… · Ctrl-C stops`.
#[derive(Debug)]
pub(super) struct Started(Vec<String>);

impl Started {
    pub(super) fn new(settings: &Settings, servers: &[Listening], data_dir: Option<&Path>) -> Self {
        let named = [("shop", "Shop"), ("API", "API"), ("operations console", "Console")];
        let url = |(name, label): (&str, &str)| {
            let server = servers.iter().find(|server| server.name == name)?;
            // Behind a proxy, buyers see another address than this machine.
            let public = settings.shop.public.absolute("/").filter(|_| name == "shop");
            Some(format!(
                "{label} {}",
                public.unwrap_or_else(|| format!("http://{}", reachable(server.addr)))
            ))
        };
        let mut parts: Vec<_> = named.into_iter().filter_map(url).collect();
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        parts.extend(data_dir.map(|path| format!("data {}", absolute(path).display())));
        parts.push("Ctrl-C stops".to_owned());
        Self(parts)
    }

    /// Does nothing if `stop` comes first, or if the log is for machines, which know the
    /// addresses from its events.
    pub(super) async fn print_when_ready(
        self,
        settings: &Settings,
        readiness: &Readiness,
        stop: &CancellationToken,
    ) {
        if settings.log.json {
            return;
        }
        while !readiness.is_ready() {
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = stop.cancelled() => return,
            }
        }
        match output::screen() {
            Some(screen) => output::note(format_args!("\n{}", self.block(screen.columns))),
            None => output::note(self.block(usize::MAX)),
        }
    }

    /// Breaks between parts alone.
    fn block(&self, columns: usize) -> String {
        let whole = |part: &String| part.replace(' ', "\u{a0}");
        let parts: Vec<_> = self.0.iter().map(whole).collect();
        wrapped(&parts.join("\u{a0}· "), columns, 0, 0).replace('\u{a0}', " ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_breaks_between_its_parts() {
        let parts =
            ["Shop http://127.0.0.1:3000", "API http://127.0.0.1:3001", "data /srv/a b", "Ctrl-C stops"];
        let started = Started(parts.map(str::to_owned).to_vec());
        let line = "Shop http://127.0.0.1:3000 · API http://127.0.0.1:3001 · data /srv/a b · Ctrl-C stops";
        assert_eq!(started.block(usize::MAX), line);
        let lines = "Shop http://127.0.0.1:3000 · API http://127.0.0.1:3001 ·\ndata /srv/a b · Ctrl-C stops";
        assert_eq!(started.block(60), lines);
    }
}
