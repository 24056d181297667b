//! `flashsale dead-letters`

use std::fmt;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};

use super::{distributed::distributed_stores, overrides::Overrides, target::actor};
use crate::broker::DeadLetter;
use crate::domain::Entry;
use crate::operations::{
    Actor,
    dead_letters::{self, Listing, Selection},
};
use crate::runtime::{Runtime, output};
use crate::stores::Stores;

/// List, show, replay or discard purchases that could not be recorded
///
/// A message that can never be recorded (foreign, damaged, of an unknown product) is put into the
/// dead-letter queue with its reason. Nothing leaves that queue by itself. For the distributed
/// mode: needs DATABASE_URL, REDIS_URL and AMQP_URL. A command holds all dead letters while it
/// runs: run one at a time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flashsale dead-letters list
  flashsale dead-letters replay --all                     after the cause was repaired
  flashsale dead-letters discard 3f0c5a7be911 --reason 'test message of the rehearsal'")]
pub(super) struct DeadLetters {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all: age, reason, tries, product, user
    List {
        /// Print JSON, with the messages
        #[arg(long)]
        json: bool,
    },
    /// Show one with its message
    Show {
        /// The id, as `list` shows it
        id: String,
    },
    /// Publish one, or all, to the workers again; repeating it is safe
    Replay {
        /// The id, as `list` shows it
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<String>,
        /// All dead letters
        #[arg(long)]
        all: bool,
    },
    /// Give one up: its unit returns to stock, its buyer sees the reason, and the ledger keeps a
    /// record
    Discard {
        /// The id, as `list` shows it
        id: String,
        /// Why; the buyer sees it
        #[arg(long)]
        reason: String,
        /// Who discards it; without it, the user of the operating system
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
}

impl DeadLetters {
    pub(super) async fn run(self, overrides: &Overrides) -> anyhow::Result<()> {
        let settings = overrides.settings()?;
        let none =
            "The embedded mode has no dead letters, because it answers SUCCESS only for what is recorded";
        let stores = distributed_stores(&settings, "dead-letters", none).await?;
        self.action.run(&stores).await
    }
}

impl Action {
    async fn run(self, stores: &Stores) -> anyhow::Result<()> {
        let broker = &*stores.broker;
        match self {
            Self::List { json } => {
                let listing = dead_letters::list(&actor(), broker).await?;
                if json {
                    if listing.more > 0 {
                        output::note(format_args!("not shown: {} more dead letters", listing.more));
                    }
                    output::print(serde_json::to_string_pretty(&listing.letters)?).await;
                } else {
                    output::print(Table { listing, now: Runtime::system().clock.now() }).await;
                }
            }
            Self::Show { id } => {
                let letter = dead_letters::show(&actor(), broker, &id).await?;
                output::print(serde_json::to_string_pretty(&letter)?).await;
            }
            Self::Replay { id, all: _ } => {
                let selection = id.map_or(Selection::All, Selection::One);
                let replayed = dead_letters::replay(&actor(), broker, &selection).await?;
                output::print(format_args!("replayed: {replayed}")).await;
            }
            Self::Discard { id, reason, by } => {
                let actor = by.map_or_else(actor, Actor::named);
                let letter = dead_letters::discard(&actor, stores, &id, &reason).await?;
                output::print(format_args!("discarded: {}", letter.id)).await;
            }
        }
        Ok(())
    }
}

struct Table {
    listing: Listing,
    now: DateTime<Utc>,
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{:<12}  {:>9}  {:>5}  {:<17}  {:<16}  user",
            "id", "age", "tries", "reason", "product"
        )?;
        for DeadLetter { id, reason, history, entries, .. } in &self.listing.letters {
            let first_seen = history.first_seen.and_then(DateTime::from_timestamp_millis);
            let age = first_seen.map_or("?".to_owned(), |at| age((self.now - at).num_seconds()));
            writeln!(out, "{id:<12}  {age:>9}  {:>5}  {reason:<17}  {}", history.tries, buyers(entries))?;
        }
        let Listing { letters, more } = &self.listing;
        writeln!(out, "{} dead letters", letters.len() + more)?;
        if *more > 0 {
            writeln!(out, "the latest {more} are not shown")?;
        }
        Ok(())
    }
}

fn buyers(entries: &[Entry]) -> String {
    match entries {
        [] => format!("{:<16}  -", "-"),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            format!("{:<16}  {}{more}", first.purchase.product.as_str(), first.purchase.user)
        }
    }
}

fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
