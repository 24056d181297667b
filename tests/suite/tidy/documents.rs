//! Documents name tests that exist.

use std::{fs, path::Path};

use super::source::collect;

/// Whether one of the tests (as the test program lists them) is meant by `words`: the end of its path, with parts left
/// out, the last of which may be a beginning that ends in `…`.
fn names_a_test(words: &str, tests: &[String]) -> bool {
    let parts: Vec<_> = words.split("::").collect();
    let Some((last, modules)) = parts.split_last() else { return false };
    tests.iter().any(|test| {
        let mut path: Vec<_> = test.split("::").collect();
        let Some(function) = path.pop() else { return false };
        let is_last = last.strip_suffix('…').map_or(function == *last, |start| function.starts_with(start));
        let mut path = path.into_iter();
        is_last && modules.iter().all(|module| path.any(|part| part == *module))
    })
}

/// `part::test_name` and `part::the_beginning_of_a_name_…` in documents name tests that exist.
#[test]
fn every_test_that_a_document_names_exists() {
    let listed = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--list", "--format", "terse"])
        .output()
        .expect("the list of tests");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let tests: Vec<_> =
        listed.lines().filter_map(|line| Some(line.strip_suffix(": test")?.to_owned())).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut named, mut missing) = (0, Vec::new());
    let mut documents = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root.join(name)).to_vec();
    collect(&root.join("docs"), "md", &mut documents);
    for path in documents {
        let document = path.strip_prefix(root).expect("in the package").display().to_string();
        let text = fs::read_to_string(&path).expect("a document");
        let quoted = text.split('`').skip(1).step_by(2);
        for words in quoted.filter(|words| is_path(words)) {
            named += 1;
            if !names_a_test(words, &tests) {
                missing.push(format!("{document}: {words}"));
            }
        }
    }
    assert!(tests.len() > 100 && named > 50, "{} tests, {named} names", tests.len());
    assert!(missing.is_empty(), "no such test:\n{}", missing.join("\n"));
}

/// Whether these words are a path of names, with a name at its end. Types and their functions begin with a capital.
fn is_path(words: &str) -> bool {
    let name = |part: &str| {
        part.starts_with(char::is_lowercase)
            && part.chars().all(|letter| letter.is_alphanumeric() || "_…".contains(letter))
    };
    words.contains("::") && words.split("::").all(name)
}
