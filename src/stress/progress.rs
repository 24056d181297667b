//! What a terminal shows while a run goes on; plain lines where standard error is no terminal.

use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use tokio_util::sync::CancellationToken;

use super::{recorder::Recorder, response::ResponseClass};
use crate::runtime::output;

const REDRAW: Duration = Duration::from_millis(200);
const FRAMES_PER_S: u8 = 20;
const PLAIN_LINE: Duration = Duration::from_secs(5);

/// The terminal, for the library that draws on it: a frame is output like any other, so that a
/// terminal that takes nothing holds up no task.
#[derive(Debug, Default)]
struct Screen {
    /// The frame as it is being drawn.
    frame: Mutex<String>,
}

impl Screen {
    fn add(&self, part: &str) {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner).push_str(part);
    }

    /// A control sequence, if it has an effect.
    fn add_move(&self, count: usize, direction: char) {
        if count > 0 {
            self.add(&format!("\x1b[{count}{direction}"));
        }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        output::terminal_width()
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.add_move(lines, 'A');
        Ok(())
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.add_move(lines, 'B');
        Ok(())
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.add_move(columns, 'C');
        Ok(())
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.add_move(columns, 'D');
        Ok(())
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.add(line);
        self.add("\n");
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\x1b[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        output::draw(&std::mem::take(&mut *self.frame.lock().unwrap_or_else(PoisonError::into_inner)));
        Ok(())
    }
}

pub(super) async fn show(recorder: Recorder, length: Duration, title: String, stop: CancellationToken) {
    let plain = !output::is_terminal();
    let target = if plain {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::term_like_with_hz(Box::new(Screen::default()), FRAMES_PER_S)
    };
    let bar = ProgressBar::with_draw_target(Some(length.as_secs().max(1)), target);
    let style = ProgressStyle::with_template("{prefix} [{wide_bar:.cyan/blue}] {pos}/{len} s\n{msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━━╌"));
    bar.set_prefix(title);
    let mut interval = tokio::time::interval(if plain { PLAIN_LINE } else { REDRAW });
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = interval.tick() => {}
        }
        let elapsed = recorder.elapsed();
        let line = line(&recorder, elapsed);
        if plain {
            output::note(format_args!("{:>4} s  {line}", elapsed.as_secs()));
        } else {
            bar.set_position(elapsed.as_secs().min(length.as_secs()));
            bar.set_message(line);
        }
    }
    bar.finish_and_clear();
}

/// The rate of the last whole second; percentiles and response classes of the run so far.
fn line(recorder: &Recorder, elapsed: Duration) -> String {
    recorder.read(|record| {
        let last = usize::try_from(elapsed.as_secs().saturating_sub(1)).unwrap_or(0);
        let (due, sent) = record.seconds.get(last).map_or((0, 0), |second| (second.due, second.sent));
        let (responses, latencies) = (record.responses(), record.latencies());
        let shown = ResponseClass::ALL.iter().filter_map(|class| {
            let number = responses.get(class)?;
            Some(format!("{} {number}", class.as_str()))
        });
        let shown: Vec<_> = shown.collect();
        let percentile = |percent| show_us(latencies.value_at_quantile(percent));
        format!(
            "{sent}/s of {due}/s  p50 {} p95 {} p99 {}  {}",
            percentile(0.5),
            percentile(0.95),
            percentile(0.99),
            shown.join("  ")
        )
    })
}

pub(super) fn show_us(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        10_000..10_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{} s", micros / 1_000_000),
    }
}
