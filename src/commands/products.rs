//! `flashsale products`

use std::{fmt, io::IsTerminal, process::ExitCode, thread};

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{ledger::open_own_ledger, overrides::Overrides, target::actor};
use crate::config::read_catalogue;
use crate::domain::{CatalogueDifference, FieldChange, Product, ProductChange};
use crate::ledger::LedgerSale;
use crate::operations::products;
use crate::runtime::{Runtime, error_chain, output};

/// List the products that are sold, or give them the terms of a catalogue file
///
/// A process adds the products of its catalogue file that the database does not know. It never
/// changes a known one: this command does, in mid-sale too, in the embedded mode beside the running
/// `serve`. A restart of that with an edited file does the same.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flashsale products list
  flashsale products apply sale.toml --dry-run
  flashsale products apply sale.toml --yes")]
pub(super) struct Products {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the products with the terms that are sold
    List,
    /// Show how a catalogue file differs from what is sold, ask, and apply it
    ///
    /// New products are added, known ones changed, none removed; the file's order becomes that of
    /// the products. Refused as a whole if a stock is below the highest unit that is sold; a lower
    /// one takes effect once admission has agreed, within a second. Exits with 0 (applied, or
    /// nothing differs), 1 (differences, not applied) or 2 (no result).
    Apply {
        /// The catalogue file; config/products.toml is an example
        file: String,
        /// Apply without asking
        #[arg(long)]
        yes: bool,
        /// Show the differences only
        #[arg(long, conflicts_with = "yes")]
        dry_run: bool,
    },
}

impl Products {
    pub(super) async fn run(self, overrides: &Overrides, stop: CancellationToken) -> ExitCode {
        let ended = match self.action {
            Action::List => list(overrides).await.map(|()| true),
            Action::Apply { file, yes, dry_run } => apply(overrides, &file, yes, dry_run, &stop).await,
        };
        match ended {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(1),
            Err(error) => {
                output::note(format_args!("flashsale: no result: {}", error_chain(error.as_ref())));
                ExitCode::from(2)
            }
        }
    }
}

async fn list(overrides: &Overrides) -> anyhow::Result<()> {
    let settings = overrides.settings()?;
    let ledger = open_own_ledger(&settings, "products").await?;
    for (product, sale) in products::list(&actor(), &*ledger).await? {
        output::print(Listed(&product, &sale)).await;
    }
    Ok(())
}

/// Returns whether no difference is left.
async fn apply(
    overrides: &Overrides,
    file: &str,
    yes: bool,
    dry_run: bool,
    stop: &CancellationToken,
) -> anyhow::Result<bool> {
    let settings = overrides.settings()?;
    let pictures = settings.shop.named_pictures();
    let wanted = read_catalogue(file, &|image| pictures.check(image))?;
    let (ledger, actor) = (open_own_ledger(&settings, "products").await?, actor());
    let plan = products::plan(&actor, &*ledger, &wanted).await?;
    output::print(Shown(&plan.difference)).await;
    for product in wanted.products() {
        if let Some(ended_at) = product.ended_at(Runtime::system().clock.now()) {
            output::note(format_args!(
                "flashsale: the sale of {} is over with this file: it ended at {ended_at}, so nobody can buy",
                product.id
            ));
        }
    }
    if plan.difference.is_empty() {
        return Ok(true);
    }
    if dry_run || !(yes || confirmed(stop).await?) {
        output::print("nothing was changed").await;
        return Ok(false);
    }
    products::apply(&actor, &*ledger, &plan).await?;
    output::print("applied").await;
    Ok(true)
}

/// Asks the person at the terminal. Only an answer counts: neither its end nor a signal is one.
async fn confirmed(stop: &CancellationToken) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!(
            "standard input is no terminal, so nobody can be asked: give --yes to apply this, or --dry-run"
        );
    }
    output::print("Apply this? [y/N]").await;
    // On a thread that the end of the process does not wait for: signals are heard meanwhile.
    let (tell, told) = oneshot::channel();
    thread::Builder::new().name("prompt".to_owned()).spawn(move || {
        let mut answer = String::new();
        // Where nobody waits any more, nobody is told.
        let _ = tell.send(std::io::stdin().read_line(&mut answer).map(|bytes| (bytes, answer)));
    })?;
    let (bytes, answer) = tokio::select! {
        told = told => told?.context("standard input can't be read, so nothing was changed")?,
        () = stop.cancelled() => bail!("stopped before an answer, so nothing was changed"),
    };
    ensure!(
        bytes > 0,
        "standard input ended without an answer, so nothing was changed: give --yes to apply this"
    );
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A product as a list shows it.
struct Listed<'product>(&'product Product, &'product LedgerSale);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(product, sale) = self;
        let Product { id, name, price, total_stock, sale_start, sale_end, .. } = product;
        let instant = |at: &Option<DateTime<Utc>>| at.map_or("-".to_owned(), |at| at.to_rfc3339());
        writeln!(out, "{id}: {name}")?;
        writeln!(out, "    price: {price} {}", price.currency())?;
        if sale.lower_stock_to.is_some() {
            let present = sale.terms.total_stock;
            writeln!(out, "    total_stock: {present}, to be lowered to {total_stock}")?;
        } else {
            writeln!(out, "    total_stock: {total_stock}")?;
        }
        writeln!(out, "    sale: {} to {}", instant(sale_start), instant(sale_end))?;
        write!(out, "    paused: {}", if sale.terms.paused { "yes" } else { "no" })
    }
}

/// A difference with both values of each field.
struct Shown<'difference>(&'difference CatalogueDifference);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CatalogueDifference { added, changed, kept, order } = self.0;
        let mut lines: Vec<_> = added.iter().map(|product| format!("{product}: new")).collect();
        for ProductChange { product, fields } in changed {
            lines.push(format!("{product}:"));
            let change =
                |FieldChange { field, old, new }: &FieldChange| format!("    {field}: {old} -> {new}");
            lines.extend(fields.iter().map(change));
        }
        lines.extend(kept.iter().map(|product| format!("{product}: not in the file, stays as it is")));
        if let Some(order) = order {
            let order: Vec<_> = order.iter().map(ToString::to_string).collect();
            lines.push(format!("order: {}", order.join(", ")));
        }
        if self.0.is_empty() {
            lines.push("no difference".to_owned());
        }
        out.write_str(&lines.join("\n"))
    }
}
