//! The built-in scenarios: each is a load and its thresholds.

use std::time::Duration;

use clap::ValueEnum;

use super::shape::{Shape, whole};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScenarioName {
    /// 500 buyers send attempts without pause for 10 s
    Buy,
    /// A sale: 20/s, up to 1,500/s, and down again, in 45 s
    Flashsale,
    /// A big sale: 200/s, up to 4,000/s, and down again, in 65 s
    BigFlashsale,
    /// 50,000 attempts within one second, at the opening of the sale
    Stampede,
    /// Ten views for each attempt; buyers double-click, abandon requests and retry
    Mixed,
    /// Regular buyers beside malformed, oversized, slow and invalid requests
    Hostile,
}

impl ScenarioName {
    pub(super) fn as_str(self) -> &'static str {
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

/// How purchase attempts are made.
#[derive(Clone, Debug)]
pub(super) enum Load {
    /// Closed model: each virtual user sends its next attempt after the response to the last one.
    Closed { virtual_users: usize, think_time_max: Duration, time: Duration },
    /// Open model: attempts are sent on schedule, whatever the server does.
    Open(Shape),
    /// Open model over connections that were opened before the opening of the sale.
    Stampede { attempts: u64, within: Duration },
}

/// `None`: the scenario has no such threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Thresholds {
    /// Of the latency, counted from when a request was due.
    pub(super) p95_max: Option<Duration>,
    /// Share of the requests.
    pub(super) failed_max: Option<f64>,
    /// Share of the checks (the status is 200; the body is complete).
    pub(super) checks_min: Option<f64>,
    /// Responses of 500 and above.
    pub(super) server_errors_max: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Scenario {
    pub(super) name: ScenarioName,
    pub(super) buyers: Load,
    /// One of this many attempts is by a buyer who has tried before; 0: none.
    pub(super) repeat_every: u64,
    /// Buyers double-click, abandon requests, and retry.
    pub(super) erratic: bool,
    /// The load of those who only read.
    pub(super) viewers: Option<Shape>,
    /// Hostile requests run beside the buyers.
    pub(super) hostile: bool,
    /// For the buyers and viewers, not for hostile requests.
    pub(super) thresholds: Thresholds,
    /// A request that is sent later than this after it was due counts as late.
    pub(super) late_after: Duration,
}

impl Scenario {
    /// Multiplies all limits of latency, for a machine that is slower than the one that
    /// the limits are for.
    #[must_use]
    pub fn with_latency_factor(mut self, factor: f64) -> Self {
        self.thresholds.p95_max = self.thresholds.p95_max.map(|most| most.mul_f64(factor));
        self.late_after = self.late_after.mul_f64(factor);
        self
    }

    /// `rate` and `time` are factors.
    pub fn of(name: ScenarioName, rate: f64, time: f64) -> Self {
        let scaled = |shape: Shape| shape.scaled(rate, time);
        let plain = Self {
            name,
            buyers: Load::Open(Shape::new(0.0, &[])),
            repeat_every: 10,
            erratic: false,
            viewers: None,
            hostile: false,
            thresholds: thresholds(name),
            late_after: Duration::from_millis(250),
        };
        match name {
            ScenarioName::Buy => {
                let virtual_users = usize::try_from(whole(500.0 * rate).max(1)).unwrap_or(usize::MAX);
                let time = Duration::from_secs_f64(10.0 * time);
                let buyers = Load::Closed { virtual_users, think_time_max: Duration::from_millis(100), time };
                Self { buyers, ..plain }
            }
            ScenarioName::Flashsale => {
                let ramps = [(100.0, 5.0), (1_500.0, 10.0), (800.0, 15.0), (200.0, 10.0), (0.0, 5.0)];
                Self { buyers: Load::Open(scaled(Shape::new(20.0, &ramps))), ..plain }
            }
            ScenarioName::BigFlashsale => {
                let ramps = [(1_000.0, 10.0), (4_000.0, 15.0), (2_500.0, 20.0), (800.0, 15.0), (0.0, 5.0)];
                Self { buyers: Load::Open(scaled(Shape::new(200.0, &ramps))), ..plain }
            }
            ScenarioName::Stampede => {
                let attempts = whole(50_000.0 * rate * time).max(1);
                let buyers = Load::Stampede { attempts, within: Duration::from_secs_f64(time) };
                Self { buyers, repeat_every: 3, ..plain }
            }
            ScenarioName::Mixed => {
                let buyers = Load::Open(scaled(Shape::new(150.0, &[(150.0, 20.0)])));
                let viewers = Some(scaled(Shape::new(1_500.0, &[(1_500.0, 20.0)])));
                Self { buyers, viewers, erratic: true, ..plain }
            }
            ScenarioName::Hostile => {
                let buyers = Load::Open(scaled(Shape::new(300.0, &[(300.0, 20.0)])));
                Self { buyers, hostile: true, ..plain }
            }
        }
    }

    /// Sets the number of attempts of a stampede. `None` for any other load, whose number follows
    /// from rates and times.
    #[must_use]
    pub fn with_attempts(mut self, number: u64) -> Option<Self> {
        let Load::Stampede { attempts, .. } = &mut self.buyers else { return None };
        *attempts = number;
        Some(self)
    }

    /// Of the load, as far as it is known.
    pub(super) fn length(&self) -> Duration {
        match &self.buyers {
            Load::Closed { time, .. } => *time,
            Load::Open(shape) => shape.duration(),
            Load::Stampede { within, .. } => *within,
        }
    }

    /// The least number of different buyers.
    pub(super) fn buyers_min(&self) -> u64 {
        let attempts = match &self.buyers {
            // The number of attempts of a closed model depends on the responses.
            Load::Closed { virtual_users, .. } => return *virtual_users as u64,
            Load::Open(shape) => shape.total(),
            Load::Stampede { attempts, .. } => *attempts,
        };
        attempts - attempts.checked_div(self.repeat_every).unwrap_or(0)
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

pub const SCENARIOS_HELP: &str = "Scenarios (rates are attempts per second; --scale multiplies them, --duration-scale the times):

  buy            500 virtual users with a think time of at most 0.1 s, for 10 s.
                 Every response 200, stock never below 0.
  flashsale      20 → 100 (5 s) → 1,500 (10 s) → 800 (15 s) → 200 (10 s) → 0 (5 s).
                 p95 < 400 ms, failed < 5 %, checks > 95 %, server errors < 20.
  big-flashsale  200 → 1,000 (10 s) → 4,000 (15 s) → 2,500 (20 s) → 800 (15 s) → 0 (5 s); 10,000 units.
                 p95 < 500 ms, failed < 5 %, checks > 95 %, server errors < 50.
  stampede       waits for the opening of the sale, then 50,000 attempts (or --attempts) within one second,
                 a third of them by buyers who have tried before.
                 p95 < 5 s, failed < 1 %, checks > 95 %, server errors < 50.
  mixed          1,500/s views (status, stock, page, live updates) and 150/s buyers who double-click, abandon requests and retry, for 20 s.
                 p95 < 400 ms, failed < 5 %, checks > 95 %, server errors < 20.
  hostile        300/s regular buyers for 20 s, beside malformed bodies, wrong types, huge ids, wrong methods, slow connections.
                 Every response to a regular buyer 200, p95 < 400 ms.

Every scenario ends in the audit: SUCCESS responses = rows = units sold, one purchase a buyer, stock never below 0, SOLD_OUT only
once stock is exhausted, every purchase CONFIRMED within 60 s.";
