//! Wrong versions of the system, for showing that the audit finds them: `FLASHSALE_MUTANT=ack-before-commit` runs this
//! process with that mistake. Only with the cargo feature `failpoints`, which no release has; without it the
//! condition is a constant `false`.

/// Whether this process is to make the mistake of this name.
macro_rules! mutant {
    ($name:literal) => {
        cfg!(feature = "failpoints") && crate::runtime::mutants::is($name)
    };
}
pub(crate) use mutant;

/// Whether the environment asks for this mistake.
pub(crate) fn is(name: &str) -> bool {
    use std::sync::OnceLock;

    static WANTED: OnceLock<Option<String>> = OnceLock::new();
    WANTED.get_or_init(|| std::env::var("FLASHSALE_MUTANT").ok()).as_deref() == Some(name)
}
