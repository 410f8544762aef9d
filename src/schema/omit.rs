//! What is no column: secrets, by their names, and random tokens, by their characters.
//!
//! Nobody filters by a random token, and it does not compress: in a sample of S3 data events, `x-amz-id-2`
//! alone was a fifth of all Parquet. A secret that CloudTrail has not masked must not stand in more places
//! than it has to. Both stay in the text columns, as everything does. The rule looks at each value by itself,
//! so that what comes of it does not depend on the order of records: a member of which only tokens were
//! seen when it was first met is left out for good, and the schema lock says why.

/// Why a member with the name of a secret is no column.
pub(super) const SECRETS: &str = "secrets by their name";

/// Why a member of which only random tokens were seen is no column.
pub(super) const TOKENS: &str = "random tokens";

/// Names, as columns have them, of members that hold secrets or single-use tokens in AWS's APIs.
const SECRET_NAMES: [&str; 32] = [
    "accesstoken",
    "adminpassword",
    "authorizationtoken",
    "authtoken",
    "ciphertextblob",
    "clientrequesttoken",
    "clientsecret",
    "clienttoken",
    "idtoken",
    "masterpassword",
    "masteruserpassword",
    "newpassword",
    "nextsequencetoken",
    "nexttoken",
    "oldpassword",
    "password",
    "plaintext",
    "privatekey",
    "proposedpassword",
    "refreshtoken",
    "resulttoken",
    "secretaccesskey",
    "secretbinary",
    "secretkey",
    "secretstring",
    "sequencetoken",
    "sessiontoken",
    "tdecredentialpassword",
    "temporarypassword",
    "tokenvalue",
    "x_amz_security_token",
    "x_amz_signature",
];

/// Returns whether members of this name, as columns have it, hold secrets.
pub(super) fn is_secret(name: &str) -> bool {
    SECRET_NAMES.contains(&name)
}

/// The shortest token: identifiers of AWS's are shorter, or have a shape.
const MIN_TOKEN: usize = 32;

/// Returns whether a string is a random token: 32 characters or more of Base64's alphabets, in which upper
/// case, lower case and digits change as often as by chance. In random Base64 two neighbours are of different
/// classes in 64 of 100 cases, in words and paths in some 20; hexadecimal digits and UUIDs have one case.
pub fn is_token(text: &[u8]) -> bool {
    if text.len() < MIN_TOKEN {
        return false;
    }
    let class = |byte: u8| match byte {
        b'A'..=b'Z' => Some(0_u8),
        b'a'..=b'z' => Some(1),
        b'0'..=b'9' => Some(2),
        b'+' | b'/' | b'-' | b'_' | b'=' => Some(3),
        _ => None,
    };
    let (mut seen, mut changes, mut before) = ([false; 4], 0, None);
    // What a long text begins with is enough.
    let head = &text[..text.len().min(256)];
    for byte in head {
        let Some(class) = class(*byte) else { return false };
        seen[class as usize] = true;
        changes += usize::from(before.is_some_and(|before| before != class));
        before = Some(class);
    }
    seen[..3] == [true; 3] && changes * 100 >= head.len() * 45
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_tokens_are_told_from_names_ids_and_paths() {
        for token in [
            "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MEFCQ0RFRkdISUpLTE1OT1A=",
            "lJz0bQ2y7Vt5Rk9nWxP3cMfH8dTgUa1eYsKqB4iO6hE+/vNwXrZ2uC5jL7pF9mD1oS3tG8kA0QI=",
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsIng1dCI6Ii1LSTNROW5OUjdiUm9meG1lWm9Ycg",
        ] {
            assert!(is_token(token.as_bytes()), "{token}");
        }
        for other in [
            "",
            "Zm9vYmFyYmF6cXV4MTIz",
            "arn:aws:iam::111122223333:role/service-role/AmazonEC2ContainerServiceRole",
            "AWSLogs/111122223333/CloudTrail/us-east-1/2026/10/18/111122223333_CloudTrail_us-east-1.json.gz",
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
            "CloudFormationStackSetsOrgAdminServiceRolePolicyForAutomation2",
            "a sentence with Words, 12 digits and more than 32 characters",
            "prod-eu-west-1-Application-Load-Balancer-Target-Group-0001-abcdef",
        ] {
            assert!(!is_token(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn secrets_are_sorted_names_of_columns() {
        assert!(SECRET_NAMES.windows(2).all(|pair| pair[0] < pair[1]));
        for name in SECRET_NAMES {
            assert_eq!(crate::schema::column_name(name), name);
        }
        assert!(is_secret("sessiontoken") && !is_secret("accesskeyid"));
    }
}
