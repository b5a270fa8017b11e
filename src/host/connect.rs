//! Connects over TCP for the live host; looks names up on threads of their own.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpStream;
use tokio::sync::SetOnce;

use super::passing::has_io;
use super::reserve::ReserveThreads;
use super::thread::spawn;
use super::{BoxFuture, SpawnError, Stream};

/// The lookups in progress, by name.
///
/// The system's resolver blocks, and cannot be told to stop. It does not run on a runtime's blocking pool: a runtime
/// that ends waits for its pool, and so would the body that the runtime belongs to. No name is looked up twice at
/// once, so that a hung resolver holds one thread a name, however many callers ask for it.
#[derive(Default)]
pub(super) struct Lookups {
    all: Arc<Mutex<BTreeMap<String, Lookup>>>,
    reserve: Arc<ReserveThreads>,
}

/// A lookup that all its callers share.
type Lookup = Arc<SetOnce<Result<Vec<SocketAddr>, (io::ErrorKind, String)>>>;
type Resolve = fn(&str) -> io::Result<Vec<SocketAddr>>;

impl Lookups {
    pub fn new(reserve: Arc<ReserveThreads>) -> Self {
        Lookups {
            all: Arc::default(),
            reserve,
        }
    }

    fn look_up(&self, authority: &str, resolve: Resolve) -> Result<Lookup, SpawnError> {
        let mut lookups = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lookup) = lookups.get(authority) {
            return Ok(Arc::clone(lookup));
        }
        let lookup = Lookup::default();
        let (all, name) = (Arc::clone(&self.all), authority.to_owned());
        let found = Arc::clone(&lookup);
        let resolves = move || {
            let addresses = resolve(&name).map_err(|error| (error.kind(), error.to_string()));
            let _ = found.set(addresses);
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.remove(&name);
        };
        // If no thread can be started, the endpoint may be well all the same. The reserve has a thread unless steps
        // hold it.
        if let Err(error) = spawn("deadstop resolver", resolves.clone())
            && !self.reserve.try_run(resolves)
        {
            return Err(error.into());
        }
        // The lookup's thread removes the name. It cannot have done so yet, since it needs the lock.
        lookups.insert(authority.to_owned(), Arc::clone(&lookup));
        Ok(lookup)
    }

    async fn addresses(lookup: Result<Lookup, SpawnError>) -> io::Result<Vec<SocketAddr>> {
        let lookup = lookup.map_err(io::Error::other)?;
        match lookup.wait().await {
            Ok(addresses) => Ok(addresses.clone()),
            Err((kind, words)) => Err(io::Error::new(*kind, words.clone())),
        }
    }
}

pub(super) fn connect(
    lookups: &Lookups,
    authority: &str,
) -> BoxFuture<io::Result<Box<dyn Stream>>> {
    let address = authority.parse();
    let lookup = match address {
        Ok(_) => None,
        Err(_) => Some(lookups.look_up(authority, resolve_by_system)),
    };
    Box::pin(async move {
        // tokio panics without I/O.
        if !has_io() {
            return Err(io::Error::other("no file can be opened any more"));
        }
        let addresses = match (address, lookup) {
            (Ok(address), _) => vec![address],
            (Err(_), Some(lookup)) => Lookups::addresses(lookup).await?,
            (Err(_), None) => Vec::new(),
        };
        let stream = TcpStream::connect(&*addresses).await?;
        Ok(Box::new(stream) as Box<dyn Stream>)
    })
}

fn resolve_by_system(authority: &str) -> io::Result<Vec<SocketAddr>> {
    authority.to_socket_addrs().map(Iterator::collect)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, MutexGuard};

    use super::*;
    use crate::host::{Host, Live, PassingRuntime, block_on};

    static GATE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
    static ASKED: AtomicUsize = AtomicUsize::new(0);

    fn open() -> MutexGuard<'static, bool> {
        GATE.0.lock().unwrap()
    }

    /// Hangs until the gate is opened, then fails; stands in for a resolver.
    fn hangs(_: &str) -> io::Result<Vec<SocketAddr>> {
        ASKED.fetch_add(1, Ordering::SeqCst);
        drop(GATE.1.wait_while(open(), |open| !*open).unwrap());
        Err(io::Error::new(io::ErrorKind::NotFound, "no such name"))
    }

    #[test]
    fn hung_resolver_holds_one_thread_for_all_callers() {
        let lookups = Lookups::default();
        let mut waiting = Vec::new();
        for _ in 0..100 {
            let lookup = lookups.look_up("service.internal:80", hangs);
            let mut wait = tokio_test::task::spawn(Box::pin(Lookups::addresses(lookup)));
            assert!(wait.poll().is_pending());
            waiting.push(wait);
        }
        // A caller that gives up leaves nothing behind that has to be awaited.
        waiting.truncate(1);
        *open() = true;
        GATE.1.notify_all();
        let error = block_on(waiting.remove(0).into_inner()).expect_err("there is none");
        assert_eq!(
            (error.kind(), ASKED.load(Ordering::SeqCst)),
            (io::ErrorKind::NotFound, 1)
        );
        while !lookups.all.lock().unwrap().is_empty() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn connect_without_io_returns_an_error() {
        let host = Live::new();
        let connected = PassingRuntime::without_io().block_on(host.connect("127.0.0.1:1"));
        let error = connected.err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("no file can be opened any more"));
        let connected = block_on(host.connect("127.0.0.1:1"));
        assert!(connected.is_err(), "without any runtime, too");
    }
}
