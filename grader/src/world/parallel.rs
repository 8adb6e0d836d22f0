//! Several pieces of work at a time.

use std::{
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use anyhow::Result;

/// Does `work` on every job, `workers` at a time in the order of the jobs, and hands over each
/// result as it comes. An error of `each` ends it: no other job is begun.
pub fn in_parallel<J: Send, R: Send>(
    jobs: impl IntoIterator<Item = J, IntoIter: Send>,
    workers: usize,
    work: impl Fn(J) -> R + Sync,
    mut each: impl FnMut(R) -> Result<()>,
) -> Result<()> {
    let queue = Mutex::new(jobs.into_iter());
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..workers.max(1) {
            let (queue, work, sender) = (&queue, &work, sender.clone());
            scope.spawn(move || {
                let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some(job) = next() {
                    if sender.send(work(job)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        results.into_iter().try_for_each(&mut each)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use anyhow::bail;

    use super::in_parallel;

    #[test]
    fn every_job_is_done_once() {
        let mut results = Vec::new();
        let each = |result| {
            results.push(result);
            Ok(())
        };
        in_parallel(0..100, 3, |job| job * 2, each).unwrap();
        results.sort_unstable();
        assert_eq!(results, (0..200).step_by(2).collect::<Vec<_>>());
    }

    #[test]
    fn after_an_error_no_job_is_begun() {
        let begun = AtomicUsize::new(0);
        let work = |_| begun.fetch_add(1, SeqCst);
        assert!(in_parallel(0..1_000_000, 1, work, |_| bail!("enough")).is_err());
        assert!(begun.load(SeqCst) < 1_000_000);
    }
}
