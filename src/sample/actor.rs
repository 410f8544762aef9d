//! Who acts in an account: few principals make most calls, and a session lasts for hours.
//!
//! Measured in public archives (`benches/describe.py`): of 1,000 records in a row, 93 % have a
//! `userIdentity` that stood in one of them before. So a record draws its actor from a small cast,
//! and everything about the actor is a function of the account, the actor and the session.

use super::dice::{Dice, mix};

/// Principals of an account that call all the time.
const CAST: u32 = 28;
/// Of the cast, so many are at work in one object.
const AT_WORK: u32 = 5;
/// Records in 10,000 whose actor is seldom seen.
const RARE: u32 = 120;
/// Kinds of identity of such actors, as rolls of `identity::write`: each kind comes as often.
const RARE_ROLLS: [u32; 12] = [10, 85, 100, 120, 147, 158, 200, 260, 312, 480, 900, 950];
/// Seconds that a session's credentials are used.
const SESSION: i64 = 8 * 3_600;

/// One principal in one of its sessions.
#[derive(Clone, Copy)]
pub(super) struct Actor {
    seed: u64,
    session: u64,
    /// When the session began, in seconds.
    pub(super) started: i64,
    /// A number below 1,000 that decides the kind of identity.
    pub(super) roll: u32,
}

impl Actor {
    /// Draws the actor of a record; `object` is the seed of the object it stands in.
    pub(super) fn draw(dice: &mut Dice, account: u64, object: u64, time: i64) -> Self {
        let is_rare = dice.chance(RARE);
        let number = if is_rare {
            CAST + dice.below(4_096)
        } else {
            let place = dice.below(AT_WORK);
            let place = dice.below(place + 1);
            let is_at_work = dice.chance(9_000);
            let word = if is_at_work { mix(object, 0xac7 + u64::from(place)) } else { dice.word() };
            let mut chosen = Dice::new(word);
            (0..3).fold(CAST, |bound, _| chosen.below(bound) + 1) - 1
        };
        let seed = mix(account, 0xac_7000 + u64::from(number));
        let roll = if is_rare { dice.pick(&RARE_ROLLS) } else { Dice::new(seed).below(1_000) };
        let epoch = time.div_euclid(SESSION);
        let session = mix(seed, epoch as u64);
        let started = epoch * SESSION - i64::from(Dice::new(session).below(2_700));
        Self { seed, session, started, roll }
    }

    /// What decides `use_of` of the principal, in every session.
    pub(super) fn dice(&self, use_of: u64) -> Dice {
        Dice::new(mix(self.seed, use_of))
    }

    /// What decides `use_of` of this session.
    pub(super) fn session_dice(&self, use_of: u64) -> Dice {
        Dice::new(mix(self.session, use_of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_thousand_records_have_few_actors_and_some_have_rare_ones() {
        let mut dice = Dice::new(3);
        let actors: Vec<_> =
            (0..1_000).map(|index| Actor::draw(&mut dice, 7, index / 50, 90_000)).collect();

        let seeds: BTreeSet<_> = actors.iter().map(|actor| actor.seed).collect();
        assert!((20..70).contains(&seeds.len()), "{}", seeds.len());
        assert!(actors.iter().all(|actor| actor.started <= 90_000));
    }

    #[test]
    fn a_session_changes_and_its_principal_stays() {
        let at = |time| Actor::draw(&mut Dice::new(3), 7, 1, time);
        let (now, soon, later) = (at(SESSION), at(SESSION + 60), at(2 * SESSION));

        assert_eq!((now.seed, now.session), (soon.seed, soon.session));
        assert_eq!(now.seed, later.seed);
        assert_ne!(now.session, later.session);
    }
}
