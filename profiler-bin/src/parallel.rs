//! The same work on many things by several threads, with the results in the order of the things.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Threads that this process may keep busy.
pub(crate) fn available() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Does `work` on each of `things`; which thread does it, and how many there are, shows in nothing but the time taken.
pub(crate) fn map<T: Send, R: Send>(
    threads: NonZeroUsize,
    things: Vec<T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let threads = threads.get().min(things.len());
    if threads <= 1 {
        return things.into_iter().map(work).collect();
    }
    let queue = Mutex::new(things.into_iter().enumerate());
    let take = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work_off = || -> Vec<(usize, R)> {
        std::iter::from_fn(take)
            .map(|(place, thing)| (place, work(thing)))
            .collect()
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work_off)).collect();
        let mut done = work_off();
        for other in others {
            match other.join() {
                Ok(part) => done.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn results_come_in_the_order_of_the_things(things: Vec<u32>, threads in 1_usize..9) {
            let threads = NonZeroUsize::new(threads).unwrap();
            let squares: Vec<u64> = things.iter().map(|thing| u64::from(*thing).pow(2)).collect();
            prop_assert_eq!(map(threads, things, |thing| u64::from(thing).pow(2)), squares);
        }
    }
}
