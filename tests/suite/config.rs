//! Settings: their layers, the order of the layers, and the errors of wrong values.

use std::io::Write;

use flashsale::{
    commands::settings::{Mode, Purpose, Settings},
    config::{CatalogueSource, ConfigError, Layers, variable_of},
};

use crate::{
    embedded::Embedded,
    support::{SOON, process::Flashsale},
};

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("file");
    file.write_all(text.as_bytes()).expect("write");
    file
}

/// The settings of `serve`, which reads everything in the embedded mode.
fn load(
    file: Option<&str>,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Settings, ConfigError> {
    load_for(Purpose::Serve, file, environment, flags)
}

fn load_for(
    purpose: Purpose,
    file: Option<&str>,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Settings, ConfigError> {
    let file = file.map(self::file);
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())));
    let flags: Vec<_> = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let path = file.as_ref().map(tempfile::NamedTempFile::path);
    Layers::read(path, environment, &flags).and_then(|layers| Settings::load(layers, purpose))
}

/// Whether one of the lines of an error begins and ends like this.
fn says(error: &ConfigError, begin: &str, end: &str) -> bool {
    error.0.iter().any(|line| line.starts_with(begin) && line.ends_with(end))
}

#[test]
fn the_defaults_are_whole_and_the_documented_ones() {
    let settings = load(None, &[], &[]).expect("the defaults");
    assert_eq!(settings.prefix, "flashsale");
    assert_eq!(settings.api.addr.to_string(), "127.0.0.1:3001");
    assert_eq!(settings.web_addr.to_string(), "127.0.0.1:3000");
    let console = settings.console.addr.expect("an operations console");
    assert_eq!(console.to_string(), "127.0.0.1:3003", "only this machine can reach it");
    assert!(matches!(settings.mode, Mode::Embedded { .. }));
    let CatalogueSource::Demo(catalogue) = &settings.catalogue else { panic!("{:?}", settings.catalogue) };
    let demo = catalogue.first().expect("the demo product");
    assert_eq!((demo.total_stock, demo.sale_start, demo.sale_end), (10_000, None, None));
}

#[test]
fn later_sources_win() {
    const VARIABLE: (&str, &str) = ("FLASHSALE_BROKER_CONFIRM_TIMEOUT_MS", "300");
    let text = "[broker]\nconfirm_timeout_ms = 200";
    let confirm = |file, environment: &[_], flags: &[_]| {
        load(file, environment, flags).expect("settings").checkout.confirm_timeout.as_millis()
    };
    assert_eq!(confirm(None, &[], &[]), 1000);
    assert_eq!(confirm(Some(text), &[], &[]), 200);
    assert_eq!(confirm(Some(text), &[VARIABLE], &[]), 300);
    assert_eq!(confirm(Some(text), &[VARIABLE], &[("broker.confirm_timeout_ms", "400")]), 400);
    // A text is read as the type of the default, whatever the file has.
    assert_eq!(confirm(Some("[broker]\nconfirm_timeout_ms = \"x\""), &[VARIABLE], &[]), 300);
}

#[test]
fn every_key_has_its_variable() {
    assert_eq!(variable_of("broker.confirm_timeout_ms"), "FLASHSALE_BROKER_CONFIRM_TIMEOUT_MS");
    assert_eq!(variable_of("prefix"), "FLASHSALE_PREFIX");
    assert_eq!(variable_of("amqp_url"), "AMQP_URL");
    let settings = load(None, &[("FLASHSALE_PREFIX", "a"), ("FLASHSALE_PERFIX", "b"), ("HOME", "/")], &[]);
    let settings = settings.expect("settings");
    assert_eq!(settings.prefix, "a");
    let said: Vec<_> = settings.unknown_variables.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        ["the environment variable FLASHSALE_PERFIX has no meaning here; did you mean FLASHSALE_PREFIX?"]
    );
    // What an orchestrator adds resembles none of ours.
    let added = ["FLASHSALE_SERVICE_HOST", "FLASHSALE_PORT", "FLASHSALE_WEB_PORT_3000_TCP_ADDR"];
    let settings = load(None, &added.map(|name| (name, "x")), &[]).expect("settings");
    assert!(settings.unknown_variables.iter().all(|variable| variable.resembles.is_none()), "{settings:?}");
}

/// A catalogue that was named and is not read must not become another one.
#[test]
fn a_misspelt_catalogue_is_no_demo() {
    let services =
        [("DATABASE_URL", "postgres://a@b/c"), ("REDIS_URL", "redis://a"), ("AMQP_URL", "amqp://a:b@c")];
    let misspelt = ("FLASHSALE_PRODUCT", "sale.toml");
    for environment in [vec![misspelt], [&services[..], &[misspelt]].concat()] {
        let error = load(None, &environment, &[]).expect_err("an error");
        assert!(
            says(&error, "the environment variable FLASHSALE_PRODUCT", "mean FLASHSALE_PRODUCTS?"),
            "{error}"
        );
    }
    // Beside a catalogue that is read, it is only said.
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/config/products.toml");
    let settings = load(None, &[misspelt, ("FLASHSALE_PRODUCTS", demo)], &[]).expect("settings");
    assert!(matches!(settings.catalogue, CatalogueSource::File(_)), "{settings:?}");
    let distributed = load(None, &services, &[]).expect("settings");
    assert!(matches!(distributed.catalogue, CatalogueSource::Ledger), "{distributed:?}");
}

#[test]
fn all_errors_are_reported_at_once_with_key_value_origin_and_what_is_allowed() {
    let file = "prefix = 5\nsurprise = 1\n[ledger]\npool_size = 0\n[api]\naddr = \"nowhere\"\n[console]\nhost = \"https://x\"";
    let environment = [("FLASHSALE_LOG_FORMAT", "xml"), ("FLASHSALE_WORKER_LINGER_MS", "soon")];
    let flags = [("outbox.sweep_after_ms", "-1"), ("no.such", "x"), ("log.filter", "a=b=c")];
    let error = load(Some(file), &environment, &flags).expect_err("errors");
    for (begin, end) in [
        ("prefix = 5 (in /", "must be a text in quotes"),
        ("surprise (in /", "there is no such key"),
        ("ledger.pool_size = 0 (in /", "must be a whole number from 1 to 1000"),
        ("api.addr = \"nowhere\" (in /", "must be an address and a port, such as 127.0.0.1:3001"),
        ("console.host = \"https://x\" (in /", "such as console.example.com, without scheme and port"),
        ("log.format = \"xml\" (in the environment variable FLASHSALE_LOG_FORMAT)", "must be text or json"),
        ("worker.linger_ms = \"soon\" (in the environment", "must be a whole number from 0 to 10000"),
        ("outbox.sweep_after_ms = -1 (in the command line)", "from 100 to 3600000"),
        ("no.such (in the command line)", "there is no such key"),
        ("log.filter = \"a=b=c\"", ")"),
    ] {
        assert!(says(&error, begin, end), "{begin} … {end} is not in {error}");
    }
    assert!(error.to_string().starts_with(&format!("the configuration has {} errors:", error.0.len())));
}

#[test]
fn the_look_of_the_shop_is_checked_at_start() {
    let settings = load(None, &[], &[]).expect("the defaults");
    assert_eq!((settings.shop.name.as_str(), settings.shop.links.len()), ("Sales", 0));
    let file = "[shop]\nname = \"Northlight\"\nlinks = [\"Imprint, terms https://shop.example/imprint\"]";
    let settings = load(Some(file), &[("FLASHSALE_SHOP_ACCENT", "#C8102E")], &[]).expect("settings");
    let link = &settings.shop.links[0];
    assert_eq!((link.text.as_str(), link.url.as_str()), ("Imprint, terms", "https://shop.example/imprint"));
    let variables = [
        ("FLASHSALE_SHOP_NAME", ""),
        ("FLASHSALE_SHOP_LOGO", "http://shop.example/logo.png"),
        ("FLASHSALE_SHOP_ACCENT", "blue"),
        ("FLASHSALE_SHOP_LINKS", "Imprint, javascript:alert(1)"),
    ];
    let error = load(None, &variables, &[]).expect_err("errors");
    for (begin, end) in [
        ("shop.name = \"\"", "must be 1 to 60 characters"),
        ("shop.logo = \"http://shop.example/logo.png\"", "the folder web.media_dir and give its name)"),
        ("shop.accent = \"blue\"", "must be a colour such as \"#1d4ed8\""),
        ("shop.links = ", "such as \"Imprint https://shop.example/imprint\""),
    ] {
        assert!(says(&error, begin, end), "{begin} … {end} is not in {error}");
    }
}

#[test]
fn values_of_the_environment_are_trimmed_and_have_no_control_characters() {
    let all = [
        ("REDIS_URL", " redis://localhost\n"),
        ("DATABASE_URL", "\tpostgres://localhost/x"),
        ("AMQP_URL", "amqp://localhost "),
        ("FLASHSALE_PREFIX", " mine\r\n"),
        ("FLASHSALE_BROKER_CONFIRM_TIMEOUT_MS", " 300 "),
    ];
    let settings = load(None, &all, &[]).expect("settings");
    assert_eq!(settings.prefix, "mine");
    let Mode::Distributed(services) = settings.mode else { panic!("three services") };
    assert_eq!(services.redis.url.expose(), "redis://localhost");

    let wrong = [("FLASHSALE_DATA_DIR", "da\tta"), ("REDIS_URL", "redis://:s3cret@a\u{7}")];
    let error = load(None, &wrong, &[]).expect_err("control characters");
    for (key, variable, character) in
        [("data_dir", "FLASHSALE_DATA_DIR", r"\u{9}"), ("redis_url", "REDIS_URL", r"\u{7}")]
    {
        let begin = format!("{key} (in the environment variable {variable})");
        assert!(says(&error, &begin, &format!("contains the control character {character}")), "{error}");
    }
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[test]
fn a_variable_takes_one_url() {
    let two = ("REDIS_URL", "redis://:s3cret@one:6379/0,redis://:s3cret@two:6379/0");
    let all = [two, ("DATABASE_URL", "postgres://localhost/x"), ("AMQP_URL", "amqp://localhost")];
    let error = load(None, &all, &[]).expect_err("two URLs");
    let end = "must be one URL, a URL such as redis://user:password@host/…";
    assert!(says(&error, "redis_url = (not shown) (in the environment variable REDIS_URL)", end), "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[test]
fn an_error_of_a_file_names_the_user_and_what_to_do() {
    let missing = [("FLASHSALE_PRODUCTS", "/nowhere/at-all.toml")];
    let error = load(None, &missing, &[]).expect_err("no file").to_string();
    for part in ["/nowhere/at-all.toml", "uid ", "check that it exists", "No such file"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
}

#[test]
#[cfg(feature = "failpoints")]
fn variables_of_builds_for_tests_are_no_mistakes() {
    let environment =
        [("FLASHSALE_CRASH", "a@1"), ("FLASHSALE_CLOCK_SKEW_S", "1"), ("FLASHSALE_CRASHES", "x")];
    let settings = load(None, &environment, &[]).expect("settings");
    let unknown: Vec<_> = settings.unknown_variables.iter().map(|variable| variable.name.as_str()).collect();
    assert_eq!(unknown, ["FLASHSALE_CRASHES"]);
}

#[test]
fn the_services_are_set_all_or_none() {
    let error = load(None, &[("REDIS_URL", "redis://localhost")], &[]).expect_err("two are missing");
    assert!(says(&error, "DATABASE_URL and AMQP_URL not set", "or none to run embedded"), "{error}");
    let all = [
        ("REDIS_URL", "redis://localhost"),
        ("DATABASE_URL", "postgres://localhost/x"),
        ("AMQP_URL", "amqp://localhost"),
    ];
    assert!(matches!(load(None, &all, &[]).expect("settings").mode, Mode::Distributed(_)));
}

#[test]
fn addresses_of_the_shop_and_origins_are_checked() {
    const PUBLIC_URL: &str = "FLASHSALE_WEB_PUBLIC_URL";
    const CORS_ORIGINS: &str = "FLASHSALE_API_CORS_ORIGINS";
    let list = "[web]\npublic_url = [\"https://a.example/drop\", \"https://b.example/drop/\"]\n\
                [api]\ncors_origins = [\"https://a.example\"]";
    load(Some(list), &[], &[]).expect("lists");
    load(None, &[(PUBLIC_URL, "https://a.example, http://b.example"), (CORS_ORIGINS, "*")], &[])
        .expect("texts");
    for (variable, wrong, key) in [
        (PUBLIC_URL, "shop.example", "web.public_url = \"shop.example\""),
        (PUBLIC_URL, "https://a.example/x,https://b.example", "web.public_url = "),
        (CORS_ORIGINS, "https://a.example/path", "api.cors_origins = \"https://a.example/path\""),
        (CORS_ORIGINS, "*,https://a.example", "api.cors_origins = "),
    ] {
        let error = load(None, &[(variable, wrong)], &[]).expect_err("wrong");
        let origin = format!("(in the environment variable {variable}): must be ");
        let line = error.0.iter().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{error}"));
        assert!(line.contains(&origin), "{line}");
    }
}

#[test]
fn no_error_shows_a_password() {
    let secret = "s3cret";
    let broken_file = format!("database_url = \"postgres://a:{secret}@b/c\n");
    let number = "redis_url = 53537201";
    for (file, environment) in [
        (Some(broken_file.as_str()), vec![]),
        (Some(number), vec![]),
        (None, vec![("DATABASE_URL", "mysql://a:s3cret@b/c")]),
        (None, vec![("AMQP_URL", "amqps://a:s3cret@b")]),
        (None, vec![("REDIS_URL", "redis://:s3cret @/")]),
    ] {
        let error = load(file, &environment, &[]).expect_err("an error").to_string();
        assert!(!error.contains(secret) && !error.contains("53537201"), "{error}");
    }
    let error = load(Some(&broken_file), &[], &[]).expect_err("an error").to_string();
    assert!(error.contains("line 1"), "{error}");
}

/// A picture that no page could show, and a price before that was none.
#[test]
fn what_would_not_be_shown_is_refused_with_the_reason() {
    let media = tempfile::tempdir().expect("a folder");
    let put = |name: &str, bytes: &[u8]| std::fs::write(media.path().join(name), bytes).expect("write");
    put("lamp.png", b"\x89PNG\r\n\x1a\n");
    put("notes.png", b"not a picture");
    put("large.jpg", &[&[0xFF, 0xD8, 0xFF][..], &vec![0; 4 << 20]].concat());
    let product = |id: usize, image: &str| {
        format!(
            "[[products]]\nid = \"p{id}\"\nname = \"P\"\nprice = \"2\"\ncurrency = \"USD\"\ntotal_stock = 1
             image = \"{image}\"\n"
        )
    };
    let wrong = [
        ("http://cdn.example/lamp.png", "pages do not show pictures over http://"),
        ("pictures/lamp.png", "a path names no picture"),
        ("/srv/lamp.png", "a path names no picture"),
        ("../lamp.png", "a path names no picture"),
        ("missing.png", "there is no such file in /"),
        ("notes.png", "is no picture that browsers show: PNG, JPEG, WebP, AVIF or SVG"),
        ("large.jpg", "has more than 4 MiB"),
        ("/assets/none.svg", "there is no such picture among the files that are compiled in"),
        ("desk lamp.png", "rename it"),
    ];
    let right = ["lamp.png", "/assets/meridian-one.svg", "https://cdn.example/lamp.png", ""];
    let images = wrong.iter().map(|(image, _)| *image).chain(right);
    let mut text: String = images.enumerate().map(|(id, image)| product(id, image)).collect();
    for (id, original) in [("equal", "2.00"), ("below", "1.99")] {
        let price = format!("original_price = \"{original}\"\n");
        text += &product(0, "")
            .replace("\"p0\"", &format!("\"{id}\""))
            .replace("total_stock", &(price + "total_stock"));
    }
    let catalogue = file(&text);
    let path = catalogue.path().to_str().expect("path");
    let folder = media.path().to_str().expect("path");
    let variables = [("FLASHSALE_PRODUCTS", path), ("FLASHSALE_WEB_MEDIA_DIR", folder)];
    let error = load(None, &variables, &[]).expect_err("errors");
    for (number, (image, reason)) in (1..).zip(wrong) {
        let begin = format!("catalogue {path}: product {number}: image = \"{image}\": ");
        let line = error.0.iter().find(|line| line.starts_with(&begin));
        assert!(line.is_some_and(|line| line.contains(reason)), "{image}: {error}");
    }
    for original in ["2.00", "1.99"] {
        let end = format!("original_price = \"{original}\": must be above price = \"2.00\"");
        assert!(says(&error, "catalogue ", &end), "{error}");
    }
    assert_eq!(error.0.len(), wrong.len() + 2, "{error}");
    // Without the folder, and with one that is not there.
    let one = file(&product(1, "lamp.png"));
    let variable = ("FLASHSALE_PRODUCTS", one.path().to_str().expect("path"));
    let error = load(None, &[variable], &[]).expect_err("no folder");
    assert!(
        says(&error, "catalogue ", "web.media_dir, the folder with such files, is not configured"),
        "{error}"
    );
    let error = load(None, &[("FLASHSALE_WEB_MEDIA_DIR", "/nowhere")], &[]).expect_err("no folder");
    let begin = "web.media_dir = \"/nowhere\" (in the environment variable FLASHSALE_WEB_MEDIA_DIR): must be a folder";
    assert!(says(&error, begin, "(No such file or directory (os error 2))"), "{error}");
}

/// A folder that is missing does not keep those from working that show no pictures; a catalogue that is read and names
/// a file of it does.
#[test]
fn a_folder_of_pictures_is_needed_by_those_who_show_or_sell_them() {
    const SERVICES: [(&str, &str); 3] =
        [("DATABASE_URL", "postgres://a@b/c"), ("REDIS_URL", "redis://a"), ("AMQP_URL", "amqp://a:b@c")];
    let without = ("FLASHSALE_WEB_MEDIA_DIR", "/nowhere");
    let named = file(
        "[[products]]\nid = \"p\"\nname = \"P\"\nprice = \"2\"\ncurrency = \"USD\"\ntotal_stock = 1\nimage = \"lamp.png\"",
    );
    let named = ("FLASHSALE_PRODUCTS", named.path().to_str().expect("path"));
    let logo = ("FLASHSALE_SHOP_LOGO", "logo.png");
    let distributed = |more: &[(&'static str, &'static str)]| [&SERVICES[..], &[without], more].concat();
    // `serve` of the distributed mode has no pages, and an operator's command has no catalogue either.
    for purpose in [Purpose::Serve, Purpose::Products, Purpose::Command] {
        load_for(purpose, None, &distributed(&[logo]), &[]).expect("no picture is needed");
    }
    let missing = [&distributed(&[])[..], &[named, ("FLASHSALE_PRODUCT", "x")]].concat();
    let settings = load_for(Purpose::Command, None, &missing, &[]).expect("no catalogue is read");
    assert!(matches!(settings.catalogue, CatalogueSource::Ledger), "{settings:?}");
    for purpose in [Purpose::Serve, Purpose::Products] {
        let error = load_for(purpose, None, &missing, &[]).expect_err("a picture is named");
        assert!(
            says(&error, "catalogue ", "image = \"lamp.png\": there is no such file in /nowhere"),
            "{error}"
        );
        assert_eq!(error.0.len(), 1, "{error}");
    }
    let error = load_for(Purpose::Web, None, &distributed(&[logo]), &[]).expect_err("pages need it");
    assert!(
        says(&error, "web.media_dir = \"/nowhere\"", "(No such file or directory (os error 2))"),
        "{error}"
    );
    assert!(says(&error, "shop.logo = \"logo.png\"", "there is no such file in /nowhere)"), "{error}");
}

/// Of the pictures that a catalogue names, all have to fit; of the others, those that do.
#[test]
fn pictures_that_are_named_are_bounded_together() {
    const FILES: usize = 17;
    let media = tempfile::tempdir().expect("a folder");
    // A picture that two products show counts once.
    let product = |number: usize| {
        let image = number % FILES;
        format!(
            "[[products]]\nid = \"p{number}\"\nname = \"P\"\nprice = \"2\"\ncurrency = \"USD\"
             total_stock = 1\nimage = \"{image:02}.jpg\"\n"
        )
    };
    let text: String = (0..2 * FILES).map(product).collect();
    for number in 0..FILES {
        let path = media.path().join(format!("{number:02}.jpg"));
        std::fs::write(&path, b"\xff\xd8\xff").expect("write");
        // 4 MiB each, without the blocks.
        let picture = std::fs::File::options().write(true).open(&path).expect("open");
        picture.set_len(4 << 20).expect("length");
    }
    let catalogue = file(&text);
    let variables = [
        ("FLASHSALE_PRODUCTS", catalogue.path().to_str().expect("path")),
        ("FLASHSALE_WEB_MEDIA_DIR", media.path().to_str().expect("path")),
    ];
    let error = load(None, &variables, &[]).expect_err("68 MiB");
    let end = "image = \"16.jpg\": the pictures that are named have more than 64 MiB together";
    assert!(error.0.iter().all(|line| line.ends_with(end)), "{error}");
    assert_eq!(error.0.len(), 2, "{error}");
    std::fs::write(media.path().join("16.jpg"), b"").expect("write");
    std::fs::write(catalogue.path(), text.replace("16.jpg", "15.jpg")).expect("write");
    load(None, &variables, &[]).expect("64 MiB");
}

#[test]
fn every_error_of_a_catalogue_is_reported_at_once() {
    let text = r#"
        spare = 1
        [[products]]
        id = "Bad Id"
        name = " "
        price = "9.999"
        currency = "USD"
        total_stock = 0
        colour = "red"
        [[products]]
        id = "second"
        price = 5
        currency = "USD"
        original_price = "x"
        total_stock = "many"
        sale_start = "tomorrow"
        [[products]]
        id = "third"
        name = "Third"
        price = "1.00"
        currency = "USD"
        total_stock = 1
        sale_start = "2026-11-27T18:00:00Z"
        sale_end = "2026-11-27T17:00:00Z"
    "#;
    let catalogue = file(text);
    let path = catalogue.path().to_str().expect("path");
    let error = load(None, &[("FLASHSALE_PRODUCTS", path)], &[("prefix", "!")]).expect_err("errors");
    let prefix = format!("catalogue {path}: ");
    let expected = [
        "spare: there is no such key",
        "product 1: id = \"Bad Id\"",
        "product 1: name: must not be empty",
        "product 1: price = \"9.999\"",
        "product 1: total_stock = 0: must be a whole number from 1 to",
        "product 1: colour: there is no such key",
        "product 2: name: is missing",
        "product 2: price = 5: must be a text in quotes",
        "product 2: original_price = \"x\"",
        "product 2: total_stock = \"many\": must be a whole number",
        "product 2: sale_start = \"tomorrow\": must be an RFC 3339 time",
        "product 3: sale_end = 2026-11-27 17:00:00 UTC: must be after sale_start",
    ];
    for line in expected {
        assert!(says(&error, &format!("{prefix}{line}"), ""), "{line} is not in {error}");
    }
    assert!(says(&error, "prefix = ", ""), "an error of the settings is reported as well: {error}");
    assert_eq!(error.0.len(), expected.len() + 1, "{error}");
    assert!(load(None, &[("FLASHSALE_PRODUCTS", "/nowhere/at-all.toml")], &[]).is_err());
}

/// Runs a command that must fail, and returns its log.
async fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut process = Flashsale::spawn(arguments, variables);
    let code = process.ended(SOON).await.code();
    assert!(matches!(code, Some(1 | 2)), "{arguments:?} ended with {code:?}");
    process.logs("").await;
    process.log()
}

#[tokio::test]
async fn the_command_line_refuses_what_it_would_otherwise_lose() {
    let said = refused(&["--set", "prefix=a", "migrate", "--set", "log.format=json"], &[]).await;
    assert!(said.contains("give all --set either before the command or all after it"), "{said}");
    let said = refused(&["migrate", "--set", "prefix"], &[]).await;
    assert!(said.contains("must be KEY=VALUE"), "{said}");
    let said = refused(&["migrate", "--config", "/nowhere/at-all.toml"], &[]).await;
    assert!(said.contains("configuration file /nowhere/at-all.toml"), "{said}");
}

#[tokio::test]
async fn what_can_never_connect_is_refused_at_the_start() {
    let with_mode = |mode| (mode, format!("postgres://shop:s3cret@127.0.0.1:1/x?sslmode={mode}"));
    let modes = ["require", "verify-ca", "verify-full"].map(with_mode);
    let urls = |database, amqp| {
        [("DATABASE_URL", database), ("REDIS_URL", "redis://127.0.0.1:1"), ("AMQP_URL", amqp)]
    };
    for (mode, tls) in &modes {
        let said = refused(&["serve"], &urls(tls, "amqp://127.0.0.1:1")).await;
        let cause =
            format!("must be a URL without sslmode={mode}: connections to PostgreSQL are not encrypted yet");
        assert!(
            said.contains(&cause) && said.contains("sslmode=disable") && !said.contains("s3cret"),
            "{said}"
        );
        assert_eq!(said.matches("not encrypted yet").count(), 1, "{said}");
    }
    let odd = "amqp://shop:s3cret@127.0.0.1:1/%2f?heartbeat=often";
    let said = refused(&["serve"], &urls("postgres://127.0.0.1:1/x", odd)).await;
    assert!(said.contains("AMQP_URL: its URL can't be read"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}

/// Each message leads to the cause, and all of them come at once.
#[test]
fn urls_that_name_no_place_are_refused_with_what_to_write() {
    let wrong = |database: &str, amqp: &str| {
        let all = [("REDIS_URL", "rediss://:s3cret@h"), ("DATABASE_URL", database), ("AMQP_URL", amqp)];
        load(None, &all, &[]).expect_err("wrong URLs")
    };
    let error = wrong("postgresql://shop:s3cret@/x", "amqp://shop:s3cret@h/");
    assert_eq!(error.0.len(), 3, "{error}");
    for (key, said) in [
        ("redis_url", "connections are not encrypted yet, so rediss:// can't be used"),
        ("database_url", "must be a URL that names its hosts"),
        ("amqp_url", "the path / alone is an empty name. Leave it out for the virtual host /"),
    ] {
        assert!(error.0.iter().any(|line| line.starts_with(key) && line.contains(said)), "{said}: {error}");
    }
    assert!(!error.to_string().contains("s3cret"), "{error}");
    for amqp in ["amqp://h/?heartbeat=5", "amqp://h/"] {
        assert!(wrong("postgres://h/x", amqp).to_string().contains("empty name"), "{amqp}");
    }
    for (database, amqp) in [
        ("postgresql:///x?host=/run/postgresql", "amqp://h"),
        ("postgres://shop:p@one:1,two:2/x?sslmode=disable", "amqp://h/%2f"),
        ("postgres://shop:p@[::1]:1,two/x", "amqp://h/name"),
    ] {
        let all = [("REDIS_URL", "redis://h"), ("DATABASE_URL", database), ("AMQP_URL", amqp)];
        assert!(load(None, &all, &[]).is_ok(), "{database} {amqp}");
    }
}

#[tokio::test]
async fn a_data_directory_that_can_not_be_made_is_named() {
    let said = refused(&["serve"], &[("FLASHSALE_DATA_DIR", "/dev/null/data")]).await;
    for part in ["can't create the data directory /dev/null/data as ", "uid ", "it is not a directory"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

#[tokio::test]
async fn pausing_does_not_make_a_database() {
    let embedded = Embedded::new();
    embedded.spawn(&["pause"], &[]).refused(1, "has `flashsale serve` run here?").await;
    assert_eq!(std::fs::read_dir(embedded.data_dir()).expect("directory").count(), 0);
}

#[tokio::test]
async fn healthcheck_reports_the_answer() {
    let embedded = Embedded::new();
    let serve = embedded.spawn(&["serve"], &[("FLASHSALE_API_ADDR", "[::1]:0")]);
    let api = serve.api().await;
    crate::support::http::ready(&api).await;
    for (path, code) in [("/readyz", 0), ("/healthz", 0), ("/nowhere", 1)] {
        let mut check = Flashsale::spawn(&["healthcheck", &format!("{api}{path}")], &[]);
        assert_eq!(check.ended(SOON).await.code(), Some(code), "{path}");
    }
    let said = refused(&["healthcheck", "http://127.0.0.1:1/"], &[]).await;
    assert!(said.contains("not reachable"), "{said}");
}
