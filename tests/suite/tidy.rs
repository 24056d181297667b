//! The direction of the arrows: which part of the source may know which.

use std::{collections::BTreeSet, fs, path::Path};

/// Each part, and the parts of the crate that it may use. What is not here may use nothing.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("clock", &[]),
    ("crash_points", &[]),
    ("mutants", &[]),
    ("dependency", &["telemetry"]),
    ("service_url", &[]),
    ("config", &["domain", "service_url"]),
    ("telemetry", &["clock", "config", "domain"]),
    ("shutdown", &[]),
    ("open_files", &[]),
    ("server", &["shutdown", "open_files"]),
    ("admission", &["mutants", "domain", "clock", "dependency", "service_url"]),
    ("broker", &["crash_points", "domain", "clock", "dependency", "service_url"]),
    ("ledger", &["mutants", "crash_points", "domain", "service_url"]),
    ("outbox", &["crash_points", "domain", "admission", "broker"]),
    (
        "worker",
        &["mutants", "crash_points", "domain", "admission", "broker", "ledger", "dependency", "telemetry"],
    ),
    (
        "recovery",
        &[
            "mutants",
            "crash_points",
            "audit",
            "domain",
            "admission",
            "broker",
            "ledger",
            "outbox",
            "worker",
            "telemetry",
        ],
    ),
    ("audit", &["domain", "admission", "broker", "ledger"]),
    ("stress", &["audit", "clock", "domain", "open_files"]),
    ("readiness", &["recovery", "domain", "admission", "ledger", "dependency"]),
    (
        "checkout",
        &["mutants", "crash_points", "domain", "admission", "ledger", "outbox", "clock", "telemetry"],
    ),
    ("control", &["clock", "domain", "broker", "readiness", "service_url", "telemetry", "worker"]),
    ("request_body", &[]),
    ("api", &["domain", "checkout", "readiness", "request_body", "audit", "server"]),
    (
        "web",
        &[
            "clock",
            "domain",
            "checkout",
            "request_body",
            "control",
            "readiness",
            "server",
            "telemetry",
            "broker",
        ],
    ),
    (
        "commands",
        &[
            "crash_points",
            "domain",
            "clock",
            "config",
            "telemetry",
            "shutdown",
            "server",
            "dependency",
            "admission",
            "broker",
            "ledger",
            "outbox",
            "worker",
            "recovery",
            "readiness",
            "audit",
            "checkout",
            "control",
            "api",
            "web",
            "stress",
        ],
    ),
    ("lib", &[]),
    ("main", &[]),
];

/// Drivers, and the parts that may name them.
const DRIVERS: &[(&str, &[&str])] = &[
    // Selling, and the noticeboard of the processes.
    ("redis", &["admission", "control"]),
    ("deadpool_redis", &["admission", "control"]),
    ("lapin", &["broker"]),
    ("diesel", &["ledger"]),
    ("diesel_async", &["ledger"]),
    ("tokio_postgres", &["ledger"]),
    ("rustix", &["open_files", "crash_points", "control"]),
    ("actix_web", &["api", "web", "request_body", "server", "commands"]),
    ("askama", &["web", "stress"]),
    ("goose", &["stress"]),
    ("reqwest", &["stress"]),
    ("clap", &["commands", "main", "stress"]),
    (
        "tokio",
        &[
            "admission",
            "broker",
            "ledger",
            "outbox",
            "worker",
            "recovery",
            "readiness",
            "audit",
            "stress",
            "control",
            "web",
            "request_body",
            "checkout",
            "shutdown",
            "commands",
            "dependency",
        ],
    ),
];

/// Every source file under a folder of the package: its path, without the first folder, and its text.
fn sources_in(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources_in(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("in the package");
            let name: std::path::PathBuf = name.iter().skip(1).collect();
            found.push((name.display().to_string(), fs::read_to_string(&path).expect("source")));
        }
    }
}

/// What follows `start` in code (comments aside): `crate::` gives the parts that are named.
fn named(source: &str, start: &str) -> BTreeSet<String> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: Vec<_> = code.collect();
    let code = code.join("\n");
    let mut found = BTreeSet::new();
    for (position, _) in code.match_indices(start) {
        let rest = &code[position + start.len()..];
        let group = rest.strip_prefix('{').and_then(|group| group.split_once('}'));
        let names = group.map_or(rest, |(names, _)| names);
        for name in names.split(',').take(if group.is_some() { usize::MAX } else { 1 }) {
            let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            found.insert(name.trim().chars().take_while(|letter| word(*letter)).collect());
        }
    }
    found.remove("");
    found
}

#[test]
fn arrows_between_parts_run_one_way() {
    let mut files = Vec::new();
    sources_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 30, "the sources were not found");
    let mut wrong = Vec::new();
    for (name, source) in &files {
        let part = name.split(['/', '.']).next().expect("a part");
        let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == part) else {
            wrong.push(format!("{name}: the part {part:?} has no entry in MAY_USE"));
            continue;
        };
        for used in named(source, "crate::") {
            let is_part = MAY_USE.iter().any(|(known, _)| *known == used);
            if is_part && used != part && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{name} uses {used}, which {part} must not know"));
            }
        }
        for (driver, users) in DRIVERS {
            if source.contains(&format!("{driver}::")) && !users.contains(&part) {
                let own_module = source.contains(&format!("crate::{driver}::"));
                if !own_module {
                    wrong.push(format!("{name} names the driver {driver}, which {part} must not know"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows the wrong way:\n{}", wrong.join("\n"));
}

#[test]
fn the_check_sees_an_arrow_the_wrong_way() {
    let source = "use crate::ledger::Ledger;\nuse crate::{admission::Gate, broker};\n// crate::shop::x\n";
    let expected: BTreeSet<_> = ["ledger", "admission", "broker"].map(str::to_owned).into();
    assert_eq!(named(source, "crate::"), expected);
}

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
    for document in ["README.md", "docs/ARCHITECTURE.md", "docs/RELIABILITY.md"] {
        let text = fs::read_to_string(root.join(document)).expect("a document");
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

/// Whether these words are a path of names, with a name at its end.
fn is_path(words: &str) -> bool {
    let name = |part: &str| {
        !part.is_empty() && part.chars().all(|letter| letter.is_alphanumeric() || "_…".contains(letter))
    };
    words.contains("::") && words.split("::").all(name)
}
