//! The queue of standard error, and the thread that writes it.
//!
//! A status is what a terminal shows below all lines for now. Whatever is written erases it first,
//! so that nothing of it stays behind between the lines.

use std::{
    io,
    sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rustix::io::Errno;

/// Bytes that may wait to be written to standard error.
const WAITING_MAX: usize = 1 << 20;
/// The end of the process waits no longer for the last lines to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);
/// Pause before writing again to a non-blocking stream that is full.
const FULL_PAUSE: Duration = Duration::from_millis(10);

pub(super) static STDERR: LazyLock<Lines> = LazyLock::new(|| {
    // A process that can't start a thread can't start its runtime either.
    let _ = thread::Builder::new().name("stderr".to_owned()).spawn(|| STDERR.write_out());
    Lines::default()
});

/// Lines on their way to standard error.
#[derive(Default)]
pub(super) struct Lines {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Lines with their ends.
    waiting: Vec<u8>,
    is_writing: bool,
    dropped: u64,
    /// Rows of the terminal that the status takes, once what waits is written.
    status_rows: usize,
}

impl Queue {
    fn add(&mut self, text: &str) {
        if self.waiting.len() + text.len() > WAITING_MAX {
            self.dropped += 1;
            return;
        }
        self.erase_status();
        self.waiting.extend_from_slice(text.as_bytes());
    }

    fn erase_status(&mut self) {
        let rows = std::mem::take(&mut self.status_rows);
        if rows > 0 {
            self.waiting.push(b'\r');
        }
        if rows > 1 {
            self.waiting.extend_from_slice(format!("\x1b[{}A", rows - 1).as_bytes());
        }
        if rows > 0 {
            self.waiting.extend_from_slice(b"\x1b[J");
        }
    }
}

impl Lines {
    pub(super) fn add(&self, text: &str) {
        self.lock().add(text);
        self.changed.notify_all();
    }

    /// Replaces the status, unless lines wait that the terminal does not take: the next status
    /// shows the same and more.
    pub(super) fn show_status(&self, rows: &[String]) {
        let mut queue = self.lock();
        if queue.waiting.is_empty() && !queue.is_writing {
            queue.add(&rows.join("\n"));
            queue.status_rows = rows.len();
            self.changed.notify_all();
        }
    }

    pub(super) fn clear_status(&self) {
        self.lock().erase_status();
        self.changed.notify_all();
    }

    /// Takes all lines that wait, as soon as there are any, and the number of dropped ones.
    fn take(&self) -> (Vec<u8>, u64) {
        let waited = self.changed.wait_while(self.lock(), |queue| queue.waiting.is_empty());
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
        queue.is_writing = true;
        (std::mem::take(&mut queue.waiting), std::mem::take(&mut queue.dropped))
    }

    /// Writes lines as they come, for as long as the process lives.
    fn write_out(&self) {
        let mut lost = 0;
        loop {
            let (lines, dropped) = self.take();
            lost += dropped;
            let mut is_written = false;
            // One call a line, so that lines of processes which share the stream do not mix.
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                is_written = write_all(line).is_ok();
                lost += u64::from(!is_written);
            }
            if is_written && lost > 0 {
                tracing::warn!(lost, "log lines were lost, because standard error could not be written");
                lost = 0;
            }
            self.lock().is_writing = false;
            self.changed.notify_all();
        }
    }

    pub(super) fn flush(&self) {
        let is_busy = |queue: &mut Queue| queue.is_writing || !queue.waiting.is_empty();
        // Lines that can't be written in time are lost with the process.
        let _ = self.changed.wait_timeout_while(self.lock(), FLUSH_TIMEOUT, is_busy);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Past the lock of [`io::Stderr`]: a thread of a library that writes there must not wait for
/// a reader as well.
#[expect(clippy::disallowed_methods, reason = "the one place that writes to standard error")]
fn write_all(mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(io::stderr(), bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => thread::sleep(FULL_PAUSE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(queue: &Queue) -> String {
        String::from_utf8_lossy(&queue.waiting).into_owned()
    }

    #[test]
    fn whatever_is_written_erases_the_status_first() {
        let lines = Lines::default();
        lines.show_status(&["bar".to_owned(), "figures".to_owned()]);
        assert_eq!(waiting(&lines.lock()), "bar\nfigures");
        lines.add("a line\n");
        assert_eq!(waiting(&lines.lock()), "bar\nfigures\r\x1b[1A\x1b[Ja line\n");
        lines.clear_status();
        assert!(waiting(&lines.lock()).ends_with("a line\n"), "there is no status to erase");
    }

    #[test]
    fn a_status_is_left_out_while_lines_wait_and_erased_at_the_end_all_the_same() {
        let lines = Lines::default();
        lines.show_status(&["one".to_owned()]);
        lines.show_status(&["two".to_owned()]);
        assert_eq!(waiting(&lines.lock()), "one");
        lines.clear_status();
        assert_eq!(waiting(&lines.lock()), "one\r\x1b[J");
    }
}
