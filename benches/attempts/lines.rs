//! The lines of the table: each a kind of attempt, and how it is measured.

use std::time::Duration;

use crate::{
    build::{Build, IN_STOCK, Process, SOLD_OUT},
    cpu,
    load::{self, Load},
};

/// Users who take turns in the line `repeated`.
const REPEATING_USERS: u32 = 500;

#[derive(Clone, Copy, PartialEq, Eq)]
enum System {
    Noop,
    /// The worker is stopped meanwhile, as if it had a machine of its own.
    WithoutWorker,
    Distributed,
    /// The measurement includes everything until the last purchase is in the database.
    UntilRecorded,
    Embedded,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Request {
    Get(&'static str),
    Buy { product: &'static str, repeated: bool },
}

#[derive(PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    system: System,
    request: Request,
    /// A part of the answer, without which the line would measure something else.
    answer: &'static str,
}

const FRESH: Request = Request::Buy { product: IN_STOCK, repeated: false };
const LATE: Request = Request::Buy { product: SOLD_OUT, repeated: false };
const AGAIN: Request = Request::Buy { product: IN_STOCK, repeated: true };

const fn line(name: &'static str, system: System, request: Request, answer: &'static str) -> Line {
    Line { name, system, request, answer }
}

pub(crate) const NOOP_POST: &Line = &line("no-op-post", System::Noop, FRESH, "SOLD_OUT");
pub(crate) const NOOP_GET: &Line = &line("no-op-get", System::Noop, Request::Get(""), "ACTIVE");

pub(crate) const LINES: &[&Line] = &[
    NOOP_POST,
    NOOP_GET,
    &line("sold-out", System::Distributed, LATE, "SOLD_OUT"),
    &line("repeated", System::Distributed, AGAIN, "PURCHASED"),
    &line("won", System::WithoutWorker, FRESH, r#""durability":"broker""#),
    &line("won-recorded", System::UntilRecorded, FRESH, r#""durability":"broker""#),
    &line("status", System::Distributed, Request::Get("products/in-stock"), "ACTIVE"),
    &line("stock", System::Distributed, Request::Get("products/in-stock/stock"), "isAvailable"),
    &line("embedded-sold-out", System::Embedded, LATE, "SOLD_OUT"),
    &line("embedded-won", System::Embedded, FRESH, r#""durability":"database""#),
];

pub(crate) const PARTS: [&str; 6] = ["API", "worker", "Redis", "RabbitMQ", "PostgreSQL", "load generator"];

/// One measurement of a line.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    /// Processor time per attempt of each of [`PARTS`].
    pub(crate) micros: [f64; 6],
}

impl Sample {
    /// Of the system: everything but the load generator.
    pub(crate) fn total_micros(&self) -> f64 {
        self.micros[..5].iter().sum()
    }
}

impl Line {
    pub(crate) fn is_noop(&self) -> bool {
        self.system == System::Noop
    }

    /// The line of the server that does nothing for the same method.
    pub(crate) fn reference(&self) -> &'static Line {
        if matches!(self.request, Request::Get(_)) { NOOP_GET } else { NOOP_POST }
    }

    /// `round`: a word that no earlier measurement was given, for new users.
    pub(crate) fn measure(
        &self,
        build: &mut Build<'_>,
        noop: &Process,
        time: Duration,
        round: &str,
    ) -> Sample {
        let base = match self.system {
            System::Noop => &noop.url,
            System::Embedded => &build.embedded.url,
            _ => &build.serve.url,
        };
        let prefix = format!("{}-{round}-", self.name);
        let (url, load) = match self.request {
            Request::Get(path) => (format!("{base}/{path}"), Load::Get),
            Request::Buy { .. } if self.is_noop() => {
                (format!("{base}/"), Load::Buy { prefix: &prefix, users: 0 })
            }
            Request::Buy { product, repeated } => {
                let prefix = if repeated { "repeating-" } else { &prefix };
                let users = if repeated { REPEATING_USERS } else { 0 };
                (format!("{base}/products/{product}/buy"), Load::Buy { prefix, users })
            }
        };
        if self.request == AGAIN {
            load::run(&url, load, Duration::from_secs(1));
            build.wait_until_recorded();
        }
        if self.system == System::WithoutWorker {
            build.stop_worker();
        }
        build.services.wait_until_idle();
        let answer = load::once(&url, load).expect("an answer");
        assert!(answer.contains(self.answer), "{}: {answer}", self.name);
        let sample = self.under_load(build, noop, &url, load, time);
        if build.work.is_none() {
            build.start_worker();
        }
        build.wait_until_recorded();
        sample
    }

    fn under_load(
        &self,
        build: &Build<'_>,
        noop: &Process,
        url: &str,
        load: Load<'_>,
        time: Duration,
    ) -> Sample {
        let [redis, rabbitmq, postgres] = build.services.processes();
        let processes = match self.system {
            System::Noop => [Some(noop.id()), None, None, None, None],
            System::Embedded => [Some(build.embedded.id()), None, None, None, None],
            _ => {
                let work = build.work.as_ref().map(Process::id);
                [Some(build.serve.id()), work, redis, rabbitmq, postgres]
            }
        };
        let before = cpu::seconds_of_trees(processes);
        let done = load::run(url, load, time);
        if self.system == System::UntilRecorded {
            build.wait_until_recorded();
        }
        let after = cpu::seconds_of_trees(processes);
        let mut micros = [done.generator_cpu_seconds * 1e6 / done.requests; 6];
        for (part, (before, after)) in before.into_iter().zip(after).enumerate() {
            micros[part] = (after - before) * 1e6 / done.requests;
        }
        Sample { per_second: done.per_second, micros }
    }
}
