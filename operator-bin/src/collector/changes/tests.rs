use std::fs;
use std::time::{Duration, Instant};

use super::{Changes, Hint, UNTOLD};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn writing_and_renaming_are_told_and_reading_is_not() {
    let scratch = tempfile::tempdir().unwrap();
    let status = scratch.path().join("profiler_status.yaml");
    let soon = || Some(Instant::now() + Duration::from_millis(300));
    run(async {
        let changes = Changes::of(scratch.path());
        fs::write(&status, "status: running\n").unwrap();
        let far = Instant::now() + Duration::from_secs(9);
        assert_eq!(changes.next(Some(far)).await, Hint::Changed);
        assert!(Instant::now() < far, "told, not due");
        // What is left of it is told, and then it is quiet.
        while changes.notify_is_pending().await {}
        let begin = Instant::now();
        fs::read(&status).unwrap();
        fs::write(scratch.path().join("prefill_performance.png"), "").unwrap();
        changes.next(soon()).await;
        assert!(begin.elapsed() >= Duration::from_millis(299), "nothing was told");
        let fresh = scratch.path().join(".tmp");
        fs::write(&fresh, "status: success\n").unwrap();
        fs::rename(&fresh, &status).unwrap();
        let begin = Instant::now();
        changes.next(Some(begin + Duration::from_secs(9))).await;
        assert!(begin.elapsed() < Duration::from_secs(8), "a rename is told");
    });
}

#[test]
fn where_nothing_is_told_files_are_looked_at_more_often() {
    let missing = std::path::Path::new("/nonexistent/folder");
    assert_eq!(Changes::of(missing).interval, UNTOLD);
    let scratch = tempfile::tempdir().unwrap();
    let mut changes = Changes::of(scratch.path());
    assert!(changes.interval > UNTOLD);
    changes.distrust();
    assert_eq!(changes.interval, UNTOLD);
}

impl Changes {
    /// Whether something is told within a tenth of a second.
    async fn notify_is_pending(&self) -> bool {
        tokio::time::timeout(Duration::from_millis(100), self.notify.notified())
            .await
            .is_ok()
    }
}
