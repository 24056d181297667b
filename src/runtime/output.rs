//! What this process writes to its standard streams. Output is best effort: a reader that is slow
//! or gone, or a full disk, neither fails nor delays the work.
//!
//! Lines for standard error (the log, progress, why a command failed) are cleaned of the secrets of
//! the configuration, queued, and written by a thread of their own. While they can't be written
//! they wait in a bounded buffer; lines that do not fit are dropped and counted. Reports go to
//! standard output, which their reader may stop reading at any time.

use std::{
    fmt::Display,
    fs::File,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    sync::{Condvar, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use rustix::io::Errno;

use super::secrets::scrub;

/// Bytes that may wait to be written to standard error.
const WAITING_MAX: usize = 1 << 20;
/// The end of the process waits no longer for the last lines to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);
/// Pause before writing again to a non-blocking stream that is full.
const FULL_PAUSE: Duration = Duration::from_millis(10);

static STDERR: LazyLock<Lines> = LazyLock::new(|| {
    // A process that can't start a thread can't start its runtime either.
    let _ = thread::Builder::new().name("stderr".to_owned()).spawn(|| STDERR.write_out());
    Lines::default()
});

/// Standard output as this process was given it, once libraries print elsewhere.
static REPORTS: OnceLock<File> = OnceLock::new();

/// Lines on their way to standard error.
#[derive(Default)]
struct Lines {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Lines with their ends.
    waiting: Vec<u8>,
    is_writing: bool,
    dropped: u64,
}

impl Lines {
    fn add(&self, text: &str) {
        let mut queue = self.lock();
        if queue.waiting.len() + text.len() > WAITING_MAX {
            queue.dropped += 1;
            return;
        }
        queue.waiting.extend_from_slice(text.as_bytes());
        self.changed.notify_all();
    }

    /// Adds something that is of use only if it is written at once.
    fn add_if_idle(&self, text: &str) {
        let mut queue = self.lock();
        if queue.waiting.is_empty() && !queue.is_writing {
            queue.waiting.extend_from_slice(text.as_bytes());
            self.changed.notify_all();
        }
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

    fn flush(&self) {
        let is_busy = |queue: &mut Queue| queue.is_writing || !queue.waiting.is_empty();
        // Lines that can't be written in time are lost with the process.
        let _ = self.changed.wait_timeout_while(self.lock(), FLUSH_TIMEOUT, is_busy);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Past the lock of [`io::Stderr`]: a thread of a library that writes there must not wait for a
/// reader as well.
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

/// Queues a line for standard error.
pub fn note(line: impl Display) {
    STDERR.add(&scrub(&format!("{line}\n")));
}

/// Draws a frame of a progress bar. It is left out while the terminal takes nothing: the next frame
/// shows the same and more.
pub fn draw(frame: &str) {
    STDERR.add_if_idle(&scrub(frame));
}

/// Where the log is written: each call of [`Write::write`] is a whole event.
#[derive(Clone, Copy, Debug)]
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        STDERR.add(&scrub(&String::from_utf8_lossy(event)));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits for queued lines to be written, for at most half a second: before the process ends.
pub fn flush() {
    STDERR.flush();
}

/// Whether a person reads standard error.
#[expect(clippy::disallowed_methods, reason = "nothing is written")]
pub fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Columns of the terminal that shows standard error.
#[expect(clippy::disallowed_methods, reason = "nothing is written")]
pub fn terminal_width() -> u16 {
    const USUAL: u16 = 80;
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 => size.ws_col,
        _ => USUAL,
    }
}

/// From now on, what libraries print to standard output is discarded, because their macros panic
/// where it can't be written. [`print()`] goes on to write to it.
pub fn discard_what_libraries_print() -> io::Result<()> {
    if REPORTS.get().is_some() {
        return Ok(());
    }
    #[expect(clippy::disallowed_methods, reason = "nothing is written")]
    let reports = io::stdout().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdout(File::options().write(true).open("/dev/null")?)?;
    REPORTS.get_or_init(|| reports.into());
    Ok(())
}

/// Writes a part of a result to standard output as it is, which is the work itself and not a report
/// of it. False: the reader is gone.
pub async fn write_part(part: Vec<u8>) -> io::Result<bool> {
    let writing = tokio::task::spawn_blocking(move || {
        #[expect(clippy::disallowed_methods, reason = "the part of a result")]
        let mut out = io::stdout().lock();
        out.write_all(&part)?;
        out.flush()
    });
    match writing.await.map_err(io::Error::other)? {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes a report to standard output, on a thread that may wait for the reader. That the reader is
/// gone is no error (`flashsale audit | head`); any other failure is noted on standard error.
pub async fn print(report: impl Display) {
    let mut report = scrub(&report.to_string()).into_owned();
    if !report.ends_with('\n') {
        report.push('\n');
    }
    let writing = tokio::task::spawn_blocking(move || {
        if let Some(mut reports) = REPORTS.get() {
            return reports.write_all(report.as_bytes());
        }
        #[expect(clippy::disallowed_methods, reason = "the one place that writes to standard output")]
        let mut out = io::stdout().lock();
        out.write_all(report.as_bytes())?;
        out.flush()
    });
    match writing.await {
        Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
            note(format_args!("flashsale: standard output can't be written: {error}"));
        }
        _ => {}
    }
}
