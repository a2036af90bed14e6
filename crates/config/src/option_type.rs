//! The types that options have.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde::Deserialize;

use crate::value::PortRange;

/// The type of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptionType {
    /// Any text.
    Str,
    /// true, 1, yes, on; false, 0, no, off; in any case.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// 0 to 65535.
    Port,
    /// An IPv4 or IPv6 address; no name.
    Ip,
    /// A host name or address.
    Host,
    /// A network as address/length.
    Cidr,
    /// Two ports as first-last.
    PortRange,
    /// Texts separated by commas.
    List,
    /// Texts, each given by an assignment of its own.
    Multi,
    /// key:value pairs separated by commas.
    Dict,
}

/// A value of some type, checked.
#[derive(Clone, PartialEq)]
pub enum Parsed {
    /// Str, Ip, Host, Cidr and `PortRange`.
    Text(String),
    /// Bool.
    Flag(bool),
    /// Int and Port.
    Integer(i64),
    /// Float.
    Number(f64),
    /// List and Multi.
    List(Vec<String>),
    /// Dict, in its order.
    Pairs(Vec<(String, String)>),
}

/// As it would be written in a file.
impl fmt::Display for Parsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::List(items) => f.write_str(&items.join(",")),
            Self::Pairs(pairs) => {
                let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}:{value}")).collect();
                f.write_str(&pairs.join(","))
            }
        }
    }
}

impl OptionType {
    /// Reads a value. Nothing for a number that is left empty, which means that it is not set.
    ///
    /// # Errors
    /// What the value must be instead, without the value.
    pub fn parse(self, text: &str) -> Result<Option<Parsed>, &'static str> {
        let trimmed = text.trim();
        let checked = |fine: bool, must: &'static str| {
            if fine { Ok(Some(Parsed::Text(trimmed.to_owned()))) } else { Err(must) }
        };
        match self {
            Self::Str => Ok(Some(Parsed::Text(text.to_owned()))),
            Self::Bool => match trimmed.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Ok(Some(Parsed::Flag(true))),
                "false" | "0" | "no" | "off" => Ok(Some(Parsed::Flag(false))),
                _ => Err("must be true or false"),
            },
            Self::Int | Self::Float | Self::Port if trimmed.is_empty() => Ok(None),
            Self::Int => {
                trimmed.parse().map(|number| Some(Parsed::Integer(number))).map_err(|_| "must be a whole number")
            }
            Self::Float => match trimmed.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Some(Parsed::Number(number))),
                _ => Err("must be a number"),
            },
            Self::Port => trimmed
                .parse::<u16>()
                .map(|port| Some(Parsed::Integer(port.into())))
                .map_err(|_| "must be a port from 0 to 65535"),
            Self::Ip => {
                checked(trimmed.parse::<IpAddr>().is_ok(), "must be an IP address, such as 127.0.0.1, and not a name")
            }
            Self::Host => checked(is_host(trimmed), "must be a host name or an IP address"),
            Self::Cidr => checked(trimmed.parse::<IpNet>().is_ok(), "must be a network, such as 10.77.0.0/24"),
            Self::PortRange => checked(trimmed.parse::<PortRange>().is_ok(), "must be two ports, such as 23760-23999"),
            Self::List => Ok(Some(Parsed::List(split_list(text)))),
            Self::Multi => Ok(Some(Parsed::List(vec![text.to_owned()]))),
            Self::Dict => split_pairs(text).map(|pairs| Some(Parsed::Pairs(pairs))).ok_or("must be key:value pairs"),
        }
    }

    /// What it is called in the sample file.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Str => "text",
            Self::Bool => "true or false",
            Self::Int => "whole number",
            Self::Float => "number",
            Self::Port => "port",
            Self::Ip => "IP address",
            Self::Host => "host name or IP address",
            Self::Cidr => "network",
            Self::PortRange => "first and last port",
            Self::List => "list, separated by commas",
            Self::Multi => "text, may be given several times",
            Self::Dict => "key:value pairs, separated by commas",
        }
    }
}

fn split_list(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',').map(|item| item.trim().to_owned()).collect()
}

fn split_pairs(text: &str) -> Option<Vec<(String, String)>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    let pair = |item: &str| item.split_once(':').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
    text.split(',').map(pair).collect()
}

/// An address, or a name of letters, digits, hyphens and (as in real life) underscores.
fn is_host(text: &str) -> bool {
    if text.parse::<IpAddr>().is_ok() {
        return true;
    }
    // What consists of numbers only was meant as an address.
    let numeric = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    (!numeric || text.parse::<Ipv4Addr>().is_ok()) && name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn list(items: &[&str]) -> Parsed {
        Parsed::List(items.iter().map(|&item| item.to_owned()).collect())
    }

    #[rstest]
    #[case(OptionType::Bool, "Yes", Some(Parsed::Flag(true)))]
    #[case(OptionType::Bool, " off ", Some(Parsed::Flag(false)))]
    #[case(OptionType::Int, "-5", Some(Parsed::Integer(-5)))]
    #[case(OptionType::Int, "", None)]
    #[case(OptionType::Float, "0.5", Some(Parsed::Number(0.5)))]
    #[case(OptionType::Port, "9511", Some(Parsed::Integer(9511)))]
    #[case(OptionType::Ip, "::1", Some(Parsed::Text("::1".into())))]
    #[case(OptionType::Host, "node-1.example.org", Some(Parsed::Text("node-1.example.org".into())))]
    #[case(OptionType::Cidr, "10.0.0.0/8", Some(Parsed::Text("10.0.0.0/8".into())))]
    #[case(OptionType::PortRange, "10-20", Some(Parsed::Text("10-20".into())))]
    #[case(OptionType::List, "a, b ,,c", Some(list(&["a", "b", "", "c"])))]
    #[case(OptionType::List, "", Some(list(&[])))]
    #[case(OptionType::Multi, "a,b", Some(list(&["a,b"])))]
    #[case(OptionType::Dict, "k:v, z:w:x", Some(Parsed::Pairs(vec![("k".into(), "v".into()), ("z".into(), "w:x".into())])))]
    #[case(OptionType::Str, " kept ", Some(Parsed::Text(" kept ".into())))]
    fn reads(#[case] kind: OptionType, #[case] text: &str, #[case] expected: Option<Parsed>) {
        assert!(kind.parse(text) == Ok(expected), "{kind:?} {text:?}");
    }

    #[rstest]
    #[case(OptionType::Bool, "")]
    #[case(OptionType::Bool, "maybe")]
    #[case(OptionType::Int, "1.5")]
    #[case(OptionType::Int, "99999999999999999999")]
    #[case(OptionType::Float, "nan")]
    #[case(OptionType::Port, "65536")]
    #[case(OptionType::Port, "-1")]
    #[case(OptionType::Ip, "localhost")]
    #[case(OptionType::Host, "a b")]
    #[case(OptionType::Host, "300.1.2.3")]
    #[case(OptionType::Host, "-x")]
    #[case(OptionType::Cidr, "10.0.0.0/33")]
    #[case(OptionType::PortRange, "20-10")]
    #[case(OptionType::PortRange, "20")]
    #[case(OptionType::Dict, "k")]
    fn refuses(#[case] kind: OptionType, #[case] text: &str) {
        assert!(kind.parse(text).is_err(), "{kind:?} {text:?}");
    }
}
