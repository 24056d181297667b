//! The direction of the arrows: which folder of the source may know which, and that no files form a circle.

use std::collections::BTreeSet;

use super::{
    graph::{arrows, circles, of_files, of_folders},
    source::{Source, all},
};

/// Each folder, and the folders that it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("runtime", &[]),
    ("config", &["domain", "runtime"]),
    ("observability", &["config", "domain", "runtime"]),
    ("admission", &["config", "domain", "observability", "runtime"]),
    ("broker", &["config", "domain", "observability", "runtime"]),
    ("ledger", &["config", "domain", "observability", "runtime"]),
    ("stores", &["admission", "broker", "domain", "ledger", "observability", "runtime"]),
    ("outbox", &["admission", "broker", "domain", "runtime", "stores"]),
    (
        "checkout",
        &["admission", "config", "domain", "ledger", "observability", "outbox", "runtime", "stores"],
    ),
    ("worker", &["admission", "broker", "config", "domain", "ledger", "observability", "runtime", "stores"]),
    ("audit", &["admission", "broker", "domain", "ledger", "runtime", "stores"]),
    (
        "recovery",
        &[
            "admission",
            "audit",
            "broker",
            "config",
            "domain",
            "ledger",
            "observability",
            "outbox",
            "runtime",
            "stores",
            "worker",
        ],
    ),
    (
        "operations",
        &[
            "admission",
            "audit",
            "broker",
            "domain",
            "ledger",
            "observability",
            "recovery",
            "runtime",
            "stores",
        ],
    ),
    ("http", &["checkout", "config", "domain", "observability", "runtime", "stores"]),
    ("api", &["checkout", "domain", "http", "observability", "runtime", "stores"]),
    ("shop", &["checkout", "config", "domain", "http", "observability", "runtime", "stores"]),
    ("console", &["audit", "broker", "config", "domain", "http", "observability", "runtime", "stores"]),
    ("stress", &["audit", "config", "domain", "runtime"]),
    (
        "commands",
        &[
            "admission",
            "api",
            "audit",
            "broker",
            "checkout",
            "config",
            "console",
            "domain",
            "http",
            "ledger",
            "observability",
            "operations",
            "outbox",
            "recovery",
            "runtime",
            "shop",
            "stores",
            "stress",
            "worker",
        ],
    ),
];

/// Drivers and frameworks, and the folders that may name them.
const DRIVERS: &[(&str, &[&str])] = &[
    ("redis", &["admission", "observability"]),
    ("deadpool_redis", &["admission", "observability"]),
    ("lapin", &["broker"]),
    ("diesel", &["ledger"]),
    ("diesel_async", &["ledger"]),
    ("diesel_migrations", &["ledger"]),
    ("tokio_postgres", &["ledger"]),
    ("rustix", &["runtime", "observability", "operations", "commands"]),
    ("actix_http", &["http"]),
    ("actix_service", &["http"]),
    ("socket2", &["http"]),
    ("actix_web", &["api", "commands", "console", "http", "shop"]),
    ("askama", &["console", "http", "shop", "stress"]),
    ("goose", &["stress"]),
    ("reqwest", &["stress"]),
    ("rand", &["runtime"]),
    ("fastrand", &["runtime"]),
    ("clap", &["commands", "main", "stress"]),
];

/// Folders that know the seams and never an adapter, and the names that must not occur in them.
const PIPELINE: &[&str] = &["domain", "checkout", "outbox", "worker", "recovery", "operations"];
const ADAPTERS: &[&str] = &["redis", "rabbitmq", "postgresql", "sqlite", "actix"];
/// The durability values of the API name where a purchase is safe.
const DURABILITY: &[&str] = &["Durability::Redis", "    Redis,"];

#[test]
fn arrows_between_folders_run_one_way() {
    let sources = all();
    assert!(sources.len() > 100, "the sources were not found");
    let mut wrong = Vec::new();
    for (file, used) in of_files(&sources) {
        let source = sources.iter().find(|source| source.path == file).expect("a source");
        let Some((_, allowed)) = MAY_USE.iter().find(|(folder, _)| *folder == source.folder()) else {
            wrong.push(format!("{file}: the folder has no entry in MAY_USE"));
            continue;
        };
        for (used, name) in of_folders(&[(file.clone(), used)].into()).into_values().flatten() {
            if !allowed.contains(&used.as_str()) {
                wrong.push(format!("{file} uses {name}, and {} must not know {used}", source.folder()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows the wrong way:\n{}", wrong.join("\n"));
}

#[test]
fn no_folders_and_no_files_form_a_circle() {
    let files = of_files(&all());
    assert_eq!(circles(&of_folders(&files)), [[""; 0]; 0], "folders");
    let found: Vec<_> = circles(&files).iter().map(|circle| arrows(&files, circle)).collect();
    assert!(found.is_empty(), "{} circles of files:\n{}", found.len(), found.join("\n\n"));
}

#[test]
fn drivers_are_named_only_where_they_belong() {
    let mut wrong = Vec::new();
    for source in all() {
        for (driver, folders) in DRIVERS {
            if source.crates.contains(*driver) && !folders.contains(&source.folder()) {
                wrong.push(format!("{} names {driver}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_pipeline_names_no_adapter() {
    let mut wrong = Vec::new();
    for source in all().iter().filter(|source| PIPELINE.contains(&source.folder())) {
        for (number, line) in source.text.lines().enumerate() {
            let line = DURABILITY.iter().fold(line.to_owned(), |line, value| line.replace(value, ""));
            if let Some(name) = ADAPTERS.iter().find(|name| line.to_lowercase().contains(**name)) {
                wrong.push(format!("{}:{} names {name}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} lines:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_check_sees_names_behind_nested_groups_and_in_macros() {
    let text = "use crate::{admission::{Admission, redis::{Keys}}, broker};\n\
                fn f() { println!(\"{}\", crate::ledger::x()); crate::outbox::y(); }\n\
                #[cfg(test)] mod tests { use crate::shop::Z; }\n// crate::web::x";
    let source = Source::parse("worker/batch.rs", text);
    let folders: BTreeSet<_> = source.uses.iter().map(|path| path[0].as_str()).collect();
    assert_eq!(folders, BTreeSet::from(["admission", "broker", "ledger", "outbox"]));
}

#[test]
fn the_check_sees_a_circle_and_follows_re_exports() {
    let file = |path: &str, text: &str| Source::parse(path, text);
    let sources = [
        file("a/mod.rs", "mod one; mod two; pub use one::One; pub use two::Two;"),
        file("a/one.rs", "use super::Two; pub struct One;"),
        file("a/two.rs", "use crate::a::One; pub struct Two;"),
        file("b.rs", "use crate::a::One;"),
    ];
    assert_eq!(circles(&of_files(&sources)), [["a/one.rs", "a/two.rs"]]);
}
