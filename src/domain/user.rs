//! Who buys.

use std::fmt;

/// A buyer's identity as the caller names it: 1 to 128 bytes of printable ASCII without spaces
/// (0x21–0x7E).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Box<str>);

/// Why a text is not a user id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UserIdError {
    #[error("userId must not be empty")]
    Empty,
    /// Longer than [`UserId::LEN_MAX`].
    #[error("userId must be at most 128 bytes, this one has {0}")]
    TooLong(usize),
    /// A byte outside 0x21–0x7E.
    #[error("userId must be printable ASCII without spaces (0x21 to 0x7E)")]
    NotPrintable,
}

impl UserId {
    /// Longest id, in bytes.
    pub const LEN_MAX: usize = 128;

    pub fn parse(text: &str) -> Result<Self, UserIdError> {
        if text.is_empty() {
            return Err(UserIdError::Empty);
        }
        if text.len() > Self::LEN_MAX {
            return Err(UserIdError::TooLong(text.len()));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UserIdError::NotPrintable);
        }
        Ok(Self(text.into()))
    }

    /// A name that leads back to nobody. `random` makes it unique.
    pub fn pseudonym(random: [u64; 2]) -> Self {
        let [a, b] = random;
        Self(format!("erased-{a:016x}{b:016x}").into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_a_user_id() {
        for id in ["!", "~", "buyer-1", "a@b.c", "<script>", "{x}", &"a".repeat(128)] {
            assert!(UserId::parse(id).is_ok(), "{id:?} was refused");
        }
        for (id, error) in [
            ("", UserIdError::Empty),
            (&"a".repeat(129), UserIdError::TooLong(129)),
            (" ", UserIdError::NotPrintable),
            ("a b", UserIdError::NotPrintable),
            ("a\0", UserIdError::NotPrintable),
            ("a\r\nb", UserIdError::NotPrintable),
            ("a\u{7f}", UserIdError::NotPrintable),
            ("é", UserIdError::NotPrintable),
        ] {
            assert_eq!(UserId::parse(id), Err(error), "{id:?}");
        }
    }
}
