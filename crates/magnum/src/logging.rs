//! Structured logs on standard error: a line each for people, JSON for machines.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

use crate::print;

/// How much to log, and in which shape.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Logging {
    /// `[DEFAULT] debug`.
    pub(crate) debug: bool,
    /// `[DEFAULT] use_json`.
    pub(crate) json: bool,
}

static LEVELS: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Starts logging. `MAGNUM_LOG` overrides the levels (`info,magnum_conductor=debug`).
pub(crate) fn init(logging: Logging) {
    let (filter, handle) = reload::Layer::new(levels(logging.debug));
    let ansi = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // A line that can't be written is lost; to say so on the same closed standard error would be a panic.
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).log_internal_errors(false);
    let registry = tracing_subscriber::registry().with(filter);
    // A second subscriber can only be in place in a test; the first one stands.
    let _ = if logging.json {
        registry.with(lines.json().flatten_event(true)).try_init()
    } else {
        registry.with(lines).try_init()
    };
    let _ = LEVELS.set(handle);
}

/// Logs more, or less, from now on.
pub(crate) fn set_debug(debug: bool) {
    if let Some(Err(error)) = LEVELS.get().map(|handle| handle.reload(levels(debug))) {
        tracing::warn!(%error, "the levels of the log could not be changed");
    }
}

/// By target alone: what also looks at spans is asked at every step of every request.
fn levels(debug: bool) -> Targets {
    let Ok(wanted) = std::env::var("MAGNUM_LOG") else { return default_levels(debug) };
    wanted.parse().unwrap_or_else(|error| {
        // There is no log yet to say it in.
        print::aside(format_args!(
            "magnum: MAGNUM_LOG is not used: {error}; it must be as info,magnum_conductor=debug"
        ));
        default_levels(debug)
    })
}

/// Statements of the database layer are worth a line only when somebody looks for them.
fn default_levels(debug: bool) -> Targets {
    let ours = ["", "_api", "_certs", "_coe", "_conductor", "_drivers", "_identity", "_openstack", "_policy", "_store"];
    let level = if debug { Level::DEBUG } else { Level::INFO };
    Targets::new()
        .with_default(Level::INFO)
        .with_targets(["sqlx", "sea_orm", "sea_orm_migration"].map(|name| (name, Level::WARN)))
        .with_targets(ours.map(|name| (format!("magnum{name}"), level)))
}
