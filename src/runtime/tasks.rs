//! The background tasks of a process. One that panics, or ends before its time, ends the process,
//! which is then started again: what a panic left half-done is not worked with.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::output;

/// Why a process can't go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// The panic's message has been logged.
    #[error("{0} panicked")]
    Panicked(&'static str),
    #[error("{0} ended before its time")]
    Ended(&'static str),
}

/// The tasks of a process; clones share the first failure.
#[derive(Clone, Debug)]
pub struct Tasks(Arc<watch::Sender<Option<TaskError>>>);

impl Default for Tasks {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Tasks {
    /// The task, with its panic as a failure of the process. It may end.
    pub fn supervised<Task: Future<Output = ()>>(
        &self,
        name: &'static str,
        task: Task,
    ) -> impl Future<Output = ()> + use<Task> {
        let tasks = self.clone();
        let contained = AssertUnwindSafe(task).catch_unwind();
        async move {
            if contained.await.is_err() {
                tasks.fail(TaskError::Panicked(name));
            }
        }
    }

    /// Spawns a task that must not end before `stop`.
    pub fn spawn(
        &self,
        name: &'static str,
        stop: &CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let (tasks, stop) = (self.clone(), stop.clone());
        tokio::spawn(self.supervised(name, async move {
            task.await;
            if !stop.is_cancelled() {
                tasks.fail(TaskError::Ended(name));
            }
        }))
    }

    fn fail(&self, error: TaskError) {
        self.0.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(error);
            is_first
        });
    }

    /// The first failure so far.
    pub fn check(&self) -> Result<(), TaskError> {
        self.0.borrow().clone().map_or(Ok(()), Err)
    }

    /// Completes with the first failure.
    pub async fn failed(&self) -> TaskError {
        let mut failures = self.0.subscribe();
        loop {
            if let Err(failure) = self.check() {
                return failure;
            }
            // The sender is `self`.
            let _ = failures.changed().await;
        }
    }
}

/// Makes panics part of the log. The standard hook would write to standard error by itself, and
/// wait for its reader.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if tracing::dispatcher::has_been_set() {
            tracing::error!("panicked at {place}: {message}");
        } else {
            output::note(format_args!("flashsale: panicked at {place}: {message}"));
        }
        // Only where RUST_BACKTRACE asks for it.
        let backtrace = std::backtrace::Backtrace::capture();
        if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
            output::note(backtrace);
        }
        // The process may end by it.
        output::flush();
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_and_an_early_end_are_failures_and_an_end_after_the_stop_is_none() {
        let (tasks, stop) = (Tasks::default(), CancellationToken::new());
        let until_stop = stop.clone();
        tasks.spawn("the loyal task", &stop, async move { until_stop.cancelled().await });
        tasks.supervised("the short task", async {}).await;
        assert_eq!(tasks.check(), Ok(()));
        tasks.spawn("the early task", &stop, async {});
        assert_eq!(tasks.failed().await, TaskError::Ended("the early task"));
        let _ = tasks.spawn("the late task", &stop, async { panic!("as the test wants") }).await;
        assert_eq!(tasks.check(), Err(TaskError::Ended("the early task")), "the first one counts");

        let tasks = Tasks::default();
        tasks.spawn("the task", &stop, async { panic!("as the test wants") });
        assert_eq!(tasks.failed().await, TaskError::Panicked("the task"));

        let tasks = Tasks::default();
        stop.cancel();
        tasks.spawn("the punctual task", &stop, async {}).await.unwrap();
        assert_eq!(tasks.check(), Ok(()));
    }
}
