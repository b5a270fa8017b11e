//! The probe over HTTP/1.1: one connection a probe, driven by the probe itself.
//!
//! hyper parses and writes over a connection that the host makes. So the code that runs in production is the code
//! that the simulator tests, its timeouts included, down to the byte.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::Ipv6Addr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Uri};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::probe::{Probe, ProbeError, Probing};
use super::together::together;
use crate::host::{Host, Stream};

/// Maximum length of an answer, head and body: 64 KiB. A health endpoint needs a fraction of it.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Maximum length of the head of an answer: 16 KiB.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Probes a health endpoint over HTTP/1.1.
///
/// Each probe is one `GET` over a connection of its own, which is closed afterwards: a pooled connection would hide a
/// server that accepts no more. It goes straight to the host in the URL, even if `HTTP_PROXY` is set, and follows
/// no redirect. The status counts once the whole answer has come, its body included. An answer over 64 KiB, or with a
/// head over 16 KiB, counts as none.
///
/// The [`Host`] makes the connection: over TCP on the live host, to a scripted peer in the simulator. The same
/// registration runs unchanged in both.
///
/// ```
/// use deadstop::watchdog::{HttpProbe, Watchdog};
///
/// let probe = HttpProbe::new("http://127.0.0.1:8000/health")?;
/// let watchdog = Watchdog::new(probe); // or `Watchdog::http` with the URL
///
/// let refused = HttpProbe::new("https://127.0.0.1:8000/health").unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "cannot probe \"https://127.0.0.1:8000/health\": only http:// is supported",
/// );
/// # let _ = watchdog;
/// # Ok::<(), deadstop::watchdog::InvalidUrl>(())
/// ```
///
/// # Cancel safety
///
/// A probe that is dropped closes its connection, and leaves nothing behind for the next.
#[derive(Clone, Debug)]
pub struct HttpProbe {
    /// The address to connect to, always with its port.
    authority: String,
    /// The value of the `Host` header, with its port unless that is 80.
    host: HeaderValue,
    path: PathAndQuery,
}

/// A URL that cannot be probed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot probe {url:?}: {problem}")]
#[non_exhaustive]
pub struct InvalidUrl {
    /// The URL, without the user and password that it may name.
    pub url: String,
    /// The reason why it cannot be probed.
    pub problem: &'static str,
}

impl HttpProbe {
    /// Makes a probe of `http://HOST[:PORT][/PATH]`. `HOST` is a name, an IPv4 address, or an IPv6 address in
    /// brackets; the port is 80 if none is given.
    ///
    /// # Errors
    ///
    /// [`InvalidUrl`] for anything else, https included.
    pub fn new(url: &str) -> Result<Self, InvalidUrl> {
        parse(url).map_err(|problem| InvalidUrl {
            url: without_user(url),
            problem,
        })
    }

    fn request(&self) -> Request<NoBody> {
        let mut request = Request::new(NoBody);
        *request.uri_mut() = self.path.clone().into();
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        request
    }

    async fn ask(&self, host: &dyn Host) -> Result<u16, ProbeError> {
        let stream = host.connect(&self.authority).await;
        let stream = stream.map_err(|error| ProbeError::new(no_connection(&error)))?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .handshake(LimitedStream::new(stream))
            .await
            .map_err(|error| ProbeError::new(no_answer(&error)))?;
        let answer = async {
            let answer = sender.send_request(self.request()).await?;
            let status = answer.status().as_u16();
            read_to_its_end(answer.into_body()).await?;
            Ok(status)
        };
        let answer = together(connection, answer).await;
        answer.map_err(|error: hyper::Error| ProbeError::new(no_answer(&error)))
    }
}

const AGENT: &str = concat!("deadstop/", env!("CARGO_PKG_VERSION"));

impl Probe for HttpProbe {
    fn probe<'a>(&'a mut self, host: &'a dyn Host) -> Probing<'a> {
        Box::pin(self.ask(host))
    }
}

fn parse(url: &str) -> Result<HttpProbe, &'static str> {
    let uri: Uri = url
        .parse()
        .map_err(|_| "it is not a URL such as http://127.0.0.1:8000/health")?;
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => {}
        Some(_) => return Err("only http:// is supported"),
        None => return Err("it does not begin with http://"),
    }
    let authority = uri.authority().ok_or("it has no host")?;
    if authority.as_str().contains('@') {
        return Err("it contains a user, which a probe would send unencrypted");
    }
    let host = authority.host();
    if host.is_empty() {
        return Err("it has no host");
    }
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').map(str::parse::<Ipv6Addr>);
        if !matches!(address, Some(Ok(_))) {
            return Err("the text in brackets is not an IPv6 address");
        }
    }
    let port = match authority.as_str().strip_prefix(host) {
        Some("") => 80,
        Some(port) => match port.strip_prefix(':').map(str::parse::<u16>) {
            Some(Ok(port @ 1..)) => port,
            _ => return Err("its port is not from 1 to 65535"),
        },
        None => return Err("it has no host"),
    };
    let path = uri.path_and_query().cloned();
    let header = match port {
        80 => host.to_owned(),
        port => format!("{host}:{port}"),
    };
    Ok(HttpProbe {
        authority: format!("{host}:{port}"),
        host: header
            .parse()
            .map_err(|_| "its host has characters that cannot be sent in a header")?,
        path: path.unwrap_or_else(|| PathAndQuery::from_static("/")),
    })
}

/// Returns the URL without its user and password: errors reach logs, and a password must not.
fn without_user(url: &str) -> String {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let end = url[begin..].find(['/', '?', '#']);
    let end = end.map_or(url.len(), |at| begin + at);
    match url[begin..end].rfind('@') {
        Some(at) => format!("{}{}", &url[..begin], &url[begin + at + 1..]),
        None => url.to_owned(),
    }
}

async fn read_to_its_end(mut body: Incoming) -> hyper::Result<()> {
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        match frame {
            None => return Ok(()),
            Some(frame) => drop(frame?),
        }
    }
}

fn no_connection(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection was refused".to_owned(),
        _ => format!("no connection: {error}"),
    }
}

/// Returns the reason why there was no whole answer, in words for people.
fn no_answer(error: &hyper::Error) -> String {
    let mut sources = std::iter::successors(error.source(), |error| (*error).source());
    let io = sources.find_map(|error| error.downcast_ref::<io::Error>());
    if let Some(too_long) = io
        .and_then(io::Error::get_ref)
        .filter(|error| error.is::<TooLong>())
    {
        return too_long.to_string();
    }
    if error.is_parse() {
        // Such as "invalid HTTP version parsed", or "message head is too large".
        return format!("the answer cannot be read as HTTP: {error}");
    }
    match io.map(io::Error::kind) {
        _ if error.is_incomplete_message() => CUT_SHORT.to_owned(),
        Some(io::ErrorKind::UnexpectedEof) => CUT_SHORT.to_owned(),
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
            "the connection was reset".to_owned()
        }
        // hyper itself parses the chunks of a body, and the innermost error is its message about them.
        Some(_) => format!("no whole answer: {}", innermost(error)),
        None => format!("no whole answer: {error}"),
    }
}

const CUT_SHORT: &str = "the connection was closed before the whole answer had come";

fn innermost(error: &hyper::Error) -> String {
    let mut error: &dyn Error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[derive(Debug, thiserror::Error)]
#[error("the answer is longer than {} KiB", MAX_ANSWER_BYTES / 1024)]
struct TooLong;

/// The empty body of a probe's request.
struct NoBody;

impl Body for NoBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}

/// A connection for hyper that refuses to read more than the longest answer.
struct LimitedStream {
    stream: Box<dyn Stream>,
    left: usize,
}

impl LimitedStream {
    fn new(stream: Box<dyn Stream>) -> Self {
        LimitedStream {
            stream,
            left: MAX_ANSWER_BYTES,
        }
    }
}

impl Read for LimitedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // Reading into hyper's own buffer takes `unsafe`; the copy of a health endpoint's answer costs next to
        // nothing.
        let mut bytes = [0; 4096];
        let space = into.remaining().min(bytes.len());
        let mut read = ReadBuf::new(&mut bytes[..space]);
        std::task::ready!(pin!(&mut self.stream).poll_read(cx, &mut read))?;
        match self.left.checked_sub(read.filled().len()) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Err(io::Error::other(TooLong))),
        }
        into.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for LimitedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        pin!(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> (String, String, String) {
        let probe = HttpProbe::new(url).unwrap_or_else(|error| panic!("{error}"));
        let host = probe.host.to_str().expect("visible").to_owned();
        (probe.authority, host, probe.path.to_string())
    }

    #[test]
    fn url_gives_authority_host_header_and_path() {
        for (url, authority, host, path) in [
            (
                "http://127.0.0.1:8000/health",
                "127.0.0.1:8000",
                "127.0.0.1:8000",
                "/health",
            ),
            ("http://localhost", "localhost:80", "localhost", "/"),
            (
                "http://localhost:80/?deep=1",
                "localhost:80",
                "localhost",
                "/?deep=1",
            ),
            (
                "HTTP://A.example/a/b?c#d",
                "A.example:80",
                "A.example",
                "/a/b?c",
            ),
            ("http://[::1]:8000/h", "[::1]:8000", "[::1]:8000", "/h"),
            ("http://[::1]", "[::1]:80", "[::1]", "/"),
        ] {
            let expected = (authority.to_owned(), host.to_owned(), path.to_owned());
            assert_eq!(parts(url), expected, "{url}");
        }
    }

    #[test]
    fn url_that_cannot_be_probed_is_refused_with_the_reason() {
        let clear = "only http:// is supported";
        let none = "it is not a URL such as http://127.0.0.1:8000/health";
        let port = "its port is not from 1 to 65535";
        for (url, problem) in [
            ("https://localhost/health", clear),
            ("unix://run/app.sock", clear),
            ("/health", "it does not begin with http://"),
            ("localhost:8000", "it does not begin with http://"),
            ("localhost:8000/health", none),
            ("", none),
            ("http://", none),
            ("http:///health", none),
            ("http://local host/", none),
            ("http://localhost/a b", none),
            ("http://:8000/health", "it has no host"),
            ("http://localhost:0/", port),
            ("http://localhost:65536/", port),
            ("http://localhost:/", port),
            ("http://localhost:http/", port),
            ("http://[::1/", none),
            (
                "http://[localhost]/",
                "the text in brackets is not an IPv6 address",
            ),
        ] {
            let error = HttpProbe::new(url).expect_err(url);
            assert_eq!((error.problem, &*error.url), (problem, url));
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        for (url, shown) in [
            ("http://me:secret@host/health", "http://host/health"),
            ("http://me:sec@ret@host/health", "http://host/health"),
            ("https://me:secret@host", "https://host"),
            ("http://host/a@b", "http://host/a@b"),
        ] {
            assert_eq!(without_user(url), shown);
        }
        let error = HttpProbe::new("http://me:secret@host/health").expect_err("it names a user");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
