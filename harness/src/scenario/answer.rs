//! What the health endpoint answers.

/// Answer of the health endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// A status, 200 to 599.
    Status(u16),
    /// The connection is refused.
    Refused,
    /// The connection is accepted, and nothing is sent.
    Silent,
    /// Half of a status line, then nothing.
    HalfLine,
    /// A status line, then nothing.
    Stalls,
    /// A good answer, byte by byte.
    Drip,
    /// A good status, and a body that does not end.
    Endless,
    /// The connection is closed in the middle of the answer.
    Cut,
    /// The connection is torn down before the answer.
    Reset,
    /// Something that is not HTTP.
    Garbage,
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Answer::Status(status) = self {
            return write!(f, "{status}");
        }
        let mut words = ANSWERS.iter().filter(|(_, answer)| answer == self);
        words.try_for_each(|(word, _)| f.write_str(word))
    }
}

/// Answers of the health endpoint other than a status, each with its word.
pub const ANSWERS: &[(&str, Answer)] = &[
    ("refused", Answer::Refused),
    ("silent", Answer::Silent),
    ("half-line", Answer::HalfLine),
    ("stalls", Answer::Stalls),
    ("drip", Answer::Drip),
    ("endless", Answer::Endless),
    ("cut", Answer::Cut),
    ("reset", Answer::Reset),
    ("garbage", Answer::Garbage),
];
