//! The results: medians over the rounds, as Markdown.

use std::{fmt::Write, process::Command};

use crate::lines::{Line, PARTS, Sample};

/// Samples of one build for one line, one a round.
pub(crate) struct Row {
    pub(crate) line: &'static Line,
    pub(crate) build: &'static str,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Default)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
    /// Name, value, bound.
    facts: Vec<[String; 3]>,
}

/// Median, least, most.
pub(crate) fn spread(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    [values[values.len() / 2], values[0], values[values.len() - 1]]
}

fn median(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    spread(samples.iter().map(of))[0]
}

impl Table {
    pub(crate) fn add(&mut self, line: &'static Line, build: &'static str, sample: Sample) {
        match self.rows.iter_mut().find(|row| row.line == line && row.build == build) {
            Some(row) => row.samples.push(sample),
            None => self.rows.push(Row { line, build, samples: vec![sample] }),
        }
    }

    pub(crate) fn fact(&mut self, name: &str, value: &str, bound: &str) {
        eprintln!("{name}: {value}");
        self.facts.push([name.to_owned(), value.to_owned(), bound.to_owned()]);
    }

    /// Attempts per second of a line.
    pub(crate) fn per_second(&self, name: &str) -> f64 {
        let row = self.rows.iter().find(|row| row.line.name == name).expect("a line");
        median(&row.samples, |sample| sample.per_second)
    }

    /// The samples of the server that does nothing, of the same rounds.
    fn reference(&self, row: &Row) -> &[Sample] {
        let found = self.rows.iter().find(|other| other.line == row.line.reference());
        &found.expect("the line of the reference").samples
    }

    /// `compared`: two builds were measured, and each pair of rows is followed by their ratio.
    pub(crate) fn markdown(&self, compared: bool) -> String {
        let mut text = String::new();
        if !self.rows.is_empty() {
            let _ = writeln!(
                text,
                "| line | attempts/s | ÷ no-op | {} | system | ÷ no-op (least to most) | {} |\n|---|{}",
                PARTS[..5].join(" | "),
                PARTS[5],
                "--:|".repeat(10),
            );
        }
        for row in &self.rows {
            self.write_row(&mut text, row, compared);
            let other = self.rows.iter().find(|other| other.line == row.line && other.build != row.build);
            if let Some(other) = other.filter(|_| row.build == "other") {
                write_ratio(&mut text, other, row);
            }
        }
        if !self.facts.is_empty() {
            text.push_str("\n| figure | value | bound |\n|---|---|---|\n");
        }
        for [name, value, bound] in &self.facts {
            let _ = writeln!(text, "| {name} | {value} | {bound} |");
        }
        text
    }

    fn write_row(&self, text: &mut String, row: &Row, compared: bool) {
        let name = if compared && !row.line.is_noop() {
            format!("{}, {}", row.line.name, row.build)
        } else {
            row.line.name.to_owned()
        };
        let rounds = || row.samples.iter().zip(self.reference(row));
        let [rate, ..] = spread(rounds().map(|(sample, noop)| sample.per_second / noop.per_second));
        let ratios = rounds().map(|(sample, noop)| sample.total_micros() / noop.total_micros());
        let [ratio, least, most] = spread(ratios);
        let _ =
            write!(text, "| {name} | {:.0} | {rate:.2} |", median(&row.samples, |sample| sample.per_second));
        let micros = |part: usize| median(&row.samples, |sample| sample.micros[part]);
        for part in 0..5 {
            let _ = write!(text, " {} |", shown(micros(part)));
        }
        let total = median(&row.samples, Sample::total_micros);
        let _ = writeln!(text, " {total:.2} | {ratio:.2} ({least:.2} to {most:.2}) | {:.2} |", micros(5));
    }

    /// Puts the table between the two marks of this command in a document.
    pub(crate) fn write(&self, document: &str, command: &str) {
        let [begin, end] = ["measured by", "end of"].map(|word| format!("<!-- {word} {command} -->"));
        let text = std::fs::read_to_string(document).expect("the document");
        let (before, rest) = text.split_once(&begin).expect("the first mark");
        let (_, after) = rest.split_once(&end).expect("the second mark");
        let (head, table) = (head(command), self.markdown(false));
        std::fs::write(document, format!("{before}{begin}\n\n{head}\n\n{table}\n{end}{after}"))
            .expect("write");
    }
}

/// Below a microsecond per attempt, what a process does in the background outweighs the attempts.
const COMPARABLE_MICROS: f64 = 1.0;

/// Less than this is an idle process.
fn shown(micros: f64) -> String {
    if micros < 0.05 { "–".to_owned() } else { format!("{micros:.2}") }
}

fn write_ratio(text: &mut String, this: &Row, other: &Row) {
    let ratio = |of: &dyn Fn(&Sample) -> f64| median(&this.samples, of) / median(&other.samples, of);
    let rate = ratio(&|sample| sample.per_second);
    let _ = write!(text, "| **{}, this ÷ other** | **{rate:.3}** | |", this.line.name);
    for part in 0..5 {
        let micros = |sample: &Sample| sample.micros[part];
        let is_comparable = median(&other.samples, micros) >= COMPARABLE_MICROS;
        let shown = if is_comparable { format!("**{:.3}**", ratio(&micros)) } else { "–".to_owned() };
        let _ = write!(text, " {shown} |");
    }
    let _ = writeln!(
        text,
        " **{:.3}** | | {:.3} |",
        ratio(&Sample::total_micros),
        ratio(&|sample| sample.micros[5])
    );
}

fn head(command: &str) -> String {
    let date = Command::new("date").arg("+%F").output().expect("date");
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!(
        "{}, {} cores, {}, every process on it: `{command}`",
        String::from_utf8_lossy(&date.stdout).trim(),
        std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        model.map_or("an unknown processor", |(_, model)| model),
    )
}
