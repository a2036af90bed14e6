//! The agent's program from outside: its protocol, and its life with a real engine.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod conductor;
mod protocol;
mod real_engine;
