//! `flashsale purchases export`

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use super::digest::{self, Digest};
use crate::commands::{
    ledger::open_own_ledger,
    overrides::Overrides,
    target::{ProductFlag, actor},
};
use crate::domain::Offers;
use crate::operations::purchases::{self, ExportFormat};
use crate::runtime::{FileError, output};

/// Write everything that was recorded of a product, ordered by unit
///
/// Cancelled purchases are among it, and each has the name and price that it was sold under. CSV is
/// as RFC 4180 says; a field that a spreadsheet would take for a formula has an apostrophe before
/// it. JSON lines have the values as they are. With --output, FILE.sha256 has the number of
/// purchases and the SHA-256 of the file, for --verify and for `sha256sum --check`. While the sale
/// runs, purchases of lower units may be recorded meanwhile.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flashsale purchases export --format jsonl | jq -r .userId
  flashsale purchases export --output sold.csv
  flashsale purchases export --verify sold.csv")]
pub(super) struct Export {
    #[command(flatten)]
    product: ProductFlag,
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// Begin behind this unit
    #[arg(long, value_name = "UNIT", default_value_t = 0)]
    after: u32,
    /// Where to write it; without it, to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write nothing, and check that a file is what was exported
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "after", "format"])]
    verify: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Csv,
    /// One JSON object a line
    Jsonl,
}

impl From<Format> for ExportFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::Jsonl => Self::Jsonl,
        }
    }
}

impl Export {
    pub(super) async fn run(self, overrides: &Overrides) -> anyhow::Result<()> {
        let settings = overrides.settings()?;
        if let Some(file) = &self.verify {
            let number = digest::verify(file)?;
            output::print(format_args!("{} has all {number} purchases", file.display())).await;
            return Ok(());
        }
        // Before any work: what can't be written is known at once.
        let mut sink = Sink::open(self.output.as_deref())?;
        let ledger = open_own_ledger(&settings, "purchases").await?;
        let product = self.product.product(&*ledger).await?;
        let format = ExportFormat::from(self.format);
        let mut digest = Digest::default();
        let mut goes_on = sink.write(&mut digest, format.header()).await?;
        let mut number = 0;
        if goes_on {
            let write = async |rows: &[_], offers: &Offers| -> anyhow::Result<bool> {
                goes_on = sink.write(&mut digest, format.lines(rows, offers)).await?;
                Ok(goes_on)
            };
            number = purchases::export(&actor(), &*ledger, &product, self.after, write).await?;
        }
        let hex = digest.hex();
        match (sink, &self.output) {
            (Sink::File(written), Some(file)) => {
                written.complete(file, number, &hex)?;
                output::note(format_args!("wrote {number} purchases to {}", file.display()));
            }
            // A reader that has gone has what it wanted.
            _ if goes_on => output::note(format_args!("wrote {number} purchases, SHA-256 {hex}")),
            _ => {}
        }
        Ok(())
    }
}

enum Sink {
    Stdout,
    File(Written),
}

/// A file that takes its name once it is complete.
struct Written {
    part: PathBuf,
    file: File,
}

impl Sink {
    fn open(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = file else { return Ok(Self::Stdout) };
        let mut part = file.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let opened = File::create(&part).map_err(FileError::of("write the export", part.as_path()))?;
        Ok(Self::File(Written { part, file: opened }))
    }

    /// False: nobody reads any more.
    async fn write(&mut self, digest: &mut Digest, text: String) -> anyhow::Result<bool> {
        digest.add(text.as_bytes());
        match self {
            Self::Stdout => Ok(output::write_part(text.into_bytes()).await?),
            Self::File(Written { part, file }) => {
                file.write_all(text.as_bytes()).map_err(FileError::of("write the export", part.as_path()))?;
                Ok(true)
            }
        }
    }
}

impl Written {
    /// The companion comes first: a file with its name is complete.
    fn complete(self, file: &Path, number: u64, hex: &str) -> anyhow::Result<()> {
        let failed = |path: &Path| FileError::of("write the export", path.to_owned());
        self.file.sync_all().map_err(failed(&self.part))?;
        let companion = digest::companion(file);
        std::fs::write(&companion, digest::describe(file, number, hex)).map_err(failed(&companion))?;
        std::fs::rename(&self.part, file).map_err(failed(file))?;
        Ok(())
    }
}
