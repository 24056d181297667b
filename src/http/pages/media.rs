//! `[web] media_dir`: a folder with pictures of one's own, served at `/media/…`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    asset::Asset,
    picture_type::{SVG, picture_type},
};
use crate::config::Reader;

const MIB: u64 = 1024 * 1024;
/// Largest file, and all files together: every process keeps them in memory.
const FILE_LEN_MAX: u64 = 4 * MIB;
const TOTAL_LEN_MAX: u64 = 64 * MIB;

/// The files of the folder, as they were at the start. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Media {
    /// `None`: no folder is configured.
    folder: Option<String>,
    /// By name; of a file that can't be shown, the reason.
    files: Arc<BTreeMap<String, Result<Asset, String>>>,
    /// Pictures of the ledger's products that can't be shown, and that the log names.
    missed: Arc<Mutex<BTreeSet<String>>>,
}

impl Media {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let mut files = BTreeMap::new();
        let folder = reader.checked_text("web.media_dir", |folder| {
            if folder.is_empty() {
                return Ok(());
            }
            files = read_folder(Path::new(folder)).map_err(|error| {
                let most = TOTAL_LEN_MAX / MIB;
                format!("a folder with at most {most} MiB of pictures that this user can read ({error})")
            })?;
            Ok::<_, String>(())
        });
        let folder = Some(folder).filter(|folder| !folder.is_empty());
        Self { folder, files: Arc::new(files), missed: Arc::default() }
    }

    /// The file with this name; the error says why there is none that can be shown.
    pub(super) fn find(&self, name: &str) -> Result<&Asset, String> {
        let Some(folder) = &self.folder else {
            return Err("web.media_dir, the folder with such files, is not configured".to_owned());
        };
        match self.files.get(name) {
            Some(Ok(file)) => Ok(file),
            Some(Err(reason)) => Err(format!("the file in {folder} {reason}")),
            None => Err(format!("there is no such file in {folder}")),
        }
    }

    /// Says in the log, once, that pages draw something in place of a picture: the ledger's
    /// products may have been changed by a process with another folder.
    pub(super) fn miss<T>(&self, picture: &str, reason: &str) -> Option<T> {
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        if missed.insert(picture.to_owned()) {
            tracing::warn!("the picture \"{picture}\" is not shown: {reason}");
        }
        None
    }
}

fn read_folder(folder: &Path) -> io::Result<BTreeMap<String, Result<Asset, String>>> {
    let (mut files, mut total) = (BTreeMap::new(), 0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A name that is not UTF-8 can't be in a catalogue.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_file = fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file());
        if is_file && !name.starts_with('.') {
            let file = read_picture(&entry.path(), &name);
            total += file.as_ref().map_or(0, |file| file.bytes.len());
            if u64::try_from(total).is_ok_and(|total| total > TOTAL_LEN_MAX) {
                return Err(io::Error::other("it has more"));
            }
            files.insert(name, file);
        }
    }
    Ok(files)
}

fn read_picture(path: &Path, name: &str) -> Result<Asset, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes));
    let length = read.map_err(|error| format!("can't be read ({error})"))?;
    if u64::try_from(length).is_ok_and(|length| length > FILE_LEN_MAX) {
        return Err(format!("has more than {} MiB", FILE_LEN_MAX / MIB));
    }
    let content_type =
        picture_type(&bytes).ok_or("is no picture that browsers show: PNG, JPEG, WebP, AVIF or SVG")?;
    let name = name.to_owned();
    // The other types are compressed already.
    Ok(if content_type == SVG {
        Asset::new(name, content_type, bytes)
    } else {
        Asset::uncompressed(name, content_type, bytes)
    })
}
