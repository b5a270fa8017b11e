//! The memory of components that have ended.

use std::sync::Arc;

use deadstop::context::BodyOpts;
use deadstop::journal::How;
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};

use super::worker::{thread, worker};

#[test]
fn ten_thousand_short_tasks_and_threads_hold_nothing() {
    let (host, ctx) = worker();
    let held = Arc::new(());
    for _ in 0..100 {
        for _ in 0..100 {
            let mine = Arc::clone(&held);
            let opts = BodyOpts::new().wake(move || drop(Arc::clone(&mine)));
            ctx.add_task("short", opts, |_| async {}).expect("accepted");
        }
        host.poll_all();
        assert_eq!(Arc::strong_count(&held), 1);
        assert_eq!(ctx.budget().stop, []);
    }
    for _ in 0..1_000 {
        let mine = Arc::clone(&held);
        ctx.add_thread("short", BodyOpts::new(), move |_| drop(mine))
            .expect("accepted");
        host.run("short");
    }
    assert_eq!((Arc::strong_count(&held), ctx.budget().stop.len()), (1, 0));
}

#[test]
fn last_hundred_deaths_are_kept_and_all_are_counted() {
    let (host, ctx) = worker();
    for n in 0..150 {
        thread(&ctx, &format!("job {n}"), BodyOpts::new());
        host.end(&format!("job {n}"), How::Failed);
    }
    let mut stop = spawn(ctx.stop());
    assert_pending!(stop.poll());
    host.poll_all();
    let report = assert_ready!(stop.poll()).expect("from outside");
    assert_eq!((report.deaths.len(), report.deaths_in_all), (100, 150));
    assert_eq!(&*report.deaths[0].name, "job 50");
    assert!(report.is_ok(), "an earlier death is no step");
}

#[test]
fn a_body_that_was_left_behind_does_not_keep_the_worker() {
    let (host, ctx) = worker();
    thread(&ctx, "hangs", BodyOpts::new());
    let weak = ctx.downgrade();
    drop(ctx);
    assert!(weak.upgrade().is_none());
    host.end("hangs", How::Ok);
}
