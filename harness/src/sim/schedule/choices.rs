//! The choices of a run, which another run can be forced to take, and their text form.

use std::fmt;
use std::str::FromStr;

use super::mark::MARKS;

/// The first choices of a run: at each, the index of the candidate that was taken. Points with one candidate are no
/// choices, and are left out.
///
/// The text form is one line of ASCII without spaces, in which no character is special to a shell:
///
/// ```text
/// choices = "-" | picks [ "." marks ]
/// picks   = run *( "," run )
/// run     = index [ "x" times ]        an index from 0, and how often it follows, at least once
/// marks   = 1*( "0" to "9" | "a" to "v" )
/// ```
///
/// `-` is no choice at all. Each mark is a check of one choice, in order, so there are at most as many as choices. It
/// covers what could be chosen there, and all choices before it; [`Replayed`](super::Replayed) compares it. Choices
/// without a mark are taken wherever there are enough candidates. There are at most [`MAX`](Self::MAX) choices, so the
/// text has at most 96 KiB.
///
/// ```
/// use deadstop_harness::sim::Choices;
///
/// let choices: Choices = "0x3,2,1.k0v4".parse()?;
/// assert_eq!(choices.indices().collect::<Vec<_>>(), [0, 0, 0, 2, 1]);
/// assert_eq!(choices.prefix(2).to_string(), "0x2.k0");
///
/// let error = "0x3,two".parse::<Choices>().unwrap_err();
/// assert_eq!(error.to_string(), "not a schedule: \"two\" at character 5 is no index");
/// # Ok::<(), deadstop_harness::sim::NotChoices>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Choices {
    indices: Vec<u32>,
    /// The marks of the first choices.
    marks: Vec<u8>,
}

impl Choices {
    /// Maximum number of choices that are recorded, or read from text.
    pub const MAX: usize = 8_192;

    /// Creates choices without marks, as a search or a test makes them. Those beyond [`MAX`](Self::MAX) are left out.
    pub fn new(indices: impl IntoIterator<Item = u32>) -> Self {
        Choices {
            indices: indices.into_iter().take(Self::MAX).collect(),
            marks: Vec::new(),
        }
    }

    /// Creates choices that each have a mark.
    pub(super) fn marked(choices: impl Iterator<Item = (u32, u8)>) -> Self {
        let (indices, marks) = choices.take(Self::MAX).unzip();
        Choices { indices, marks }
    }

    /// Returns the number of choices.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Returns whether there is no choice.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Returns the index of the candidate that each choice takes, from 0.
    pub fn indices(&self) -> impl Iterator<Item = u32> + '_ {
        self.indices.iter().copied()
    }

    /// Returns the first `len` choices, with their marks.
    #[must_use]
    pub fn prefix(&self, len: usize) -> Self {
        let first = |of: usize| of.min(len);
        Choices {
            indices: self.indices[..first(self.indices.len())].to_vec(),
            marks: self.marks[..first(self.marks.len())].to_vec(),
        }
    }

    /// Appends a choice, which has no mark. A search forces another candidate with it, after a [prefix](Self::prefix).
    /// Beyond [`MAX`](Self::MAX) choices it does nothing.
    #[must_use]
    pub fn then(mut self, index: u32) -> Self {
        if self.len() < Self::MAX {
            self.indices.push(index);
        }
        self
    }

    /// Returns the index and the mark of a choice, from 0.
    pub(super) fn get(&self, choice: usize) -> Option<(usize, Option<u8>)> {
        let index = usize::try_from(*self.indices.get(choice)?).unwrap_or(usize::MAX);
        Some((index, self.marks.get(choice).copied()))
    }
}

impl fmt::Display for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        for (n, run) in self.indices.chunk_by(|one, next| one == next).enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}{}", run[0])?;
            if run.len() > 1 {
                write!(f, "x{}", run.len())?;
            }
        }
        if !self.marks.is_empty() {
            f.write_str(".")?;
        }
        let shown = |mark: &u8| char::from_digit(u32::from(*mark), MARKS).unwrap_or('?');
        self.marks
            .iter()
            .try_for_each(|mark| write!(f, "{}", shown(mark)))
    }
}

/// The reason why a text is not [`Choices`]. Characters are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotChoices {
    /// The text is empty; `-` is the text of no choice.
    #[error("not a schedule: it is empty; \"-\" is a schedule without a choice")]
    Empty,
    /// A part of the picks is no index.
    #[error("not a schedule: {part:?} at character {at} is no index")]
    Index {
        /// The part.
        part: String,
        /// Its first character.
        at: usize,
    },
    /// What follows an `x` is no number of times.
    #[error("not a schedule: {part:?} at character {at} is no number of times")]
    Times {
        /// The part.
        part: String,
        /// Its first character.
        at: usize,
    },
    /// A character of the marks is no mark.
    #[error("not a schedule: {mark:?} at character {at} is no mark")]
    Mark {
        /// The character.
        mark: char,
        /// Its place.
        at: usize,
    },
    /// There are no marks after the dot, or more than choices.
    #[error("not a schedule: it has {marks} marks after its dot, for {choices} choices")]
    Marks {
        /// Number of marks.
        marks: usize,
        /// Number of choices.
        choices: usize,
    },
    /// There are more choices than a schedule may have.
    #[error("not a schedule: it has more than {} choices", Choices::MAX)]
    TooLong,
}

impl FromStr for Choices {
    type Err = NotChoices;

    fn from_str(text: &str) -> Result<Self, NotChoices> {
        match text {
            "" => return Err(NotChoices::Empty),
            "-" => return Ok(Choices::default()),
            _ => {}
        }
        let (picks, marks) = match text.split_once('.') {
            Some((picks, marks)) => (picks, Some(marks)),
            None => (text, None),
        };
        let indices = read_picks(picks)?;
        let Some(marks) = marks else {
            let marks = Vec::new();
            return Ok(Choices { indices, marks });
        };
        let first = picks.chars().count() + 2;
        let marks = read_marks(marks, first)?;
        if marks.is_empty() || marks.len() > indices.len() {
            let (marks, choices) = (marks.len(), indices.len());
            return Err(NotChoices::Marks { marks, choices });
        }
        Ok(Choices { indices, marks })
    }
}

fn read_picks(picks: &str) -> Result<Vec<u32>, NotChoices> {
    let (mut indices, mut at) = (Vec::new(), 1);
    for run in picks.split(',') {
        let (index, times) = match run.split_once('x') {
            Some((index, times)) => (index, Some(times)),
            None => (run, None),
        };
        let part = |part: &str| part.chars().take(20).collect::<String>();
        let value = number(index).ok_or_else(|| NotChoices::Index {
            part: part(index),
            at,
        })?;
        let times = match times {
            None => 1,
            Some(times) => {
                number(times)
                    .filter(|times| *times > 0)
                    .ok_or_else(|| NotChoices::Times {
                        part: part(times),
                        at: at + index.len() + 1,
                    })?
            }
        };
        // This is checked before anything is stored: a short text could ask for gigabytes.
        let times = usize::try_from(times).unwrap_or(usize::MAX);
        if times > Choices::MAX - indices.len() {
            return Err(NotChoices::TooLong);
        }
        indices.extend(std::iter::repeat_n(value, times));
        at += run.chars().count() + 1;
    }
    Ok(indices)
}

/// Reads decimal digits; `from_str` of a number would accept a sign as well.
fn number(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn read_marks(marks: &str, first: usize) -> Result<Vec<u8>, NotChoices> {
    let read = |(mark, at): (char, usize)| {
        let value = mark.to_digit(MARKS).filter(|_| !mark.is_ascii_uppercase());
        let value = value.and_then(|value| u8::try_from(value).ok());
        value.ok_or(NotChoices::Mark { mark, at })
    };
    marks.chars().zip(first..).map(read).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Choices, String> {
        text.parse().map_err(|error: NotChoices| error.to_string())
    }

    fn error(text: &str) -> String {
        let error = read(text).expect_err(text);
        let prefix = error.strip_prefix("not a schedule: ");
        prefix.expect("each message begins alike").to_owned()
    }

    #[test]
    fn text_that_is_no_schedule_names_the_character() {
        assert_eq!(
            error(""),
            "it is empty; \"-\" is a schedule without a choice"
        );
        assert_eq!(error("0,,1"), "\"\" at character 3 is no index");
        assert_eq!(error("0,+1"), "\"+1\" at character 3 is no index");
        assert_eq!(
            error("4294967296"),
            "\"4294967296\" at character 1 is no index"
        );
        assert_eq!(error("10x0"), "\"0\" at character 4 is no number of times");
        assert_eq!(
            error("0x1x2"),
            "\"1x2\" at character 3 is no number of times"
        );
        assert_eq!(error("0x2,é"), "\"é\" at character 5 is no index");
        assert_eq!(error("0x2.0w"), "'w' at character 6 is no mark");
        assert_eq!(error("0x2.0A"), "'A' at character 6 is no mark");
        assert_eq!(error("0x2."), "it has 0 marks after its dot, for 2 choices");
        assert_eq!(
            error("0x2.000"),
            "it has 3 marks after its dot, for 2 choices"
        );
        let most = Choices::MAX;
        assert_eq!(
            error("0x4294967295"),
            format!("it has more than {most} choices")
        );
        assert_eq!(
            error(&format!("0x{most},1")),
            format!("it has more than {most} choices")
        );
    }

    #[test]
    fn longest_schedule_keeps_its_bound() {
        let varied = Choices::marked((0..u32::MAX).rev().zip(std::iter::repeat(31)));
        assert_eq!(varied.len(), Choices::MAX);
        let text = varied.to_string();
        assert!(text.len() <= 96 * 1024, "{}", text.len());
        assert_eq!(read(&text), Ok(varied.clone()));
        assert_eq!(varied.clone().then(1), varied);
    }

    #[test]
    fn prefix_keeps_its_marks_and_a_forced_choice_has_none() {
        let choices = read("1x3,2.0123").expect("it is valid");
        assert_eq!(choices.prefix(9), choices);
        assert_eq!(choices.prefix(0).to_string(), "-");
        let grown = choices.prefix(2).then(5);
        assert_eq!(grown.to_string(), "1x2,5.01");
        assert_eq!(grown.get(1), Some((1, Some(1))));
        assert_eq!(grown.get(2), Some((5, None)));
        assert_eq!(grown.get(3), None);
    }

    proptest! {
        #[test]
        fn text_of_any_choices_is_read_back(
            indices in prop::collection::vec(prop_oneof![4 => 0..3_u32, 1 => any::<u32>()], 0..60),
            marks in prop::collection::vec(0..32_u8, 0..60),
        ) {
            let marks = marks.into_iter().take(indices.len()).collect();
            let choices = Choices { indices, marks };
            let text = choices.to_string();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b",.-".contains(&byte)));
            prop_assert_eq!(read(&text), Ok(choices));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9x,.a-z-]{0,30}|.{0,30}") {
            if let Ok(choices) = read(&text) {
                prop_assert_eq!(read(&choices.to_string()), Ok(choices));
            }
        }
    }
}
