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
    io::{self, Write},
    os::fd::AsFd,
    sync::OnceLock,
};

use super::{
    screen::{Screen, wrapped},
    secrets::scrub,
    stderr::STDERR,
};

/// Standard output as this process was given it, once libraries print elsewhere.
static REPORTS: OnceLock<File> = OnceLock::new();

/// Queues a line for standard error.
pub fn note(line: impl Display) {
    STDERR.add(&scrub(&format!("{line}\n")));
}

/// Queues a text for standard error, which a terminal shows in lines of whole words.
pub fn paragraph(text: impl Display) {
    let text = text.to_string();
    let text = scrub(&text);
    match screen() {
        Some(screen) => note(wrapped(&text, screen.columns, 0, 2)),
        None => note(text),
    }
}

/// Shows these rows below everything that is written, until they are replaced or cleared. A row
/// must fit into [`Screen::columns`]. For a terminal alone.
pub fn show_status(rows: &[String]) {
    let rows: Vec<_> = rows.iter().map(|row| scrub(row).into_owned()).collect();
    STDERR.show_status(&rows);
}

pub fn clear_status() {
    STDERR.clear_status();
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

/// The terminal that shows standard error. `None`: no person reads it there.
#[expect(clippy::disallowed_methods, reason = "nothing is written")]
pub fn screen() -> Option<Screen> {
    Screen::of(&io::stderr())
}

/// The terminal that shows reports. `None`: they go to a file or another program.
#[expect(clippy::disallowed_methods, reason = "nothing is written")]
pub fn report_screen() -> Option<Screen> {
    match REPORTS.get() {
        Some(reports) => Screen::of(reports),
        None => Screen::of(&io::stdout()),
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

/// Writes a report to standard output, on a thread that may wait for the reader, after the lines
/// that wait for standard error: a terminal shows both in this order. That the reader is gone is no
/// error (`flashsale audit | head`); any other failure is noted on standard error.
pub async fn print(report: impl Display) {
    let mut report = scrub(&report.to_string()).into_owned();
    if !report.ends_with('\n') {
        report.push('\n');
    }
    let writing = tokio::task::spawn_blocking(move || {
        STDERR.flush();
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
