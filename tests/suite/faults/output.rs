//! Nobody reads what our processes write, or it can't be written: the work goes on as if it were read.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Resource, Rlimit, Signal, prlimit};
use serde_json::json;

use crate::{
    embedded::Embedded,
    support::{
        SOON, eventually,
        http::{client, get, ready, try_send},
        process::Flashsale,
        servers,
        services::Services,
        stage::{blocking, own, restarted, with_redis},
    },
};

const NON_BLOCKING: i32 = 0o4000;

/// A named pipe that is full, because nobody reads it.
struct UnreadPipe {
    path: PathBuf,
    _dir: tempfile::TempDir,
    /// Open, so that writers wait instead of failing.
    _reader: File,
}

impl UnreadPipe {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        let open = |options: &mut OpenOptions| options.custom_flags(NON_BLOCKING).open(&path).expect("open");
        let reader = open(OpenOptions::new().read(true));
        let mut filler = open(OpenOptions::new().write(true));
        let full = loop {
            if let Err(error) = filler.write(b"unread\n") {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock, "the pipe is full");
        Self { path, _dir: dir, _reader: reader }
    }

    fn writer(&self) -> Stdio {
        File::options().write(true).open(&self.path).expect("open").into()
    }
}

/// A pipe whose reader is gone.
fn closed_pipe() -> Stdio {
    std::io::pipe().expect("a pipe").1.into()
}

fn full_disk() -> Stdio {
    File::options().write(true).open("/dev/full").expect("open").into()
}

/// Whether an attempt wins a unit.
async fn sells(api: &str, user: &str) -> bool {
    let request = client().post(format!("{api}/sale/buy")).json(&json!({ "userId": user }));
    try_send(request).await.is_some_and(|answer| answer.body["status"] == json!("SUCCESS"))
}

/// Redis is restarted while the logs of all processes go to `log`: outages are logged, selling goes on after it, and
/// SIGTERM ends the processes in order.
async fn survives(log: impl Fn() -> Stdio) {
    let redis = own(servers::redis).await;
    let services = with_redis(redis.port).await;
    let [api, health] = [servers::free_port(), servers::free_port()].map(|port| format!("127.0.0.1:{port}"));
    let more = [("FLASHSALE_API_ADDR", api.as_str()), ("FLASHSALE_WORK_HEALTH_ADDR", &health)];
    let spawn = |command: &str| {
        Flashsale::start(Flashsale::command(&[command], &services.variables(&more)), Stdio::piped(), log())
    };
    let mut processes = [spawn("work"), spawn("serve")];
    let [api, health] = [api, health].map(|address| format!("http://{address}"));
    ready(&health).await;
    ready(&api).await;
    assert!(sells(&api, "before").await);
    let redis = blocking(redis, servers::Server::kill).await;
    eventually("the outage is known", SOON, async || (!sells(&api, "meanwhile").await).then_some(())).await;
    let _redis = restarted(redis).await;
    ready(&api).await;
    ready(&health).await;
    let mut attempts = 0;
    eventually("selling again", SOON, async || {
        attempts += 1;
        sells(&api, &format!("after-{attempts}")).await.then_some(())
    })
    .await;
    for process in &mut processes {
        process.signal(Signal::TERM);
        assert_eq!(process.ended(Duration::from_secs(10)).await.code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_to_a_full_disk() {
    survives(full_disk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_to_a_reader_that_is_gone() {
    survives(closed_pipe).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_to_a_pipe_that_nobody_reads() {
    let pipe = UnreadPipe::new();
    survives(|| pipe.writer()).await;
}

/// While nobody reads, lines are dropped and counted; the count is logged as soon as they are read again.
#[tokio::test(flavor = "multi_thread")]
async fn is_counted_where_it_was_lost() {
    let (embedded, pipe) = (Embedded::new(), UnreadPipe::new());
    let api = format!("127.0.0.1:{}", servers::free_port());
    let more = [("FLASHSALE_API_ADDR", api.as_str()), ("FLASHSALE_LOG_FILTER", "trace")];
    let command = Flashsale::command(&["serve"], &embedded.variables(&more));
    let mut serve = Flashsale::start(command, Stdio::piped(), pipe.writer());
    let api = format!("http://{api}");
    ready(&api).await;
    // More lines than fit into the buffer.
    let client = client();
    for number in 0..3_000 {
        let answer = crate::support::http::buy(&client, &api, &format!("buyer-{number}")).await;
        assert_eq!(answer.status, 200);
    }
    let mut reader = File::open(&pipe.path).expect("open");
    let reading = tokio::task::spawn_blocking(move || {
        let (mut log, mut part) = (String::new(), [0; 4096]);
        while !log.contains("log lines were lost") {
            let length = reader.read(&mut part).expect("read");
            assert_ne!(length, 0, "the end of {log:.300}");
            log.push_str(&String::from_utf8_lossy(&part[..length]));
        }
    });
    let stock = format!("{api}/sale/stock");
    let waited = tokio::time::timeout(SOON, async {
        tokio::pin!(reading);
        loop {
            // Something to log.
            tokio::select! {
                read = &mut reading => break read.expect("the notice"),
                _ = get(&stock) => {}
            }
        }
    });
    waited.await.expect("the loss is logged");
    serve.signal(Signal::TERM);
    assert_eq!(serve.ended(Duration::from_secs(10)).await.code(), Some(0));
}

type Stream = fn() -> Stdio;

/// Ways in which the output of a command goes nowhere: what a shell does before it, and its streams.
const NOWHERE: [(&str, &str, Stream); 3] = [
    ("a full disk", ":", full_disk),
    ("a reader that is gone", ":", closed_pipe),
    ("a closed stream", "exec >&-", Stdio::null),
];

/// Runs a command in each of these ways, with its report alone or with its log as well, and expects this exit code.
async fn ends_with(expected: &[i32], arguments: &[&str], variables: &[(&str, &str)]) {
    for (name, preparation, stream) in NOWHERE {
        for log in [Stdio::piped(), stream()] {
            let command = Flashsale::after(preparation, &Flashsale::command(arguments, variables));
            let mut process = Flashsale::start(command, stream(), log);
            let code = process.ended(SOON).await.code();
            let is_expected = code.is_some_and(|code| expected.contains(&code));
            assert!(is_expected, "{arguments:?}, {name}: {code:?}\n{}", process.log());
        }
    }
}

/// Whether it can print its report or not, a command ends with the same code.
#[tokio::test(flavor = "multi_thread")]
async fn does_not_change_an_exit_code() {
    let services = Services::new().await;
    let mut migrate = services.spawn(&["migrate"], &[]);
    assert_eq!(migrate.ended(SOON).await.code(), Some(0));
    let serve = services.spawn(&["serve"], &[]);
    let _work = services.spawn(&["work"], &[]);
    ready(&serve.api().await).await;
    let variables = services.variables(&[]);
    ends_with(&[0], &["audit"], &variables).await;
    ends_with(&[1, 2], &["audit", "--json", "--product", "none"], &variables).await;
    for arguments in [&["reconcile"][..], &["dead-letters", "list"], &["--help"]] {
        ends_with(&[0], arguments, &variables).await;
    }
}

/// A load test passes or fails by what it has measured, on both of its load generators.
#[tokio::test(flavor = "multi_thread")]
async fn does_not_change_the_verdict_of_a_load_test() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let (api, console) = (serve.api().await, serve.console().await);
    ready(&api).await;
    let token_file = format!("{}/console-token", embedded.data_dir());
    let place = ["--api", &api, "--console", &console, "--token-file", &token_file];
    let stampede = ["--scenario", "stampede", "--attempts", "20"];
    let on_goose = ["--scenario", "flashsale", "--scale", "0.02", "--duration-scale", "0.02"];
    // Other tests run on the same machine: a limit that always holds, and one that never does.
    for (latency, code) in [("1000", 0), ("0.000001", 1)] {
        for load in [&stampede[..], &on_goose] {
            let arguments = [&["stress"], load, &place[..], &["--latency-scale", latency]].concat();
            ends_with(&[code], &arguments, &[]).await;
        }
    }
}

/// The embedded database can't be written for a while: attempts are refused meanwhile, and then it sells again,
/// without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn of_the_embedded_database_finds_no_space() {
    let embedded = Embedded::new();
    let plain = Flashsale::command(&["serve"], &embedded.variables(&[]));
    // Where a file may not grow, the system sends a signal first, which ends those who do not ignore it.
    let command = Flashsale::after("trap '' XFSZ", &plain);
    let mut serve = Flashsale::start(command, Stdio::piped(), Stdio::piped());
    let api = serve.api().await;
    ready(&api).await;
    assert!(sells(&api, "before").await);
    let process = rustix::process::Pid::from_raw(serve.id().cast_signed());
    let unlimited =
        prlimit(process, Resource::Fsize, Rlimit { current: Some(0), maximum: None }).expect("limit");
    for number in 0..5 {
        let buying =
            client().post(format!("{api}/sale/buy")).json(&json!({ "userId": format!("during-{number}") }));
        let answer = try_send(buying).await.expect("an answer");
        assert_eq!((answer.status, &answer.body["outcome"]), (503, &json!("unknown")), "{}", answer.body);
    }
    prlimit(process, Resource::Fsize, unlimited).expect("limit");
    let mut attempts = 0;
    eventually("selling again", SOON, async || {
        attempts += 1;
        sells(&api, &format!("after-{attempts}")).await.then_some(())
    })
    .await;
    for number in 0..5 {
        let answer = crate::support::http::buy(&client(), &api, &format!("during-{number}")).await;
        assert!(["SUCCESS", "PURCHASED"].map(|outcome| json!(outcome)).contains(&answer.body["status"]));
        assert_eq!(answer.body["state"], json!("CONFIRMED"));
    }
    serve.signal(Signal::TERM);
    assert_eq!(serve.ended(Duration::from_secs(10)).await.code(), Some(0));
}
