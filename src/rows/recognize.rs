//! What a record is by its own fields, where its object's key does not say.

use crate::parse::Cursor;
use crate::schema::Family;

/// The family a record belongs to by its own fields, for objects whose key does not say.
pub fn family_of(record: &Cursor<'_>) -> Family {
    let mut cursor = record.clone();
    let Some(len) = cursor.object_len() else { return Family::Events };
    cursor.enter(len);
    for _ in 0..len {
        let key = cursor.key();
        let is_deciding = matches!(key.text, "eventCategory" | "eventType");
        if is_deciding && cursor.object_len().or(cursor.array_len()).is_none() {
            match cursor.scalar().text {
                "Insight" | "AwsCloudTrailInsight" => return Family::Insight,
                "NetworkActivity" | "AwsVpceEvents" => return Family::NetworkActivity,
                "Aggregated" | "AwsAggregatedEvent" => return Family::Aggregated,
                _ => {}
            }
        } else {
            cursor.skip();
        }
        cursor.end_entry();
    }
    Family::Events
}

/// Whether a record has any of the fields that make a CloudTrail record.
pub fn is_cloudtrail(record: &Cursor<'_>) -> bool {
    let mut cursor = record.clone();
    let Some(len) = cursor.object_len() else { return false };
    let mut fields = 0;
    cursor.enter(len);
    for _ in 0..len {
        fields += usize::from(matches!(
            cursor.key().text,
            "eventVersion"
                | "eventTime"
                | "eventName"
                | "eventSource"
                | "eventID"
                | "eventId"
                | "awsRegion"
                | "userIdentity"
                | "insightDetails"
                | "timeWindow"
        ));
        cursor.skip();
        cursor.end_entry();
    }
    fields >= 2
}
