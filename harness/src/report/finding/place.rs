//! Places in files.

use std::fmt;
use std::sync::Arc;

use crate::scenario::{Span, column_of, line_of};

/// A file that findings are about.
///
/// It is exhaustive: it is a path and a text, and nothing more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path, as the user knows it.
    pub path: String,
    /// Its text; empty if it could not be read.
    pub text: String,
}

/// A file, and a place in it.
///
/// It is exhaustive: a reader of the table has to handle each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<SourceFile>,
    /// The bytes of the file, if it is about a part of the file.
    pub span: Option<Span>,
}

impl Place {
    /// Returns the line in which the place begins, from 1.
    pub fn line(&self) -> Option<usize> {
        let span = self.span.as_ref()?;
        Some(line_of(&self.file.text, span.start))
    }

    /// Returns the column at which the place begins, in characters from 1.
    pub fn column(&self) -> Option<usize> {
        let span = self.span.as_ref()?;
        Some(column_of(&self.file.text, span.start))
    }
}

/// Writes the path, and the line and column as compilers do.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file.path)?;
        match (self.line(), self.column()) {
            (Some(line), Some(column)) => write!(f, ":{line}:{column}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_compilers_write_it() {
        let file = Arc::new(SourceFile {
            path: "a.toml".to_owned(),
            text: "title = \"A\"\n[expect]\nexit = 0\n".to_owned(),
        });
        let whole = Place { file, span: None };
        assert_eq!(whole.to_string(), "a.toml");
        let part = Place {
            span: Some(28..29),
            ..whole
        };
        assert_eq!(part.to_string(), "a.toml:3:8");
    }
}
