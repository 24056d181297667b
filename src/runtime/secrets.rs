//! The secrets that the configuration holds. Nothing that this process says contains one, whoever
//! said it first: drivers and servers quote what they were given.

use std::{
    borrow::Cow,
    sync::{PoisonError, RwLock},
};

/// Shorter secrets would be found in too many words. Backslashes are not counted.
const LEN_MIN: usize = 4;
/// Passwords that hide nothing, and that are words of the log.
const PUBLIC: &[&str] = &["flashsale", "guest", "postgres", "postgresql", "rabbitmq", "redis"];
const HIDDEN: &str = "[hidden]";
const ESCAPE: char = '\\';

/// Every form of every secret without its backslashes, the longest first.
static FORMS: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Makes [`scrub`] remove this secret, in every form in which drivers print it.
pub fn hide(secret: &[u8]) {
    let text = String::from_utf8_lossy(secret);
    if secret.len() < LEN_MIN || PUBLIC.contains(&&*text) {
        return;
    }
    let mut all = FORMS.write().unwrap_or_else(PoisonError::into_inner);
    for form in forms(secret, &text) {
        let form = form.replace(ESCAPE, "");
        if form.len() >= LEN_MIN && !all.contains(&form) {
            all.push(form);
        }
    }
    // A form that is part of a longer one is looked for after it.
    all.sort_by_key(|form| std::cmp::Reverse(form.len()));
}

fn forms(secret: &[u8], text: &str) -> [String; 7] {
    let decimal: Vec<_> = secret.iter().map(u8::to_string).collect();
    let percent_encoded = |is_plain: fn(&u8) -> bool| {
        let encode =
            |byte: &u8| if is_plain(byte) { char::from(*byte).into() } else { format!("%{byte:02X}") };
        secret.iter().map(encode).collect::<String>()
    };
    let html = |letter: char| match letter {
        '"' | '&' | '\'' | '<' | '>' => format!("&#{};", u32::from(letter)),
        letter => letter.into(),
    };
    [
        text.to_owned(),
        text.escape_debug().to_string(),
        secret.escape_ascii().to_string(),
        text.chars().map(html).collect(),
        percent_encoded(u8::is_ascii_alphanumeric),
        percent_encoded(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte)),
        decimal.join(", "),
    ]
}

/// The text without any secret. JSON stays JSON.
pub fn scrub(text: &str) -> Cow<'_, str> {
    let forms = FORMS.read().unwrap_or_else(PoisonError::into_inner);
    if text.contains(ESCAPE) {
        return scrub_escaped(text, &forms);
    }
    let found = forms.iter().filter(|form| text.contains(form.as_str()));
    found.fold(Cow::Borrowed(text), |text, form| text.replace(form, HIDDEN).into())
}

/// Each time that a text is quoted in another one (a driver's debug output in a line of JSON),
/// backslashes are added before some of its characters: so the search takes no notice of them.
fn scrub_escaped<'text>(text: &'text str, forms: &[String]) -> Cow<'text, str> {
    // The place in `text` of each byte of `bare`.
    let (mut bare, mut places) = (String::with_capacity(text.len()), Vec::with_capacity(text.len()));
    for (place, letter) in text.char_indices().filter(|(_, letter)| *letter != ESCAPE) {
        bare.push(letter);
        places.extend(place..place + letter.len_utf8());
    }
    let matches = forms.iter().flat_map(|form| bare.match_indices(form.as_str()));
    let mut secrets: Vec<_> = matches
        .filter_map(|(start, form)| Some((*places.get(start)?, *places.get(start + form.len() - 1)? + 1)))
        .collect();
    if secrets.is_empty() {
        return text.into();
    }
    secrets.sort_unstable();
    let (mut scrubbed, mut rest) = (String::with_capacity(text.len()), 0);
    for (start, end) in secrets {
        // Unless it is part of another secret.
        if let Some(before) = text.get(rest..start) {
            // The backslashes before a secret escape its first character.
            scrubbed.push_str(before.trim_end_matches(ESCAPE));
            scrubbed.push_str(HIDDEN);
        }
        rest = rest.max(end);
    }
    scrubbed.push_str(text.get(rest..).unwrap_or_default());
    scrubbed.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        serde_json::to_string(text).unwrap()
    }

    #[test]
    fn a_secret_is_removed_in_every_form() {
        let secret = "tell-\"no\\one\"/7é";
        hide(secret.as_bytes());
        let said = [
            secret.to_owned(),
            format!("{secret:?}"),
            format!("{:?}", secret.as_bytes()),
            json(secret),
            "redis://:tell-%22no%5Cone%22%2F7%C3%A9@host".to_owned(),
            secret.as_bytes().escape_ascii().to_string(),
            "tell-&#34;no\\one&#34;/7é".to_owned(),
        ];
        for said in said {
            // A driver quotes it, a server quotes the driver, and the log is JSON.
            let quoted = [json(&said), format!("{said:?}"), json(&format!("{said:?}"))];
            let again = json(&format!("{:?}", format!("{said:?} and {said:?}")));
            for said in quoted.into_iter().chain([said, again]) {
                let scrubbed = scrub(&said);
                assert!(scrubbed.contains(HIDDEN) && !scrubbed.contains("no"), "{said} became {scrubbed}");
            }
        }
        assert_eq!(scrub("nothing to hide"), "nothing to hide");
        assert_eq!(scrub(r#"nothing \"to\" hide"#), r#"nothing \"to\" hide"#);
    }

    #[test]
    fn json_stays_json() {
        hide(b"\"quoted-secret\\");
        hide(b"n0-new-line");
        hide(b"new-line-too");
        for text in ["\"quoted-secret\\", "a\\\"quoted-secret\\\\ b", "\n0-new-line", "n0-new-line-too\n"] {
            let line = json(&json(text));
            let scrubbed = scrub(&line);
            assert!(scrubbed.contains(HIDDEN), "{line} became {scrubbed}");
            assert!(serde_json::from_str::<String>(&scrubbed).is_ok(), "{line} became {scrubbed}");
        }
    }

    #[test]
    fn a_default_password_does_not_hide_words_of_the_log() {
        hide(b"redis");
        hide(b"a");
        assert_eq!(scrub("lost redis: a timeout"), "lost redis: a timeout");
    }
}
