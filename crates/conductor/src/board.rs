//! What an operation does and waits for at this moment. Steps say it as often as they like; it is written once a second
//! at most, and the last word is always written.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Shortest time between two writes.
const PAUSE: Duration = Duration::from_secs(1);

/// What a step has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) step: String,
    pub(crate) waiting_for: String,
}

#[derive(Default)]
struct State {
    written: Option<Instant>,
    unwritten: Option<Said>,
}

/// One for each operation that is carried out, shared by its steps and its lease keeper.
#[derive(Clone, Default)]
pub(crate) struct Board(Arc<Mutex<State>>);

impl Board {
    /// Takes what a step says; returns it when it is to be written now.
    pub(crate) fn say(&self, said: Said) -> Option<Said> {
        self.state().unwritten = Some(said);
        self.due()
    }

    /// What is still to be written, when it is time.
    pub(crate) fn due(&self) -> Option<Said> {
        let mut state = self.state();
        if state.written.is_some_and(|written| written.elapsed() < PAUSE) {
            return None;
        }
        let said = state.unwritten.take()?;
        state.written = Some(Instant::now());
        Some(said)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_and_the_last_word_are_written_and_not_all_between() {
        let board = Board::default();
        let said = |what: &str| Said { step: "start".to_owned(), waiting_for: what.to_owned() };
        assert_eq!(board.say(said("one")), Some(said("one")));
        assert_eq!(board.say(said("two")), None);
        assert_eq!(board.say(said("three")), None);
        assert_eq!(board.due(), None);
        tokio::time::advance(PAUSE).await;
        assert_eq!(board.due(), Some(said("three")));
        tokio::time::advance(PAUSE).await;
        assert_eq!(board.due(), None, "written once");
        assert_eq!(board.say(said("four")), Some(said("four")));
    }
}
