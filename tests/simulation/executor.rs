//! Polls the tasks of all simulated processes on one thread. Of the tasks that could go on, the seed picks the next.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

use super::trace::Trace;

/// A simulated process. A process that is started again has a new number.
pub(crate) type Pid = u32;

/// What is not a process: buyers, servers of stores, faults. Never crashes.
pub(crate) const WORLD: Pid = 0;

/// Polls at one instant after which the tasks are taken to wake each other without end.
const POLLS_AT_ONE_INSTANT_MAX: u32 = 1_000_000;

type TaskId = u64;
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A handle; clones lead to the same tasks.
#[derive(Clone)]
pub(crate) struct Executor {
    state: Arc<Mutex<State>>,
    ready: Arc<Ready>,
    trace: Trace,
}

struct State {
    tasks: BTreeMap<TaskId, Entry>,
    processes: BTreeMap<Pid, Process>,
    /// The process whose tasks are being dropped because it crashed.
    crashing: Option<Pid>,
    last_task: TaskId,
    last_pid: Pid,
    random: fastrand::Rng,
}

struct Entry {
    pid: Pid,
    /// Taken out while it is polled.
    task: Option<Task>,
    waker: Waker,
}

#[derive(Default)]
struct Process {
    frozen: bool,
    /// Polls until the process crashes.
    polls_left: Option<u32>,
}

#[derive(Default)]
struct Ready {
    tasks: Mutex<BTreeSet<TaskId>>,
    parent: Mutex<Option<Waker>>,
}

struct TaskWaker {
    id: TaskId,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.tasks.lock().unwrap_or_else(PoisonError::into_inner).insert(self.id);
        self.ready.wake_parent();
    }
}

impl Ready {
    fn wake_parent(&self) {
        if let Some(parent) = &*self.parent.lock().unwrap_or_else(PoisonError::into_inner) {
            parent.wake_by_ref();
        }
    }
}

impl Executor {
    pub(crate) fn new(seed: u64, trace: &Trace) -> Self {
        let state = State {
            tasks: BTreeMap::new(),
            processes: BTreeMap::from([(WORLD, Process::default())]),
            crashing: None,
            last_task: 0,
            last_pid: WORLD,
            random: fastrand::Rng::with_seed(seed),
        };
        Self { state: Arc::new(Mutex::new(state)), ready: Arc::default(), trace: trace.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn new_process(&self) -> Pid {
        let mut state = self.lock();
        state.last_pid += 1;
        let pid = state.last_pid;
        state.processes.insert(pid, Process::default());
        pid
    }

    /// Adds a task to a process. Does nothing where the process has ended.
    pub(crate) fn spawn(&self, pid: Pid, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.lock();
        if !state.processes.contains_key(&pid) {
            return;
        }
        state.last_task += 1;
        let id = state.last_task;
        let waker = Waker::from(Arc::new(TaskWaker { id, ready: self.ready.clone() }));
        state.tasks.insert(id, Entry { pid, task: Some(Box::pin(task)), waker: waker.clone() });
        drop(state);
        waker.wake();
    }

    pub(crate) fn is_alive(&self, pid: Pid) -> bool {
        self.lock().processes.contains_key(&pid)
    }

    /// Whether what is being dropped is dropped because its process crashed.
    pub(crate) fn is_crashing(&self, pid: Pid) -> bool {
        self.lock().crashing == Some(pid)
    }

    /// Crashes a process after this number of polls of its tasks, at whatever await it is then.
    pub(crate) fn crash_after(&self, pid: Pid, polls: u32) {
        if let Some(process) = self.lock().processes.get_mut(&pid) {
            process.polls_left = Some(polls);
        }
    }

    /// Stops or continues a process (SIGSTOP, SIGCONT). Its clock goes on.
    pub(crate) fn set_frozen(&self, pid: Pid, frozen: bool) {
        if let Some(process) = self.lock().processes.get_mut(&pid) {
            process.frozen = frozen;
        }
        self.ready.wake_parent();
    }

    /// Drops all tasks of a process where they are.
    pub(crate) fn crash(&self, pid: Pid) {
        let mut state = self.lock();
        if pid == WORLD || state.processes.remove(&pid).is_none() {
            return;
        }
        let ids: Vec<_> =
            state.tasks.iter().filter(|(_, entry)| entry.pid == pid).map(|(id, _)| *id).collect();
        let dropped: Vec<_> = ids.into_iter().filter_map(|id| state.tasks.remove(&id)).collect();
        state.crashing = Some(pid);
        drop(state);
        drop(dropped);
        self.lock().crashing = None;
        self.trace.note(pid, "ends");
    }

    /// Runs all tasks until `root`, a task of the world, is done.
    pub(crate) async fn run<T: Send + 'static>(&self, root: impl Future<Output = T> + Send + 'static) -> T {
        let done = Arc::new(Mutex::new(None));
        let result = done.clone();
        self.spawn(WORLD, async move {
            let value = root.await;
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        });
        let running = std::future::poll_fn(|context| {
            *self.ready.parent.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
            for _ in 0..POLLS_AT_ONE_INSTANT_MAX {
                if let Some(value) = done.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    return Poll::Ready(value);
                }
                if !self.poll_one() {
                    return Poll::Pending;
                }
            }
            panic!("the tasks wake each other without end");
        });
        // Tokio would stop a task after a number of operations, and this one is all tasks together.
        let value = tokio::task::unconstrained(running).await;
        self.drop_all();
        value
    }

    /// Polls one of the tasks that are ready. False: there is none.
    fn poll_one(&self) -> bool {
        let Some((id, pid)) = self.choose() else { return false };
        if self.is_due_to_crash(pid) {
            self.trace.note(pid, "crashes");
            self.crash(pid);
            return true;
        }
        let taken = self.lock().tasks.get_mut(&id).map(|entry| (entry.task.take(), entry.waker.clone()));
        let Some((Some(mut task), waker)) = taken else { return true };
        self.trace.poll(id);
        let polled = task.as_mut().poll(&mut Context::from_waker(&waker));
        let mut state = self.lock();
        match state.tasks.get_mut(&id) {
            Some(entry) if polled.is_pending() => entry.task = Some(task),
            _ => {
                state.tasks.remove(&id);
                drop(state);
                drop(task);
            }
        }
        true
    }

    fn choose(&self) -> Option<(TaskId, Pid)> {
        let mut state = self.lock();
        let mut ready = self.ready.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        ready.retain(|id| state.tasks.contains_key(id));
        let can_run = |id: &TaskId| {
            let pid = state.tasks.get(id)?.pid;
            (!state.processes.get(&pid)?.frozen).then_some((*id, pid))
        };
        let runnable: Vec<_> = ready.iter().filter_map(can_run).collect();
        let chosen = match runnable.len() {
            0 => return None,
            1 => runnable[0],
            several => runnable[state.random.usize(..several)],
        };
        ready.remove(&chosen.0);
        Some(chosen)
    }

    fn is_due_to_crash(&self, pid: Pid) -> bool {
        let mut state = self.lock();
        let Some(left) = state.processes.get_mut(&pid).and_then(|process| process.polls_left.as_mut()) else {
            return false;
        };
        *left = left.saturating_sub(1);
        *left == 0
    }

    /// Ends everything, so that nothing keeps itself alive in a circle.
    fn drop_all(&self) {
        loop {
            let mut state = self.lock();
            state.processes.clear();
            let tasks = std::mem::take(&mut state.tasks);
            drop(state);
            if tasks.is_empty() {
                return;
            }
            drop(tasks);
        }
    }
}
