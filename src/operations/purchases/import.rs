//! Importing users who bought elsewhere: they may not buy again.

use std::collections::HashSet;

use super::PurchaseError;
use crate::domain::{ProductId, Purchase, PurchaseId, UserId};
use crate::ledger::{Imported, Ledger};
use crate::operations::Actor;
use crate::runtime::Runtime;

/// A list of user ids, one a line, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserList {
    pub users: Vec<UserId>,
    /// Lines that name a user of an earlier line.
    pub repeated: usize,
}

/// A line that is no user id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// From 1.
    pub number: usize,
    pub why: String,
}

impl UserList {
    /// Reads a list; empty lines are skipped. The error has every bad line.
    pub fn read(text: &[u8]) -> Result<Self, Vec<BadLine>> {
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        let (mut list, mut seen, mut bad) = (Self::default(), HashSet::new(), Vec::new());
        for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            let parsed = std::str::from_utf8(line).map_err(|error| error.to_string());
            match parsed.and_then(|line| UserId::parse(line).map_err(|error| error.to_string())) {
                Ok(user) if seen.insert(user.clone()) => list.users.push(user),
                Ok(_) => list.repeated += 1,
                Err(why) => bad.push(BadLine { number, why }),
            }
        }
        if bad.is_empty() { Ok(list) } else { Err(bad) }
    }
}

/// Uses up the rights of these users to a product, in one transaction. Who has a purchase of it, or
/// was imported before, is left as it is. They take no unit.
pub async fn import(
    actor: &Actor,
    ledger: &dyn Ledger,
    product: &ProductId,
    list: &UserList,
    runtime: &Runtime,
) -> Result<Imported, PurchaseError> {
    if !ledger.sales().await?.iter().any(|sale| sale.product == *product) {
        return Err(PurchaseError::UnknownProduct(product.clone()));
    }
    let (now, entropy) = (runtime.clock.now(), &runtime.entropy);
    let earlier = |user: &UserId| Purchase {
        id: PurchaseId::new(now, [entropy.bits(), entropy.bits()]),
        product: product.clone(),
        user: user.clone(),
        unit: 0,
        admitted_at: now,
    };
    let earlier: Vec<_> = list.users.iter().map(earlier).collect();
    let imported = ledger.import(product, &earlier, actor.name()).await?;
    if imported.added > 0 {
        actor.has_changed(&format!("imported {} earlier buyers", imported.added), product.as_str());
    }
    Ok(imported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_a_whole_or_every_bad_line_is_named() {
        let list = UserList::read(b"\xef\xbb\xbfada\r\n\nbob,x\nada\n{c}").unwrap();
        let users: Vec<_> = list.users.iter().map(UserId::as_str).collect();
        assert_eq!((users, list.repeated), (vec!["ada", "bob,x", "{c}"], 1));
        let long = "x".repeat(129);
        let text = [b"ada\na b\n\xff\n", long.as_bytes()].concat();
        let bad = UserList::read(&text).unwrap_err();
        assert_eq!(bad.iter().map(|line| line.number).collect::<Vec<_>>(), [2, 3, 4]);
        assert!(bad[2].why.contains("at most 128 bytes"), "{bad:?}");
    }
}
