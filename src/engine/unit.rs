//! A unit of objects: what is converted and committed together.

use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Intent, UnavailableObject, UnitBasis, UnitId, WorkPlan};
use crate::source::Object;
use crate::storage::Storage;

/// A unit to convert.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub id: UnitId,
    pub objects: Vec<Object>,
    /// Whether an earlier run wrote its intent.
    pub is_resumed: bool,
    /// Whether it is a plan's, which announces it.
    pub is_planned: bool,
    /// Objects of a plan's unit that could not be read.
    pub unavailable: Vec<UnavailableObject>,
}

impl Unit {
    /// Returns an estimate of the JSON bytes of its objects.
    pub(crate) fn json_estimate(&self) -> u64 {
        self.objects.iter().map(|object| object.json_estimate).sum()
    }

    /// Returns the intent to be written before its data, unless it has been announced.
    pub(crate) fn intent(&self, basis: &UnitBasis) -> Option<Intent> {
        let objects = self.objects.iter().map(|o| (o.key.clone(), o.etag.clone()));
        self.intent_of(basis, objects.collect())
    }

    /// As [`Unit::intent`], for objects that are fetched.
    pub(crate) fn intent_of(
        &self,
        basis: &UnitBasis,
        objects: Vec<(String, String)>,
    ) -> Option<Intent> {
        let is_announced = self.is_resumed || self.is_planned;
        let (unit, basis) = (self.id.clone(), Some(basis.clone()));
        (!is_announced).then_some(Intent { unit, basis, objects })
    }

    /// Becomes a unit of the objects that are left. It has not been announced, so that nothing was written
    /// under its name.
    ///
    /// # Errors
    /// `Unavailable` for a unit that an earlier run announced: the next run finds that it cannot be
    /// finished, and gives it up.
    pub(crate) fn leave_out<'k>(
        &mut self,
        basis: &UnitBasis,
        left: impl IntoIterator<Item = (&'k str, &'k str)>,
    ) -> Result<()> {
        if self.is_resumed {
            let message = "an object of a unit that an earlier run began cannot be read; run again";
            return Err(Error::new(ErrorKind::Unavailable, message).at("unit", &self.id));
        }
        self.id.identity = basis.identity(left)?;
        Ok(())
    }

    /// Agrees with the other attempts at a unit of a plan which of its objects are left out: what the
    /// first attempt says is what all of them write.
    ///
    /// # Errors
    /// `Unavailable` when an object cannot be read that another attempt has read; `Denied`, `Io`.
    pub(crate) async fn agree(
        &mut self,
        plan: &WorkPlan,
        storage: &Storage,
        missing: Vec<UnavailableObject>,
    ) -> Result<()> {
        let lost: Vec<String> = missing.iter().map(|object| object.object.clone()).collect();
        self.unavailable = plan.leave_out(storage, &self.id, missing).await?;
        if let Some(key) = lost.iter().find(|key| !self.is_left_out(key)) {
            let message = "an object that another attempt at its unit has read cannot be read; run \
                           the child again, or discard the plan with `trailmill plan discard`";
            return Err(Error::new(ErrorKind::Unavailable, message).at("object", key));
        }
        let objects = std::mem::take(&mut self.objects);
        self.objects = objects.into_iter().filter(|o| !self.is_left_out(&o.key)).collect();
        Ok(())
    }

    /// Returns whether an object is left out of a plan's unit.
    pub(crate) fn is_left_out(&self, key: &str) -> bool {
        self.unavailable.iter().any(|object| object.object == key)
    }
}
