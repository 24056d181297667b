//! `[web] media_dir`: a folder with pictures of one's own, served at `/media/…`.
//!
//! The folder is read where pages are served. Elsewhere only the files that a catalogue names are
//! checked, by their first bytes.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    asset::Asset,
    picture_file::{MIB, PictureFile},
};
use crate::{config::Reader, domain::Picture};

/// Of all pictures together, which a process that serves pages keeps in memory.
const TOTAL_LEN_MAX: u64 = 64 * MIB;
/// Most files that are opened.
const FILES_MAX: usize = 1_000;

/// The files of the folder, as they were when it was read. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Media {
    /// `None`: no folder is configured.
    folder: Option<String>,
    /// Of a file that can't be shown, the reason. Empty until the folder is read.
    files: Arc<BTreeMap<String, Result<Asset, String>>>,
    /// Pictures of the ledger's products that can't be shown, and that the log names.
    not_shown: Arc<Mutex<BTreeSet<String>>>,
}

impl Media {
    /// Keeps the path of the folder. `will_read`: it must be there.
    pub(super) fn configure(reader: &mut Reader, will_read: bool) -> Self {
        let folder = reader.checked_text("web.media_dir", |folder| {
            let listed =
                if will_read && !folder.is_empty() { fs::read_dir(folder).map(drop) } else { Ok(()) };
            listed.map_err(|error| format!("a folder with pictures that this user can read ({error})"))
        });
        Self { folder: Some(folder).filter(|folder| !folder.is_empty()), ..Self::default() }
    }

    /// Reads the folder: first the files that are named in the configuration, which fit
    /// ([`NamedFiles`] has checked it), then the others, in the order of their names, as far as
    /// they fit: the ledger's products may name them.
    pub(super) fn read(&self, named: &BTreeSet<&str>) -> Self {
        let Some(folder) = &self.folder else { return self.clone() };
        let (others, uncounted) = other_names(folder, named).unwrap_or_else(|error| {
            tracing::warn!("the files in {folder} can't be listed: {error}");
            Default::default()
        });
        let (mut files, mut total, mut left_out) = (BTreeMap::new(), 0, uncounted);
        for name in named.iter().map(|name| (*name).to_owned()).chain(others) {
            let read = PictureFile::open(folder, &name).and_then(|picture| {
                if total + picture.len > TOTAL_LEN_MAX {
                    left_out += 1;
                    return Err(LEFT_OUT.to_owned());
                }
                total += picture.len;
                picture.read(folder, name.clone())
            });
            files.insert(name, read);
        }
        if left_out > 0 {
            tracing::warn!(
                "{left_out} file(s) in {folder} are left out and can't be shown, because it has more than {FILES_MAX} \
                 files, or {} MiB of pictures: remove what no product shows",
                TOTAL_LEN_MAX / MIB
            );
        }
        Self { files: Arc::new(files), ..self.clone() }
    }

    /// The file with this name; the error says why there is none that can be shown.
    pub(super) fn find(&self, name: &str) -> Result<&Asset, String> {
        let folder = self.folder()?;
        match self.files.get(name) {
            Some(file) => file.as_ref().map_err(Clone::clone),
            None => Err(format!("there was no such file in {folder} at the start, or it was left out")),
        }
    }

    /// Logs, once, that pages draw something in place of a picture: the ledger's products may have
    /// been changed by a process with another folder.
    pub(super) fn warn_not_shown(&self, picture: &str, reason: &str) {
        let mut not_shown = self.not_shown.lock().unwrap_or_else(PoisonError::into_inner);
        if not_shown.insert(picture.to_owned()) {
            tracing::warn!("the picture \"{picture}\" is not shown: {reason}");
        }
    }

    fn folder(&self) -> Result<&str, String> {
        let folder = self.folder.as_deref();
        folder.ok_or_else(|| "web.media_dir, the folder with such files, is not configured".to_owned())
    }
}

const LEFT_OUT: &str = "it was left out, because the folder has too many pictures";

/// The first names in order, except for those that are named, and how many there are beyond the
/// bound. Names that a product can't name are passed over.
fn other_names(folder: &str, named: &BTreeSet<&str>) -> io::Result<(BTreeSet<String>, usize)> {
    let (mut others, mut left_out) = (BTreeSet::new(), 0);
    for entry in fs::read_dir(Path::new(folder))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let can_be_named = Picture::parse(&name) == Ok(Picture::File(&name));
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !can_be_named || is_folder || named.contains(&*name) {
            continue;
        }
        others.insert(name);
        if others.len() + named.len() > FILES_MAX && others.pop_last().is_some() {
            left_out += 1;
        }
    }
    Ok((others, left_out))
}

/// Checks the files that the configuration names, and that they fit together.
pub(super) struct NamedFiles<'media> {
    media: &'media Media,
    /// Names, and the length of all their files.
    checked: RefCell<(BTreeSet<String>, u64)>,
}

impl<'media> NamedFiles<'media> {
    pub(super) fn new(media: &'media Media) -> Self {
        Self { media, checked: RefCell::default() }
    }

    /// The error says why the file can't be shown.
    pub(super) fn check(&self, name: &str) -> Result<(), String> {
        let file = PictureFile::open(self.media.folder()?, name)?;
        let (names, total) = &mut *self.checked.borrow_mut();
        if names.contains(name) {
            return Ok(());
        }
        if *total + file.len > TOTAL_LEN_MAX {
            return Err(format!(
                "the pictures that are named have more than {} MiB together",
                TOTAL_LEN_MAX / MIB
            ));
        }
        if names.len() == FILES_MAX {
            return Err(format!("more than {FILES_MAX} pictures are named"));
        }
        *total += file.len;
        names.insert(name.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

    fn folder(files: impl IntoIterator<Item = (String, u64)>) -> (tempfile::TempDir, Media) {
        let dir = tempfile::tempdir().unwrap();
        for (name, len) in files {
            let path = dir.path().join(name);
            fs::write(&path, PNG).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_len(len).unwrap();
        }
        let media = Media { folder: Some(dir.path().display().to_string()), ..Media::default() };
        (dir, media)
    }

    fn shown(media: &Media) -> Vec<&str> {
        media.files.iter().filter(|(_, file)| file.is_ok()).map(|(name, _)| &**name).collect()
    }

    #[test]
    fn what_is_named_is_read_first_and_the_rest_as_far_as_it_fits() {
        let (dir, media) = folder((0..18).map(|number| (format!("{number:02}.png"), 4 * MIB)));
        fs::write(dir.path().join("00.png"), "no picture").unwrap();
        let media = media.read(&BTreeSet::from(["17.png"]));
        let names = shown(&media);
        // 16 of 4 MiB each.
        assert_eq!((names.len(), names.first(), names.last()), (16, Some(&"01.png"), Some(&"17.png")));
        assert_eq!(media.find("16.png").err().as_deref(), Some(LEFT_OUT));
        assert!(media.find("00.png").err().unwrap().contains("is no picture"));
    }

    #[test]
    fn not_more_than_so_many_files_are_opened() {
        let (_dir, media) = folder((0..FILES_MAX + 5).map(|number| (format!("{number:04}.png"), 8)));
        let media = media.read(&BTreeSet::from(["1003.png"]));
        assert_eq!((media.files.len(), shown(&media).last()), (FILES_MAX, Some(&"1003.png")));
        assert!(media.find("1002.png").err().unwrap().contains("left out"));
    }
}
