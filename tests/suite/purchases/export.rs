//! Exporting purchases.

use std::{path::Path, process::Stdio};

use serde_json::Value;

use super::{operate, operate_embedded};
use crate::{
    embedded::Embedded,
    support::{
        SOON,
        http::{buy, client, ready},
        process::Flashsale,
        services::Services,
    },
};

/// More than two pages.
const ROWS: u32 = 5_003;

/// A ledger with so many purchases, of which unit 2 was cancelled and sold again.
async fn sold(services: &Services) {
    let mut migrate = services.spawn(&["migrate"], &[]);
    assert!(migrate.ended(SOON).await.success());
    let insert = format!(
        "INSERT INTO purchases (id, product_id, user_id, unit, admitted_at, offer)
         SELECT gen_random_uuid(), 'limited-001', 'user-' || unit, unit, now(), 1 FROM generate_series(1, {ROWS}) AS unit;
         UPDATE purchases SET user_id = '=HYPERLINK(\"x\",1)' WHERE unit = 3;
         UPDATE purchases SET cancelled_at = now(), cancelled_by = 'ada', cancel_reason = 'Returned, thanks.',
                              holds_unit = false WHERE unit = 2;
         INSERT INTO purchases (id, product_id, user_id, unit, admitted_at, offer)
         VALUES (gen_random_uuid(), 'limited-001', 'second-owner', 2, now(), 1)"
    );
    services.sql().await.batch_execute(&insert).await.expect("rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn is_in_the_order_of_units_and_can_be_verified() {
    let services = Services::new().await;
    sold(&services).await;
    let dir = tempfile::tempdir().expect("dir");
    let path = |name: &str| dir.path().join(name).to_str().expect("path").to_owned();
    let (csv, jsonl) = (path("sold.csv"), path("sold.jsonl"));
    for (format, file) in [("csv", &csv), ("jsonl", &jsonl)] {
        let (code, said) =
            operate(&services, &["purchases", "export", "--format", format, "--output", file]).await;
        assert!(code == Some(0) && said.contains("wrote 5004 purchases"), "{said}");
        let (code, said) = operate(&services, &["purchases", "export", "--verify", file]).await;
        assert!(code == Some(0) && said.contains("has all 5004 purchases"), "{said}");
        let check = std::process::Command::new("sha256sum")
            .args(["--check", "--strict", &format!("{file}.sha256")])
            .current_dir(dir.path())
            .output();
        assert!(check.expect("sha256sum").status.success());
    }
    let text = std::fs::read_to_string(&csv).expect("csv");
    let lines: Vec<_> = text.split("\r\n").collect();
    assert_eq!(lines.len(), 5_004 + 2, "a header, and the end");
    assert!(lines.iter().any(|line| line.contains("\"'=HYPERLINK(\"\"x\"\",1)\"")), "a formula is text");
    let rows: Vec<Value> = std::fs::read_to_string(&jsonl)
        .expect("jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let units: Vec<_> = rows.iter().map(|row| row["unit"].as_u64().expect("unit")).collect();
    assert!(units.is_sorted() && units[units.len() - 1] == u64::from(ROWS));
    let of_unit_2: Vec<_> = rows.iter().filter(|row| row["unit"] == 2).collect();
    let cancelled = of_unit_2.iter().find(|row| row["state"] == "CANCELLED").expect("cancelled");
    assert_eq!((of_unit_2.len(), &cancelled["cancelReason"]), (2, &"Returned, thanks.".into()));

    // Not what was written.
    std::fs::write(&jsonl, std::fs::read_to_string(&jsonl).expect("jsonl").replace("user-9\"", "user-8\""))
        .expect("write");
    let (code, said) = operate(&services, &["purchases", "export", "--verify", &jsonl]).await;
    assert!(code == Some(1) && said.contains("was changed: its SHA-256 is"), "{said}");
    let (code, said) = operate(&services, &["purchases", "export", "--verify", &path("other")]).await;
    assert!(code == Some(1) && said.contains("can't read the digest"), "{said}");

    let (code, printed) =
        operate(&services, &["purchases", "export", "--after", "5000", "--format", "jsonl"]).await;
    assert_eq!((code, printed.lines().filter(|line| line.starts_with('{')).count()), (Some(0), 3));
    let nowhere = path("no/such/place.csv");
    let (code, said) = operate(&services, &["purchases", "export", "--output", &nowhere]).await;
    assert!(
        code == Some(1) && said.contains("can't write the export") && !Path::new(&nowhere).exists(),
        "{said}"
    );
}

/// A reader that has gone has what it wanted; a full disk is an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_is_no_error_and_a_full_disk_is_one() {
    let services = Services::new().await;
    sold(&services).await;
    let full = || std::fs::File::options().write(true).open("/dev/full").expect("open");
    let closed: Stdio = std::io::pipe().expect("a pipe").1.into();
    for (stdout, code) in [(closed, 0), (full().into(), 1)] {
        let command = Flashsale::command(&["purchases", "export"], &services.variables(&[]));
        let mut export = Flashsale::start(command, stdout, Stdio::piped());
        assert_eq!(export.ended(SOON).await.code(), Some(code), "{}", export.log());
    }
    // What can't be written is known before the database is reached.
    let unreachable = [("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")];
    let output = ["purchases", "export", "--output", "/no/such/directory/sold.csv"];
    services.spawn(&output, &unreachable).refused(1, "can't write the export").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_beside_the_running_process() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    let bought = buy(&client(), &api, "ada").await.body;
    let (code, printed) = operate_embedded(&embedded, &["purchases", "export"]).await;
    assert_eq!(code, Some(0), "{printed}");
    let expected = format!("1,{},limited-001,ada,CONFIRMED,", bought["purchaseId"].as_str().expect("id"));
    let line = printed.lines().find(|line| line.starts_with(&expected)).unwrap_or_default();
    assert!(line.ends_with(",Meridian One desk clock,999.99,USD"), "{printed}");
}
