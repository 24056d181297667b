//! `flashsale dead-letters`

use anyhow::{Context, bail, ensure};
use chrono::DateTime;
use clap::{Args, Subcommand};

use super::{Overrides, stores};
use crate::admission::WithdrawnUnit;
use crate::broker::{DeadLetter, DeadLetters as Held};
use crate::domain::{Entry, Purchase};
use crate::ledger::Discard;
use crate::runtime::{Clock, SystemClock};
use crate::stores::Stores;

/// Look at purchases that could not be recorded, send them again, or give them up
///
/// A message that can never be recorded (not ours, damaged, of an unknown product) is put into the dead-letter queue
/// with its reason. Nothing leaves that queue by itself. Needs DATABASE_URL, REDIS_URL and AMQP_URL. Letters are held
/// for as long as a command looks at them: run one at a time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flashsale dead-letters list
  flashsale dead-letters replay --all                     after the cause was mended
  flashsale dead-letters discard 3f0c5a7be911 --reason 'test message of the rehearsal'")]
pub(super) struct DeadLetters {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List them: age, reason, tries, product, user
    List {
        /// Print JSON, with the messages
        #[arg(long)]
        json: bool,
    },
    /// Show one of them whole
    Show {
        /// Its id, as `list` shows it
        id: String,
    },
    /// Send one of them, or all, to the workers again; repeating it is safe
    Replay {
        /// Its id, as `list` shows it
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<String>,
        /// All of them
        #[arg(long)]
        all: bool,
    },
    /// Give one of them up: its unit returns to stock, its buyer is told the reason, and the ledger keeps a record
    Discard {
        /// Its id, as `list` shows it
        id: String,
        /// Why; the buyer sees it
        #[arg(long)]
        reason: String,
        /// Who does it
        #[arg(long, value_name = "NAME", env = "USER")]
        by: String,
    },
}

impl DeadLetters {
    pub(super) async fn run(self, overrides: &Overrides) -> anyhow::Result<()> {
        let settings = overrides.settings(&[])?;
        let sources = stores::sources(&settings, "dead-letters").await?;
        let (Some(admission), Some(broker)) = (sources.admission, sources.broker) else {
            bail!("the embedded mode has no dead letters: what can't be recorded is not answered SUCCESS");
        };
        let mut held = broker.dead_letters().await?.context("no dead-letter queue")?;
        let stores = Stores { admission, broker, ledger: sources.ledger };
        let done = self.action.run(&mut *held, &stores).await;
        held.close().await;
        done
    }
}

impl Action {
    async fn run(self, held: &mut dyn Held, stores: &Stores) -> anyhow::Result<()> {
        match self {
            Self::List { json: true } => {
                println!("{}", serde_json::to_string_pretty(&held.letters())?);
            }
            Self::List { json: false } => list(&*held),
            Self::Show { id } => {
                let letter = find(held, &id)?;
                println!("{}", serde_json::to_string_pretty(letter)?);
            }
            Self::Replay { id, all: _ } => {
                let ids = match id {
                    Some(id) => vec![find(held, &id)?.id.clone()],
                    None => held.letters().iter().map(|letter| letter.id.clone()).collect(),
                };
                let mut replayed = 0;
                for id in ids {
                    replayed += held.replay(&id).await?;
                }
                println!("sent again: {replayed}");
            }
            Self::Discard { id, reason, by } => {
                ensure!(!reason.trim().is_empty(), "--reason must not be empty");
                let letter = find(held, &id)?.clone();
                discard(stores, &letter, &reason, &by).await?;
                held.remove(&letter.id).await?;
                println!("given up: {}", letter.id);
            }
        }
        Ok(())
    }
}

/// The letter whose id begins like this.
fn find<'held>(held: &'held dyn Held, id: &str) -> anyhow::Result<&'held DeadLetter> {
    let mut found: Vec<_> = held.letters().into_iter().filter(|letter| letter.id.starts_with(id)).collect();
    found.dedup_by_key(|letter| &letter.id);
    match found.as_slice() {
        [] => bail!("there is no dead letter {id}"),
        [letter] => Ok(letter),
        several => bail!("{} dead letters begin with {id}", several.len()),
    }
}

fn list(held: &dyn Held) {
    let now = SystemClock.now();
    println!("{:<12}  {:>9}  {:>5}  {:<17}  {:<16}  user", "id", "age", "tries", "reason", "product");
    let mut letters: Vec<_> = held.letters();
    letters.sort_by_key(|letter| letter.history.first_seen);
    for letter in &letters {
        let DeadLetter { id, reason, history, .. } = letter;
        let first_seen = history.first_seen.and_then(DateTime::from_timestamp_millis);
        let age = first_seen.map_or("?".to_owned(), |at| age((now - at).num_seconds()));
        println!("{id:<12}  {age:>9}  {:>5}  {reason:<17}  {}", history.tries, whose(&letter.entries));
    }
    println!("{} dead letters", letters.len());
}

fn whose(entries: &[Entry]) -> String {
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

/// Records it first. Cut off at any point, it can be done again: the letter is removed last.
async fn discard(stores: &Stores, letter: &DeadLetter, reason: &str, by: &str) -> anyhow::Result<()> {
    let record = |purchase: Option<&Purchase>| Discard {
        letter_id: letter.id.clone(),
        purchase: purchase.map(|purchase| purchase.id),
        body: letter.body.clone(),
        letter_reason: letter.reason.clone(),
        discarded_by: by.to_owned(),
        reason: reason.to_owned(),
    };
    let purchases: Vec<_> = letter.entries.iter().map(|entry| &entry.purchase).collect();
    if purchases.is_empty() {
        stores.ledger.record_discard(record(None)).await?;
    }
    let known: Vec<_> = stores.ledger.sales().await?.into_iter().map(|sale| sale.product).collect();
    for purchase in purchases {
        stores.ledger.record_discard(record(Some(purchase))).await?;
        if !known.contains(&purchase.product) {
            continue;
        }
        let mine = stores.ledger.purchase_of(&purchase.product, &purchase.user).await?;
        if mine.as_ref().is_some_and(|mine| mine.id == purchase.id) {
            // It was recorded after all, and stands.
            continue;
        }
        stores.ledger.revoke(purchase, reason).await?;
        let at_its_unit =
            stores.ledger.purchases(&purchase.product, purchase.unit.saturating_sub(1), 1).await?;
        let taken = at_its_unit.first().is_some_and(|row| row.unit == purchase.unit);
        let unit = if taken { WithdrawnUnit::BelongsToOther } else { WithdrawnUnit::Returns };
        stores.admission.withdraw(purchase, mine.as_ref(), unit).await?;
    }
    tracing::warn!(letter = letter.id, by, "a dead letter was given up: {reason}");
    Ok(())
}
