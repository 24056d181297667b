//! The token for what the console does not show to everybody who can reach it.

use std::{
    fmt,
    fs::{self, OpenOptions, Permissions},
    hint::black_box,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use actix_web::{HttpRequest, http::header};

use crate::runtime::{Entropy, FileError, read_secret};

/// Shorter ones could be guessed.
const LEN_MIN: usize = 32;

/// A secret that whoever may read its file can present as a bearer token.
#[derive(Clone)]
pub struct ConsoleToken(String);

impl fmt::Debug for ConsoleToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ConsoleToken(not shown)")
    }
}

impl ConsoleToken {
    /// The token of this file. A file that is missing is written, with a new token that only its
    /// owner can read; one that others can read, or that holds no token, is refused. Processes that
    /// share the file share the token, also if they start at the same time.
    pub fn of_file(path: &Path, entropy: &dyn Entropy) -> Result<Self, FileError> {
        Self::read_or_create(path, entropy).map_err(FileError::of("use the token file", path))
    }

    fn read_or_create(path: &Path, entropy: &dyn Entropy) -> io::Result<Self> {
        if !path.try_exists()? {
            Self::create(path, entropy)?;
        }
        let token = read_secret(path)?;
        if token.len() < LEN_MIN {
            let wanted = format!("it holds no token: {LEN_MIN} or more printable characters; delete it");
            return Err(io::Error::new(io::ErrorKind::InvalidData, wanted));
        }
        Ok(Self(token))
    }

    /// Readers see the whole file or none.
    fn create(path: &Path, entropy: &dyn Entropy) -> io::Result<()> {
        let mut part = path.as_os_str().to_owned();
        part.push(format!(".{:016x}", entropy.bits()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        // Whatever the umask is.
        file.set_permissions(Permissions::from_mode(0o600))?;
        let [one, two, three, four] = [(); 4].map(|()| entropy.bits());
        let token = format!("{one:016x}{two:016x}{three:016x}{four:016x}");
        let linked = writeln!(file, "{token}").and_then(|()| fs::hard_link(&part, path));
        fs::remove_file(&part)?;
        match linked {
            // Another process was first.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    }

    /// Whether the request presents this token. The time of the answer does not depend on how much
    /// of it is right.
    pub(super) fn is_borne_by(&self, request: &HttpRequest) -> bool {
        let header = request.headers().get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
        let given = header.and_then(|value| {
            let (scheme, given) = value.split_at_checked("Bearer ".len())?;
            scheme.eq_ignore_ascii_case(b"Bearer ").then_some(given)
        });
        let token = self.0.as_bytes();
        given.is_some_and(|given| {
            let differences =
                given.iter().zip(token).fold(0, |found, (one, other)| black_box(found | (one ^ other)));
            given.len() == token.len() && differences == 0
        })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::runtime::{SystemEntropy, error_chain};

    #[test]
    fn a_file_is_written_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let tokens: Vec<_> = std::thread::scope(|scope| {
            let start = || scope.spawn(|| ConsoleToken::of_file(&path, &SystemEntropy).unwrap().0);
            let starting: Vec<_> = (0..8).map(|_| start()).collect();
            starting.into_iter().map(|started| started.join().unwrap()).collect()
        });
        assert!(tokens.iter().all(|token| *token == tokens[0] && token.len() == 64), "{tokens:?}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let error = ConsoleToken::of_file(&path, &SystemEntropy).unwrap_err();
        assert!(error_chain(&error).contains("chmod 600"), "{error}");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "guess").unwrap();
        let error = ConsoleToken::of_file(&path, &SystemEntropy).unwrap_err();
        assert!(error_chain(&error).contains("no token"), "{error}");
    }

    #[test]
    fn only_the_whole_token_is_taken() {
        let token = ConsoleToken("0123456789abcdef0123456789abcdef".to_owned());
        let bears = |header: &str| {
            let request = TestRequest::get().insert_header((header::AUTHORIZATION, header));
            token.is_borne_by(&request.to_http_request())
        };
        assert!(bears("Bearer 0123456789abcdef0123456789abcdef"));
        assert!(bears("bearer 0123456789abcdef0123456789abcdef"));
        for wrong in [
            "",
            "Bearer ",
            "Bearer 0123456789abcdef0123456789abcde",
            "Bearer 0123456789abcdef0123456789abcdef0",
            "Bearer 0123456789abcdef0123456789abcdeF",
            "Basic 0123456789abcdef0123456789abcdef",
            "0123456789abcdef0123456789abcdef",
        ] {
            assert!(!bears(wrong), "{wrong:?}");
        }
        assert!(!token.is_borne_by(&TestRequest::get().to_http_request()));
    }
}
