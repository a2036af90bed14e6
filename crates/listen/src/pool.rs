//! Which connections are held, and which one goes when there is no room for another.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::progress::Progress;

/// How often it is looked for room when every connection is being answered.
const LOOK: Duration = Duration::from_millis(50);

/// Room for connections, which listeners may share: each has a limit of its own within it. Cheap to clone.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    most: usize,
    held: Mutex<HashMap<u64, Held>>,
    next: AtomicU64,
    room: Notify,
}

/// Who a connection is counted for.
type Holder = (u64, IpAddr);

struct Held {
    holder: Holder,
    /// File descriptors that it takes.
    weight: usize,
    progress: Arc<Progress>,
    evicted: CancellationToken,
}

/// A connection's place, until it is dropped.
pub(crate) struct Slot {
    pool: Pool,
    id: u64,
    /// Cancelled when the place goes to somebody else.
    pub(crate) evicted: CancellationToken,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("most", &self.0.most).finish_non_exhaustive()
    }
}

impl Pool {
    /// Room for `most` file descriptors; at least one connection is held.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let shared = Shared { most, held: Mutex::default(), next: AtomicU64::new(0), room: Notify::new() };
        Self(Arc::new(shared))
    }

    /// A number for a listener.
    pub(crate) fn number(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::Relaxed)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<u64, Held>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a connection. Another one loses its place where there is no room; while every one is being
    /// answered, this waits.
    pub(crate) async fn place(&self, holder: Holder, most: usize, weight: usize, progress: &Arc<Progress>) -> Slot {
        loop {
            if let Some(slot) = self.try_place(holder, most, weight, progress) {
                return slot;
            }
            let _ = tokio::time::timeout(LOOK, self.0.room.notified()).await;
        }
    }

    fn try_place(&self, holder: Holder, most: usize, weight: usize, progress: &Arc<Progress>) -> Option<Slot> {
        let mut held = self.held();
        let of_listener = |other: &Held| other.holder.0 == holder.0;
        if held.values().filter(|other| of_listener(other)).count() >= most {
            let victim = victim(held.iter().filter(|(_, other)| of_listener(other)))?;
            evict(&mut held, victim);
        }
        while !held.is_empty() && held.values().map(|other| other.weight).sum::<usize>() + weight > self.0.most {
            let victim = victim(held.iter())?;
            evict(&mut held, victim);
        }
        let id = self.number();
        let evicted = CancellationToken::new();
        held.insert(id, Held { holder, weight, progress: Arc::clone(progress), evicted: evicted.clone() });
        Some(Slot { pool: self.clone(), id, evicted })
    }
}

/// Of those that wait for their client: the one that has waited longest, of the holder with the most of them.
fn victim<'a>(held: impl Iterator<Item = (&'a u64, &'a Held)>) -> Option<u64> {
    let mut waiting: HashMap<Holder, (usize, std::cmp::Reverse<Instant>, u64)> = HashMap::new();
    for (id, connection) in held {
        let Some(since) = connection.progress.waiting_since() else { continue };
        let since = std::cmp::Reverse(since);
        let (count, longest, of) = waiting.entry(connection.holder).or_insert((0, since, *id));
        *count += 1;
        if since > *longest {
            (*longest, *of) = (since, *id);
        }
    }
    waiting.into_values().max_by_key(|(count, longest, _)| (*count, *longest)).map(|(_, _, id)| id)
}

fn evict(held: &mut HashMap<u64, Held>, id: u64) {
    if let Some(connection) = held.remove(&id) {
        connection.evicted.cancel();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pool.held().remove(&self.id);
        self.pool.0.room.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Phase;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    /// Each row: connections as (address, phase), oldest first, and which of them goes for a newcomer.
    #[tokio::test(start_paused = true)]
    async fn who_waits_longest_of_those_with_the_most_goes() {
        use Phase::{Answering, Body, Handshake, Head, Idle};
        let table: [(&[(u8, Phase)], Option<usize>); 7] = [
            (&[(1, Head), (2, Head), (2, Head)], Some(1)),
            (&[(1, Idle), (2, Head), (3, Handshake)], Some(0)),
            (&[(1, Body), (1, Answering), (1, Answering), (2, Head), (2, Head)], Some(3)),
            (&[(1, Answering), (1, Body)], Some(1)),
            (&[(1, Answering), (2, Answering)], None),
            (&[(9, Idle), (1, Body), (1, Head), (1, Idle), (9, Answering)], Some(1)),
            (&[(1, Head), (1, Head), (1, Head)], Some(0)),
        ];
        for (connections, expected) in table {
            let pool = Pool::new(connections.len());
            let listener = pool.number();
            let mut slots = Vec::new();
            for (last, phase) in connections {
                let progress = Progress::new(*phase);
                slots.push(pool.try_place((listener, address(*last)), usize::MAX, 1, &progress).unwrap());
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            let newcomer = pool.try_place((listener, address(7)), usize::MAX, 1, &Progress::new(Head));
            assert_eq!(newcomer.is_some(), expected.is_some(), "{connections:?}");
            let gone = slots.iter().position(|slot| slot.evicted.is_cancelled());
            assert_eq!(gone, expected, "{connections:?}");
        }
    }

    #[tokio::test]
    async fn listeners_share_a_pool_and_have_limits_of_their_own() {
        let pool = Pool::new(4);
        let (one, other) = (pool.number(), pool.number());
        let place =
            |listener, weight| pool.try_place((listener, address(1)), 2, weight, &Progress::new(Phase::Head)).unwrap();
        let first = place(one, 1);
        let second = place(one, 1);
        let third = place(one, 1);
        assert!(first.evicted.is_cancelled() && !second.evicted.is_cancelled());
        // Takes two of four: the one with more connections makes room.
        let forwarded = place(other, 2);
        assert!(!second.evicted.is_cancelled());
        let _more = place(other, 2);
        assert_eq!([&second, &third, &forwarded].map(|slot| slot.evicted.is_cancelled()), [true, true, false]);
        assert_eq!(pool.held().len(), 2);
        drop((first, second, third, forwarded));
        assert_eq!(pool.held().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_waits_while_all_are_being_answered() {
        let pool = Pool::new(1);
        let progress = Progress::new(Phase::Answering);
        let holder = (pool.number(), address(1));
        let first = pool.place(holder, 1, 1, &progress).await;
        let newcomer = Progress::new(Phase::Head);
        let mut second = std::pin::pin!(pool.place(holder, 1, 1, &newcomer));
        assert!(tokio::time::timeout(Duration::from_secs(60), second.as_mut()).await.is_err());
        progress.enter(Phase::Idle);
        let _second = second.await;
        assert!(first.evicted.is_cancelled());
    }
}
