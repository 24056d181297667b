//! The audit: that it finds each kind of wrong, says when a run proves nothing, and holds on the
//! real system.

use std::{
    collections::HashMap,
    io::Write,
    sync::atomic::{AtomicU64, Ordering},
};

use chrono::{DateTime, TimeDelta};
use flashsale::{
    audit::{
        AdmissionState, Answer, Attempt, AttemptKind, AuditResult, CancelledRow, Evidence, Fault, History,
        Operation, audit,
    },
    domain::{ProductId, Purchase, PurchaseId, SaleState, Terms, UsedRight, UserId},
};
use serde_json::{Value, json};

use crate::{
    distributed::{catalogue, drained},
    support::{
        SOON, eventually,
        http::{buy, client, get, ready},
        process::Flashsale,
        services::Services,
    },
    worker::{item, message},
};

/// A sale of three units in which everything went well: a, b and c have one each, and d got
/// `SOLD_OUT`.
struct Run {
    evidence: Evidence,
    history: History,
}

fn at(millis: i64) -> DateTime<chrono::Utc> {
    DateTime::from_timestamp_millis(millis).expect("time")
}

fn purchase(user: &str, unit: u32) -> Purchase {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    Purchase {
        id: PurchaseId::new(at(1_000), [NEXT.fetch_add(1, Ordering::Relaxed), 0]),
        product: ProductId::parse("p").expect("id"),
        user: UserId::parse(user).expect("user"),
        unit,
        admitted_at: at(1_000 + i64::from(unit)),
    }
}

fn attempt(operation: Operation, user: &str, start: i64, answer: Answer) -> Attempt {
    let (user, product) = (user.to_owned(), "p".to_owned());
    Attempt { operation, user, product, start, end: start + 5, kind: AttemptKind::Ok, answer: Some(answer) }
}

fn answer(status: &str, purchase: &Purchase, state: &str) -> Answer {
    Answer {
        status: Some(status.to_owned()),
        purchase_id: Some(purchase.id.to_string()),
        unit: Some(purchase.unit),
        state: Some(state.to_owned()),
        durability: (status == "SUCCESS").then(|| "broker".to_owned()),
        has_purchased: None,
        reason: None,
    }
}

fn sold_out() -> Answer {
    Answer { status: Some("SOLD_OUT".to_owned()), ..Answer::default() }
}

impl Run {
    fn good() -> Self {
        let rows = vec![purchase("a", 1), purchase("b", 2), purchase("c", 3)];
        let terms =
            Terms { total_stock: 3, opens_at: Some(at(1_000)), closes_at: Some(at(9_000)), paused: false };
        let sale = SaleState {
            epoch: 1,
            terms: terms.clone(),
            next: 3,
            remaining: 0,
            in_flight: 0,
            dead: 0,
            newest: None,
            now: at(5_000),
        };
        let admission = AdmissionState {
            at_rest: true,
            sale,
            winners: rows.clone(),
            used: Vec::new(),
            free: Vec::new(),
            outbox: Vec::new(),
        };
        let mut attempts = Vec::new();
        for row in &rows {
            let user = row.user.as_str();
            let start = 1_000 + i64::from(row.unit) * 10;
            attempts.push(attempt(Operation::Buy, user, start, answer("SUCCESS", row, "PENDING")));
            attempts.push(attempt(
                Operation::Buy,
                user,
                start + 2_000,
                answer("PURCHASED", row, "CONFIRMED"),
            ));
        }
        attempts.push(attempt(Operation::Buy, "d", 1_100, sold_out()));
        let evidence = Evidence {
            terms,
            lower_stock_to: None,
            rows,
            cancelled: Vec::new(),
            earlier: Vec::new(),
            confirmed_at: HashMap::new(),
            before: std::collections::HashSet::new(),
            revocations: HashMap::new(),
            admission: Some(admission),
            queued: Some(0),
            dead: Vec::new(),
        };
        Self { evidence, history: History { attempts, faults: Vec::new() } }
    }

    fn admission(&mut self) -> &mut AdmissionState {
        self.evidence.admission.as_mut().expect("admission")
    }

    /// The first SUCCESS, which is a's.
    fn success(&mut self) -> &mut Answer {
        self.history.attempts[0].answer.as_mut().expect("answer")
    }

    fn query(&mut self, user: &str, start: i64, answer: Answer) {
        self.history.attempts.push(attempt(Operation::Status, user, start, answer));
    }

    /// Which checks are violated.
    fn violated(&self) -> Vec<u8> {
        let report = audit(&self.evidence, Some(&self.history));
        let violated = report.checks.iter().filter(|check| check.violations > 0);
        let numbers: Vec<_> = violated
            .map(|check| {
                assert_eq!(check.examples.len(), check.violations.min(5), "{report}");
                check.number
            })
            .collect();
        assert_eq!(report.verdict == AuditResult::Violated, !numbers.is_empty(), "{report}");
        numbers
    }
}

#[test]
fn a_good_run_holds_and_every_check_has_checked_something() {
    let run = Run::good();
    let report = audit(&run.evidence, Some(&run.history));
    assert_eq!(report.verdict, AuditResult::Holds, "{report}");
    assert_eq!(report.show_law(), "3 = 0 remaining + 0 in flight + 3 in the ledger + 0 dead-lettered");
    let idle: Vec<_> =
        report.checks.iter().filter(|check| check.checked == 0).map(|check| check.number).collect();
    assert_eq!(idle, [6], "there is no unknown attempt in it");
    let alone = audit(&run.evidence, None);
    assert_eq!((alone.verdict, alone.checks.len()), (AuditResult::Holds, 3));
}

#[test]
fn each_wrong_is_found_by_its_check() {
    type Wrong = fn(&mut Run);
    let cases: &[(&str, &[u8], Wrong)] = &[
        ("a unit twice", &[1, 3, 4], |run| run.evidence.rows[2].unit = 2),
        ("a unit out of range", &[1, 3, 4], |run| run.evidence.rows[2].unit = 4),
        ("two rows of a user", &[1, 2, 3], |run| run.evidence.rows.push(purchase("a", 4))),
        ("recorded and revoked", &[2], |run| {
            let id = run.evidence.rows[0].id.to_string();
            run.evidence.revocations.insert(id, "a".to_owned());
        }),
        ("a unit that is nowhere", &[3], |run| run.admission().sale.remaining += 1),
        ("a winner that was lost", &[3, 4], |run| drop(run.evidence.rows.remove(0))),
        ("a row that admission does not know", &[3], |run| drop(run.admission().winners.remove(0))),
        ("a dead letter that admission has forgotten", &[3], |run| run.evidence.dead.push(purchase("d", 3))),
        ("a returned unit that is sold", &[3], |run| run.admission().free.push(1)),
        ("a SUCCESS of another unit", &[4], |run| run.success().unit = Some(9)),
        ("a SUCCESS of a purchase that is in no store", &[4, 10], |run| {
            run.success().purchase_id = Some(PurchaseId::new(at(1), [u64::MAX, 0]).to_string());
        }),
        ("a row without an attempt", &[5, 7], |run| {
            run.history.attempts.retain(|attempt| attempt.user != "c");
        }),
        ("an unknown that was never resolved", &[6], |run| {
            run.history.attempts[0].kind = AttemptKind::Unknown;
            run.history.attempts[0].answer = None;
        }),
        ("an unknown that is recorded, and not answered", &[6], |run| {
            run.history.attempts[0].kind = AttemptKind::Unknown;
            run.query("a", 5_000, Answer { has_purchased: Some(false), ..Answer::default() });
        }),
        ("an unknown of which half is there", &[6], |run| {
            run.history.attempts.push(Attempt {
                kind: AttemptKind::Unknown,
                answer: None,
                ..attempt(Operation::Buy, "d", 1_200, sold_out())
            });
            let half = answer("", &purchase("d", 3), "PENDING");
            run.query("d", 5_000, Answer { has_purchased: Some(true), ..half });
        }),
        ("SOLD_OUT before the stock was taken", &[7], |run| {
            run.history.attempts.push(attempt(Operation::Buy, "e", 1_012, sold_out()));
        }),
        ("admitted before the opening", &[8], |run| run.evidence.rows[0].admitted_at = at(999)),
        ("admitted at the close", &[8], |run| run.evidence.rows[0].admitted_at = at(9_000)),
        ("SUCCESS long after the close", &[8], |run| run.evidence.terms.closes_at = Some(at(5))),
        ("CONFIRMED and then PENDING", &[9], |run| {
            let pending = answer("PURCHASED", &run.evidence.rows[0], "PENDING");
            run.history.attempts.push(attempt(Operation::Buy, "a", 4_000, pending));
        }),
        ("CONFIRMED and then REVOKED", &[9], |run| {
            let revoked = answer("", &run.evidence.rows[0], "REVOKED");
            run.query("a", 4_000, revoked);
        }),
        ("PURCHASED of another purchase", &[10], |run| {
            let other = answer("PURCHASED", &purchase("a", 1), "CONFIRMED");
            run.history.attempts.push(attempt(Operation::Buy, "a", 4_000, other));
        }),
    ];
    assert_eq!(Run::good().violated(), [0_u8; 0]);
    for (name, expected, wrong) in cases {
        let mut run = Run::good();
        wrong(&mut run);
        assert_eq!(run.violated(), *expected, "{name}");
    }
}

/// A letter is one more copy of a purchase that is recorded, on its way, or revoked.
#[test]
fn a_dead_letter_counts_where_it_is_the_only_record() {
    let mut run = Run::good();
    run.evidence.dead = run.evidence.rows.clone();
    assert_eq!(run.violated(), [0_u8; 0], "recorded");
    let pending = run.evidence.rows.remove(0);
    run.history.attempts.retain(|attempt| attempt.user != "a");
    assert_eq!(run.violated(), [7], "admission keeps its unit");
    let report = audit(&run.evidence, None);
    assert_eq!(report.show_law(), "3 = 0 remaining + 0 in flight + 2 in the ledger + 1 dead-lettered");
    let id = flashsale::domain::EntryId { millis: 1_003, sequence: 4 };
    run.admission().outbox.push(flashsale::domain::Entry { id, epoch: 1, purchase: pending });
    let report = audit(&run.evidence, None);
    assert_eq!(report.show_law(), "3 = 0 remaining + 1 in flight + 2 in the ledger + 0 dead-lettered");
    let mut run = Run::good();
    let revoked = purchase("d", 3);
    run.evidence.revocations.insert(revoked.id.to_string(), "d".to_owned());
    run.evidence.dead.push(revoked);
    assert_eq!(run.violated(), [0_u8; 0], "revoked");
}

#[test]
fn a_cancelled_purchase_is_accounted_for_and_its_buyer_sees_why() {
    for (keeps_unit, may_buy_again) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut run = Run::good();
        let purchase = run.evidence.rows.remove(0);
        run.evidence.cancelled.push(CancelledRow { purchase: purchase.clone(), keeps_unit, may_buy_again });
        assert_eq!(run.violated(), [3, 4], "admission does not follow, and its buyer does not know");
        run.admission().winners.remove(0);
        if !keeps_unit {
            run.admission().free.push(1);
            run.admission().sale.remaining = 1;
        }
        if !may_buy_again {
            assert_eq!(run.violated(), [3, 4], "the user could buy again");
            let unit = u32::from(keeps_unit);
            let purchase = Purchase { unit, ..purchase.clone() };
            run.admission().used.push(UsedRight { purchase, is_cancelled: true });
        }
        assert_eq!(run.violated(), [4], "its buyer does not know");
        let told = Answer { reason: Some("why".to_owned()), ..answer("", &purchase, "CANCELLED") };
        run.query("a", 5_000, told);
        assert_eq!(run.violated(), [0_u8; 0], "{keeps_unit} {may_buy_again}");
        let confirmed = answer("PURCHASED", &purchase, "CONFIRMED");
        run.history.attempts.push(attempt(Operation::Buy, "a", 6_000, confirmed));
        assert_eq!(run.violated(), [9], "and then confirmed");
    }
    let mut run = Run::good();
    run.evidence.earlier.push(purchase("early", 0));
    assert_eq!(run.violated(), [3], "an imported user could buy");
    let earlier = run.evidence.earlier[0].clone();
    run.admission().used.push(UsedRight { purchase: earlier, is_cancelled: false });
    assert_eq!(run.violated(), [0_u8; 0]);
}

#[test]
fn a_restored_database_excuses_that_a_purchase_is_pending_again() {
    let mut run = Run::good();
    let pending = answer("PURCHASED", &run.evidence.rows[0], "PENDING");
    run.history.attempts.push(attempt(Operation::Buy, "a", 4_000, pending));
    assert_eq!(run.violated(), [9]);
    let (name, loses_rows) = ("database-restored".to_owned(), true);
    let fault = Fault { name, start: 3_500, end: 3_600, took_hold: true, loses_redis: false, loses_rows };
    run.history.faults.push(fault);
    assert_eq!(run.violated(), [0_u8; 0]);
}

#[test]
fn after_a_loss_of_redis_a_redis_success_must_be_kept_or_revoked() {
    let lost = Fault {
        name: "redis-wipe".to_owned(),
        start: 1,
        end: 2_000,
        took_hold: true,
        loses_redis: true,
        loses_rows: false,
    };
    let mut run = Run::good();
    run.history.faults.push(lost);
    run.success().durability = Some("redis".to_owned());
    run.success().unit = Some(2);
    assert_eq!(run.violated(), [0_u8; 0], "it may have got another unit");
    let gone = purchase("d", 1);
    let success = Answer { durability: Some("redis".to_owned()), ..answer("SUCCESS", &gone, "PENDING") };
    run.history.attempts.push(attempt(Operation::Buy, "d", 1_001, success));
    assert_eq!(run.violated(), [4], "silently gone");
    run.evidence.revocations.insert(gone.id.to_string(), "d".to_owned());
    assert_eq!(run.violated(), [4], "its buyer does not see the reason");
    let revoked = Answer { reason: Some("why".to_owned()), ..answer("", &gone, "REVOKED") };
    run.query("d", 5_000, revoked);
    assert_eq!(run.violated(), [0_u8; 0]);
    run.history.faults[0].end = 900;
    assert_eq!(run.violated(), [4], "Redis was lost before it had answered that");
    run.history.faults.clear();
    assert_eq!(run.violated(), [4], "Redis was not lost, so there is no excuse");
}

/// What an API sends of its stores is what an audit elsewhere reads.
#[test]
fn evidence_comes_back_as_it_was_sent() {
    let mut run = Run::good();
    let purchase = purchase("e", 3);
    let id = flashsale::domain::EntryId { millis: 1_003, sequence: 4 };
    let entry = flashsale::domain::Entry { id, epoch: 1, purchase: purchase.clone() };
    run.admission().outbox.push(entry);
    run.admission().free.push(7);
    let right = purchase.clone();
    run.admission().used.push(UsedRight { purchase: right.clone(), is_cancelled: true });
    run.evidence.earlier.push(right.clone());
    run.evidence.cancelled.push(CancelledRow { purchase: right, keeps_unit: true, may_buy_again: false });
    run.evidence.dead.push(purchase.clone());
    run.evidence.confirmed_at.insert(run.evidence.rows[0].id, at(1_500));
    run.evidence.revocations.insert(purchase.id.to_string(), "e".to_owned());
    let sent: String = run.evidence.lines().collect();
    let read = Evidence::read(sent.as_bytes(), &purchase.product).expect("evidence");
    assert_eq!(read.lines().collect::<String>(), sent);
    assert_eq!(
        (&read.rows, &read.dead, &read.terms),
        (&run.evidence.rows, &run.evidence.dead, &run.evidence.terms)
    );
    assert!(Evidence::read(b"{}".as_slice(), &purchase.product).is_err());
}

#[test]
fn a_run_that_exercised_nothing_proves_nothing() {
    type Less = fn(&mut Run);
    let cases: &[(&str, Less)] = &[
        ("no attempt was answered SOLD_OUT", |run| {
            run.history.attempts.retain(|attempt| attempt.user != "d");
        }),
        ("no user made two attempts", |run| {
            run.history.attempts.retain(|attempt| attempt.outcome() != "PURCHASED");
        }),
        ("the stock was not exhausted", |run| {
            run.evidence.rows.pop();
            run.history.attempts.retain(|attempt| attempt.user != "c" && attempt.user != "d");
            let admission = run.admission();
            admission.winners.pop();
            (admission.sale.next, admission.sale.remaining) = (2, 1);
        }),
        ("the fault redis-kill never took hold", |run| {
            let name = "redis-kill".to_owned();
            run.history.faults.push(Fault {
                name,
                start: 0,
                end: 1,
                took_hold: false,
                loses_redis: false,
                loses_rows: false,
            });
        }),
    ];
    for (doubt, less) in cases {
        let mut run = Run::good();
        less(&mut run);
        let report = audit(&run.evidence, Some(&run.history));
        assert_eq!(report.verdict, AuditResult::Unknown, "{report}");
        assert!(report.doubts.iter().any(|said| said.starts_with(doubt)), "{report}");
    }
}

/// One purchase attempt as a line of a history.
async fn recorded(client: &reqwest::Client, api: &str, user: &str) -> Value {
    let now = || flashsale::runtime::Clock::now(&flashsale::runtime::SystemClock).timestamp_millis();
    let start = now();
    let answer = buy(client, api, user).await;
    assert_eq!(answer.status, 200);
    json!({"type": "attempt", "operation": "buy", "user": user, "product": "limited-001", "start": start,
           "end": now(), "kind": "ok", "answer": answer.body})
}

async fn audited(process: &mut Flashsale) -> Option<i32> {
    process.ended(SOON + TimeDelta::seconds(30).to_std().expect("duration")).await.code()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_holds_on_a_good_sale_and_finds_what_was_done_to_it() {
    let (services, products) = (Services::new().await, catalogue(20));
    let variables = [("FLASHSALE_PRODUCTS", products.path().to_str().expect("path"))];
    let work = services.spawn(&["work"], &variables);
    let serve = services.spawn(&["serve"], &variables);
    let api = serve.api().await;
    ready(&api).await;
    let (client, mut history) = (client(), tempfile::NamedTempFile::new().expect("file"));
    for number in 0..50 {
        let line = recorded(&client, &api, &format!("user-{}", number % 25)).await;
        writeln!(history, "{line}").expect("write");
    }
    drained(&services, 20).await;
    let path = history.path().to_str().expect("path");
    let arguments = ["audit", "--history", path, "--wait", "20"];
    let mut process = services.spawn(&arguments, &variables);
    assert_eq!(audited(&mut process).await, Some(0), "{}", process.printed());
    assert!(
        process.printed().contains("20 = 0 remaining + 0 in flight + 20 in the ledger + 0 dead-lettered")
    );
    let mut process = services.spawn(&["audit", "--json"], &variables);
    assert_eq!(audited(&mut process).await, Some(0));
    let report: Value = serde_json::from_str(&process.printed()).expect("JSON");
    assert_eq!((&report["verdict"], &report["law"]["inLedger"]), (&json!("holds"), &json!(20)));

    // A row goes missing, and no worker records it again: the law, and the buyer's SUCCESS.
    work.signal(rustix::process::Signal::STOP);
    services.sql().await.batch_execute("DELETE FROM purchases WHERE unit = 7").await.expect("delete");
    let mut process = services.spawn(&["audit", "--history", path, "--wait", "5"], &variables);
    assert_eq!(audited(&mut process).await, Some(1), "{}", process.printed());
    let printed = process.printed();
    assert!(printed.contains("20 ≠ 0 remaining + 0 in flight + 19 in the ledger"), "{printed}");
    assert!(printed.contains("it is neither recorded nor in flight"), "{printed}");
    assert!(printed.contains("it is in no store"), "{printed}");

    // What can't be read is not a verdict.
    for (arguments, said) in [
        (vec!["audit", "--product", "none"], "no result"),
        (vec!["audit", "--history", "/nowhere/at-all"], "no result: can't open the history /nowhere/at-all"),
    ] {
        let mut process = services.spawn(&arguments, &[]);
        assert_eq!(audited(&mut process).await, Some(2), "{arguments:?}");
        process.logs(said).await;
    }
    assert_eq!(get(&format!("{api}/healthz")).await.status, 200);
}

/// Without a worker, nothing takes the messages with which publishers prove that the queue confirms.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_worker_has_a_result_and_leaves_nothing_behind() {
    let (services, products) = (Services::new().await, catalogue(3));
    let variables = [("FLASHSALE_PRODUCTS", products.path().to_str().expect("path"))];
    let mut work = services.spawn(&["work"], &variables);
    let serve = services.spawn(&["serve"], &variables);
    ready(&serve.api().await).await;
    assert_eq!(buy(&client(), &serve.api().await, "one").await.body["status"], json!("SUCCESS"));
    drained(&services, 1).await;
    work.signal(rustix::process::Signal::TERM);
    assert!(work.ended(SOON).await.success());
    for command in [&["dead-letters", "list"][..], &["reconcile"], &["audit", "--wait", "5"]] {
        let mut process = services.spawn(command, &[]);
        assert_eq!(audited(&mut process).await, Some(0), "{command:?}: {}", process.log());
        assert_eq!(services.depth("purchases").await, 0, "{command:?} has left a message");
    }

    // The proof of another publisher, and a purchase of a product that is not audited.
    let another = services.spawn(&["serve"], &variables);
    let messages = async |number| {
        eventually("messages", SOON, async || (services.depth("purchases").await == number).then_some(()))
            .await;
    };
    messages(1).await;
    let mut process = services.spawn(&["audit", "--wait", "5"], &[]);
    assert_eq!(audited(&mut process).await, Some(0), "{}", process.log());
    messages(0).await;
    services.publish(&message(&services, 1, "another", &[item("two", 1)]).await).await;
    let mut process = services.spawn(&["audit", "--wait", "1"], &[]);
    assert_eq!(audited(&mut process).await, Some(2));
    process.logs("0 purchases are still in flight, 1 messages in the queue").await;
    messages(1).await;
    drop((serve, another));
}
