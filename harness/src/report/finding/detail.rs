//! What a finding says beyond its sentence. It is kept as it is, and becomes text where it is shown.

use std::sync::Arc;

use super::super::Style;
use super::super::diff::diff;
#[cfg(all(feature = "live", unix))]
use super::super::sides::side_by_side;
use super::place::SourceFile;
#[cfg(all(feature = "live", unix))]
use crate::live::Difference;
use crate::scenario::{Diagnostic, render};

/// A part of what is told about a finding.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Detail {
    /// Lines of text; they end with a line break.
    Text(String),
    /// Lines of a file, with a mistake in them.
    Source(Arc<SourceFile>, Diagnostic),
    /// Two logs, whose difference is told.
    Logs {
        /// The log that it is compared with.
        old: String,
        /// The log of this run.
        new: String,
    },
    /// A live run beside its simulation.
    #[cfg(all(feature = "live", unix))]
    Sides(Box<Difference>),
}

impl Detail {
    /// Returns the text of the detail, which is empty or ends with a line break.
    pub fn text(&self, style: Style) -> String {
        match self {
            Detail::Text(text) => text.clone(),
            Detail::Source(file, diagnostic) => render(
                std::slice::from_ref(diagnostic),
                &file.path,
                &file.text,
                style.color,
            ),
            Detail::Logs { old, new } => diff(old, new, style),
            #[cfg(all(feature = "live", unix))]
            Detail::Sides(difference) => side_by_side(difference, style),
        }
    }
}
