//! Addresses and URLs.

use crate::query::functions::{Made, flag_type, strings, text_type};
use polars::prelude::{BooleanChunked, Column, IntoSeries, PolarsResult, Series, StringChunked};
use std::net::{IpAddr, Ipv6Addr};

pub(super) fn all() -> Vec<Made> {
    let url = |name, compute| Made { name, arguments: 1..=1, returns: text_type, compute };
    vec![
        Made {
            name: "ipaddress",
            arguments: 1..=1,
            returns: text_type,
            compute: |columns| texts(&columns[0], ordered),
        },
        Made { name: "contains_address", arguments: 2..=2, returns: flag_type, compute: contains },
        url("url_extract_host", |columns| texts(&columns[0], |url| parts(url).1)),
        url("url_extract_protocol", |columns| texts(&columns[0], |url| parts(url).0)),
        url("url_extract_path", |columns| texts(&columns[0], |url| parts(url).2)),
        url("url_extract_query", |columns| texts(&columns[0], |url| parts(url).3)),
    ]
}

fn texts(column: &Column, of: impl Fn(&str) -> Option<String>) -> PolarsResult<Series> {
    let values = strings(column)?;
    let found: StringChunked = values.iter().map(|value| value.and_then(&of)).collect();
    Ok(found.into_series())
}

/// An address as a text whose order is that of addresses: an IPv4 address is one of IPv6.
fn ordered(text: &str) -> Option<String> {
    number(text).map(|number| format!("{number:032x}"))
}

fn number(text: &str) -> Option<u128> {
    let address: IpAddr = text.trim().parse().ok()?;
    let six: Ipv6Addr = match address {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => six,
    };
    Some(u128::from(six))
}

/// Whether a block such as `10.0.0.0/8` has an address, which may be an ordered one.
fn contains(columns: &[Column]) -> PolarsResult<Series> {
    let (blocks, addresses) = (strings(&columns[0])?, strings(&columns[1])?);
    let is_in = |block: Option<&str>, address: Option<&str>| {
        let (network, bits) = block?.split_once('/')?;
        let is_four = network.contains('.');
        let bits: u32 = bits.parse().ok().filter(|bits| *bits <= if is_four { 32 } else { 128 })?;
        let bits = if is_four { bits + 96 } else { bits };
        let address = address?;
        let address = match address.len() == 32 && !address.contains([':', '.']) {
            true => u128::from_str_radix(address, 16).ok()?,
            false => number(address)?,
        };
        let shift = 128 - bits;
        Some(shift == 128 || number(network)? >> shift == address >> shift)
    };
    let found: BooleanChunked =
        blocks.iter().zip(addresses.iter()).map(|(block, at)| is_in(block, at)).collect();
    Ok(found.into_series())
}

type Parts = (Option<String>, Option<String>, Option<String>, Option<String>);

/// Protocol, host, path and query of a URL.
fn parts(url: &str) -> Parts {
    let url = url.split('#').next().unwrap_or(url);
    let (protocol, rest) = match url.split_once("://") {
        Some((protocol, rest)) => (Some(protocol.to_owned()), rest),
        None => return (None, None, None, None),
    };
    let (before, query) = match rest.split_once('?') {
        Some((before, query)) => (before, Some(query.to_owned())),
        None => (rest, None),
    };
    let end = before.find('/').unwrap_or(before.len());
    let host = before[..end].rsplit('@').next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    (protocol, Some(host.to_owned()), Some(before[end..].to_owned()), query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_in_their_order_and_names_are_none() {
        assert!(ordered("10.0.0.9") < ordered("10.0.0.10"));
        assert!(ordered("9.255.255.255") < ordered("10.0.0.0"));
        assert_eq!(ordered("::ffff:10.0.0.1"), ordered("10.0.0.1"));
        assert_eq!(ordered("ec2.amazonaws.com"), None);
    }

    #[test]
    fn a_url_is_taken_apart() {
        let (protocol, host, path, query) = parts("https://u@h.example:8443/a/b?c=d#e");

        assert_eq!(protocol.as_deref(), Some("https"));
        assert_eq!(host.as_deref(), Some("h.example"));
        assert_eq!(path.as_deref(), Some("/a/b"));
        assert_eq!(query.as_deref(), Some("c=d"));
    }
}
