//! `flashsale purchases import`

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{bail, ensure};
use clap::Args;

use super::conclusion::conclude;
use crate::commands::{
    ledger::open_own_ledger,
    overrides::Overrides,
    target::{ProductFlag, actor},
};
use crate::operations::purchases::{self, BadLine, UserList};
use crate::runtime::{FileError, Runtime};

/// Most bytes of a list.
const LIST_MAX: u64 = 64 << 20;
/// Bad lines that are shown.
const SHOWN_MAX: usize = 20;

/// Keep users who bought elsewhere from buying again
///
/// FILE has one user id a line. They take no unit: set total_stock to what is left to sell. They
/// are answered PURCHASED from then on, without a unit. Who has a purchase, also one in flight,
/// keeps it. Everything is imported or, where a line is no user id, nothing. Before or during a
/// sale; repeating it changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  jq -r .userId other-sale.jsonl | flashsale purchases import - --product limited-001")]
pub(super) struct Import {
    /// The list; `-` is standard input
    file: PathBuf,
    #[command(flatten)]
    product: ProductFlag,
}

impl Import {
    pub(super) async fn run(self, overrides: &Overrides) -> anyhow::Result<()> {
        let settings = overrides.settings()?;
        let list = UserList::read(&read(&self.file)?).or_else(|bad| refuse(&bad))?;
        let ledger = open_own_ledger(&settings, "purchases").await?;
        let product = self.product.product(&*ledger).await?;
        let imported = purchases::import(&actor(), &*ledger, &product, &list, &Runtime::system()).await?;
        let (added, known) = (imported.added, list.users.len() as u64 - imported.added);
        let repeated = match list.repeated {
            0 => String::new(),
            lines => format!(", {lines} lines repeat a user"),
        };
        let text =
            format!("{product}: imported {added} earlier buyers, {known} were known already{repeated}");
        conclude(&*ledger, text, imported.change).await
    }
}

fn refuse(bad: &[BadLine]) -> anyhow::Result<UserList> {
    let line = |BadLine { number, why }: &BadLine| format!("\n  line {number}: {why}");
    let shown: String = bad.iter().take(SHOWN_MAX).map(line).collect();
    let more = bad.len().saturating_sub(SHOWN_MAX);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    bail!("nothing was imported: {} lines are no user ids{shown}{more}", bad.len())
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let failed = || FileError::of("read the list", file.to_owned());
    if file == Path::new("-") {
        std::io::stdin().lock().take(LIST_MAX + 1).read_to_end(&mut text).map_err(failed())?;
    } else {
        File::open(file).map_err(failed())?.take(LIST_MAX + 1).read_to_end(&mut text).map_err(failed())?;
    }
    ensure!(
        text.len() as u64 <= LIST_MAX,
        "the list is longer than {} MB: import it in parts",
        LIST_MAX >> 20
    );
    Ok(text)
}
