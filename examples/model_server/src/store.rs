//! The database: the client that closes last.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadstop::context::Close;
use deadstop::host::{BoxError, Scope};
use rusqlite::Connection;

/// The place where predictions are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// In memory: gone with the process.
    Memory,
    /// In a file.
    File(PathBuf),
}

/// The predictions, each with the name of its request. It has one connection, which the pool's threads use in turn.
#[derive(Debug)]
pub struct Store(Mutex<Option<Connection>>);

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS predictions \
     (id INTEGER PRIMARY KEY, request TEXT NOT NULL, value REAL NOT NULL)";

const INSERT: &str = "INSERT INTO predictions (request, value) VALUES (?1, ?2)";

impl Store {
    /// Opens the database, and makes its table if there is none.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, or is no database.
    pub fn open(database: &Database) -> rusqlite::Result<Self> {
        let connection = match database {
            Database::Memory => Connection::open_in_memory()?,
            Database::File(path) => Connection::open(path)?,
        };
        // If another process uses the file while the server runs, this one waits for it.
        connection.busy_timeout(Duration::from_secs(1))?;
        // With a write-ahead log, what was committed outlives the end of the process, however it ends. (`NORMAL` may
        // lose the last commits when the machine loses its power.)
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute(SCHEMA, [])?;
        Ok(Store(Mutex::new(Some(connection))))
    }

    /// Keeps a prediction, which is committed when this returns.
    ///
    /// # Errors
    ///
    /// If the database is closed, or refuses the prediction.
    pub fn keep(&self, request: &str, value: f64) -> Result<(), BoxError> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(connection) = &*open else {
            return Err("the database is closed".into());
        };
        let row = (request, value);
        connection.execute(INSERT, row)?;
        Ok(())
    }

    /// Returns the number of predictions that are kept.
    ///
    /// # Errors
    ///
    /// As [`keep`](Self::keep).
    pub fn count(&self) -> Result<u64, BoxError> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(connection) = &*open else {
            return Err("the database is closed".into());
        };
        let rows: i64 =
            connection.query_row("SELECT COUNT(*) FROM predictions", [], |row| row.get(0))?;
        Ok(rows.unsigned_abs())
    }
}

/// The closeable of the database.
#[derive(Debug)]
pub struct CloseStore(pub Arc<Store>);

impl Close for CloseStore {
    fn close(&mut self, _scope: &Scope) -> Result<(), BoxError> {
        // A job that never returned may hold the lock. Then this waits, and is left behind at its bound.
        let open = self
            .0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match open.map(Connection::close) {
            None | Some(Ok(())) => Ok(()),
            Some(Err((_still_open, error))) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_predictions_are_counted_and_a_closed_database_fails() {
        let store = Store::open(&Database::Memory).unwrap();
        store.keep("one", 1.0).unwrap();
        assert_eq!(store.count().unwrap(), 1);
        let open = store.0.lock().unwrap().take();
        open.unwrap().close().unwrap();
        let error = store.keep("two", 2.0).unwrap_err();
        assert_eq!(error.to_string(), "the database is closed");
    }
}
