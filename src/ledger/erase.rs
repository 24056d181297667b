//! Replacing a user's id: in rows, and in a message that was kept.

use crate::domain::UserId;

/// Statements that replace a user's id in the rows of one product, or of all: `$1` user, `$2`
/// pseudonym, `$3` product or NULL. What a buyer has bought anew since an erasure that is not
/// complete yet is another buyer's.
pub(super) fn renames() -> [String; 3] {
    let tables = [
        (
            "purchases",
            ", is_erased = true",
            " AND (holds_right OR cancelled_at IS NOT NULL)
              AND NOT (holds_right AND EXISTS (SELECT 1 FROM purchases AS other
                                               WHERE other.product_id = purchases.product_id
                                                 AND other.user_id = $2 AND other.holds_right))",
        ),
        ("revocations", "", ""),
        (
            "earlier_buyers",
            "",
            " AND NOT EXISTS (SELECT 1 FROM earlier_buyers AS other
                              WHERE other.product_id = earlier_buyers.product_id AND other.user_id = $2)",
        ),
    ];
    tables.map(|(table, set, such)| {
        format!(
            "UPDATE {table} SET user_id = $2{set}
             WHERE user_id = $1 AND product_id IN (SELECT id FROM products WHERE $3 IS NULL OR id = $3){such}"
        )
    })
}

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
