//! Buyers: they try, wait for an answer or not, try again, look up their purchase, and write down what they are told.

use std::time::Duration;

use flashsale::{
    audit::{self, Attempt, AttemptKind, Operation},
    checkout::{Answer, Checkout, CheckoutError, PurchaseStatus},
    domain::{Durability, Purchase, PurchaseState, UserId},
};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use crate::{executor::WORLD, process::Process, world::World};

/// How long a buyer waits for an answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

type Reply = Result<audit::Answer, AttemptKind>;

/// One buyer's evening.
pub(crate) async fn shop(world: World, user: UserId, arrives: Duration) {
    sleep(arrives).await;
    let tries = world.sim.draw(|random| random.u32(1..6));
    for _ in 0..tries {
        let has_second_tab = world.sim.happens(10);
        let kind = if has_second_tab {
            let (first, _) = tokio::join!(biased; buy(&world, &user), buy(&world, &user));
            first
        } else {
            buy(&world, &user).await
        };
        if world.sim.happens(30) {
            think(&world).await;
            status(&world, &user).await;
        }
        // Who knows the answer seldom asks again.
        if kind == AttemptKind::Ok && !world.sim.happens(20) {
            return;
        }
        think(&world).await;
    }
}

async fn think(world: &World) {
    let millis = world.sim.draw(|random| match random.u32(0..4) {
        0 => random.u64(1..50),
        1..3 => random.u64(50..1_500),
        _ => random.u64(1_500..8_000),
    });
    sleep(Duration::from_millis(millis)).await;
}

pub(crate) async fn buy(world: &World, user: &UserId) -> AttemptKind {
    attempt(world, user, Operation::Buy).await
}

pub(crate) async fn status(world: &World, user: &UserId) -> AttemptKind {
    attempt(world, user, Operation::Status).await
}

async fn attempt(world: &World, user: &UserId, operation: Operation) -> AttemptKind {
    let start = world.sim.now().timestamp_millis();
    let reply = request(world, user, operation).await;
    let end = world.sim.now().timestamp_millis();
    let (kind, answer) = match reply {
        Ok(answer) => (AttemptKind::Ok, Some(answer)),
        Err(kind) => (kind, None),
    };
    world.sim.note(WORLD, format_args!("{user} {operation:?}: {}", shown(kind, answer.as_ref())));
    let (user, product) = (user.to_string(), world.product.id.to_string());
    world.add_attempt(Attempt { operation, user, product, start, end, kind, answer });
    kind
}

fn shown(kind: AttemptKind, answer: Option<&audit::Answer>) -> String {
    let Some(answer) = answer else { return format!("{kind:?}") };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let unit = answer.unit.map(|unit| format!("unit {unit}")).unwrap_or_default();
    let has = answer.has_purchased.map(|has| format!("hasPurchased {has}")).unwrap_or_default();
    format!("{}{has} {unit} {} {}", text(&answer.status), text(&answer.state), text(&answer.durability))
}

/// Sends a request to one of the running `serve` processes, which handles it in a task of its own.
async fn request(world: &World, user: &UserId, operation: Operation) -> Reply {
    world.sim.latency().await;
    let Some(Process { pid, checkout: Some(checkout), .. }) = world.any_serve() else {
        return Err(AttemptKind::Refused);
    };
    let (sender, receiver) = oneshot::channel();
    let (product, user) = (world.product.id.clone(), user.clone());
    world.sim.executor.spawn(pid, async move {
        let handled = match operation {
            Operation::Buy => checkout.buy(&product, &user).await.map(bought),
            Operation::Status => asked(&checkout, &product, &user).await,
        };
        // A client that is gone hears nothing.
        let _ = sender.send(handled.map_err(|error| kind_of(&error)));
    });
    // A client that gives up early, whose request goes on.
    let patience = if world.sim.happens(5) { Duration::from_millis(20) } else { CLIENT_TIMEOUT };
    let reply = match timeout(patience, receiver).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(_crashed)) => Err(AttemptKind::Unknown),
        Err(_elapsed) => Err(AttemptKind::Unknown),
    };
    if let Ok(audit::Answer { durability: Some(_), purchase_id: Some(purchase), .. }) = &reply {
        world.note_success(purchase, pid);
    }
    world.sim.latency().await;
    // The answer's way is long enough for it to be lost.
    if world.sim.happens(1) { Err(AttemptKind::Unknown) } else { reply }
}

fn kind_of(error: &CheckoutError) -> AttemptKind {
    if error.is_unknown() { AttemptKind::Unknown } else { AttemptKind::Refused }
}

async fn asked(
    checkout: &Checkout,
    product: &flashsale::domain::ProductId,
    user: &UserId,
) -> Result<audit::Answer, CheckoutError> {
    Ok(match checkout.reader.status(product, user).await? {
        PurchaseStatus::Purchased(purchase, state) => {
            audit::Answer { has_purchased: Some(true), ..view(&purchase, state) }
        }
        PurchaseStatus::Revoked(revocation) => audit::Answer {
            has_purchased: Some(false),
            purchase_id: Some(revocation.id.to_string()),
            state: Some(revocation.state.as_str().to_owned()),
            reason: Some(revocation.reason),
            ..audit::Answer::default()
        },
        PurchaseStatus::None => audit::Answer { has_purchased: Some(false), ..audit::Answer::default() },
    })
}

fn bought(answer: Answer) -> audit::Answer {
    let status = serde_json::to_value(answer.outcome()).expect("an outcome");
    let status = status.as_str().map(str::to_owned);
    match answer {
        Answer::Success(purchase, state, durability) => {
            let durability = match durability {
                Durability::Database => "database",
                Durability::Broker => "broker",
                Durability::Redis => "redis",
            };
            audit::Answer { status, durability: Some(durability.to_owned()), ..view(&purchase, state) }
        }
        Answer::Purchased(purchase, state) => audit::Answer { status, ..view(&purchase, state) },
        Answer::Refused(_) => audit::Answer { status, ..audit::Answer::default() },
    }
}

fn view(purchase: &Purchase, state: PurchaseState) -> audit::Answer {
    audit::Answer {
        purchase_id: Some(purchase.id.to_string()),
        unit: (purchase.unit > 0 && state != PurchaseState::Cancelled).then_some(purchase.unit),
        state: Some(state.as_str().to_owned()),
        ..audit::Answer::default()
    }
}
