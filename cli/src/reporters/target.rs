//! Where a reporter writes: to standard output as it goes, or to a file that is written whole at the end.

use std::path::{Path, PathBuf};

use deadstop_harness::report::Style;
use deadstop_harness::report::whole::{check_writable, write_whole};
use deadstop_harness::words::shown_path;

use crate::Exit;
use crate::output::{out, style};

/// Where a reporter writes.
pub enum Target {
    Stdout,
    File(ReportFile),
}

impl Target {
    /// Writes a part of the report, or keeps it for the file.
    ///
    /// # Errors
    ///
    /// If standard output cannot be written to.
    pub fn write(&mut self, text: &str) -> Result<(), (Exit, String)> {
        match self {
            Target::Stdout => out(text),
            Target::File(file) => {
                file.text.push_str(text);
                Ok(())
            }
        }
    }

    /// Writes the file, if it is one.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn finish(&self) -> Result<(), (Exit, String)> {
        match self {
            Target::Stdout => Ok(()),
            Target::File(file) => file.write(&file.text),
        }
    }

    /// Returns the style of text for people that is written there.
    pub fn style(&self) -> Style {
        match self {
            Target::Stdout => style(),
            Target::File(_) => Style::default(),
        }
    }
}

/// File of a report, which is written whole or not at all.
pub struct ReportFile {
    /// Path of the file. Links are resolved: one stays, and the file to which it leads is replaced.
    path: PathBuf,
    /// Its path, as the user gave it.
    shown: String,
    text: String,
}

impl ReportFile {
    /// Checks that a file can be written, and makes the folder in which it lies.
    ///
    /// # Errors
    ///
    /// If the file cannot be written, which a user should learn before the runs and not after.
    pub fn new(given: &Path) -> Result<Self, (Exit, String)> {
        let shown = shown_path(given);
        let refused =
            |why: &dyn std::fmt::Display| (Exit::Usage, format!("cannot write {shown}: {why}"));
        // A folder cannot be replaced, and a device must not be.
        if given.exists() && !given.is_file() {
            return Err(refused(&"it exists already, and is not a regular file"));
        }
        let path = resolved(given).map_err(|error| refused(&error))?;
        check_writable(&path).map_err(|error| refused(&error))?;
        Ok(ReportFile {
            path,
            shown,
            text: String::new(),
        })
    }

    /// Returns the path of the file, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the whole report.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write(&self, text: &str) -> Result<(), (Exit, String)> {
        write_whole(&self.path, text).map_err(|error| {
            (
                Exit::Internal,
                format!("cannot write {}: {error}", self.shown),
            )
        })
    }
}

/// Returns the path of a file without links. Makes the folder in which the file lies.
fn resolved(path: &Path) -> Result<PathBuf, String> {
    let resolve = |path: &Path| path.canonicalize().map_err(|error| error.to_string());
    if path.exists() {
        return resolve(path);
    }
    let name = path.file_name().ok_or("it is not the name of a file")?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("cannot create the folder {}: {error}", shown_path(folder)))?;
    Ok(resolve(folder)?.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_that_cannot_be_written_at_the_end_is_internal() {
        let folder = std::env::temp_dir().join(format!("deadstop-report-{}", std::process::id()));
        let file = ReportFile::new(&folder.join("a.xml")).expect("it can be written now");
        std::fs::remove_dir_all(&folder).expect("it is empty but for that file");
        let (exit, message) = file.write("<a/>").expect_err("its folder is gone");
        assert_eq!(exit, Exit::Internal);
        assert!(message.starts_with("cannot write "), "{message}");
    }
}
