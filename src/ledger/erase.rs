//! Replacing a user's id in a message that was kept.

use crate::domain::UserId;

/// The message without the user; `None`: it does not name the user. (A JSON text may hold the id
/// with escapes, and a text that is no JSON may hold it as a part of another word.)
pub(super) fn without_user(body: &[u8], user: &UserId, pseudonym: &str) -> Option<Vec<u8>> {
    let named = serde_json::to_string(user.as_str()).unwrap_or_default(); // text serialises
    let (named, instead) = (named.into_bytes(), format!("\"{pseudonym}\"").into_bytes());
    let mut replaced = Vec::with_capacity(body.len());
    let (mut rest, mut found) = (body, false);
    while let Some(position) = rest.windows(named.len()).position(|window| window == named) {
        let (before, after) = rest.split_at(position);
        replaced.extend_from_slice(before);
        replaced.extend_from_slice(&instead);
        rest = after.get(named.len()..).unwrap_or_default();
        found = true;
    }
    replaced.extend_from_slice(rest);
    found.then_some(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_id_is_replaced() {
        let user = |id: &str| UserId::parse(id).unwrap();
        let body = br#"{"items":[{"user":"ada"},{"user":"ada-2"},{"user":"ada"}]}"#;
        let replaced = without_user(body, &user("ada"), "x").unwrap();
        assert_eq!(replaced, br#"{"items":[{"user":"x"},{"user":"ada-2"},{"user":"x"}]}"#);
        assert_eq!(without_user(&replaced, &user("ada"), "x"), None);
        assert_eq!(without_user(br#"{"user":"a\"b"}"#, &user("a\"b"), "x").unwrap(), br#"{"user":"x"}"#);
    }
}
