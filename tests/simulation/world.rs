//! One simulated system: its servers, its processes, and what its buyers are told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;
use flashsale::{
    admission::{Admission, RedisAdmission, Scripts},
    audit::{self, Attempt, History},
    broker::Broker,
    domain::{Money, Product, ProductId},
    ledger::Ledger,
    runtime::Runtime,
    stores::Stores,
};
use tokio::time::sleep;

use crate::{
    executor::{Pid, WORLD},
    faults,
    ledger::{Database, SimLedger},
    link::{self, Working},
    mutants::{Mutant, decorator::Decorated},
    plan::Plan,
    process::{self, Process, Role},
    rabbit::{RabbitServer, SimBroker},
    redis::SimRedis,
    sim::Sim,
    traced::Traced,
};

const PREFIX: &str = "flashsale";
/// A process ends in order within this time, or is killed.
const STOP_MAX: Duration = Duration::from_secs(9);
/// The broker ends a connection whose client misses this much time of heartbeats.
const HEARTBEATS_MISSED: Duration = Duration::from_secs(20);

/// A handle; clones share everything.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) database: Database,
    pub(crate) rabbit: RabbitServer,
    pub(crate) redis: SimRedis,
    pub(crate) product: Product,
    pub(crate) plan: Arc<Plan>,
    /// Held while a fault of Redis lasts.
    pub(crate) redis_is_struck: Arc<tokio::sync::Mutex<()>>,
    mutant: Option<Mutant>,
    record: Arc<Mutex<Record>>,
}

#[derive(Default)]
struct Record {
    processes: Vec<Process>,
    history: History,
    redis_was_lost: bool,
    /// Which process answered SUCCESS for a purchase.
    answered_by: BTreeMap<String, Pid>,
    violations: Vec<String>,
}

impl World {
    pub(crate) fn new(sim: &Sim, plan: &Plan, mutant: Option<Mutant>) -> Self {
        let now = sim.clone();
        let since_1970 =
            move || Duration::from_millis(u64::try_from(now.now().timestamp_millis()).expect("after 1970"));
        let redis = SimRedis::new(Arc::new(since_1970), sim.draw(|random| random.u64(..)));
        redis.set_delays(0, Duration::from_millis(2), Duration::from_millis(2));
        let product = Product {
            id: ProductId::parse("limited-001").expect("an id"),
            name: String::new(),
            description: String::new(),
            image: String::new(),
            price: Money::parse("1.00", "EUR").expect("a price"),
            original_price: None,
            total_stock: plan.units,
            sale_start: plan.opens_after.map(|after| sim.now() + after),
            sale_end: None,
        };
        Self {
            sim: sim.clone(),
            database: Database::new(plan.commits_take),
            rabbit: RabbitServer::new(plan.habits),
            redis,
            product,
            plan: Arc::new(plan.clone()),
            redis_is_struck: Arc::default(),
            mutant,
            record: Arc::default(),
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn start_all(&self) {
        (0..self.plan.serves).for_each(|_| self.replace(Role::Serve));
        (0..self.plan.works).for_each(|_| self.replace(Role::Work));
    }

    /// Starts a process.
    pub(crate) fn replace(&self, role: Role) {
        let pid = self.sim.executor.new_process();
        let wrong = self.sim.happens(self.plan.wrong_clocks);
        let ahead = if wrong { self.sim.draw(faults::wrong_clock) } else { TimeDelta::zero() };
        let runtime = self.sim.runtime(ahead);
        self.sim.note(pid, format_args!("starts as {role:?}, its clock ahead by {ahead}"));
        let stores = self.stores(pid, &runtime, self.mutant);
        let process = match role {
            Role::Serve => process::serve(&self.sim, pid, &stores, &runtime, &self.product),
            Role::Work => process::work(&self.sim, pid, &stores, &runtime, (&self.product, &self.plan)),
        };
        self.record().processes.push(process);
    }

    /// The stores as a process reaches them.
    fn stores(&self, pid: Pid, runtime: &Runtime, mutant: Option<Mutant>) -> Stores {
        let link = link::start(&self.sim, &self.redis, pid, PREFIX, runtime);
        let scripts = mutant.map_or_else(Scripts::default, Mutant::scripts);
        let inner = Arc::new(RedisAdmission::new(link.clone(), PREFIX, scripts));
        let traced = Traced { inner, sim: self.sim.clone(), pid };
        let admission: Arc<dyn Admission> = Arc::new(Decorated(traced));
        let broker: Arc<dyn Broker> = Arc::new(SimBroker::start(&self.sim, &self.rabbit, pid, runtime));
        let ledger: Arc<dyn Ledger> = Arc::new(SimLedger::new(&self.sim, &self.database, pid));
        let stores = Stores { admission, broker, ledger };
        match mutant {
            Some(mutant) => mutant.apply(stores, Working(link), PREFIX),
            None => stores,
        }
    }

    /// The stores as an operator reaches them, without any mistake.
    pub(crate) fn operator(&self) -> (Stores, Runtime) {
        let runtime = self.sim.runtime(TimeDelta::zero());
        (self.stores(WORLD, &runtime, None), runtime)
    }

    fn running(&self, role: Role) -> Vec<Process> {
        let mut record = self.record();
        record.processes.retain(|process| self.sim.executor.is_alive(process.pid));
        record.processes.iter().filter(|process| process.role == role).cloned().collect()
    }

    /// Any running process that sells.
    pub(crate) fn any_serve(&self) -> Option<Process> {
        let running = self.running(Role::Serve);
        self.sim.draw(|random| random.choice(running))
    }

    /// Any running process of a role.
    pub(crate) fn choose(&self, role: Role) -> Option<Pid> {
        let running = self.running(role);
        self.sim.draw(|random| random.choice(running)).map(|process| process.pid)
    }

    pub(crate) fn crash(&self, pid: Pid) {
        self.sim.executor.crash(pid);
        self.record().processes.retain(|process| process.pid != pid);
    }

    pub(crate) fn crash_all(&self, role: Role) {
        for process in self.running(role) {
            self.sim.note(process.pid, "crashes");
            self.crash(process.pid);
        }
    }

    pub(crate) async fn freeze(&self, pid: Pid, lasts: Duration) {
        self.sim.note(pid, "is frozen");
        self.sim.executor.set_frozen(pid, true);
        sleep(lasts.min(HEARTBEATS_MISSED)).await;
        if lasts > HEARTBEATS_MISSED {
            self.rabbit.cut(&self.sim);
            sleep(lasts.saturating_sub(HEARTBEATS_MISSED)).await;
        }
        self.sim.executor.set_frozen(pid, false);
        self.sim.note(pid, "goes on");
    }

    /// SIGTERM.
    pub(crate) async fn stop(&self, pid: Pid) {
        self.sim.note(pid, "is asked to end");
        {
            let mut record = self.record();
            let asked = record.processes.iter().filter(|process| process.pid == pid);
            asked.for_each(|process| process.stop.cancel());
            record.processes.retain(|process| process.pid != pid);
        }
        sleep(STOP_MAX).await;
        self.crash(pid);
    }

    /// Brings each role up to its number of processes.
    pub(crate) fn start_missing(&self) {
        for (role, wanted) in [(Role::Serve, self.plan.serves), (Role::Work, self.plan.works)] {
            let running = u32::try_from(self.running(role).len()).expect("few processes");
            (running..wanted).for_each(|_| self.replace(role));
        }
    }

    pub(crate) fn add_attempt(&self, attempt: Attempt) {
        self.record().history.attempts.push(attempt);
    }

    pub(crate) fn add_fault(&self, fault: audit::Fault) {
        self.record().history.faults.push(fault);
    }

    pub(crate) fn note_success(&self, purchase: &str, pid: Pid) {
        self.record().answered_by.insert(purchase.to_owned(), pid);
    }

    pub(crate) fn history(&self) -> History {
        self.record().history.clone()
    }

    /// Purchases that were answered by processes which have ended since.
    pub(crate) fn answered_by_ended(&self) -> BTreeSet<String> {
        let record = self.record();
        let ended = record.answered_by.iter().filter(|(_, pid)| !self.sim.executor.is_alive(**pid));
        ended.map(|(purchase, _)| purchase.clone()).collect()
    }

    pub(crate) fn note_redis_loss(&self) {
        self.record().redis_was_lost = true;
    }

    pub(crate) fn redis_was_lost(&self) -> bool {
        self.record().redis_was_lost
    }

    pub(crate) fn add_violation(&self, violation: String) {
        self.sim.note(WORLD, format_args!("VIOLATION {violation}"));
        self.record().violations.push(violation);
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.record().violations.clone()
    }
}
