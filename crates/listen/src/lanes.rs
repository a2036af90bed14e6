//! So many at a time for each of many keys, in memory for those only that somebody is at.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Keys between two looks at which of them are left.
const SWEEP_AT: usize = 256;

/// The keys that somebody is at.
pub struct Lanes<K> {
    width: usize,
    held: Mutex<Held<K>>,
}

struct Held<K> {
    lanes: HashMap<K, Weak<Semaphore>>,
    sweep_at: usize,
}

impl<K: Hash + Eq> Lanes<K> {
    /// At most `width` at a time, and at least one.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Self { width: width.max(1), held: Mutex::new(Held { lanes: HashMap::new(), sweep_at: SWEEP_AT }) }
    }

    /// Waits for a turn at this key, in the order of asking.
    pub async fn enter(&self, key: K) -> Option<OwnedSemaphorePermit> {
        let lane = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            if held.lanes.len() >= held.sweep_at {
                held.lanes.retain(|_, lane| lane.strong_count() > 0);
                held.sweep_at = (held.lanes.len() * 2).max(SWEEP_AT);
            }
            held.lanes.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| {
                let lane = Arc::new(Semaphore::new(self.width));
                held.lanes.insert(key, Arc::downgrade(&lane));
                lane
            })
        };
        lane.acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn each_key_has_a_lane_of_its_own_while_it_is_used() {
        let lanes = Lanes::new(1);
        let first = lanes.enter(1).await.unwrap();
        assert!(lanes.enter(1).now_or_never().is_none());
        assert!(lanes.enter(2).now_or_never().is_some());
        drop(first);
        assert!(lanes.enter(1).now_or_never().is_some());
        for key in 0..10 * SWEEP_AT {
            drop(lanes.enter(key).await.unwrap());
        }
        assert!(lanes.held.lock().unwrap().lanes.len() <= SWEEP_AT);
    }
}
