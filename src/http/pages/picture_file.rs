//! One file in the folder of pictures: what it is, told from its first bytes.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    path::Path,
};

use super::{
    asset::Asset,
    picture_type::{HEAD_LEN, SVG, picture_type},
};

pub(super) const MIB: u64 = 1024 * 1024;
/// Length of the largest file that is shown.
const FILE_LEN_MAX: u64 = 4 * MIB;

/// A file that can be shown, of which only the head is read.
pub(super) struct PictureFile {
    file: File,
    head: Vec<u8>,
    content_type: &'static str,
    pub(super) len: u64,
}

impl PictureFile {
    /// The error says why the file can't be shown.
    pub(super) fn open(folder: &str, name: &str) -> Result<Self, String> {
        let path = Path::new(folder).join(name);
        let unreadable = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => format!("there is no such file in {folder}"),
            _ => format!("the file in {folder} can't be read ({error})"),
        };
        // Opening anything else could wait without end.
        if !fs::metadata(&path).map_err(unreadable)?.is_file() {
            return Err(format!("what has this name in {folder} is no file"));
        }
        let file = File::open(&path).map_err(unreadable)?;
        let len = file.metadata().map_err(unreadable)?.len();
        if len > FILE_LEN_MAX {
            return Err(too_large(folder));
        }
        let mut head = Vec::new();
        (&file).take(HEAD_LEN).read_to_end(&mut head).map_err(unreadable)?;
        let content_type = picture_type(&head).ok_or_else(|| {
            format!("the file in {folder} is no picture that browsers show: PNG, JPEG, WebP, AVIF or SVG")
        })?;
        Ok(Self { file, head, content_type, len })
    }

    pub(super) fn read(self, folder: &str, name: String) -> Result<Asset, String> {
        let Self { file, head: mut bytes, content_type, .. } = self;
        let read = file.take(FILE_LEN_MAX + 1 - HEAD_LEN).read_to_end(&mut bytes);
        read.map_err(|error| format!("the file in {folder} can't be read ({error})"))?;
        // It may have grown.
        if u64::try_from(bytes.len()).is_ok_and(|len| len > FILE_LEN_MAX) {
            return Err(too_large(folder));
        }
        // The other types are compressed already.
        Ok(if content_type == SVG {
            Asset::new(name, content_type, bytes)
        } else {
            Asset::uncompressed(name, content_type, bytes)
        })
    }
}

fn too_large(folder: &str) -> String {
    format!("the file in {folder} has more than {} MiB", FILE_LEN_MAX / MIB)
}
