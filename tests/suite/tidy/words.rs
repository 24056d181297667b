//! The project's words: standard terms, and no comment that repeats a name.

use std::{fs, path::Path};

use super::source::collect;

/// Words of a private language, and what the project says instead.
const PRIVATE: &[(&str, &str)] = &[
    ("patience", "timeout, deadline"),
    ("looker", "reader, viewer"),
    ("lookers", "readers, viewers"),
    ("noticeboard", "process registry"),
    ("bury", "mark as dead-lettered"),
    ("buried", "dead-lettered"),
    ("put_away", "dead-letter"),
    ("mood", "severity"),
    ("control room", "operations console"),
    ("how many-th", "generation"),
    ("evening of a drop", "sale"),
    ("drops", "sales"),
    ("comes back", "is reachable again; is returned"),
    ("is away", "can't be reached"),
    ("their turn", "permit"),
    ("looks at", "reads"),
    ("alone()", "acquire_lock"),
    ("tend()", "maintain"),
    ("errand", "virtual user"),
    ("asked for at every door", "fencing token"),
];

fn texts() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root.join(name)).to_vec();
    for (folder, extension) in [
        ("src", "rs"),
        ("src", "lua"),
        ("src", "sql"),
        ("docs", "md"),
        ("templates", "html"),
        ("config", "toml"),
    ] {
        collect(&root.join(folder), extension, &mut paths);
    }
    let name = |path: &Path| path.strip_prefix(root).expect("in the package").display().to_string();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).expect("text"))).collect()
}

#[test]
fn the_words_are_those_of_the_field() {
    let mut wrong = Vec::new();
    for (path, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            let line = line.to_lowercase();
            let is_word = |(position, word): (usize, &str)| {
                let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                !letter(line[..position].chars().next_back())
                    && !letter(line[position + word.len()..].chars().next())
            };
            for (word, instead) in PRIVATE {
                if line.match_indices(word).any(is_word) {
                    wrong.push(format!("{path}:{}: {word:?}, say: {instead}", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} places:\n{}", wrong.len(), wrong.join("\n"));
}

/// `/// Its name.` says nothing that the name does not.
#[test]
fn no_doc_comment_is_three_words_long_or_shorter() {
    let mut wrong = Vec::new();
    for (path, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            let Some(comment) = line.trim_start().strip_prefix("/// ") else { continue };
            let follows = |offset: usize| {
                let other = number.checked_add_signed(offset.cast_signed()).and_then(|n| text.lines().nth(n));
                other.is_some_and(|other| other.trim_start().starts_with("///"))
            };
            let alone = !follows(1) && (number == 0 || !follows(usize::MAX));
            let plain = |word: &str| word.chars().all(char::is_alphabetic);
            let words: Vec<_> = comment.trim_end_matches('.').split(' ').collect();
            if alone && comment.ends_with('.') && words.len() <= 3 && words.iter().all(|word| plain(word)) {
                wrong.push(format!("{path}:{}: {comment}", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{} comments:\n{}", wrong.len(), wrong.join("\n"));
}

/// What can be broken into lines is no wider than 100 columns.
#[test]
fn comments_are_at_most_100_columns_wide() {
    let mut wrong = Vec::new();
    for (path, text) in texts().into_iter().filter(|(path, _)| path.starts_with("src")) {
        for (number, line) in text.lines().enumerate() {
            let is_comment = ["//", "--"].iter().any(|start| line.trim_start().starts_with(start));
            if is_comment && line.chars().count() > 100 && !line.contains("{\"") {
                wrong.push(format!("{path}:{}", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{} comments:\n{}", wrong.len(), wrong.join("\n"));
}

/// The fields of an event whose values are printed as Rust writes them: `?terms`, `elapsed = ?time`.
fn debug_fields(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for event in ["tracing::info!(", "tracing::warn!(", "tracing::error!("] {
        for (position, _) in text.match_indices(event) {
            let arguments = &text[position + event.len()..];
            let end = arguments.find(");").unwrap_or(arguments.len());
            let is_debug = |field: &&str| {
                let field = field.trim_start();
                field.starts_with('?') || field.contains("= ?") || field.contains(":?}")
            };
            found.extend(arguments[..end].split(',').filter(is_debug));
        }
    }
    found
}

/// A log is read by people who operate a sale.
#[test]
fn no_line_of_the_log_has_values_as_rust_writes_them() {
    let shown =
        "tracing::info!(%product, ?terms, \"x\"); tracing::debug!(?x); tracing::warn!(a = ?b, \"{c:?}\");";
    assert_eq!(debug_fields(shown).len(), 3);
    let mut wrong = Vec::new();
    for (path, text) in texts().into_iter().filter(|(path, _)| path.starts_with("src")) {
        wrong.extend(debug_fields(&text).into_iter().map(|field| format!("{path}: {}", field.trim())));
    }
    assert!(wrong.is_empty(), "{} fields:\n{}", wrong.len(), wrong.join("\n"));
}
