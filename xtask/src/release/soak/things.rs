//! What a worker has: nobody else changes it, so that it must be there at the end, whatever was killed meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};

use super::kinds::Needs;

/// Something with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thing {
    pub(super) uuid: String,
    pub(super) name: String,
}

/// How a cluster stands, as the worker last saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Busy,
    Settled,
    Failed,
    Deleting,
}

/// A worker's cluster.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) cluster: Thing,
    pub(super) state: State,
    /// Size of the default workers.
    pub(super) workers: i64,
    /// Size of the node group `extra`, if there is one.
    pub(super) extra: Option<i64>,
    /// It is on its way out.
    pub(super) extra_goes: bool,
    /// Operations that were accepted.
    pub(super) operations: usize,
    /// The last of them was stopped on purpose.
    pub(super) stopped: bool,
    pub(super) _room: Place,
}

impl Held {
    /// A cluster that was just accepted.
    pub(super) fn new(cluster: Thing, workers: i64, room: Place) -> Self {
        Self {
            cluster,
            state: State::Busy,
            workers,
            extra: None,
            extra_goes: false,
            operations: 1,
            stopped: false,
            _room: room,
        }
    }
}

/// All of a worker.
#[derive(Debug, Default)]
pub(super) struct Things {
    pub(super) templates: Vec<Thing>,
    pub(super) held: Option<Held>,
    pub(super) quota: Option<i64>,
    pub(super) users: Vec<Thing>,
}

/// Most templates of a worker, so that lists stay lists.
const TEMPLATES: usize = 12;
/// Most users.
const USERS: usize = 6;

impl Things {
    /// Whether a request with these needs makes sense now; `room` says whether another cluster fits.
    pub(super) fn have(&self, needs: Needs, room: &Room) -> bool {
        let state = self.held.as_ref().map(|held| held.state);
        let is = |wanted: State| state == Some(wanted);
        let extra = self.held.as_ref().is_some_and(|held| held.extra.is_some());
        match needs {
            Needs::Nothing => true,
            Needs::Template => !self.templates.is_empty(),
            Needs::Room => self.held.is_none() && room.is_free(),
            Needs::Cluster => self.held.is_some(),
            Needs::Settled => is(State::Settled),
            Needs::Group => is(State::Settled) && extra,
            Needs::NoGroup => is(State::Settled) && !extra,
            Needs::Busy => is(State::Busy),
            Needs::Failed => is(State::Failed),
            Needs::Quota => self.quota.is_some(),
            Needs::NoQuota => self.quota.is_none(),
            Needs::User => !self.users.is_empty(),
        }
    }

    /// Whether another template, or user, would be too many.
    pub(super) fn is_full(&self, templates: bool) -> bool {
        if templates { self.templates.len() >= TEMPLATES } else { self.users.len() >= USERS }
    }
}

/// Room for clusters on the machine. Two who find it at the same time both take it.
#[derive(Debug)]
pub(super) struct Room {
    free: Arc<AtomicIsize>,
}

/// Room that a cluster takes; given back when dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicIsize>);

impl Room {
    pub(super) fn new(clusters: isize) -> Self {
        Self { free: Arc::new(AtomicIsize::new(clusters)) }
    }

    fn is_free(&self) -> bool {
        self.free.load(Ordering::Relaxed) > 0
    }

    /// Takes room for one.
    pub(super) fn take(&self) -> Place {
        self.free.fetch_sub(1, Ordering::Relaxed);
        Place(Arc::clone(&self.free))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_makes_sense_depends_on_the_cluster() {
        let room = Room::new(1);
        let mut things = Things::default();
        assert!(things.have(Needs::Room, &room) && !things.have(Needs::Cluster, &room));
        let cluster = Thing { uuid: "u".to_owned(), name: "n".to_owned() };
        things.held = Some(Held::new(cluster, 1, room.take()));
        assert!(!room.is_free());
        for (state, extra, needs, wanted) in [
            (State::Busy, None, Needs::Busy, true),
            (State::Busy, None, Needs::Settled, false),
            (State::Settled, None, Needs::NoGroup, true),
            (State::Settled, Some(1), Needs::NoGroup, false),
            (State::Settled, Some(1), Needs::Group, true),
            (State::Failed, Some(1), Needs::Group, false),
            (State::Deleting, None, Needs::Busy, false),
            (State::Deleting, None, Needs::Cluster, true),
        ] {
            let held = things.held.as_mut().unwrap();
            (held.state, held.extra) = (state, extra);
            assert_eq!(things.have(needs, &room), wanted, "{state:?} {extra:?} {needs:?}");
        }
        things.held = None;
        assert!(things.have(Needs::Room, &room), "the room was given back");
    }
}
