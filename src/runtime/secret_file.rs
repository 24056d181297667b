//! A file that holds a secret, which is of use only as long as nobody else can read or replace it.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use super::secrets;

/// Longer contents are no secret but another file, named by mistake.
const LEN_MAX: u64 = 4096;

/// The secret in this file, which is hidden from all that this process says. The error says what to
/// do with a file that is not this user's alone, or that holds no secret.
pub fn read_secret(path: &Path) -> io::Result<String> {
    let refused = |why: String| Err(io::Error::new(ErrorKind::InvalidData, why));
    // A named pipe would be waited for.
    if !fs::metadata(path)?.is_file() {
        return refused("it is not a file: name a file".to_owned());
    }
    let file = File::open(path)?;
    let (metadata, user) = (file.metadata()?, rustix::process::geteuid().as_raw());
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o777);
    if owner != user {
        return refused(format!(
            "it belongs to uid {owner}, and this process runs as uid {user}: chown it, or run this as its owner"
        ));
    }
    if mode & 0o077 != 0 {
        return refused(format!("others than its owner may use it (mode {mode:o}): chmod 600 it"));
    }
    let mut content = Vec::new();
    file.take(LEN_MAX + 1).read_to_end(&mut content)?;
    let secret = content.trim_ascii();
    if secret.is_empty() {
        return refused("it is empty: delete it, and restart the process that writes it".to_owned());
    }
    if content.len() as u64 > LEN_MAX || !secret.iter().all(u8::is_ascii_graphic) {
        return refused("it holds no token: name the right file, or delete it".to_owned());
    }
    secrets::hide(secret);
    Ok(String::from_utf8_lossy(secret).into_owned())
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn only_a_file_of_this_user_alone_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let secret = "the-content-of-a-secret-file";
        let with = |content: &str, mode: u32| {
            let _ = fs::remove_file(&path);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            read_secret(&path).map_err(|error| error.to_string())
        };
        for mode in [0o600, 0o400] {
            assert_eq!(with(&format!("{secret}\n"), mode).as_deref(), Ok(secret));
        }
        assert_eq!(secrets::scrub(secret), "[hidden]");
        for (content, mode, why) in [
            (secret, 0o640, "chmod 600"),
            (secret, 0o602, "chmod 600"),
            ("", 0o600, "empty"),
            (" \n", 0o600, "empty"),
            ("two words", 0o600, "no token"),
            (&"x".repeat(5000), 0o600, "no token"),
        ] {
            let error = with(content, mode).unwrap_err();
            assert!(error.contains(why), "{why}: {error}");
        }
        assert!(read_secret(folder.path()).unwrap_err().to_string().contains("not a file"));
        assert_eq!(read_secret(Path::new("/no/such/file")).unwrap_err().kind(), ErrorKind::NotFound);
    }

    /// Root can give a file away; others find one that root owns.
    #[test]
    fn a_file_of_another_user_is_not_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(file.path(), Some(65_534), None).unwrap();
            file.path()
        } else {
            Path::new("/etc/passwd")
        };
        let error = read_secret(path).unwrap_err().to_string();
        assert!(error.contains("chown it"), "{error}");
    }
}
