//! The CSV that the CloudTrail console's "Download events" gives: 16 columns, the exact header.

use crate::history::event::Event;
use crate::history::resources::Resource;
use serde_json::json;

/// The header, as two downloads of August 2024 have it.
pub(super) const HEADER: [&str; 16] = [
    "User name",
    "AWS access key",
    "Event time",
    "Event source",
    "Event name",
    "AWS region",
    "Source IP address",
    "User agent",
    "Error code",
    "Resources",
    "Request ID",
    "Event ID",
    "Read-only",
    "Event type",
    "Recipient Account Id",
    "Event category",
];

/// Returns an event's values, in the order of the header.
pub(super) fn values(event: &Event) -> [String; 16] {
    let own = |text: &String| text.clone();
    // The console names no user for what a service did of its own.
    let user = if event.kind == "AwsServiceEvent" { String::new() } else { own(&event.user) };
    [
        user,
        own(&event.access_key),
        own(&event.time),
        own(&event.source),
        own(&event.name),
        own(&event.region),
        own(&event.ip),
        own(&event.agent),
        own(&event.error),
        resources_json(&event.resources),
        own(&event.request_id),
        own(&event.id),
        own(&event.read_only),
        own(&event.kind),
        own(&event.account),
        own(&event.category),
    ]
}

/// Returns resources as a JSON list.
pub(super) fn resources_json(resources: &[Resource]) -> String {
    let one = |it: &Resource| json!({ "resourceType": it.kind, "resourceName": it.name });
    json!(resources.iter().map(one).collect::<Vec<_>>()).to_string()
}
