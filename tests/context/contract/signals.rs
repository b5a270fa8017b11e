//! Signals: the first, the second and the third.

use deadstop::context::{BodyOpts, CallOpts, Life};
use deadstop::journal::{Cause, Outcome, SignalName};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};

use super::worker::{cleanup, outcomes, thread, worker};
use crate::manual_host::ms;

#[test]
fn first_signal_after_cleanup_ends_the_process() {
    let (host, ctx) = worker();
    let life = Life::new(&ctx);
    let mut cleanup = spawn(ctx.cleanup());
    assert_pending!(cleanup.poll());
    host.poll_all();
    assert_ready!(cleanup.poll()).expect("from outside");
    assert_eq!(host.exits(), []);
    life.signal(SignalName::Sigterm);
    assert_eq!(host.exits(), [(128 + 15, Cause::ThirdSignal)]);
}

#[test]
fn second_signal_leaves_only_floors_and_third_ends_process() {
    let (host, ctx) = worker();
    thread(&ctx, "hangs", BodyOpts::new());
    cleanup(&ctx, "hangs too", CallOpts::new().floor(ms(100)));
    let life = Life::new(&ctx);
    let mut lives = spawn(life.run(|| async { Ok(()) }));
    assert_pending!(lives.poll());
    host.poll_all();
    assert_pending!(lives.poll());
    life.signal(SignalName::Sigterm);
    host.advance(ms(200));
    life.signal(SignalName::Sigterm);
    assert_pending!(lives.poll());
    host.poll_all();
    assert!(host.is_told("hangs") && !host.bodies().contains(&"hangs too".to_owned()));
    host.advance(ms(1));
    life.signal(SignalName::Sigterm);
    host.poll_all();
    assert!(
        host.bodies().contains(&"hangs too".to_owned()),
        "stop waits no more"
    );
    host.advance(ms(50));
    host.advance(ms(50));
    let end = assert_ready!(lives.poll());
    assert_eq!(
        outcomes(&end.report),
        [
            ("hangs", Outcome::NotAwaited),
            ("hangs too", Outcome::Leaked)
        ]
    );
    assert_eq!((end.code, end.cause), (128 + 15, Cause::SecondSignal));
    assert_eq!(host.exits(), []);
    host.advance(ms(200));
    life.signal(SignalName::Sigint);
    assert_eq!(host.exits(), [(128 + 2, Cause::ThirdSignal)]);
}

#[test]
fn two_lives_of_one_context_count_their_signals_together() {
    let (host, ctx) = worker();
    thread(&ctx, "hangs", BodyOpts::new());
    let (one, other) = (Life::new(&ctx), Life::new(&ctx));
    let mut lives = spawn(one.run(|| async { Ok(()) }));
    assert_pending!(lives.poll());
    host.poll_all();
    one.signal(SignalName::Sigterm);
    other.signal(SignalName::Sigterm); // the same signal, doubled
    host.advance(ms(250));
    other.signal(SignalName::Sigint);
    host.advance(ms(250));
    assert_eq!(host.exits(), []);
    one.signal(SignalName::Sigterm);
    assert_eq!(host.exits(), [(128 + 15, Cause::ThirdSignal)]);
}

#[test]
fn second_signal_tells_a_running_stop_callback() {
    let (host, ctx) = worker();
    ctx.defer_stop("drain", CallOpts::new(), |_| {})
        .expect("accepted");
    let life = Life::new(&ctx);
    let mut stop = spawn(ctx.stop());
    assert_pending!(stop.poll());
    host.poll_all();
    life.signal(SignalName::Sigterm);
    host.advance(ms(201));
    assert!(!host.is_told("drain"));
    life.signal(SignalName::Sigterm);
    host.poll_all();
    assert!(host.is_told("drain"));
    let report = assert_ready!(stop.poll()).expect("from outside");
    assert_eq!(outcomes(&report), [("drain", Outcome::NotAwaited)]);
}
