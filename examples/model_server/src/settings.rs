//! Settings of the server, which the environment sets.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::Parameters;

/// Settings of the server. In the environment a duration is in whole milliseconds, and its variable ends in `_MS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `MODEL_SERVER_LISTEN`: the address to listen on. Port 0 takes any port; the address is written to standard
    /// output.
    pub listen: SocketAddr,
    /// `MODEL_SERVER_DATABASE`: the file in which answered predictions are kept.
    pub database: PathBuf,
    /// `MODEL_SERVER_WORKERS`: the number of predictions that are made at once.
    pub workers: usize,
    /// `MODEL_SERVER_PREDICTION_MS`: how long a prediction takes if its request does not set that.
    pub prediction: Duration,
    /// `MODEL_SERVER_DRAIN_MS`: how long accepted requests are awaited at stop.
    pub drain: Duration,
    /// `MODEL_SERVER_CLOSE_MS`: how long each step of cleanup is awaited.
    pub close: Duration,
    /// `MODEL_SERVER_FLOOR_MS`: the time that each step of cleanup always gets.
    pub floor: Duration,
    /// `MODEL_SERVER_GRACE_MS`: the time that the platform gives from SIGTERM to SIGKILL.
    pub grace: Duration,
    /// `MODEL_SERVER_PRE_STOP_MS`: how long `/ready` answers 503 before the listener closes.
    pub pre_stop: Duration,
    /// `MODEL_SERVER_FLUSH_MS`: the pause between two lines of metrics.
    pub flush: Duration,
    /// `MODEL_SERVER_EXPORT_MS`: how long the exporter's shutdown blocks.
    pub export: Duration,
    /// `MODEL_SERVER_PROBE_MS`: the pause between two probes of the watchdog.
    pub probe: Duration,
    /// `MODEL_SERVER_FAULTS`: whether `/faults/…` exists. For tests, and for trying things out.
    pub faults: bool,
    /// Parameters of the watchdog and `URL_PREFIX`, as the plan's platform passes them.
    pub watchdog: Parameters,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            database: PathBuf::from("model-server.db"),
            workers: 4,
            prediction: Duration::from_millis(20),
            drain: Duration::from_secs(5),
            close: Duration::from_secs(3),
            floor: Duration::from_millis(500),
            grace: Duration::from_secs(30),
            pre_stop: Duration::ZERO,
            flush: Duration::from_secs(1),
            export: Duration::from_millis(200),
            probe: Duration::from_secs(10),
            faults: false,
            watchdog: Parameters::default(),
        }
    }
}

impl Settings {
    /// Reads the settings through `get`, such as `|name| std::env::var(name).ok()`.
    ///
    /// A parameter of the plan that cannot be read has its default, with a warning. A variable of the server that
    /// cannot be read is an error: a database in the wrong place is worse than no start.
    ///
    /// # Errors
    ///
    /// If a variable of the server cannot be read, or is out of range; the error names it.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut settings = Settings::default();
        let (watchdog, unreadable) = Parameters::read(&get);
        for parameter in unreadable {
            tracing::warn!("{parameter}");
        }
        settings.watchdog = watchdog;
        if let Some(path) = get("MODEL_SERVER_DATABASE") {
            settings.database = path.into();
        }
        settings.faults = get("MODEL_SERVER_FAULTS").is_some_and(|text| text == "1");
        read(&get, "MODEL_SERVER_LISTEN", &mut settings.listen)?;
        read(&get, "MODEL_SERVER_WORKERS", &mut settings.workers)?;
        if !(1..=64).contains(&settings.workers) {
            return Err("MODEL_SERVER_WORKERS: from 1 to 64".into());
        }
        for (name, duration) in [
            ("MODEL_SERVER_PREDICTION_MS", &mut settings.prediction),
            ("MODEL_SERVER_DRAIN_MS", &mut settings.drain),
            ("MODEL_SERVER_CLOSE_MS", &mut settings.close),
            ("MODEL_SERVER_FLOOR_MS", &mut settings.floor),
            ("MODEL_SERVER_GRACE_MS", &mut settings.grace),
            ("MODEL_SERVER_PRE_STOP_MS", &mut settings.pre_stop),
            ("MODEL_SERVER_FLUSH_MS", &mut settings.flush),
            ("MODEL_SERVER_EXPORT_MS", &mut settings.export),
            ("MODEL_SERVER_PROBE_MS", &mut settings.probe),
        ] {
            let mut ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            read(&get, name, &mut ms)?;
            *duration = Duration::from_millis(ms);
        }
        Ok(settings)
    }

    /// Returns `URL_PREFIX` as a path: empty, or with a slash at its start and none at its end.
    pub fn prefix(&self) -> String {
        match self.watchdog.url_prefix.trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        }
    }
}

fn read<T: std::str::FromStr>(
    get: impl Fn(&str) -> Option<String>,
    name: &str,
    value: &mut T,
) -> Result<(), String> {
    if let Some(text) = get(name) {
        let Ok(read) = text.trim().parse() else {
            return Err(format!("{name}: {text:?} cannot be read"));
        };
        *value = read;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::read(|name| {
            let pair = pairs.iter().find(|(key, _)| *key == name);
            pair.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_is_the_default() {
        assert_eq!(of(&[]), Ok(Settings::default()));
    }

    #[test]
    fn the_plans_parameters_are_read_too() {
        let settings = of(&[
            ("USE_NIM_WATCHDOG", r#"{"type":"boolean","payload":true}"#),
            ("URL_PREFIX", "v1/model/"),
            ("MODEL_SERVER_DRAIN_MS", "750"),
        ])
        .unwrap();
        assert!(settings.watchdog.enabled);
        assert_eq!(settings.prefix(), "/v1/model");
        assert_eq!(settings.drain, Duration::from_millis(750));
    }

    #[test]
    fn setting_that_cannot_be_read_names_its_variable() {
        for (name, value) in [
            ("MODEL_SERVER_LISTEN", "here"),
            ("MODEL_SERVER_WORKERS", "0"),
            ("MODEL_SERVER_GRACE_MS", "-1"),
        ] {
            let error = of(&[(name, value)]).unwrap_err();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
