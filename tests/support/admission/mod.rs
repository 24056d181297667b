//! The conformance suite of admission: what admission promises, whichever implementation keeps it.

pub(crate) mod buying;
pub(crate) mod conflicts;
pub(crate) mod operators;
pub(crate) mod outbox;
pub(crate) mod rebuilding;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use flashsale::{
    admission::{Admission, Decision, Fence, Opening, SnapshotTotals},
    domain::{Entry, EntryId, Phase, ProductId, PurchaseId, Terms, UserId},
};
use uuid::Uuid;

/// Calls a macro with every case, as `group::case`.
macro_rules! admission_cases {
    ($callback:ident) => {
        $callback! {
            buying::without_state_nothing_is_decided,
            buying::a_user_gets_one_unit_and_the_stock_ends,
            buying::the_same_attempt_run_twice_is_one_success,
            buying::the_window_and_a_pause_refuse_but_never_a_buyer,
            buying::stock_can_be_raised_and_not_lowered_below_what_is_handed_out,
            buying::many_at_once_get_distinct_units,
            outbox::only_a_purchase_that_had_an_entry_counts_as_dead,
            outbox::the_outbox_holds_a_purchase_until_it_is_settled,
            conflicts::a_superseded_purchase_returns_its_unit_once,
            conflicts::a_revocation_can_be_learned_also_when_the_admission_is_lost,
            conflicts::a_purchase_of_a_lost_state_keeps_its_unit_if_that_is_free,
            conflicts::a_revoked_purchase_frees_the_user_but_not_the_unit,
            conflicts::a_purchase_whose_unit_is_taken_gets_the_lowest_free_one,
            operators::a_cancelled_purchase_returns_its_unit_once_and_uses_the_right_up,
            operators::a_cancelled_purchase_may_keep_its_unit_and_let_its_buyer_buy_again,
            operators::who_bought_elsewhere_can_not_buy_here,
            operators::a_user_is_renamed_once_nothing_is_on_its_way,
            operators::decisions_are_not_made_without_a_usable_state,
            rebuilding::used_rights_and_withheld_units_outlive_a_rebuild,
            rebuilding::only_the_epoch_that_stopped_a_sale_opens_it,
            rebuilding::staged_parts_can_be_deleted,
            rebuilding::a_state_that_lacks_what_was_seen_is_not_used,
            rebuilding::a_state_is_rebuilt_above_what_was_seen,
            rebuilding::a_state_of_an_epoch_that_is_over_waits_for_its_rebuild,
            rebuilding::a_rebuilt_sale_continues_from_the_ledger,
            rebuilding::a_dead_lettered_purchase_keeps_its_unit_through_a_rebuild,
        }
    };
}
pub(crate) use admission_cases;

/// An admission, and one product that only this case uses.
pub(crate) struct Bench {
    pub(crate) admission: Arc<dyn Admission>,
    pub(crate) product: ProductId,
}

pub(crate) fn user(name: impl std::fmt::Display) -> UserId {
    UserId::parse(&name.to_string()).expect("user")
}

pub(crate) fn terms(total_stock: u32) -> Terms {
    Terms { total_stock, opens_at: None, closes_at: None, paused: false }
}

/// A snapshot of so many units, without exceptions.
pub(crate) fn handed_out(next: u32) -> SnapshotTotals {
    SnapshotTotals { next, ..SnapshotTotals::default() }
}

pub(crate) fn fresh_id() -> PurchaseId {
    static LAST: AtomicU64 = AtomicU64::new(0);
    PurchaseId(Uuid::from_u64_pair(1, LAST.fetch_add(1, Ordering::Relaxed)))
}

impl Bench {
    pub(crate) async fn open(&self, epoch: u64, terms: &Terms) {
        assert_eq!(self.admission.fence(&self.product, epoch).await.expect("fence"), Fence::Stopped);
        let opened = self.admission.open(&self.product, epoch, terms, handed_out(0)).await.expect("open");
        assert_eq!(opened, Opening::Open);
    }

    pub(crate) async fn buy(&self, name: &str) -> Decision {
        self.admission.admit(&self.product, &user(name), fresh_id()).await.expect("decision")
    }

    pub(crate) async fn win(&self, name: &str) -> Entry {
        match self.buy(name).await {
            Decision::Won(entry) => entry,
            other => panic!("{name} did not win: {other:?}"),
        }
    }

    pub(crate) async fn phase(&self) -> Phase {
        self.admission.sale(&self.product).await.expect("sale").phase()
    }

    pub(crate) async fn outbox(&self) -> Vec<Entry> {
        self.admission.outbox(&self.product, EntryId::FIRST, EntryId::LAST, 100).await.expect("outbox")
    }

    pub(crate) async fn settle(&self, entry: &Entry) {
        self.admission.settle(std::slice::from_ref(entry)).await.expect("settle");
    }
}
