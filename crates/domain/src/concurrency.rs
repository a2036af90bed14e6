//! Work side by side, but never all of it at once: what one request can ask for must not decide the load of a machine.

use std::num::NonZeroUsize;

use futures::StreamExt;
use futures::stream;

/// Runs futures, at most `width` at a time, all of them to their end. Returns what they came to, in the order in which
/// they ended. A future is not begun before it is its turn.
pub async fn side_by_side<F: Future>(width: NonZeroUsize, work: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    stream::iter(work).buffer_unordered(width.get()).collect().await
}

/// So many for each processor that this process may use, at least `least`.
#[must_use]
pub fn for_each_processor(each: usize, least: NonZeroUsize) -> NonZeroUsize {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    NonZeroUsize::new(processors.saturating_mul(each)).map_or(least, |width| width.max(least))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn no_more_than_the_width_run_at_once_and_all_run() {
        for width in [1, 2, 7, 100] {
            let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let work = (0..50).map(|number| {
                let (running, most) = (&running, &most);
                async move {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    // Lets the others have their turn before this one ends.
                    tokio::task::yield_now().await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    number
                }
            });
            let width = NonZeroUsize::new(width).unwrap();
            let mut done = side_by_side(width, work).await;
            done.sort_unstable();
            assert_eq!(done, (0..50).collect::<Vec<_>>());
            assert_eq!(most.load(Ordering::SeqCst), width.get().min(50));
        }
    }
}
