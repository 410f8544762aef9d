//! The calls that fill a sample: what each looks like and how often it comes.
//!
//! Each room below lists the calls of related services as templates. Weights follow what trails
//! show: a handful of calls make most of the volume, and most names are rare.

mod compute;
mod data;
mod oddity;
mod platform;
mod security;

use super::dice::Dice;
use super::template::Template;
use crate::error::Result;

/// Who makes a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// People, programs and services, as usual in an account.
    Any,
    /// Callers of `AssumeRole`: services and other accounts, too.
    Assume,
    /// A service, in nobody's name.
    Service,
    /// Somebody at the console's door.
    Console,
    /// Programs at S3's data plane; some anonymous, some of other accounts.
    Objects,
    /// A holder of an OpenID Connect token.
    WebIdentity,
    /// A holder of a SAML assertion.
    Saml,
    /// A user of IAM Identity Center.
    Sso,
}

/// The `eventType` of a call, and with it the fields around it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EventType {
    Call,
    ServiceEvent,
    ConsoleAction,
    ConsoleSignIn,
}

/// What is unusual about a record beside its free-form fields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Twist {
    None,
    BooleansAsText,
    ConsoleFlagBoolean,
    AgentList,
    FractionalTime,
    UnknownFields,
    Addendum,
    EdgeDevice,
    Late,
    Midnight,
    ForeignRegion,
    /// About 60 kB.
    Large,
    /// About 200 kB, one time in five; else a small record.
    Huge,
}

/// One kind of record.
#[derive(Clone, Copy)]
pub(super) struct Call {
    /// The service, as in `eventSource`, without `.amazonaws.com`.
    pub(super) source: &'static str,
    pub(super) name: &'static str,
    weight: u16,
    pub(super) is_read: bool,
    pub(super) is_data: bool,
    /// Global services record the partition's first region, whatever the trail's.
    pub(super) is_global: bool,
    pub(super) caller: Caller,
    pub(super) event_type: EventType,
    pub(super) twist: Twist,
    request: &'static str,
    response: &'static str,
    additional: &'static str,
    resources: &'static str,
    details: &'static str,
}

const fn call(source: &'static str, name: &'static str, weight: u16) -> Call {
    Call {
        source,
        name,
        weight,
        is_read: false,
        is_data: false,
        is_global: false,
        caller: Caller::Any,
        event_type: EventType::Call,
        twist: Twist::None,
        request: "",
        response: "",
        additional: "",
        resources: "",
        details: "",
    }
}

/// A call that changes something.
const fn write(source: &'static str, name: &'static str, weight: u16) -> Call {
    call(source, name, weight)
}

/// A call that only reads.
const fn read(source: &'static str, name: &'static str, weight: u16) -> Call {
    Call { is_read: true, ..call(source, name, weight) }
}

impl Call {
    const fn data(self) -> Self {
        Self { is_data: true, ..self }
    }

    const fn global(self) -> Self {
        Self { is_global: true, ..self }
    }

    const fn by(self, caller: Caller) -> Self {
        Self { caller, ..self }
    }

    const fn of_type(self, event_type: EventType) -> Self {
        Self { event_type, ..self }
    }

    const fn twist(self, twist: Twist) -> Self {
        Self { twist, ..self }
    }

    const fn request(self, request: &'static str) -> Self {
        Self { request, ..self }
    }

    const fn response(self, response: &'static str) -> Self {
        Self { response, ..self }
    }

    const fn additional(self, additional: &'static str) -> Self {
        Self { additional, ..self }
    }

    const fn resources(self, resources: &'static str) -> Self {
        Self { resources, ..self }
    }

    const fn details(self, details: &'static str) -> Self {
        Self { details, ..self }
    }
}

/// A call whose templates are compiled. Empty templates stand for JSON `null` or a missing field.
pub(super) struct Compiled {
    pub(super) call: Call,
    pub(super) request: Template,
    pub(super) response: Template,
    pub(super) additional: Template,
    pub(super) resources: Template,
    pub(super) details: Template,
}

impl Compiled {
    fn new(call: Call) -> Result<Self> {
        Ok(Self {
            call,
            request: Template::compile(call.request)?,
            response: Template::compile(call.response)?,
            additional: Template::compile(call.additional)?,
            resources: Template::compile(call.resources)?,
            details: Template::compile(call.details)?,
        })
    }
}

/// All calls, ready to draw from.
pub(super) struct Catalogue {
    calls: Vec<Compiled>,
    /// One slot per unit of weight.
    slots: Vec<u16>,
    /// Calls that a network activity trail can log.
    network: Vec<u16>,
    oddities: Vec<Compiled>,
}

impl Catalogue {
    /// Compiles all templates.
    ///
    /// # Errors
    /// `Bug` for a template that does not compile.
    pub(super) fn new() -> Result<Self> {
        let tables = [compute::CALLS, data::CALLS, security::CALLS, platform::CALLS];
        let calls: Vec<_> =
            tables.into_iter().flatten().map(|call| Compiled::new(*call)).collect::<Result<_>>()?;
        let mut slots = Vec::new();
        let mut network = Vec::new();
        for (index, Compiled { call, .. }) in calls.iter().enumerate() {
            slots.resize(slots.len() + usize::from(call.weight), index as u16);
            if matches!(call.source, "kms" | "secretsmanager" | "s3" | "cloudtrail" | "dynamodb") {
                network.push(index as u16);
            }
        }
        let oddities =
            oddity::CALLS.iter().map(|call| Compiled::new(*call)).collect::<Result<_>>()?;
        Ok(Self { calls, slots, network, oddities })
    }

    pub(super) fn draw(&self, dice: &mut Dice) -> &Compiled {
        &self.calls[usize::from(dice.pick(&self.slots))]
    }

    pub(super) fn draw_network(&self, dice: &mut Dice) -> &Compiled {
        &self.calls[usize::from(dice.pick(&self.network))]
    }

    /// Returns the oddities in turn, each with the number of its turns before.
    pub(super) fn oddity(&self, number: u64) -> (&Compiled, u64) {
        let count = self.oddities.len() as u64;
        (&self.oddities[(number % count) as usize], number / count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_many_services_and_names() {
        let catalogue = Catalogue::new().unwrap();
        let calls = catalogue.calls.iter().map(|compiled| compiled.call);
        let sources: BTreeSet<_> = calls.clone().map(|call| call.source).collect();
        let names: BTreeSet<_> = calls.map(|call| (call.source, call.name)).collect();
        assert!(sources.len() >= 30, "{} sources", sources.len());
        assert!(names.len() >= 120, "{} names", names.len());
        assert_eq!(names.len(), catalogue.calls.len(), "a call is listed twice");
    }
}
