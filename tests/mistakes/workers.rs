//! Small workers as their authors would write them. Each has one mistake, or none.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use deadstop::context::{BodyOpts, CallOpts, MainError, WorkerCtx};
use deadstop::host::Scope;
use deadstop_harness::kit::Own;
use tokio::task::spawn_blocking;
use tokio::time::{interval, sleep};

/// The result of a registration.
type Registered = Result<(), MainError>;

/// Returns the worker of that name.
pub fn named(name: &str) -> Option<Own> {
    Some(match name {
        "main never gets ready" => Own::new(main_never_gets_ready),
        "main waits for the real world" => Own::new(main_waits_for_the_real_world),
        "main takes a minute" => Own::new(main_takes_a_minute),
        "registers nothing" => Own::new(registers_nothing),
        "none is picked" | "none is picked, in one test" => Own::new(flusher_and_db),
        "a fixed port" => Own::new(a_fixed_port),
        "body ends at once" => Own::new(body_ends_at_once),
        "body panics early" => Own::new(body_panics_early),
        "uses an unknown name" => Own::new(uses_an_unknown_name),
        "blocking pool hangs" => Own::new(blocking_pool_hangs),
        "blocking pool is slow" => Own::new(blocking_pool_is_slow),
        "detached blocking job" => Own::new(detached_blocking_job::<()>),
        "sleeps for real" => Own::new(sleeps_for_real),
        "holds a lock across a wait" => Own::new(holds_a_lock_across_a_wait),
        "receives from a std channel" => Own::new(receives_from_a_std_channel),
        "computes for ever" => Own::new(computes_for_ever),
        "reads a pipe" => Own::new(reads_a_pipe),
        "detached task" => Own::new(detached_task),
        "holds a strong handle" => Own::new(holds_a_strong_handle),
        "closed before its user" => Own::new(closed_before_its_user),
        "ends before its user" => Own::new(ends_before_its_user),
        "bounds do not fit" => Own::new(bounds_do_not_fit),
        "ignores stop" => Own::new(ignores_stop),
        "task ignores stop" => Own::new(task_ignores_stop),
        "close waits for ever" => Own::new(close_waits_for_ever),
        "spawns from a thread body" => Own::new(spawns_from_a_thread_body),
        "select is not biased" => Own::new(select_is_not_biased),
        "locks standard output" | "locks standard output, in one test" => {
            Own::new(locks_standard_output)
        }
        "destructor of the state blocks" => Own::with_app(|| BlocksWhenDropped, server_alone),
        "destructor blocks beside a job on the pool" => {
            Own::with_app(|| BlocksWhenDropped, detached_blocking_job)
        }
        "destructor of a spawned task blocks" => Own::new(spawns_what_blocks_when_dropped),
        "second needs to run after first" => Own::new(second_needs_to_run_after_first),
        "a static that the runs share" => Own::new(a_static_that_the_runs_share),
        "waits for a child process" => Own::new(waits_for_a_child_process),
        "joins a thread of std's" => Own::new(joins_a_thread_of_stds),
        "timers without end" => Own::new(timers_without_end),
        "app blocks" => Own::with_app(app_that_blocks, |_ctx: WorkerCtx<()>| async { Ok(()) }),
        "right: flusher and db" => Own::new(flusher_and_db),
        "right: consumer and drain" => Own::new(consumer_and_drain),
        "right: connections in a join set" => Own::new(connections_in_a_join_set),
        "right: blocking main" => Own::blocking(blocking_main),
        "right: short blocking jobs" => Own::new(short_blocking_jobs),
        "right: std channel and lock through the scope" => Own::new(std_channel_and_lock),
        "right: main connects on the blocking pool" => Own::new(main_connects_on_the_pool),
        _ => return None,
    })
}

async fn main_never_gets_ready(_ctx: WorkerCtx) -> Registered {
    std::future::pending::<()>().await;
    Ok(())
}

/// Waits for an answer from a thread of its own, in real time, as a database pool does.
async fn main_waits_for_the_real_world(ctx: WorkerCtx) -> Registered {
    let (answer, answered) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(3));
        let _ = answer.send(());
    });
    let _ = answered.await;
    ctx.defer_cleanup("db", CallOpts::new(), |_scope| {})?;
    Ok(())
}

async fn main_takes_a_minute(ctx: WorkerCtx) -> Registered {
    ctx.defer_cleanup("db", CallOpts::new(), |_scope| {})?;
    sleep(Duration::from_secs(60)).await;
    Ok(())
}

/// Binds a port. The second run of a scenario finds the port taken by the first.
async fn a_fixed_port(ctx: WorkerCtx) -> Registered {
    static BOUND: Mutex<Option<std::net::TcpListener>> = Mutex::new(None);
    let mut bound = BOUND.lock().expect("not poisoned");
    let address = bound.as_ref().and_then(|bound| bound.local_addr().ok());
    let address = address.unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
    let listener = std::net::TcpListener::bind(address).map_err(|error| error.to_string())?;
    *bound = Some(listener);
    ctx.defer_cleanup("listener", CallOpts::new(), |_scope| {})?;
    Ok(())
}

async fn registers_nothing(_ctx: WorkerCtx) -> Registered {
    Ok(())
}

async fn body_ends_at_once(ctx: WorkerCtx) -> Registered {
    ctx.add_task("consumer", BodyOpts::new(), |_token| async {})?;
    Ok(())
}

async fn body_panics_early(ctx: WorkerCtx) -> Registered {
    ctx.add_thread("consumer", BodyOpts::new(), |scope| -> () {
        scope.sleep(Duration::from_secs(3));
        panic!("no such topic");
    })?;
    Ok(())
}

async fn uses_an_unknown_name(ctx: WorkerCtx) -> Registered {
    ctx.defer_cleanup("db", CallOpts::new(), |_scope| {})?;
    let opts = BodyOpts::new().uses(["dbb"]);
    ctx.add_thread("indexer", opts, |scope| {
        let _ = scope.wait(Duration::MAX);
    })?;
    Ok(())
}

async fn blocking_pool_hangs(ctx: WorkerCtx) -> Registered {
    ctx.add_task("loader", BodyOpts::new(), |_token| async {
        let (_keep, never) = mpsc::channel::<()>();
        let _ = spawn_blocking(move || never.recv()).await;
    })?;
    Ok(())
}

async fn blocking_pool_is_slow(ctx: WorkerCtx) -> Registered {
    let opts = BodyOpts::new().timeout(Duration::from_secs(1));
    ctx.add_task("loader", opts, |token| async move {
        token.cancelled().await;
        let _ = spawn_blocking(|| std::thread::sleep(Duration::from_secs(2))).await;
    })?;
    Ok(())
}

async fn detached_blocking_job<A: Send + Sync + 'static>(ctx: WorkerCtx<A>) -> Registered {
    ctx.add_task("loader", BodyOpts::new(), |token| async move {
        token.cancelled().await;
        drop(spawn_blocking(|| {
            std::thread::sleep(Duration::from_secs(3_600))
        }));
    })?;
    Ok(())
}

async fn sleeps_for_real(ctx: WorkerCtx) -> Registered {
    let opts = BodyOpts::new().timeout(Duration::from_secs(1));
    ctx.add_task("consumer", opts, |token| async move {
        token.cancelled().await;
        std::thread::sleep(Duration::from_secs(2));
    })?;
    Ok(())
}

async fn holds_a_lock_across_a_wait(ctx: WorkerCtx) -> Registered {
    let batch = Arc::new(Mutex::new(Vec::<u32>::new()));
    let held = Arc::clone(&batch);
    ctx.add_thread("flusher", BodyOpts::new(), move |scope| {
        let batch = held.lock().expect("not poisoned");
        while scope.wait(Duration::from_secs(1)).elapsed() {}
        drop(batch);
    })?;
    ctx.add_task("consumer", BodyOpts::new(), |token| async move {
        let mut each = interval(Duration::from_millis(100));
        loop {
            tokio::select! {
                biased;
                () = token.cancelled() => break,
                _ = each.tick() => batch.lock().expect("not poisoned").push(1),
            }
        }
    })?;
    Ok(())
}

async fn receives_from_a_std_channel(ctx: WorkerCtx) -> Registered {
    let (rows, written) = mpsc::channel::<u32>();
    let rows = Mutex::new(Some(rows));
    let wake = move || drop(rows.lock().expect("not poisoned").take());
    ctx.add_thread("writer", BodyOpts::new().wake(wake), move |_scope| {
        while written.recv().is_ok() {}
    })?;
    Ok(())
}

async fn computes_for_ever(ctx: WorkerCtx) -> Registered {
    ctx.add_task("trainer", BodyOpts::new(), |_token| async {
        let mut n = 0_u64;
        loop {
            n = std::hint::black_box(n.wrapping_add(1));
        }
        #[allow(unreachable_code)]
        ()
    })?;
    Ok(())
}

async fn reads_a_pipe(ctx: WorkerCtx) -> Registered {
    let (mut reader, writer) = std::io::pipe().map_err(|error| error.to_string())?;
    ctx.add_thread("importer", BodyOpts::new(), move |_scope| {
        let mut line = [0; 64];
        let read = std::io::Read::read(&mut reader, &mut line);
        drop(writer);
        read.map(drop)
    })?;
    Ok(())
}

async fn detached_task(ctx: WorkerCtx) -> Registered {
    let open = Arc::new(AtomicBool::new(true));
    let db = Arc::clone(&open);
    tokio::spawn(async move {
        loop {
            let _alive = db.load(Ordering::Relaxed);
            sleep(Duration::from_secs(1)).await;
        }
    });
    ctx.defer_cleanup("db", CallOpts::new(), move |_scope| {
        open.store(false, Ordering::Relaxed);
    })?;
    Ok(())
}

async fn holds_a_strong_handle(ctx: WorkerCtx) -> Registered {
    let handle = ctx.clone();
    ctx.add_task("server", BodyOpts::new(), |token| async move {
        token.cancelled().await;
        drop(handle);
    })?;
    Ok(())
}

async fn closed_before_its_user(ctx: WorkerCtx) -> Registered {
    ctx.defer_cleanup("predictor", CallOpts::new().order(200), |_scope| {})?;
    let pool = CallOpts::new().order(100).uses(["predictor"]);
    ctx.defer_cleanup("pool", pool, |_scope| {})?;
    Ok(())
}

async fn ends_before_its_user(ctx: WorkerCtx) -> Registered {
    ctx.add_task("writer", BodyOpts::new().order(10), |token| async move {
        token.cancelled().await;
    })?;
    let producer = BodyOpts::new().uses(["writer"]);
    ctx.add_task("producer", producer, |token| async move {
        token.cancelled().await;
    })?;
    Ok(())
}

/// Registers bounds that exceed stop's share, which is 19.5 s of a grace of 30 s.
async fn bounds_do_not_fit(ctx: WorkerCtx) -> Registered {
    for (name, order) in [("reader", 1), ("worker", 2), ("writer", 3)] {
        let opts = BodyOpts::new()
            .order(order)
            .timeout(Duration::from_secs(20));
        ctx.add_task(name, opts, |token| async move {
            token.cancelled().await;
        })?;
    }
    Ok(())
}

async fn ignores_stop(ctx: WorkerCtx) -> Registered {
    ctx.add_thread("flusher", BodyOpts::new(), |scope| {
        loop {
            scope.sleep(Duration::from_secs(1));
        }
        #[allow(unreachable_code)]
        ()
    })?;
    Ok(())
}

async fn close_waits_for_ever(ctx: WorkerCtx) -> Registered {
    ctx.defer_cleanup("db", CallOpts::new(), |scope| scope.sleep(Duration::MAX))?;
    Ok(())
}

async fn spawns_from_a_thread_body(ctx: WorkerCtx) -> Registered {
    ctx.add_thread("importer", BodyOpts::new(), |scope| {
        tokio::spawn(async {});
        let _ = scope.wait(Duration::MAX);
    })?;
    Ok(())
}

async fn locks_standard_output(ctx: WorkerCtx) -> Registered {
    ctx.add_thread("reporter", BodyOpts::new(), |_scope| {
        let _locked = std::io::stdout().lock();
        let (_keep, never) = mpsc::channel::<()>();
        let _ = never.recv();
    })?;
    Ok(())
}

async fn waits_for_a_child_process(ctx: WorkerCtx) -> Registered {
    ctx.defer_cleanup("archive", CallOpts::new(), |_scope| {
        // `cat` ends when its standard input is closed.
        let mut child = std::process::Command::new("cat");
        let child = child.stdin(std::process::Stdio::piped()).spawn();
        child.and_then(|mut child| {
            let _open = child.stdin.take();
            child.wait().map(drop)
        })
    })?;
    Ok(())
}

async fn joins_a_thread_of_stds(ctx: WorkerCtx) -> Registered {
    ctx.add_thread("indexer", BodyOpts::new(), |_scope| {
        let helper = std::thread::spawn(|| std::thread::sleep(Duration::from_secs(3_600)));
        let _ = helper.join();
    })?;
    Ok(())
}

/// Registers a task that takes many short turns, of 10 ms of real time each, without an end.
async fn timers_without_end(ctx: WorkerCtx) -> Registered {
    ctx.add_task("ticker", BodyOpts::new(), |_token| async {
        loop {
            std::thread::sleep(Duration::from_millis(10));
            sleep(Duration::from_millis(1)).await;
        }
        #[allow(unreachable_code)]
        ()
    })?;
    Ok(())
}

async fn select_is_not_biased(ctx: WorkerCtx) -> Registered {
    ctx.add_task("consumer", BodyOpts::new(), |_token| async {
        let mut takes = 0;
        for n in 0..13 {
            tokio::select! {
                () = std::future::ready(()) => {}
                () = std::future::ready(()) => takes += 1 << n,
            }
        }
        sleep(Duration::from_millis(takes)).await;
    })?;
    Ok(())
}

fn app_that_blocks() {
    let (_keep, never) = mpsc::channel::<()>();
    let _ = never.recv();
}

struct BlocksWhenDropped;

impl Drop for BlocksWhenDropped {
    fn drop(&mut self) {
        app_that_blocks();
    }
}

async fn server_alone(ctx: WorkerCtx<BlocksWhenDropped>) -> Registered {
    ctx.add_task("server", BodyOpts::new(), |token| async move {
        token.cancelled().await;
    })?;
    Ok(())
}

async fn task_ignores_stop(ctx: WorkerCtx) -> Registered {
    let opts = BodyOpts::new().timeout(Duration::from_secs(2));
    ctx.add_task("poller", opts, |_token| async move {
        let mut each_minute = interval(Duration::from_secs(60));
        while each_minute.tick().await.elapsed() < Duration::MAX {}
    })?;
    Ok(())
}

async fn spawns_what_blocks_when_dropped(ctx: WorkerCtx) -> Registered {
    ctx.add_task("server", BodyOpts::new(), |token| async move {
        tokio::spawn(async {
            let _blocks = BlocksWhenDropped;
            std::future::pending::<()>().await;
        });
        token.cancelled().await;
    })?;
    Ok(())
}

async fn second_needs_to_run_after_first(ctx: WorkerCtx) -> Registered {
    let has_run = Arc::new(AtomicBool::new(false));
    let sets = Arc::clone(&has_run);
    ctx.add_task("first", BodyOpts::new(), |token| async move {
        token.cancelled().await;
        sets.store(true, Ordering::Relaxed);
    })?;
    ctx.add_task("second", BodyOpts::new(), |token| async move {
        token.cancelled().await;
        assert!(has_run.load(Ordering::Relaxed));
    })?;
    Ok(())
}

async fn a_static_that_the_runs_share(ctx: WorkerCtx) -> Registered {
    static CONNECTIONS: AtomicU32 = AtomicU32::new(0);
    if CONNECTIONS.fetch_add(1, Ordering::Relaxed) == 2 {
        return Err("no more connections".into());
    }
    ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
    Ok(())
}

async fn flusher_and_db(ctx: WorkerCtx) -> Registered {
    ctx.add_thread("flusher", BodyOpts::new().uses(["db"]), |scope| {
        while scope.wait(Duration::from_secs(1)).elapsed() {}
    })?;
    ctx.defer_cleanup("db", CallOpts::new(), |scope| {
        scope.sleep(Duration::from_millis(50))
    })?;
    Ok(())
}

async fn consumer_and_drain(ctx: WorkerCtx) -> Registered {
    let (rows, mut read) = tokio::sync::mpsc::channel::<u32>(8);
    ctx.add_task("producer", BodyOpts::new(), |token| async move {
        let mut each = interval(Duration::from_millis(250));
        for row in 0.. {
            tokio::select! {
                biased;
                () = token.cancelled() => break,
                _ = each.tick() => if rows.send(row).await.is_err() { break },
            }
        }
    })?;
    let opts = BodyOpts::new().order(10).timeout(Duration::from_secs(5));
    ctx.add_task("consumer", opts, |_token| async move {
        // The producer's end closes the channel.
        while read.recv().await.is_some() {
            sleep(Duration::from_millis(20)).await;
        }
    })?;
    Ok(())
}

async fn connections_in_a_join_set(ctx: WorkerCtx) -> Registered {
    let opts = BodyOpts::new().timeout(Duration::from_secs(15));
    ctx.add_task("server", opts, |token| async move {
        let mut connections = tokio::task::JoinSet::new();
        let mut each = interval(Duration::from_millis(700));
        loop {
            tokio::select! {
                biased;
                () = token.cancelled() => break,
                _ = each.tick() => {
                    connections.spawn(sleep(Duration::from_secs(2)));
                }
            }
        }
        while connections.join_next().await.is_some() {}
    })?;
    Ok(())
}

fn blocking_main(ctx: WorkerCtx, scope: &Scope) -> Registered {
    scope.sleep(Duration::from_secs(2));
    ctx.defer_cleanup("db", CallOpts::new(), |_scope| {})?;
    Ok(())
}

async fn short_blocking_jobs(ctx: WorkerCtx) -> Registered {
    let weak = ctx.downgrade();
    ctx.add_task("loader", BodyOpts::new(), |token| async move {
        let mut each = interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                biased;
                () = token.cancelled() => break,
                _ = each.tick() => {
                    let loaded = spawn_blocking(|| std::fs::read_dir("/").map(Iterator::count));
                    if loaded.await.is_err() && let Some(ctx) = weak.upgrade() {
                        ctx.request_stop("nothing can be read");
                    }
                }
            }
        }
    })?;
    Ok(())
}

async fn std_channel_and_lock(ctx: WorkerCtx) -> Registered {
    let (rows, written) = mpsc::channel::<u32>();
    let batch = Arc::new(Mutex::new(Vec::new()));
    let (fills, empties) = (Arc::clone(&batch), batch);
    let sender = Mutex::new(Some(rows.clone()));
    let wake = move || drop(sender.lock().expect("not poisoned").take());
    let opts = BodyOpts::new().order(10).wake(wake);
    ctx.add_thread("writer", opts, move |scope| {
        while let Some(row) = scope.recv(&written) {
            scope.lock(&fills).expect("not poisoned").push(row);
        }
    })?;
    ctx.add_thread("flusher", BodyOpts::new(), move |scope| {
        while scope.running() {
            let mut batch = scope.lock(&empties).expect("not poisoned");
            batch.clear();
            // The lock is held across a wait.
            let _ = scope.wait(Duration::from_secs(1));
        }
    })?;
    ctx.add_task("reader", BodyOpts::new(), |token| async move {
        let mut each = interval(Duration::from_millis(300));
        for row in 0.. {
            tokio::select! {
                biased;
                () = token.cancelled() => break,
                _ = each.tick() => if rows.send(row).is_err() { break },
            }
        }
    })?;
    Ok(())
}

async fn main_connects_on_the_pool(ctx: WorkerCtx) -> Registered {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let handle = tokio::runtime::Handle::current();
    let connected = spawn_blocking(move || {
        handle.block_on(async move {
            let connected = tokio::net::TcpStream::connect(address).await;
            // The connection takes real time, by tokio's clock too.
            connected.is_ok()
        })
    });
    if !connected.await.map_err(|error| error.to_string())? {
        return Err("nobody listens".into());
    }
    ctx.defer_cleanup("db", CallOpts::new(), move |_scope| drop(listener))?;
    Ok(())
}
