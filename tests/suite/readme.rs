//! README is run: every command that it shows, in the mode in which it stands.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;

use crate::{
    embedded::Embedded,
    support::{
        SOON, eventually,
        http::{get, ready},
        process::Flashsale,
        services::Services,
    },
};

/// A fenced block of README.
struct Block {
    /// The heading above it.
    section: String,
    language: String,
    lines: Vec<String>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn blocks() -> Vec<Block> {
    let text = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let (mut blocks, mut section, mut is_open): (Vec<Block>, _, _) = (Vec::new(), String::new(), false);
    for line in text.lines() {
        if let Some(language) = line.strip_prefix("```") {
            is_open = !is_open;
            if is_open {
                let (section, language) = (section.clone(), language.to_owned());
                blocks.push(Block { section, language, lines: Vec::new() });
            }
        } else if is_open {
            blocks.last_mut().expect("a block").lines.push(line.to_owned());
        } else if let Some(heading) = line.strip_prefix("## ") {
            heading.clone_into(&mut section);
        }
    }
    blocks
}

/// The commands of all blocks for a shell, without comments, each with its section.
fn commands() -> Vec<(String, String)> {
    let shell = blocks().into_iter().filter(|block| block.language == "sh");
    let command = |line: &String| line.split(" #").next().unwrap_or_default().trim().to_owned();
    let of = |block: Block| {
        let commands: Vec<_> = block.lines.iter().map(command).filter(|one| !one.is_empty()).collect();
        commands.into_iter().map(move |one| (block.section.clone(), one))
    };
    shell.flat_map(of).collect()
}

/// The words of a command, quotes removed.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in command.trim_end_matches('&').trim().chars() {
        match letter {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            letter => words.last_mut().expect("a word").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Runs a command of README in a folder, to its end.
async fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Flashsale::command(arguments, variables);
    command.current_dir(folder);
    let mut process = Flashsale::start(command, Stdio::piped(), Stdio::piped());
    let code = process.ended(SOON * 2).await.code();
    (code, format!("{}\n{}", process.printed(), process.log()))
}

fn is_server(arguments: &[&str]) -> bool {
    arguments.iter().any(|word| ["serve", "work", "web"].contains(word))
}

/// Much smaller than it stands there, and on a slow machine.
const SMALL: [&str; 6] = ["--scale", "0.02", "--duration-scale", "0.05", "--latency-scale", "1000"];

/// Runs the commands of these sections beside a running system; returns those that were run.
async fn run_all(
    sections: &[&str],
    purchase: &str,
    folder: &Path,
    variables: &[(&str, &str)],
    more: &[&str],
) -> BTreeSet<String> {
    let mut done = BTreeSet::new();
    for (section, command) in commands() {
        let words = words(&command);
        let known = |word: &'_ String| if word == "ID" { purchase.to_owned() } else { word.clone() };
        let given: Vec<_> = words[1..].iter().map(known).collect();
        let mut arguments: Vec<_> = given.iter().map(String::as_str).collect();
        if words[0] != "flashsale" || is_server(&arguments) || !sections.contains(&section.as_str()) {
            continue;
        }
        if arguments[0] == "stress" {
            arguments.extend(SMALL.iter().chain(more).copied());
            let sale = format!("{}/sale/status", more[1]);
            eventually("resumed", SOON, async || (get(&sale).await.body["status"] == "ACTIVE").then_some(()))
                .await;
        }
        let (code, output) = run(folder, &arguments, variables).await;
        assert_eq!(code, Some(0), "`{command}` of {section:?}: {output}");
        done.insert(command);
    }
    done
}

/// Commands that are no part of the program: what they do is looked at in another place, or by people.
const OTHERS: [&str; 5] = ["cargo", "export", "curl", "cp", "docker"];

#[test]
fn every_command_is_known_and_the_program_is_installed_before_it_is_called() {
    let commands = commands();
    for (section, command) in &commands {
        let first = words(command)[0].clone();
        assert!(first == "flashsale" || OTHERS.contains(&first.as_str()), "{section}: {command}");
    }
    let position = |start: &str| commands.iter().position(|(_, command)| command.starts_with(start));
    let (installed, called) = (position("cargo install --locked --path ."), position("flashsale"));
    assert!(installed.is_some() && installed < called, "{commands:?}");
}

/// Ids of purchases are those of that day.
fn without_ids(text: &str) -> Value {
    let mut value: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"));
    if let Some(id) = value.get_mut("purchaseId") {
        *id = Value::from(id.as_str().map(str::len));
    }
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_embedded_mode_do_what_they_say() {
    let embedded = Embedded::new();
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(root().join("config"), folder.path().join("config")).expect("a link");
    let serve = embedded.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    // The answers are exactly those that README shows.
    let host = api.trim_start_matches("http://").to_owned();
    for block in blocks().into_iter().filter(|block| block.language == "console") {
        for pair in block.lines.chunks(2) {
            let [command, shown] = pair else { panic!("{pair:?}") };
            let command = command.strip_prefix("$ ").expect("a prompt").replace("localhost:3001", &host);
            let shell =
                tokio::process::Command::new("/bin/sh").args(["-c", &command]).output().await.expect("sh");
            let answer = String::from_utf8_lossy(&shell.stdout).into_owned();
            assert_eq!(without_ids(&answer), without_ids(shown), "{command}");
        }
    }
    let bought = get(&format!("{api}/sale/purchase/status?userId=buyer-1")).await.body;
    let purchase = bought["purchaseId"].as_str().expect("an id").to_owned();
    let (console, web) = (serve.console().await, serve.shop().await);
    let more = ["--api", &api, "--console", &console, "--web", &web];
    let sections = ["Quick start", "Your own sale", "Load test"];
    let done = run_all(&sections, &purchase, folder.path(), &embedded.variables(&[]), &more).await;
    for wanted in ["flashsale pause", "flashsale resume", "flashsale audit"] {
        assert!(done.contains(wanted), "{done:?}");
    }
    drop(serve);
    // One's own sale, from the copy.
    std::fs::copy(root().join("config/products.toml"), folder.path().join("sale.toml")).expect("a copy");
    let own =
        commands().into_iter().find(|(section, one)| section == "Your own sale" && one.ends_with("serve"));
    let words = words(&own.expect("serve").1);
    let arguments: Vec<_> = words[1..].iter().map(String::as_str).collect();
    let other = Embedded::new();
    let mut command = Flashsale::command(&arguments, &other.variables(&[]));
    command.current_dir(folder.path());
    let serve = Flashsale::start(command, Stdio::piped(), Stdio::piped());
    ready(&serve.api().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_distributed_mode_do_what_they_say() {
    let (services, folder) = (Services::new().await, tempfile::tempdir().expect("a folder"));
    let section = "Distributed mode";
    let products = crate::distributed::catalogue(100);
    let variables = [("FLASHSALE_PRODUCTS", products.path().to_str().expect("path"))];
    let mut servers = Vec::new();
    for (_, command) in commands().into_iter().filter(|(one, _)| one == section) {
        let words = words(&command);
        let arguments: Vec<_> = words[1..].iter().map(String::as_str).collect();
        if words[0] == "flashsale" && is_server(&arguments) {
            servers.push(services.spawn(&arguments, &variables));
        }
    }
    let [_work, serve, _web] = &servers[..] else { panic!("{} servers", servers.len()) };
    ready(&serve.api().await).await;
    let all = services.variables(&[]);
    let done = run_all(&[section], "", folder.path(), &all, &[]).await;
    for wanted in ["flashsale dead-letters list", "flashsale reconcile"] {
        assert!(done.contains(wanted), "{done:?}");
    }
    // Those of the section about one's own sale are for both modes.
    for command in [&["pause"][..], &["resume"], &["audit"]] {
        let (code, output) = run(folder.path(), command, &all).await;
        assert_eq!(code, Some(0), "{command:?}: {output}");
    }
}
