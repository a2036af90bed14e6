//! What can go wrong between an engine and us.

use std::error::Error as _;

use magnum_domain::text;

/// Why an engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nobody answers: not started, gone, or too slow. Trying again may help.
    #[error("the engine at {address} does not answer: {why}")]
    Unreachable {
        /// URL or socket.
        address: String,
        /// Why, in words.
        why: String,
    },
    /// The engine said no, in its own words.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The engine's message.
        message: String,
    },
    /// The answer is not what the API promises.
    #[error("the engine at {address} answers strangely: {why}")]
    Malformed {
        /// URL or socket.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// Certificates or address can't be used.
    #[error("can't talk to the engine at {address}: {why}")]
    Settings {
        /// URL or socket.
        address: String,
        /// What is wrong.
        why: String,
    },
}

impl EngineError {
    /// From a request that did not get an answer.
    pub(crate) fn no_answer(address: &str, error: &reqwest::Error) -> Self {
        // The outermost error only repeats the URL; the innermost says what happened.
        let mut why = error.source();
        while let Some(deeper) = why.and_then(std::error::Error::source) {
            why = Some(deeper);
        }
        let why = if error.is_timeout() {
            "it took too long".to_owned()
        } else {
            why.map_or_else(|| error.to_string(), ToString::to_string)
        };
        Self::Unreachable { address: address.to_owned(), why: text::clean(&why, text::MESSAGE) }
    }

    pub(crate) fn settings(address: &str, why: impl ToString) -> Self {
        Self::Settings { address: address.to_owned(), why: why.to_string() }
    }

    pub(crate) fn malformed(address: &str, why: impl ToString) -> Self {
        // A parser repeats what it does not like.
        Self::Malformed { address: address.to_owned(), why: text::clean(&why.to_string(), text::MESSAGE) }
    }

    /// Whether nobody answered.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// Whether what was asked about does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether the engine can't do this now: it is no (active) manager, is a member already, or the swarm has no leader.
    #[must_use]
    pub fn is_wrong_swarm_state(&self) -> bool {
        matches!(self, Self::Refused { status: 503, .. })
    }

    /// Whether somebody else changed the thing between our reading and writing it.
    pub(crate) fn is_out_of_sequence(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if message.contains("update out of sequence"))
    }
}
