//! The secrets that the configuration holds. Nothing that this process says contains one, whoever
//! said it first: drivers and servers quote what they were given.

use std::{
    borrow::Cow,
    sync::{PoisonError, RwLock},
};

/// Shorter secrets would be found in too many words.
const LEN_MIN: usize = 4;
/// Passwords that hide nothing, and that are words of the log.
const PUBLIC: &[&str] = &["flashsale", "guest", "postgres", "postgresql", "rabbitmq", "redis"];
const HIDDEN: &str = "[hidden]";

/// Every form of every secret, the longest first.
static FORMS: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Makes [`scrub`] remove this secret, in every form in which drivers print it.
pub fn hide(secret: &[u8]) {
    let text = String::from_utf8_lossy(secret);
    if secret.len() < LEN_MIN || PUBLIC.contains(&&*text) {
        return;
    }
    let mut all = FORMS.write().unwrap_or_else(PoisonError::into_inner);
    for form in forms(secret, &text) {
        if !all.contains(&form) {
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
    [
        text.to_owned(),
        text.escape_debug().to_string(),
        secret.escape_ascii().to_string(),
        text.replace('\\', r"\\").replace('"', "\\\""),
        percent_encoded(u8::is_ascii_alphanumeric),
        percent_encoded(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte)),
        decimal.join(", "),
    ]
}

/// The text without any secret.
pub fn scrub(text: &str) -> Cow<'_, str> {
    let forms = FORMS.read().unwrap_or_else(PoisonError::into_inner);
    let found = forms.iter().filter(|form| text.contains(form.as_str()));
    found.fold(Cow::Borrowed(text), |text, form| text.replace(form, HIDDEN).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_removed_in_every_form() {
        let secret = "tell-\"no\\one\"/7é";
        hide(secret.as_bytes());
        let said = [
            secret.to_owned(),
            format!("{secret:?}"),
            format!("{:?}", secret.as_bytes()),
            serde_json::to_string(secret).unwrap(),
            "redis://:tell-%22no%5Cone%22%2F7%C3%A9@host".to_owned(),
            secret.as_bytes().escape_ascii().to_string(),
        ];
        for said in said {
            let scrubbed = scrub(&said);
            assert!(scrubbed.contains(HIDDEN) && !scrubbed.contains("no"), "{said} became {scrubbed}");
        }
        assert_eq!(scrub("nothing to hide"), "nothing to hide");
    }

    #[test]
    fn a_default_password_does_not_hide_words_of_the_log() {
        hide(b"redis");
        hide(b"a");
        assert_eq!(scrub("lost redis: a timeout"), "lost redis: a timeout");
    }
}
