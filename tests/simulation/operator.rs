//! Operators, who decide about purchases while the sale runs.

use std::time::Duration;

use flashsale::operations::{Actor, purchases};
use tokio::time::sleep;

use crate::{executor::WORLD, world::World};

const TRIES_MAX: u32 = 40;
const TRY_INTERVAL: Duration = Duration::from_millis(500);

/// Cancels a purchase that is recorded, and repeats that until it is answered. False: none was recorded in time.
pub(crate) async fn cancel_any(world: &World, keeps_unit: bool, may_buy_again: bool) -> bool {
    let (stores, _) = world.operator();
    let mut chosen = None;
    for _ in 0..TRIES_MAX {
        if chosen.is_none() {
            let rows: Vec<_> = {
                let state = world.database.lock();
                state.tables.rows(&world.product.id, 0).map(|row| row.id).collect()
            };
            chosen = world.sim.draw(|random| random.choice(rows));
        }
        if let Some(id) = chosen {
            let (actor, reason) = (Actor::named("operator"), "It was refunded.");
            let cancelled =
                purchases::cancel(&actor, &*stores.ledger, id, reason, keeps_unit, may_buy_again).await;
            match cancelled {
                Ok(cancelled) => {
                    world.sim.note(WORLD, format_args!("cancelled {cancelled:?}"));
                    return true;
                }
                Err(error) => world.sim.note(WORLD, format_args!("not cancelled {id}: {error}")),
            }
        }
        sleep(TRY_INTERVAL).await;
    }
    false
}
