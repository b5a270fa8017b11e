//! The health endpoint's side of one connection, byte for byte.
//!
//! It knows neither clock nor socket: in the simulator it speaks over a pipe in virtual time.

use std::io;

use hyper::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::NEVER;
use crate::scenario::Answer;

/// The longest request that is read.
const LONGEST_REQUEST: usize = 16 * 1024;
/// How long a drip without an end waits before each byte.
const DRIP_MS: u64 = 1_000;

/// How the endpoint's side of a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// It says that it has nothing more to say.
    Closed,
    /// As if there had never been a connection.
    Reset,
}

/// Reads the request on one connection, and answers it. `until` waits until so many milliseconds after
/// its begin; where its second argument is true, nothing shows when that instant comes. An answer that takes for ever
/// never begins; one that never ends ends with the connection.
///
/// # Errors
///
/// If whoever asks has gone.
pub(crate) async fn serve<S, F>(
    stream: &mut S,
    answer: Answer,
    takes: u64,
    until: impl Fn(u64, bool) -> F,
) -> io::Result<Ends>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = ()>,
{
    hear(stream).await?;
    if takes == NEVER {
        return std::future::pending().await;
    }
    if answer == Answer::Drip {
        return drip(stream, takes, until).await;
    }
    until(takes, false).await;
    match answer {
        Answer::Status(status) => stream.write_all(&whole(status)).await?,
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
            let whole = whole(200);
            stream.write_all(&whole[..whole.len() - 1]).await?;
        }
        Answer::Garbage => stream.write_all(b"220 ready for mail\r\n").await?,
        Answer::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                stream.write_all(&[b'.'; 4096]).await?;
            }
        }
        // Nobody listens; where somebody did, there is nothing to say.
        Answer::Reset | Answer::Refused => return Ok(Ends::Reset),
        Answer::Drip => unreachable!("it has its own way"),
    }
    stream.shutdown().await?;
    Ok(Ends::Closed)
}

/// The whole of a good answer, byte for byte, spread over the time; without one a head, and then one byte
/// after the other without an end.
async fn drip<S, F>(stream: &mut S, takes: u64, until: impl Fn(u64, bool) -> F) -> io::Result<Ends>
where
    S: AsyncWrite + Unpin,
    F: Future<Output = ()>,
{
    if takes == 0 {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        for n in 1.. {
            until(n * DRIP_MS, true).await;
            stream.write_all(b".").await?;
        }
    }
    let whole = whole(200);
    let all = whole.len() as u64;
    for (n, byte) in (1..).zip(&whole) {
        // An answer counts when it is whole.
        until(takes * n / all, n < all).await;
        stream.write_all(&[*byte]).await?;
    }
    stream.shutdown().await?;
    Ok(Ends::Closed)
}

/// Reads to the empty line at which a request without a body ends.
async fn hear<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<()> {
    let mut request = Vec::new();
    let mut bytes = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut bytes).await?;
        request.extend_from_slice(&bytes[..read]);
        if read == 0 || request.len() > LONGEST_REQUEST {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// A whole answer with that status. A redirect says where to.
fn whole(status: u16) -> Vec<u8> {
    let code = StatusCode::from_u16(status).ok();
    let reason = code.and_then(|code| code.canonical_reason()).unwrap_or("-");
    let to = match status {
        300..=399 => "location: /login\r\n",
        _ => "",
    };
    let body = format!("{{\"status\": {status}}}\n");
    // These have no body, and say nothing of one.
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

    /// What it says to a request, how it ends if it does, and when it waited, in milliseconds.
    fn said(answer: Answer, takes: u64) -> (String, Option<Ends>, Vec<u64>) {
        let (mut ours, mut theirs) = duplex(8 * 1024);
        let waits = RefCell::new(Vec::new());
        let ends = {
            // Time flies, but for a drip that has no end.
            let until = |at, _| {
                waits.borrow_mut().push(at);
                let now = at < 10_000;
                async move {
                    if !now {
                        std::future::pending::<()>().await;
                    }
                }
            };
            assert!(spawn(ours.write_all(REQUEST)).poll().is_ready());
            let mut serving = spawn(serve(&mut theirs, answer, takes, until));
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
    fn the_answers_are_these_bytes() {
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
            assert_eq!(said(answer, 7), expected, "{answer}");
        }
    }

    #[test]
    fn answer_that_takes_for_ever_never_begins() {
        let statuses = [Answer::Status(200), Answer::Status(503)];
        let words = crate::scenario::keys::ANSWERS.iter();
        for answer in words.map(|(_, answer)| *answer).chain(statuses) {
            assert_eq!(
                said(answer, NEVER),
                (String::new(), None, vec![]),
                "{answer}"
            );
        }
    }

    #[test]
    fn a_drip_is_spread_over_its_time() {
        let (text, ends, waits) = said(Answer::Drip, 3_000);
        let (whole, _, _) = said(Answer::Status(200), 0);
        assert_eq!((&text, ends), (&whole, Some(Ends::Closed)));
        assert_eq!(waits.len(), whole.len());
        assert!(waits.is_sorted(), "{waits:?}");
        assert_eq!(waits.last(), Some(&3_000));
        // Without a time it is a byte a second, and comes to no end.
        let (text, ends, waits) = said(Answer::Drip, 0);
        assert_eq!((&*text, ends), ("HTTP/1.1 200 OK\r\n\r\n.........", None));
        assert_eq!(waits[..2], [1_000, 2_000]);
    }

    #[test]
    fn a_body_without_an_end_goes_on_until_nobody_reads() {
        let (text, ends, _) = said(Answer::Endless, 0);
        assert_eq!((text.len(), ends), (8 * 1024, None), "the pipe is full");
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n\r\n...."));
    }
}
