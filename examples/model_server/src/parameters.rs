//! The watchdog's parameters, as the platform passes them: in the environment, plain or as
//! `{"type": …, "payload": …}`.

use std::fmt::Display;
use std::time::Duration;

use deadstop::watchdog::{InvalidUrl, Watchdog};

/// The watchdog's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// `USE_NIM_WATCHDOG`: whether there is a watchdog at all. `true`, `1` and `yes` mean yes, in any case. `false`,
    /// `0`, `no` and an empty word mean no. Any other word is reported as unreadable, and means no.
    pub enabled: bool,
    /// `NIM_WATCHDOG_REQUEST_TIMEOUT`, in seconds; the default is 120.
    pub request_timeout: Duration,
    /// `NIM_WATCHDOG_MAX_ATTEMPTS`; the default is 3.
    pub max_attempts: u32,
    /// `URL_PREFIX`: the part of the endpoint's path before `/info/`.
    pub url_prefix: String,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            enabled: false,
            request_timeout: Duration::from_secs(120),
            max_attempts: 3,
            url_prefix: String::new(),
        }
    }
}

/// A parameter that could not be read; its default was taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}; the default {default} is used")]
pub struct Unreadable {
    /// The name of the parameter.
    pub name: &'static str,
    /// The reason why it could not be read.
    pub problem: String,
    /// The value that is used instead.
    pub default: String,
}

impl Parameters {
    /// Reads the parameters through `get`, such as `|name| std::env::var(name).ok()`. A parameter that cannot be read
    /// has its default, and is returned in the list.
    ///
    /// ```
    /// use model_server::Parameters;
    /// let (parameters, unreadable) = Parameters::read(|name| match name {
    ///     "USE_NIM_WATCHDOG" => Some(r#"{"type": "boolean", "payload": true}"#.to_owned()),
    ///     "NIM_WATCHDOG_MAX_ATTEMPTS" => Some("0".to_owned()),
    ///     _ => None,
    /// });
    /// assert!(parameters.enabled);
    /// assert_eq!(parameters.max_attempts, 3);
    /// assert_eq!(unreadable[0].name, "NIM_WATCHDOG_MAX_ATTEMPTS");
    /// ```
    pub fn read(get: impl Fn(&str) -> Option<String>) -> (Self, Vec<Unreadable>) {
        let mut unreadable = Vec::new();
        let default = Parameters::default();
        let enabled = get("USE_NIM_WATCHDOG").is_some_and(|text| {
            let word = payload(&text).unwrap_or(text).trim().to_lowercase();
            let known = ["true", "1", "yes", "false", "0", "no", ""];
            if !known.contains(&word.as_str()) {
                unreadable.push(Unreadable {
                    name: "USE_NIM_WATCHDOG",
                    problem: format!("{word:?} is neither yes nor no"),
                    default: default.enabled.to_string(),
                });
            }
            ["true", "1", "yes"].contains(&word.as_str())
        });
        let mut number = |name: &'static str, default: u64, max: u64| match get(name) {
            None => default,
            Some(text) => read_positive(&text, max).unwrap_or_else(|problem| {
                unreadable.push(Unreadable {
                    name,
                    problem,
                    default: default.to_string(),
                });
                default
            }),
        };
        let seconds = number(
            "NIM_WATCHDOG_REQUEST_TIMEOUT",
            default.request_timeout.as_secs(),
            3_600,
        );
        let attempts = number(
            "NIM_WATCHDOG_MAX_ATTEMPTS",
            u64::from(default.max_attempts),
            1_000,
        );
        let url_prefix = get("URL_PREFIX")
            .map(|text| payload(&text).unwrap_or(text))
            .unwrap_or_default();
        let parameters = Parameters {
            enabled,
            request_timeout: Duration::from_secs(seconds),
            max_attempts: u32::try_from(attempts).unwrap_or(default.max_attempts),
            url_prefix,
        };
        (parameters, unreadable)
    }

    /// Returns the endpoint of a server on this machine: `/info/` on that port, below the prefix. The URL has an
    /// address and no name, so that no name has to be looked up.
    ///
    /// ```
    /// # use model_server::Parameters;
    /// let mut parameters = Parameters::default();
    /// assert_eq!(parameters.url(8080), "http://127.0.0.1:8080/info/");
    /// parameters.url_prefix = "models/7/".to_owned();
    /// assert_eq!(parameters.url(8080), "http://127.0.0.1:8080/models/7/info/");
    /// ```
    pub fn url(&self, port: u16) -> String {
        let prefix = self.url_prefix.trim().trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        format!("http://127.0.0.1:{port}{slash}{prefix}/info/")
    }

    /// Makes the watchdog over that endpoint; returns `None` if it is not enabled.
    ///
    /// ```
    /// # use deadstop::context::{BodyOpts, WorkerCtx};
    /// # use model_server::Parameters;
    /// # let ctx = WorkerCtx::new(());
    /// let (parameters, unreadable) = Parameters::read(|name| std::env::var(name).ok());
    /// for problem in &unreadable {
    ///     eprintln!("{problem}");
    /// }
    /// if let Some(watchdog) = parameters.watchdog(8080)? {
    ///     ctx.add_watchdog("NIM Sidecar Watchdog", BodyOpts::new(), watchdog)?;
    /// }
    /// # assert!(ctx.stop_blocking()?.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidUrl`] if the prefix or the port cannot be part of a URL.
    pub fn watchdog(&self, port: u16) -> Result<Option<Watchdog>, InvalidUrl> {
        if !self.enabled {
            return Ok(None);
        }
        let watchdog = Watchdog::http(&self.url(port))?;
        Ok(Some(
            watchdog
                .attempts(self.max_attempts)
                .request_timeout(self.request_timeout),
        ))
    }
}

/// Returns the payload of `{"type": …, "payload": …}` as text, if the text has that form.
fn payload(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    match value.get("payload")? {
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Reads a number from 1 to `max`.
fn read_positive(text: &str, max: u64) -> Result<u64, String> {
    let plain = payload(text).unwrap_or_else(|| text.to_owned());
    let with_value = |problem: &dyn Display| format!("{plain:?} {problem}");
    // A platform with one type of number writes 120 as `120.0`.
    let number = plain.trim().strip_suffix(".0").unwrap_or(plain.trim());
    let number: i64 = number
        .parse()
        .map_err(|_| with_value(&"is not a whole number"))?;
    match u64::try_from(number) {
        Ok(number @ 1..) if number <= max => Ok(number),
        Ok(1..) => Err(with_value(&format_args!("is over {max}"))),
        _ => Err(with_value(&"is not above zero")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Parameters, Vec<Unreadable>) {
        Parameters::read(|name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn accepted_words_are_those_of_the_plan() {
        for (word, enabled, problems) in [
            ("true", true, 0),
            (" True\n", true, 0),
            ("1", true, 0),
            ("YES", true, 0),
            ("no", false, 0),
            ("", false, 0),
            ("on", false, 1),
        ] {
            let (parameters, unreadable) = read(&[("USE_NIM_WATCHDOG", word)]);
            assert_eq!(parameters.enabled, enabled, "{word:?}");
            assert_eq!(unreadable.len(), problems, "{word:?}");
        }
    }

    #[test]
    fn payload_of_a_json_parameter_is_read() {
        let (parameters, unreadable) = read(&[
            ("USE_NIM_WATCHDOG", r#"{"type":"string","payload":"yes"}"#),
            (
                "NIM_WATCHDOG_REQUEST_TIMEOUT",
                r#"{"type":"numeric","payload":30.0}"#,
            ),
            ("URL_PREFIX", r#"{"type":"string","payload":"/v1"}"#),
        ]);
        assert_eq!(unreadable, []);
        assert!(parameters.enabled);
        assert_eq!(parameters.request_timeout, Duration::from_secs(30));
        assert_eq!(parameters.url_prefix, "/v1");
    }

    #[test]
    fn prefix_precedes_the_path_however_it_is_written() {
        for (prefix, path) in [
            ("", "/info/"),
            ("/", "/info/"),
            ("/v1", "/v1/info/"),
            (" v1/a/ ", "/v1/a/info/"),
        ] {
            let parameters = Parameters {
                url_prefix: prefix.to_owned(),
                ..Parameters::default()
            };
            assert_eq!(parameters.url(80), format!("http://127.0.0.1:80{path}"));
        }
    }

    #[test]
    fn enabled_parameters_make_a_watchdog() {
        let mut parameters = Parameters::default();
        assert!(matches!(parameters.watchdog(8080), Ok(None)));
        parameters.enabled = true;
        parameters.max_attempts = 7;
        let watchdog = parameters.watchdog(8080).expect("a URL").expect("enabled");
        assert_eq!(
            format!("{watchdog:?}"),
            "Watchdog { interval: 10s, attempts: 7, request_timeout: 120s, start_grace: None, .. }"
        );
        parameters.url_prefix = "a b".to_owned();
        let error = parameters.watchdog(8080).expect_err("a space in a URL");
        assert!(error.url.ends_with("/a b/info/"), "{error}");
        parameters.url_prefix = "@evil:80".to_owned();
        let watchdog = parameters.watchdog(8080).expect("part of the path");
        assert!(watchdog.is_some());
        assert!(parameters.watchdog(0).is_err());
    }

    #[test]
    fn unreadable_number_is_reported_and_the_default_used() {
        for value in [
            "0",
            "-3",
            "many",
            "99999999999999999999",
            r#"{"payload":null}"#,
        ] {
            let (parameters, unreadable) = read(&[("NIM_WATCHDOG_MAX_ATTEMPTS", value)]);
            assert_eq!(parameters.max_attempts, 3, "{value}");
            assert_eq!(unreadable.len(), 1, "{value}");
        }
    }
}
