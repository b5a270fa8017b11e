//! The health endpoint's side of one connection, byte for byte.
//!
//! It has no clock and no socket of its own. The simulator runs it over a pipe in virtual time, the live run over TCP.

use std::io;

use hyper::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::part::NEVER;
use crate::scenario::Answer;

/// Maximum size of a request, in bytes.
const MAX_REQUEST_BYTES: usize = 16 * 1024;
/// Interval between the bytes of a drip without an end, in milliseconds.
const DRIP_MS: u64 = 1_000;

/// End of the endpoint's side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// The endpoint sends no more, and closes its side in order.
    Closed,
    /// The connection is torn down, as if there had never been one.
    Reset,
}

/// Reads the request on one connection, and answers it.
///
/// `wait_until` waits until a number of milliseconds after the connection's begin; if its second argument is true,
/// nothing visible happens at that instant. An answer that takes forever never begins. An answer without an end goes on
/// until the connection ends.
///
/// # Errors
///
/// If the connection is gone, or if the request is too long.
pub(crate) async fn serve<S, F>(
    stream: &mut S,
    answer: Answer,
    takes: u64,
    wait_until: impl Fn(u64, bool) -> F,
) -> io::Result<Ends>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = ()>,
{
    read_request(stream).await?;
    if takes == NEVER {
        return std::future::pending().await;
    }
    if answer == Answer::Drip {
        return drip(stream, takes, wait_until).await;
    }
    wait_until(takes, false).await;
    match answer {
        Answer::Status(status) => stream.write_all(&whole_answer(status)).await?,
        Answer::Silent => return std::future::pending().await,
        Answer::HalfLine => {
            stream.write_all(b"HTTP/1.1 2").await?;
            return std::future::pending().await;
        }
        Answer::Stalls => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            return std::future::pending().await;
        }
        Answer::Cut => {
            let whole = whole_answer(200);
            stream.write_all(&whole[..whole.len() - 1]).await?;
        }
        Answer::Garbage => stream.write_all(b"220 ready for mail\r\n").await?,
        Answer::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                stream.write_all(&[b'.'; 4096]).await?;
            }
        }
        // A refused connection does not get here. If one was accepted all the same, it gets no answer.
        Answer::Reset | Answer::Refused => return Ok(Ends::Reset),
        Answer::Drip => unreachable!("it has its own way"),
    }
    stream.shutdown().await?;
    Ok(Ends::Closed)
}

/// Sends a good answer byte by byte, spread over `takes` milliseconds. If `takes` is 0, sends a head, and then a body
/// byte by byte without an end.
async fn drip<S, F>(
    stream: &mut S,
    takes: u64,
    wait_until: impl Fn(u64, bool) -> F,
) -> io::Result<Ends>
where
    S: AsyncWrite + Unpin,
    F: Future<Output = ()>,
{
    if takes == 0 {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        for n in 1.. {
            wait_until(n * DRIP_MS, true).await;
            stream.write_all(b".").await?;
        }
    }
    let whole = whole_answer(200);
    let all = whole.len() as u64;
    for (n, byte) in (1..).zip(&whole) {
        // Only the last byte has a visible effect: an answer counts when it is whole.
        wait_until(takes * n / all, n < all).await;
        stream.write_all(&[*byte]).await?;
    }
    stream.shutdown().await?;
    Ok(Ends::Closed)
}

/// Reads to the empty line at which a request without a body ends.
async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<()> {
    let mut request = Vec::new();
    let mut bytes = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut bytes).await?;
        request.extend_from_slice(&bytes[..read]);
        if read == 0 || request.len() > MAX_REQUEST_BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Returns the bytes of a whole answer with that status. A redirect has a location.
fn whole_answer(status: u16) -> Vec<u8> {
    let code = StatusCode::from_u16(status).ok();
    let reason = code.and_then(|code| code.canonical_reason()).unwrap_or("-");
    let to = match status {
        300..=399 => "location: /login\r\n",
        _ => "",
    };
    let body = format!("{{\"status\": {status}}}\n");
    // Answers with these statuses have no body and no content length.
    let (length, body) = match status {
        204 | 304 => (String::new(), ""),
        _ => (format!("content-length: {}\r\n", body.len()), &*body),
    };
    let answer =
        format!("HTTP/1.1 {status} {reason}\r\n{to}{length}connection: close\r\n\r\n{body}");
    answer.into_bytes()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::io::duplex;
    use tokio_test::task::spawn;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    /// Returns the text that the endpoint sends to a request, its end if it ends, and the instants until which it
    /// waits, in milliseconds.
    fn answer_to_request(answer: Answer, takes: u64) -> (String, Option<Ends>, Vec<u64>) {
        let (mut ours, mut theirs) = duplex(8 * 1024);
        let waits = RefCell::new(Vec::new());
        let ends = {
            // A wait until an instant before 10 s ends at once. A later one never ends, which stops an endless drip.
            let wait_until = |at, _| {
                waits.borrow_mut().push(at);
                let now = at < 10_000;
                async move {
                    if !now {
                        std::future::pending::<()>().await;
                    }
                }
            };
            assert!(spawn(ours.write_all(REQUEST)).poll().is_ready());
            let mut serving = spawn(serve(&mut theirs, answer, takes, wait_until));
            match serving.poll() {
                std::task::Poll::Ready(ends) => Some(ends.expect("somebody asks")),
                std::task::Poll::Pending => None,
            }
        };
        drop(theirs);
        let mut bytes = Vec::new();
        let read = spawn(ours.read_to_end(&mut bytes)).poll();
        assert!(read.is_ready());
        let text = String::from_utf8(bytes).expect("text");
        (text, ends, waits.into_inner())
    }

    #[test]
    fn each_answer_sends_its_bytes() {
        let whole =
            "HTTP/1.1 200 OK\r\ncontent-length: 16\r\nconnection: close\r\n\r\n{\"status\": 200}\n";
        let busy = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 16\r\nconnection: close\r\n\r\n{\"status\": 503}\n";
        let moved = "HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 16\r\nconnection: close\r\n\r\n{\"status\": 302}\n";
        let empty = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
        let closed = Some(Ends::Closed);
        for (answer, text, ends) in [
            (Answer::Status(200), whole, closed),
            (Answer::Status(503), busy, closed),
            (Answer::Status(302), moved, closed),
            (Answer::Status(204), empty, closed),
            (Answer::Cut, &whole[..whole.len() - 1], closed),
            (Answer::Garbage, "220 ready for mail\r\n", closed),
            (Answer::Reset, "", Some(Ends::Reset)),
            (Answer::Silent, "", None),
            (Answer::HalfLine, "HTTP/1.1 2", None),
            (Answer::Stalls, "HTTP/1.1 200 OK\r\n", None),
        ] {
            let expected = (text.to_owned(), ends, vec![7]);
            assert_eq!(answer_to_request(answer, 7), expected, "{answer}");
        }
    }

    #[test]
    fn answer_that_takes_for_ever_never_begins() {
        let statuses = [Answer::Status(200), Answer::Status(503)];
        let words = crate::scenario::keys::ANSWERS.iter();
        for answer in words.map(|(_, answer)| *answer).chain(statuses) {
            assert_eq!(
                answer_to_request(answer, NEVER),
                (String::new(), None, vec![]),
                "{answer}"
            );
        }
    }

    #[test]
    fn a_drip_is_spread_over_its_time() {
        let (text, ends, waits) = answer_to_request(Answer::Drip, 3_000);
        let (whole, _, _) = answer_to_request(Answer::Status(200), 0);
        assert_eq!((&text, ends), (&whole, Some(Ends::Closed)));
        assert_eq!(waits.len(), whole.len());
        assert!(waits.is_sorted(), "{waits:?}");
        assert_eq!(waits.last(), Some(&3_000));
        // Without a time it sends a byte per second, and never ends.
        let (text, ends, waits) = answer_to_request(Answer::Drip, 0);
        assert_eq!((&*text, ends), ("HTTP/1.1 200 OK\r\n\r\n.........", None));
        assert_eq!(waits[..2], [1_000, 2_000]);
    }

    #[test]
    fn endless_body_goes_on_until_the_pipe_is_full() {
        let (text, ends, _) = answer_to_request(Answer::Endless, 0);
        assert_eq!((text.len(), ends), (8 * 1024, None), "the pipe is full");
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n\r\n...."));
    }
}
