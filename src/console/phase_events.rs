//! The events of a change of phase between two polls.

use crate::domain::Phase;
use crate::observability::EventKind;

pub(super) fn phase_events(before: Phase, now: Phase) -> &'static [EventKind] {
    use EventKind::{Ended, OnSaleAgain, Opened, Paused, Resumed, SoldOut};
    match (before, now) {
        (Phase::Upcoming | Phase::Ended, Phase::Active) => &[Opened],
        // All units were sold between two polls.
        (Phase::Upcoming | Phase::Ended, Phase::SoldOut) => &[Opened, SoldOut],
        (Phase::Paused, Phase::Active) => &[Resumed],
        (Phase::Paused, Phase::SoldOut) => &[Resumed, SoldOut],
        (Phase::SoldOut, Phase::Active) => &[OnSaleAgain],
        (Phase::Active, Phase::SoldOut) => &[SoldOut],
        (Phase::Upcoming | Phase::Active | Phase::SoldOut | Phase::Ended, Phase::Paused) => &[Paused],
        (Phase::Upcoming | Phase::Active | Phase::SoldOut | Phase::Paused, Phase::Ended) => &[Ended],
        (_, Phase::Upcoming)
        | (Phase::Active, Phase::Active)
        | (Phase::SoldOut, Phase::SoldOut)
        | (Phase::Paused, Phase::Paused)
        | (Phase::Ended, Phase::Ended) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sale_that_sells_out_between_two_polls_has_opened_first() {
        assert_eq!(phase_events(Phase::Upcoming, Phase::SoldOut), [EventKind::Opened, EventKind::SoldOut]);
        assert_eq!(phase_events(Phase::SoldOut, Phase::Active), [EventKind::OnSaleAgain]);
        assert_eq!(phase_events(Phase::Paused, Phase::Active), [EventKind::Resumed]);
        assert_eq!(phase_events(Phase::Active, Phase::Active), []);
    }
}
