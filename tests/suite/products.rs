//! The terms of a known product change by an operation, and by nothing else.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};

use crate::{
    distributed::drained,
    embedded::Embedded,
    support::{
        SOON, eventually,
        http::{buy, buy_at, client, get, ready},
        process::Flashsale,
        services::Services,
        terminal::Terminal,
    },
};

/// Gives the products the terms of a catalogue file, as an operator does.
pub(crate) async fn apply(services: &Services, file: &Path) {
    let file = file.to_str().expect("path");
    let mut process = services.spawn(&["products", "apply", file, "--yes"], &[]);
    assert_eq!(process.ended(SOON).await.code(), Some(0), "{}", process.log());
}

/// A catalogue file with these products: id, price and stock.
fn file(products: &[(&str, &str, u32)]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("file");
    write(&file, products);
    file
}

fn write(file: &tempfile::NamedTempFile, products: &[(&str, &str, u32)]) {
    let product = |(id, price, stock): &(&str, &str, u32)| {
        format!(
            "[[products]]\nid = \"{id}\"\nname = \"{id} for {price}\"\nprice = \"{price}\"
             currency = \"USD\"\ntotal_stock = {stock}\n"
        )
    };
    let text: String = products.iter().map(product).collect();
    std::fs::write(file.path(), text).expect("write");
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().expect("path")
}

async fn product_is(api: &str, name: &str, total_stock: u32) -> Value {
    eventually(name, SOON, async || {
        let sale = get(&format!("{api}/sale/status")).await.body;
        let product = &sale["product"];
        (product["name"] == json!(name) && product["totalStock"] == json!(total_stock))
            .then(|| product.clone())
    })
    .await
}

/// Processes are started with an older file in mid-sale, when more is sold than the file has units: the terms stay,
/// every process shows and sells by them, and operators are told.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_file_changes_nothing_in_mid_sale() {
    let services = Services::new().await;
    let (older, newer) = (file(&[("a", "1", 3)]), file(&[("b", "5", 1), ("a", "2", 9)]));
    let with = |file| [("FLASHSALE_PRODUCTS", path(file))];
    let first = services.spawn(&["work"], &with(&older));
    let serve = services.spawn(&["serve"], &with(&older));
    let api = serve.api().await;
    ready(&api).await;
    product_is(&api, "a for 1", 3).await;
    apply(&services, newer.path()).await;
    // The running process follows: the first product is another one now.
    product_is(&api, "b for 5", 1).await;
    let client = client();
    for number in 1..=5 {
        let bought = eventually("the stock is raised", SOON, async || {
            let answer = buy_at(&client, &format!("{api}/products/a/buy"), &format!("buyer-{number}")).await;
            (answer.body["status"] != json!("SOLD_OUT")).then_some(answer.body)
        })
        .await;
        assert_eq!((&bought["status"], &bought["unit"]), (&json!("SUCCESS"), &json!(number)));
    }
    drained(&services, 5).await;

    let work = services.spawn(&["work"], &with(&older));
    let late = services.spawn(&["serve"], &with(&older));
    let web = services.spawn(&["web"], &with(&older));
    let mut migrate = services.spawn(&["migrate"], &with(&older));
    assert_eq!(migrate.ended(SOON).await.code(), Some(0));
    for process in [&work, &late, &web] {
        let line = process.logs("the catalogue file is not what is sold").await;
        assert!(line.contains("a (name, price, total_stock)") && line.contains("products apply"), "{line}");
    }
    let late_api = late.api().await;
    product_is(&late_api, "b for 5", 1).await;
    let shown = get(&format!("{late_api}/products/a")).await.body;
    assert_eq!((&shown["product"]["price"], &shown["product"]["totalStock"]), (&json!("2.00"), &json!(9)));
    let shop = web.shop().await;
    let page = get(&format!("{shop}/products/a")).await.body;
    assert!(page.as_str().expect("a page").contains("a for 2"), "{page}");
    assert_eq!(buy(&client, &late_api, "buyer-b").await.body["status"], json!("SUCCESS"));
    let bought = buy_at(&client, &format!("{late_api}/products/a/buy"), "buyer-6").await.body;
    assert_eq!(bought["unit"], json!(6));
    drained(&services, 7).await;
    let terms =
        "SELECT count(*) FROM products WHERE (id, total_stock, price_minor) IN (('a', 9, 200), ('b', 1, 500))
                 AND lower_stock_to IS NULL";
    assert_eq!(services.count(terms).await, 2);

    let console = web.console().await;
    eventually("the console tells of it", SOON, async || {
        let verdict = get(&format!("{console}/console/snapshot")).await.body["verdict"].clone();
        verdict.to_string().contains("run flashsale products apply").then_some(())
    })
    .await;
    drop((first, work));
}

async fn operate(services: &Services, arguments: &[&str]) -> (Option<i32>, Flashsale) {
    let mut process = services.spawn(arguments, &[]);
    (process.ended(SOON).await.code(), process)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_the_difference_before_it_is_applied() {
    let services = Services::new().await;
    let (old, new, less) =
        (file(&[("a", "1", 3)]), file(&[("a", "2", 5), ("b", "1", 1)]), file(&[("a", "1", 1)]));
    let variables = [("FLASHSALE_PRODUCTS", path(&old))];
    let (_work, serve) = (services.spawn(&["work"], &variables), services.spawn(&["serve"], &variables));
    let api = serve.api().await;
    ready(&api).await;
    for user in ["one", "two"] {
        assert_eq!(buy(&client(), &api, user).await.body["status"], json!("SUCCESS"));
    }
    drained(&services, 2).await;
    let difference = ["a:", "    price: 1.00 USD -> 2.00 USD", "    total_stock: 3 -> 5", "b: new"];
    for (flag, code) in [(Some("--dry-run"), 1), (None, 2)] {
        let arguments: Vec<_> = ["products", "apply", path(&new)].into_iter().chain(flag).collect();
        let (ended, process) = operate(&services, &arguments).await;
        assert_eq!(ended, Some(code), "{flag:?}: {}", process.log());
        let printed = process.printed();
        assert!(difference.iter().all(|line| printed.lines().any(|printed| printed == *line)), "{printed}");
        assert_eq!(services.count("SELECT count(*) FROM products").await, 1, "{flag:?}");
    }
    for (code, said) in [(0, "applied"), (0, "no difference")] {
        let (ended, process) = operate(&services, &["products", "apply", path(&new), "--yes"]).await;
        assert_eq!(ended, Some(code));
        assert!(process.printed().ends_with(said), "{}", process.printed());
    }
    let (ended, process) = operate(&services, &["products", "apply", path(&less), "--yes"]).await;
    assert_eq!(ended, Some(2));
    process.logs("total_stock = 1 of product a is below unit 2, which is sold").await;
    let (ended, process) = operate(&services, &["products", "apply", "/nowhere/at-all.toml", "--yes"]).await;
    assert_eq!(ended, Some(2));
    process.logs("/nowhere/at-all.toml").await;
    let (ended, process) = operate(&services, &["products", "list"]).await;
    assert_eq!(ended, Some(0));
    assert!(
        process.printed().contains("a: a for 2\n    price: 2.00 USD\n    total_stock: 5"),
        "{}",
        process.printed()
    );
}

/// Beside the running process, which goes on selling: more, then fewer than are handed out, then fewer.
#[tokio::test(flavor = "multi_thread")]
async fn embedded_a_file_is_applied_in_mid_sale() {
    let (embedded, catalogue) = (Embedded::new(), file(&[("a", "1", 1)]));
    let serve = embedded.spawn(&["serve"], &[("FLASHSALE_PRODUCTS", path(&catalogue))]);
    let api = serve.api().await;
    ready(&api).await;
    let client = client();
    assert_eq!(buy(&client, &api, "one").await.body["unit"], json!(1));
    assert_eq!(buy(&client, &api, "two").await.body["status"], json!("SOLD_OUT"));
    let apply = async |products: &[(&str, &str, u32)]| {
        write(&catalogue, products);
        let mut apply = embedded.spawn(&["products", "apply", path(&catalogue), "--yes"], &[]);
        let code = apply.ended(SOON).await.code();
        (code, format!("{}{}", apply.printed(), apply.log()))
    };
    let (code, said) = apply(&[("a", "2", 5), ("b", "1", 3)]).await;
    assert_eq!(code, Some(0), "{said}");
    product_is(&api, "a for 2", 5).await;
    assert!(!serve.log().contains("the catalogue file is not what is sold"), "it is: {}", serve.log());
    for (user, unit) in [("two", 2), ("three", 3)] {
        eventually("the stock is raised", SOON, async || {
            (buy(&client, &api, user).await.body["unit"] == json!(unit)).then_some(())
        })
        .await;
    }
    let of_b = format!("{api}/products/b/buy");
    eventually("another product is sold", SOON, async || {
        (buy_at(&client, &of_b, "one").await.body["unit"] == json!(1)).then_some(())
    })
    .await;
    let (code, said) = apply(&[("a", "2", 2), ("b", "1", 3)]).await;
    assert!(code == Some(2) && said.contains("is below unit 3, which is sold"), "{said}");
    assert_eq!(apply(&[("a", "2", 4), ("b", "1", 3)]).await.0, Some(0));
    product_is(&api, "a for 2", 4).await;
    eventually("the ledger agrees", SOON, async || {
        let mut list = embedded.spawn(&["products", "list"], &[]);
        list.ended(SOON).await;
        list.printed().contains("total_stock: 4\n").then_some(())
    })
    .await;
    assert_eq!(buy(&client, &api, "four").await.body["unit"], json!(4));
    assert_eq!(buy(&client, &api, "five").await.body["status"], json!("SOLD_OUT"));
    serve.kill();
    // Without a process, a lower stock waits for the next one, which sells no unit above it.
    let (code, _) = apply(&[("a", "2", 4), ("b", "1", 1)]).await;
    assert_eq!(code, Some(0));
    let serve = embedded.spawn(&["serve"], &[]);
    let api = serve.api().await;
    ready(&api).await;
    let of_b = format!("{api}/products/b/buy");
    assert_eq!(buy_at(&client, &of_b, "two").await.body["status"], json!("SOLD_OUT"));
    assert_eq!(buy(&client, &api, "four").await.body["unit"], json!(4));
}

/// The operator who restarts the only process with an edited file has decided.
#[tokio::test(flavor = "multi_thread")]
async fn embedded_an_edited_file_is_applied_by_a_restart() {
    let (embedded, catalogue) = (Embedded::new(), file(&[("a", "1", 3)]));
    let with_file = [("FLASHSALE_PRODUCTS", path(&catalogue))];
    let mut serve = embedded.spawn(&["serve"], &with_file);
    let api = serve.api().await;
    ready(&api).await;
    assert_eq!(buy(&client(), &api, "one").await.body["unit"], json!(1));
    serve.signal(rustix::process::Signal::TERM);
    assert!(serve.ended(SOON).await.success());

    write(&catalogue, &[("a", "2", 2)]);
    // Without a file, what is sold stays: neither the demo product nor other terms.
    for (variables, name, stock) in [(&[][..], "a for 1", 3), (&with_file[..], "a for 2", 2)] {
        let mut serve = embedded.spawn(&["serve"], variables);
        let api = serve.api().await;
        ready(&api).await;
        product_is(&api, name, stock).await;
        assert_eq!(get(&format!("{api}/products")).await.body.as_array().map(Vec::len), Some(1));
        serve.signal(rustix::process::Signal::TERM);
        assert!(serve.ended(SOON).await.success());
    }
    // Two are sold: a file with less stock, a warning; what it adds is added, as in the distributed mode.
    let mut serve = embedded.spawn(&["serve"], &with_file);
    let api = serve.api().await;
    ready(&api).await;
    assert_eq!(buy(&client(), &api, "two").await.body["unit"], json!(2));
    serve.signal(rustix::process::Signal::TERM);
    assert!(serve.ended(SOON).await.success());
    write(&catalogue, &[("a", "9", 1), ("b", "1", 1)]);
    let mut serve = embedded.spawn(&["serve"], &with_file);
    let line = serve.logs("the catalogue file is not applied").await;
    assert!(line.contains("total_stock = 1 of product a is below unit 2, which is sold"), "{line}");
    let line = serve.logs("the catalogue file is not what is sold").await;
    assert!(line.contains("a (name, price, total_stock)"), "{line}");
    let api = serve.api().await;
    product_is(&api, "a for 2", 2).await;
    // The file that differs is shown as not ready, and is not required.
    eventually("both sales are ready", SOON, async || {
        let answer = get(&format!("{api}/readyz")).await;
        (answer.status == 200 && answer.body.to_string().contains("sale b")).then_some(())
    })
    .await;
    assert_eq!(buy(&client(), &api, "two").await.body["status"], json!("PURCHASED"));
    assert_eq!(buy_at(&client(), &format!("{api}/products/b/buy"), "two").await.body["unit"], json!(1));
    serve.signal(rustix::process::Signal::TERM);
    assert!(serve.ended(SOON).await.success());
    write(&catalogue, &[("a", "3", 9)]);
    let mut apply = embedded.spawn(&["products", "apply", path(&catalogue), "--yes"], &[]);
    assert_eq!(apply.ended(SOON).await.code(), Some(0));
    let serve = embedded.spawn(&["serve"], &with_file);
    product_is(&serve.api().await, "a for 3", 9).await;
    // Not a difference that applying the file would change, but said.
    let line = serve.logs("the catalogue file agrees with what is sold, except for: ").await;
    assert!(line.contains("b (not in the file)"), "{line}");
}

/// The person at the terminal decides; without an answer nothing is changed, and the command says so.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_asked_before_it_is_applied() {
    let (embedded, catalogue) = (Embedded::new(), file(&[("a", "1", 3)]));
    let mut serve = embedded.spawn(&["serve"], &[("FLASHSALE_PRODUCTS", path(&catalogue))]);
    ready(&serve.api().await).await;
    serve.signal(rustix::process::Signal::TERM);
    assert!(serve.ended(SOON).await.success());
    write(&catalogue, &[("a", "2", 5)]);
    let arguments = ["products", "apply", path(&catalogue)];
    let asked = |terminal: &Terminal| {
        let command = Flashsale::command(&arguments, &embedded.variables(&[]));
        Flashsale::start_with(command, terminal.stream(), Stdio::piped(), Stdio::piped())
    };
    for (keys, code, said) in [
        ("n\n", 1, None),
        ("\n", 1, None),
        ("\u{4}", 2, Some("standard input ended without an answer, so nothing was changed")),
    ] {
        let terminal = Terminal::open();
        terminal.types(keys);
        let mut apply = asked(&terminal);
        assert_eq!(apply.ended(SOON).await.code(), Some(code), "{keys:?}: {}", apply.log());
        match said {
            Some(said) => drop(apply.logs(said).await),
            None => assert!(apply.printed().contains("nothing was changed"), "{}", apply.printed()),
        }
    }
    // Nobody types anything: a signal is heard all the same.
    let terminal = Terminal::open();
    let mut apply = asked(&terminal);
    apply.prints("Apply this?").await;
    apply.signal(rustix::process::Signal::TERM);
    assert_eq!(apply.ended(Duration::from_secs(5)).await.code(), Some(2), "{}", apply.log());
    apply.logs("stopped before an answer, so nothing was changed").await;
    let list = async || {
        let mut list = embedded.spawn(&["products", "list"], &[]);
        assert!(list.ended(SOON).await.success());
        list.printed()
    };
    assert!(list().await.contains("price: 1.00 USD\n    total_stock: 3"), "{}", list().await);
    let terminal = Terminal::open();
    terminal.types("y\n");
    let mut apply = asked(&terminal);
    assert_eq!(apply.ended(SOON).await.code(), Some(0), "{}", apply.log());
    assert!(list().await.contains("price: 2.00 USD\n    total_stock: 5"), "{}", list().await);
}

/// The distributed mode has no demo product: what is sold was named, in a file or by an operation.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_catalogue_nothing_is_sold() {
    const NONE: (&str, &str) = ("FLASHSALE_PRODUCTS", "");
    let (services, catalogue) = (Services::new().await, file(&[("a", "1", 3)]));
    let migrate = services.spawn(&["migrate"], &[NONE]);
    migrate.logs("there is nothing to sell yet").await;
    let web = services.spawn(&["web"], &[NONE]);
    let shop = web.shop().await;
    for command in ["work", "serve"] {
        let line = services.spawn(&[command], &[NONE]).refused(1, "there is nothing to sell").await;
        assert!(line.contains("FLASHSALE_PRODUCTS") && line.contains("products apply"), "{line}");
    }
    for path in ["/", "/products/limited-001", "/readyz"] {
        assert_eq!(get(&format!("{shop}{path}")).await.status, 503, "{path}");
    }
    assert_eq!(services.count("SELECT count(*) FROM products").await, 0);

    // The ledger's own products, once it has some.
    apply(&services, catalogue.path()).await;
    let (_work, serve) = (services.spawn(&["work"], &[NONE]), services.spawn(&["serve"], &[NONE]));
    let api = serve.api().await;
    ready(&api).await;
    product_is(&api, "a for 1", 3).await;
    ready(&shop).await;
    let page = get(&format!("{shop}/products/a")).await;
    assert!(page.status == 200 && page.body.to_string().contains("a for 1"), "{page:?}");
}

/// A sale whose window has passed, perhaps by a slip in the year: log, console and the command say so.
#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_is_over_is_said_to_be() {
    let (embedded, catalogue) = (Embedded::new(), file(&[("a", "1", 3)]));
    let with_file = [("FLASHSALE_PRODUCTS", path(&catalogue))];
    let text = std::fs::read_to_string(catalogue.path()).expect("read");
    std::fs::write(catalogue.path(), format!("{text}sale_end = \"2020-01-01T00:00:00Z\"\n")).expect("write");
    let mut serve = embedded.spawn(&["serve"], &with_file);
    let line = serve.logs("the sale of a is over: it ended at 2020-01-01 00:00:00 UTC").await;
    assert!(line.contains("another sale_end"), "{line}");
    let is_warning = |line: &str| line.contains("WARN") && line.contains("the sale of a is over");
    assert!(serve.log().lines().any(is_warning), "{}", serve.log());
    let console = serve.console().await;
    eventually("the console tells of it", SOON, async || {
        let seen = get(&format!("{console}/console/snapshot")).await.body;
        let is_found = seen["verdict"].to_string().contains("a: the sale is over and nothing was sold");
        let is_noted = seen["events"]
            .to_string()
            .contains("nothing was sold, and the sale was over before this process started");
        (is_found && is_noted).then_some(())
    })
    .await;
    serve.signal(rustix::process::Signal::TERM);
    assert!(serve.ended(SOON).await.success());
    let said = serve.log().matches("the sale of a is over").count();
    assert_eq!(said, 1, "{}", serve.log());
    let mut apply = embedded.spawn(&["products", "apply", path(&catalogue), "--dry-run"], &[]);
    assert!(apply.ended(SOON).await.success(), "{}", apply.log());
    apply.logs("the sale of a is over with this file").await;
}
