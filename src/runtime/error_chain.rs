//! An error with its causes, on one line.

use std::error::Error;

use super::secrets::scrub;

/// A cause of an error, whatever its type.
pub type Cause = Box<dyn Error + Send + Sync>;

/// The error and each of its causes, separated by `: `. A cause that only repeats the text before
/// it is left out, and so are secrets: a cause has the words of a driver or a server.
pub fn error_chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    scrub(&line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Failure(&'static str, #[source] Option<Box<Failure>>);

    #[test]
    fn a_cause_does_not_show_a_secret() {
        crate::runtime::secrets::hide(b"s3cret-of-a-cause");
        let error = Failure("refused", Some(Box::new(Failure("no user s3cret-of-a-cause", None))));
        assert_eq!(error_chain(&error), "refused: no user [hidden]");
    }

    #[test]
    fn each_cause_is_named_once() {
        let cause = Failure("connection refused", None);
        let repeated = Failure("io: connection refused", Some(Box::new(cause)));
        let error = Failure("Redis can't be used", Some(Box::new(repeated)));
        assert_eq!(error_chain(&error), "Redis can't be used: io: connection refused");
    }
}
