//! Random histories.

use proptest::{collection::vec, prelude::*};

/// One operation, with small numbers in place of users, ids and epochs, so that steps meet.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// An attempt; `version` chooses among few purchase ids of the user, so that attempts recur.
    Admit {
        user: u8,
        version: u8,
    },
    Settle {
        user: u8,
        epoch: i8,
        dead: bool,
    },
    Withdraw {
        user: u8,
        version: Option<u8>,
        stands: Option<u8>,
        returns: bool,
    },
    /// `unit`: none is the one that the purchase has.
    Reassign {
        user: u8,
        version: Option<u8>,
        unit: Option<u16>,
        may_keep: bool,
    },
    Adopt {
        user: u8,
        version: u8,
        unit: u8,
    },
    Republish {
        user: u8,
        version: Option<u8>,
    },
    Cancel {
        user: u8,
        version: Option<u8>,
        keeps_unit: bool,
        may_buy_again: bool,
    },
    Bar {
        users: Vec<u8>,
    },
    Rename {
        user: u8,
        to: u8,
    },
    Configure {
        epoch: i8,
        terms: StepTerms,
    },
    Fence {
        epoch: i8,
    },
    Progress {
        epoch: i8,
        step: u8,
    },
    Stage {
        epoch: i8,
        bought: Vec<(u8, u8)>,
        dead: Vec<(u8, u8)>,
        used: Vec<Used>,
        free: Vec<u8>,
    },
    Unstage {
        epoch: i8,
    },
    Open {
        epoch: i8,
        terms: StepTerms,
        next: u8,
        balance: i8,
        revoked: bool,
    },
    /// Another system's process goes on: 0 does not know which system it is of.
    System(u8),
    /// The ledger's epochs, relative to the one that stands.
    Raise {
        raised: i8,
        opened: i8,
    },
    /// The server has another identity from now on.
    Server,
    Damage(Damage),
}

#[derive(Clone, Debug)]
pub(super) struct StepTerms {
    pub(super) total: u16,
    /// -1: over, 0: open, 1: not yet open.
    pub(super) window: i8,
    pub(super) paused: bool,
}

/// What an eviction, a deletion or a program that is wrong may do.
#[derive(Clone, Debug)]
pub(super) enum Damage {
    Sale,
    Free,
    Buyers,
    Buyer(u8),
    Outbox,
    Dead,
    Next(u8),
}

pub(super) const USERS: u8 = 6;

fn terms() -> impl Strategy<Value = StepTerms> {
    let window = prop_oneof![6 => Just(0), 1 => Just(-1), 1 => Just(1)];
    let total = prop_oneof![8 => 1..9_u16, 1 => Just(2000)];
    (total, window, prop::bool::weighted(0.15)).prop_map(|(total, window, paused)| StepTerms {
        total,
        window,
        paused,
    })
}

/// A right that is used up, with the unit that is withheld, or 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    pub(super) user: u8,
    pub(super) unit: u8,
    pub(super) is_cancelled: bool,
}

/// The epoch relative to the one that stands.
fn epoch() -> impl Strategy<Value = i8> {
    prop_oneof![5 => Just(0_i8), 1 => Just(-1), 1 => Just(1)]
}

/// Who has a unit of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Nobody,
    InLedger,
    DeadLettered,
    /// The user's purchase was cancelled, and the unit is withheld.
    Cancelled,
    /// The unit is withheld, and the user may buy again.
    Withheld,
}

/// A whole rebuild: each user owns the unit of that number, or it is free or withheld.
fn rebuild() -> impl Strategy<Value = Vec<Step>> {
    let owner = prop_oneof![
        3 => Just(Owner::Nobody),
        3 => Just(Owner::InLedger),
        3 => Just(Owner::DeadLettered),
        1 => Just(Owner::Cancelled),
        1 => Just(Owner::Withheld),
    ];
    (terms(), vec(owner, 0..=usize::from(USERS)), any::<bool>()).prop_map(|(terms, owned, revoked)| {
        let of = |wanted: Owner| -> Vec<(u8, u8)> {
            let units = (0..).zip(&owned).filter(|(_, owner)| **owner == wanted);
            units.map(|(user, _)| (user, user + 1)).collect()
        };
        let (bought, dead) = (of(Owner::InLedger), of(Owner::DeadLettered));
        let used = of(Owner::Cancelled).into_iter();
        let used = used.map(|(user, unit)| Used { user, unit, is_cancelled: true }).collect();
        let balance = -i8::try_from(of(Owner::Withheld).len()).expect("few");
        let free = of(Owner::Nobody).into_iter().map(|(_, unit)| unit).collect();
        let next = u8::try_from(owned.len()).expect("few");
        vec![
            Step::Fence { epoch: 1 },
            Step::Stage { epoch: 0, bought, dead, used, free },
            Step::Progress { epoch: 0, step: 4 },
            Step::Open { epoch: 0, terms, next, balance, revoked },
        ]
    })
}

fn step() -> impl Strategy<Value = Step> {
    let (user, version) = (|| 0..USERS, || 0..2_u8);
    let own = || prop::option::weighted(0.3, 0..2_u8);
    let unit =
        prop_oneof![3 => Just(None), 3 => (1..9_u16).prop_map(Some), 1 => (990..2100_u16).prop_map(Some)];
    let settle = (user(), epoch(), prop::bool::weighted(0.4));
    let withdraw = (user(), own(), prop::option::of(1..9_u8), any::<bool>());
    let bought = || vec((user(), 1..9_u8), 0..3);
    let right = (user(), 0..3_u8, any::<bool>());
    let right = right.prop_map(|(user, unit, is_cancelled)| Used { user, unit, is_cancelled });
    let stage = (epoch(), bought(), bought(), vec(right, 0..2), vec(1..9_u8, 0..3));
    let cancel = (user(), own(), any::<bool>(), any::<bool>());
    let damage = prop_oneof![
        Just(Damage::Sale),
        Just(Damage::Free),
        Just(Damage::Buyers),
        user().prop_map(Damage::Buyer),
        Just(Damage::Outbox),
        Just(Damage::Dead),
        (0..9_u8).prop_map(Damage::Next),
    ];
    prop_oneof![
        20 => (user(), version()).prop_map(|(user, version)| Step::Admit { user, version }),
        8 => settle.prop_map(|(user, epoch, dead)| Step::Settle { user, epoch, dead }),
        6 => withdraw.prop_map(|(user, version, stands, returns)| {
            Step::Withdraw { user, version, stands, returns }
        }),
        6 => (user(), own(), unit, any::<bool>()).prop_map(|(user, version, unit, may_keep)| {
            Step::Reassign { user, version, unit, may_keep }
        }),
        3 => (user(), version(), 1..9_u8).prop_map(|(user, version, unit)| Step::Adopt { user, version, unit }),
        3 => (user(), own()).prop_map(|(user, version)| Step::Republish { user, version }),
        5 => (epoch(), terms()).prop_map(|(epoch, terms)| Step::Configure { epoch, terms }),
        2 => epoch().prop_map(|epoch| Step::Fence { epoch }),
        1 => (epoch(), 1..6_u8).prop_map(|(epoch, step)| Step::Progress { epoch, step }),
        1 => stage.prop_map(|(epoch, bought, dead, used, free)| Step::Stage { epoch, bought, dead, used, free }),
        4 => cancel.prop_map(|(user, version, keeps_unit, may_buy_again)| {
            Step::Cancel { user, version, keeps_unit, may_buy_again }
        }),
        2 => vec(user(), 1..4).prop_map(|users| Step::Bar { users }),
        2 => (user(), user()).prop_map(|(user, to)| Step::Rename { user, to }),
        1 => epoch().prop_map(|epoch| Step::Unstage { epoch }),
        2 => (epoch(), terms(), 0..4_u8, -1..2_i8, any::<bool>()).prop_map(
            |(epoch, terms, next, balance, revoked)| Step::Open { epoch, terms, next, balance, revoked }
        ),
        1 => Just(Step::Server),
        2 => prop_oneof![1 => Just(0_u8), 6 => Just(1), 2 => Just(2)].prop_map(Step::System),
        1 => (epoch(), epoch()).prop_map(|(raised, opened)| Step::Raise { raised, opened }),
        2 => damage.prop_map(Step::Damage),
    ]
}

/// Mostly begins with a rebuild: nothing happens before one.
pub(super) fn history() -> impl Strategy<Value = Vec<Step>> {
    let steps = || vec(step(), 1..25);
    let part = || prop_oneof![9 => rebuild(), 1 => steps()];
    // The second rebuild is by the system that most histories begin with.
    let own = || vec![Step::System(1)];
    (part(), steps(), part(), steps()).prop_map(move |(a, b, c, d)| [own(), a, b, own(), c, d].concat())
}
