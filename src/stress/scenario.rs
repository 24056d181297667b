//! The built-in scenarios: each is a load, what must hold under it, and the question that it answers.

use std::time::Duration;

use clap::ValueEnum;

use super::shape::{Shape, whole};

/// The built-in scenarios, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScenarioName {
    /// 500 people click without pause for 10 s
    Buy,
    /// A drop: 20/s, up to 1,500/s, and down again, in 45 s
    Flashsale,
    /// A big drop: 200/s, up to 4,000/s, and down again, in 65 s
    BigFlashsale,
    /// Everybody waits, then 50,000 attempts within one second
    Stampede,
    /// Ten times as many look as buy; buyers double-click, give up and come back
    Mixed,
    /// Honest buyers among malformed, oversized, slow and wrong requests
    Hostile,
}

impl ScenarioName {
    /// As it is given on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Flashsale => "flashsale",
            Self::BigFlashsale => "big-flashsale",
            Self::Stampede => "stampede",
            Self::Mixed => "mixed",
            Self::Hostile => "hostile",
        }
    }
}

/// How buyers come.
#[derive(Clone, Debug)]
pub enum Load {
    /// So many people, each of whom tries again a moment after each answer.
    Clicking {
        /// How many.
        people: usize,
        /// Longest moment between an answer and the next attempt.
        pause_max: Duration,
        /// For how long.
        time: Duration,
    },
    /// They arrive on schedule, whatever the server does.
    Arriving(Shape),
    /// They wait for the opening, and then all of them come at once.
    AtOnce {
        /// How many attempts.
        attempts: u64,
        /// Within which time.
        within: Duration,
    },
}

/// What must hold. `None`: nothing is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Thresholds {
    /// 95 of 100 answers come within this time, counted from when they were due.
    pub p95_max: Option<Duration>,
    /// Share of requests without an answer or with an error.
    pub failed_max: Option<f64>,
    /// Share of checks (answered 200; the answer is well-formed) that hold.
    pub checks_min: Option<f64>,
    /// Answers of 500 and above.
    pub server_errors_max: Option<u64>,
}

/// A load, and what must hold under it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: ScenarioName,
    /// What it answers.
    pub question: &'static str,
    /// How buyers come.
    pub buyers: Load,
    /// One of so many attempts is by somebody who has tried before; 0: none.
    pub repeat_every: u64,
    /// Whether buyers double-click, give up, and come back.
    pub impatient: bool,
    /// How people come who only look.
    pub lookers: Option<Shape>,
    /// Whether somebody misuses the API meanwhile.
    pub hostile: bool,
    /// What must hold for honest people.
    pub thresholds: Thresholds,
    /// A request that is sent later than this was not sent on schedule.
    pub late_after: Duration,
}

impl Scenario {
    /// The same, with all limits of latency multiplied, for a machine that is slower than the real one.
    #[must_use]
    pub fn patient(mut self, factor: f64) -> Self {
        self.thresholds.p95_max = self.thresholds.p95_max.map(|most| most.mul_f64(factor));
        self.late_after = self.late_after.mul_f64(factor);
        self
    }

    /// The scenario of a name, with all rates and all times multiplied.
    pub fn of(name: ScenarioName, rate: f64, time: f64) -> Self {
        let scaled = |shape: Shape| shape.scaled(rate, time);
        let plain = Self {
            name,
            question: question(name),
            buyers: Load::Arriving(Shape::new(0.0, &[])),
            repeat_every: 10,
            impatient: false,
            lookers: None,
            hostile: false,
            thresholds: thresholds(name),
            late_after: Duration::from_millis(250),
        };
        match name {
            ScenarioName::Buy => {
                let people = usize::try_from(whole(500.0 * rate).max(1)).unwrap_or(usize::MAX);
                let time = Duration::from_secs_f64(10.0 * time);
                let buyers = Load::Clicking { people, pause_max: Duration::from_millis(100), time };
                Self { buyers, ..plain }
            }
            ScenarioName::Flashsale => {
                let ramps = [(100.0, 5.0), (1_500.0, 10.0), (800.0, 15.0), (200.0, 10.0), (0.0, 5.0)];
                Self { buyers: Load::Arriving(scaled(Shape::new(20.0, &ramps))), ..plain }
            }
            ScenarioName::BigFlashsale => {
                let ramps = [(1_000.0, 10.0), (4_000.0, 15.0), (2_500.0, 20.0), (800.0, 15.0), (0.0, 5.0)];
                Self { buyers: Load::Arriving(scaled(Shape::new(200.0, &ramps))), ..plain }
            }
            ScenarioName::Stampede => {
                let attempts = whole(50_000.0 * rate * time).max(1);
                let buyers = Load::AtOnce { attempts, within: Duration::from_secs_f64(time) };
                Self { buyers, repeat_every: 3, ..plain }
            }
            ScenarioName::Mixed => {
                let buyers = Load::Arriving(scaled(Shape::new(150.0, &[(150.0, 20.0)])));
                let lookers = Some(scaled(Shape::new(1_500.0, &[(1_500.0, 20.0)])));
                Self { buyers, lookers, impatient: true, ..plain }
            }
            ScenarioName::Hostile => {
                let buyers = Load::Arriving(scaled(Shape::new(300.0, &[(300.0, 20.0)])));
                Self { buyers, hostile: true, ..plain }
            }
        }
    }
}

impl Scenario {
    /// The same with so many attempts. `None`: it is no stampede, so its number follows from rates and times.
    #[must_use]
    pub fn attempting(mut self, number: u64) -> Option<Self> {
        let Load::AtOnce { attempts, .. } = &mut self.buyers else { return None };
        *attempts = number;
        Some(self)
    }

    /// How many different people come to buy, at least.
    pub(super) fn people(&self) -> u64 {
        let attempts = match &self.buyers {
            // How often they click depends on the answers.
            Load::Clicking { people, .. } => return *people as u64,
            Load::Arriving(shape) => shape.total(),
            Load::AtOnce { attempts, .. } => *attempts,
        };
        attempts - attempts.checked_div(self.repeat_every).unwrap_or(0)
    }
}

fn question(name: ScenarioName) -> &'static str {
    match name {
        ScenarioName::Buy => "Does every click get an answer, and does stock never fall below zero?",
        ScenarioName::Flashsale => "Will a drop with up to 1,500 attempts a second go well?",
        ScenarioName::BigFlashsale => "Will a drop with up to 4,000 attempts a second go well?",
        ScenarioName::Stampede => "What if everybody comes in the same second?",
        ScenarioName::Mixed => "Can people still look and buy when most of them only look?",
        ScenarioName::Hostile => "Do honest buyers notice anything of somebody who misuses the API?",
    }
}

fn thresholds(name: ScenarioName) -> Thresholds {
    let p95 = |millis| Some(Duration::from_millis(millis));
    let arrivals = Thresholds {
        p95_max: p95(400),
        failed_max: Some(0.05),
        checks_min: Some(0.95),
        server_errors_max: Some(20),
    };
    match name {
        ScenarioName::Buy => Thresholds { failed_max: Some(0.0), ..Thresholds::default() },
        ScenarioName::Flashsale | ScenarioName::Mixed => arrivals,
        ScenarioName::BigFlashsale => {
            Thresholds { p95_max: p95(500), server_errors_max: Some(50), ..arrivals }
        }
        ScenarioName::Stampede => Thresholds {
            p95_max: p95(5_000),
            failed_max: Some(0.01),
            server_errors_max: Some(50),
            ..arrivals
        },
        ScenarioName::Hostile => Thresholds { failed_max: Some(0.0), server_errors_max: Some(0), ..arrivals },
    }
}

/// What `--help` says of every scenario.
pub const SCENARIOS_HELP: &str = "Scenarios (rates are attempts per second; --scale multiplies them, --duration-scale the times):

  buy            500 people without a pause longer than 0.1 s, for 10 s.
                 Every answer 200, stock never below 0.
  flashsale      20 → 100 (5 s) → 1,500 (10 s) → 800 (15 s) → 200 (10 s) → 0 (5 s).
                 p95 < 400 ms, failed < 5 %, checks > 95 %, server errors < 20.
  big-flashsale  200 → 1,000 (10 s) → 4,000 (15 s) → 2,500 (20 s) → 800 (15 s) → 0 (5 s); 10,000 units.
                 p95 < 500 ms, failed < 5 %, checks > 95 %, server errors < 50.
  stampede       everything waits for the opening, then 50,000 attempts (or --attempts) within one second,
                 a third of them by people who have tried before.
                 p95 < 5 s, failed < 1 %, checks > 95 %, server errors < 50.
  mixed          1,500/s who look (status, stock, page, live updates) and 150/s who buy, double-click, give up and come back, for 20 s.
                 p95 < 400 ms, failed < 5 %, checks > 95 %, server errors < 20.
  hostile        300/s honest buyers for 20 s, among malformed bodies, wrong types, huge ids, wrong methods, slow senders.
                 Every honest answer 200, p95 < 400 ms.

Every scenario ends in the audit: SUCCESS answers = rows = units sold, nobody twice, stock never below 0, SOLD_OUT only once
stock has ended, every purchase CONFIRMED within 60 s.";
