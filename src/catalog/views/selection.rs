//! Which views a table is to have.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::catalog::OcsfVersion;
use crate::error::{Error, Result};

/// Views that are chosen together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ViewSet {
    /// Flat and daily views for BI tools, and those with the names of other tables' columns.
    Standard,
    /// The events in the classes of OCSF; of its versions, one at a time.
    Ocsf(OcsfVersion),
}

impl ViewSet {
    /// All sets, in the order of their views.
    pub const ALL: [Self; 3] =
        [Self::Standard, Self::Ocsf(OcsfVersion::V1_1), Self::Ocsf(OcsfVersion::V1_8)];

    /// Returns the name in options and in the catalog.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Ocsf(OcsfVersion::V1_1) => "ocsf-1.1",
            Self::Ocsf(OcsfVersion::V1_8) => "ocsf-1.8",
        }
    }
}

/// A choice of sets; none of them is a choice, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewSelection(BTreeSet<ViewSet>);

/// What stands for no set.
const NONE: &str = "none";

impl ViewSelection {
    /// Returns the choice that has the name of every view: of OCSF's versions, which share theirs, the newest.
    pub fn all() -> Self {
        ViewSet::ALL.into_iter().fold(Self::none(), Self::with)
    }

    /// Returns the choice of no set.
    pub fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// Returns the sets, in their order.
    pub fn sets(&self) -> impl Iterator<Item = ViewSet> {
        self.0.iter().copied()
    }

    /// Returns whether no set is chosen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a set. A version of OCSF takes the place of another: their views have the same names.
    #[must_use]
    pub fn with(mut self, set: ViewSet) -> Self {
        if is_ocsf(set) {
            self.0.retain(|other| !is_ocsf(*other));
        }
        self.0.insert(set);
        self
    }
}

fn is_ocsf(set: ViewSet) -> bool {
    matches!(set, ViewSet::Ocsf(_))
}

impl Default for ViewSelection {
    fn default() -> Self {
        Self::none().with(ViewSet::Standard)
    }
}

impl fmt::Display for ViewSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str(NONE);
        }
        let names: Vec<&str> = self.sets().map(ViewSet::name).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for ViewSelection {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == NONE {
            return Ok(Self::none());
        }
        let mut sets = BTreeSet::new();
        for name in text.split(',').map(str::trim) {
            let Some(set) = ViewSet::ALL.into_iter().find(|set| set.name() == name) else {
                let known: Vec<&str> = ViewSet::ALL.into_iter().map(ViewSet::name).collect();
                let message = format!(
                    "unknown views `{}`: expected `{NONE}` alone, or {}",
                    crate::text::clean(name),
                    known.join(", ")
                );
                return Err(Error::config(message));
            };
            sets.insert(set);
        }
        if sets.iter().filter(|set| is_ocsf(**set)).count() > 1 {
            let message = "the views of two versions of OCSF have the same names: choose one";
            return Err(Error::config(message));
        }
        Ok(Self(sets))
    }
}

#[cfg(test)]
mod tests {
    use super::{ViewSelection, ViewSet};
    use crate::catalog::OcsfVersion::{V1_1, V1_8};

    #[test]
    fn a_choice_is_read_as_it_is_written() {
        let ocsf = ViewSelection::default().with(ViewSet::Ocsf(V1_1));
        for choice in [ViewSelection::default(), ViewSelection::none(), ocsf] {
            let written = choice.to_string();

            assert_eq!(written.parse::<ViewSelection>().expect("a choice"), choice, "{written}");
        }
        for wrong in ["", "standard,none", "Standard", "ocsf", "ocsf-1.1,ocsf-1.8"] {
            assert!(wrong.parse::<ViewSelection>().is_err(), "{wrong}");
        }
    }
    #[test]
    fn a_version_of_ocsf_takes_the_place_of_another() {
        let chosen = ViewSelection::none().with(ViewSet::Ocsf(V1_1)).with(ViewSet::Ocsf(V1_8));

        assert_eq!(chosen.to_string(), "ocsf-1.8");
    }
}
