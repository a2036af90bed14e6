//! Configuration: `magnum.conf` as operators have it, read into typed settings.
//!
//! Files are oslo.config's INI; the options there are, with types, defaults and help, are the table
//! `data/options.yaml`, from which reading, checking and the sample file are made. Options that upstream has and that
//! have no effect here are in the table as well, with the reason, so that an existing file loads and its reader is told.
//!
//! - `ini.rs`: text to sections, keys and values
//! - `sources.rs`: which files, folders, environment variables and command-line values there are
//! - `table.rs`: the options; `option_type.rs`: their types
//! - `resolve.rs`: which of several values counts, `$name` substitution, and what is wrong
//! - `address.rs`: addresses of other services
//! - `report.rs`: findings in words; `meaning.rs`: what values come to together, `identity.rs`: who callers are
//! - `value.rs`: values as Rust types; `sections.rs`: the groups as structs; `settings.rs`: all of it together
//! - `sample.rs`: a commented `magnum.conf`
//!
//! What is secret is never shown, neither by `Debug` nor in messages.

pub mod address;

mod error;
mod identity;
mod ini;
mod meaning;
mod option_type;
mod report;
mod resolve;
mod sample;
mod sections;
mod settings;
mod sources;
mod substitute;
mod table;
mod value;

pub use error::ConfigError;
pub use ini::{Document, Entry, Section, SyntaxError, read_ini};
pub use option_type::{OptionType, Parsed};
pub use report::{Finding, FindingKind, Origin, Report, Severity};
pub use resolve::nearest;
pub use sample::sample;
pub use sections::{
    ApiSettings, CertificateSettings, ClusterSettings, ClusterTemplateSettings, ConductorSettings, CorsSettings,
    DatabaseSettings, DriverSettings, HealthcheckSettings, IdentityBackend, IdentitySettings, LimitSettings,
    LocalSettings, LogSettings, PolicySettings, QuotaSettings, ServiceSettings, X509Settings,
};
pub use settings::{Change, Settings, check};
pub use sources::Sources;
pub use table::{Group, OptionSpec, PathKind, Table};
pub use value::{FromValue, GetError, PortRange, PortRangeError};
