//! A caller over a plain socket, which knows exactly what became of each request.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::server::{PATIENCE, Server};

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestResult {
    /// A whole answer.
    Answer {
        status: u16,
        /// Whether the connection ends with this answer.
        last: bool,
        body: String,
    },
    /// No connection: no server listens.
    Refused,
    /// The connection ended before the first byte of an answer.
    Nothing,
    /// The connection ended within the answer.
    Part,
}

impl RequestResult {
    /// Returns the status of the answer; 0 if there was none.
    pub fn status(&self) -> u16 {
        match self {
            RequestResult::Answer { status, .. } => *status,
            _ => 0,
        }
    }
}

/// A caller, with one connection at a time.
pub struct Client {
    address: SocketAddr,
    prefix: String,
    connection: Option<TcpStream>,
}

impl Client {
    pub fn new(server: &Server) -> Self {
        Client {
            address: server.address,
            prefix: server.prefix.clone(),
            connection: None,
        }
    }

    /// Asks for a prediction, and reads the answer.
    pub fn predict(&mut self, request: &str, takes_ms: u64) -> RequestResult {
        self.begin_predict(request, takes_ms);
        self.answer()
    }

    /// Writes a request for a prediction, and leaves its answer to be read. Returns when it was written; `None` if no
    /// server listens.
    pub fn begin_predict(&mut self, request: &str, takes_ms: u64) -> Option<Instant> {
        let body = format!(r#"{{"request":"{request}","features":[1,2],"takes_ms":{takes_ms}}}"#);
        self.begin("POST", "/predict", &body)
    }

    pub fn get(&mut self, path: &str) -> RequestResult {
        self.begin("GET", path, "");
        self.answer()
    }

    pub fn post(&mut self, path: &str) -> RequestResult {
        self.begin("POST", path, "");
        self.answer()
    }

    /// Writes a request, on the connection that is open or on a new one.
    pub fn begin(&mut self, method: &str, path: &str, body: &str) -> Option<Instant> {
        if self.connection.is_none() {
            let connection = TcpStream::connect_timeout(&self.address, PATIENCE).ok()?;
            connection.set_read_timeout(Some(PATIENCE)).unwrap();
            connection.set_write_timeout(Some(PATIENCE)).unwrap();
            connection.set_nodelay(true).unwrap();
            self.connection = Some(connection);
        }
        let request = format!(
            "{method} {}{path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.prefix,
            self.address,
            body.len()
        );
        // A write that fails shows when the answer is read.
        let _ = self.connection.as_mut()?.write_all(request.as_bytes());
        Some(Instant::now())
    }

    /// Reads the answer to the request that was written.
    pub fn answer(&mut self) -> RequestResult {
        let Some(connection) = &mut self.connection else {
            return RequestResult::Refused;
        };
        let mut bytes = Vec::new();
        let result = match read(connection, &mut bytes) {
            Ok(result) => result,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("no answer: {error}"),
            Err(_) if bytes.is_empty() => RequestResult::Nothing,
            Err(_) => RequestResult::Part,
        };
        if !matches!(result, RequestResult::Answer { last: false, .. }) {
            self.hang_up();
        }
        result
    }

    /// Closes the connection.
    pub fn hang_up(&mut self) {
        self.connection = None;
    }
}

/// Reads one answer.
fn read(connection: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<RequestResult> {
    let mut more = |bytes: &mut Vec<u8>| {
        let mut some = [0; 1024];
        match connection.read(&mut some)? {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            n => {
                bytes.extend_from_slice(&some[..n]);
                Ok(())
            }
        }
    };
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        more(bytes)?;
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let header = |name: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned()))
    };
    let length: usize = header("content-length").unwrap().parse().unwrap();
    while bytes.len() < head + length {
        more(bytes)?;
    }
    Ok(RequestResult::Answer {
        status: text.split(' ').nth(1).unwrap().parse().unwrap(),
        last: header("connection").as_deref() == Some("close"),
        body: String::from_utf8_lossy(&bytes[head..]).into_owned(),
    })
}
