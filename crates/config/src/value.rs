//! Values as Rust types.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use thiserror::Error;

use crate::option_type::Parsed;

/// An option was asked for that is not there in that form. A mistake in the program, not in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GetError {
    /// The table has no such option.
    #[error("there is no option [{group}] {name}")]
    Unknown {
        /// Its group.
        group: String,
        /// Its name.
        name: String,
    },
    /// The option is of another type, or is not set and was asked for as if it always were.
    #[error("the option [{group}] {name} cannot be read as {wanted}")]
    Mismatch {
        /// Its group.
        group: String,
        /// Its name.
        name: String,
        /// The type that was asked for.
        wanted: &'static str,
    },
}

/// A type that options can be read as.
pub trait FromValue: Sized {
    /// The value, or nothing if it is not of this type. `value` is nothing for options that are not set.
    fn from_value(value: Option<&Parsed>) -> Option<Self>;
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Option<&Parsed>) -> Option<Self> {
        match value {
            None => Some(None),
            given => T::from_value(given).map(Some),
        }
    }
}

fn text(value: Option<&Parsed>) -> Option<&str> {
    match value? {
        Parsed::Text(text) => Some(text),
        _ => None,
    }
}

fn integer(value: Option<&Parsed>) -> Option<i64> {
    match value? {
        Parsed::Integer(number) => Some(*number),
        _ => None,
    }
}

impl FromValue for bool {
    fn from_value(value: Option<&Parsed>) -> Option<Self> {
        match value? {
            Parsed::Flag(flag) => Some(*flag),
            _ => None,
        }
    }
}

impl FromValue for f64 {
    fn from_value(value: Option<&Parsed>) -> Option<Self> {
        match value? {
            Parsed::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// Whole numbers that fit.
macro_rules! integers {
    ($($type:ty),*) => {$(
        impl FromValue for $type {
            fn from_value(value: Option<&Parsed>) -> Option<Self> {
                integer(value)?.try_into().ok()
            }
        }
    )*};
}
integers!(i32, i64, u16, u32, u64, usize);

impl FromValue for NonZeroUsize {
    fn from_value(value: Option<&Parsed>) -> Option<Self> {
        Self::new(usize::from_value(value)?)
    }
}

/// Texts that parse.
macro_rules! texts {
    ($($type:ty),*) => {$(
        impl FromValue for $type {
            fn from_value(value: Option<&Parsed>) -> Option<Self> {
                text(value)?.parse().ok()
            }
        }
    )*};
}
texts!(String, IpAddr, IpNet, PortRange);

impl FromValue for PathBuf {
    fn from_value(value: Option<&Parsed>) -> Option<Self> {
        text(value).map(Self::from)
    }
}

impl FromValue for SecretString {
    fn from_value(value: Option<&Parsed>) -> Option<Self> {
        text(value).map(Self::from)
    }
}

impl FromValue for Vec<String> {
    fn from_value(value: Option<&Parsed>) -> Option<Self> {
        match value? {
            Parsed::List(items) => Some(items.clone()),
            _ => None,
        }
    }
}

/// Pairs in their order.
impl FromValue for Vec<(String, String)> {
    fn from_value(value: Option<&Parsed>) -> Option<Self> {
        match value? {
            Parsed::Pairs(pairs) => Some(pairs.clone()),
            _ => None,
        }
    }
}

/// Whole seconds.
impl FromValue for Duration {
    fn from_value(value: Option<&Parsed>) -> Option<Self> {
        integer(value)?.try_into().ok().map(Self::from_secs)
    }
}

/// Ports from `first` to `last`, both included; never empty, and without port 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// The text is not `first-last`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("must be two ports, such as 23760-23999")]
pub struct PortRangeError;

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let (first, last) = text.split_once('-').ok_or(PortRangeError)?;
        let port = |text: &str| text.trim().parse::<u16>().map_err(|_| PortRangeError);
        let range = Self { first: port(first)?, last: port(last)? };
        if range.first == 0 || range.first > range.last { Err(PortRangeError) } else { Ok(range) }
    }
}

impl IntoIterator for PortRange {
    type Item = u16;
    type IntoIter = std::ops::RangeInclusive<u16>;

    fn into_iter(self) -> Self::IntoIter {
        self.first..=self.last
    }
}
