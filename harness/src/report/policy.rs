//! The policy for writing snapshots, as the environment sets it by `CI` and `INSTA_UPDATE`.
//!
//! The caller passes the values in, so that nothing here depends on where it runs.

use super::snapshot_error::SnapshotError;

/// What may be written if a text is not its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// Nothing.
    Nothing,
    /// A pending file.
    Pending,
    /// A pending file for a text without a snapshot; a changed snapshot is accepted at once.
    Unseen,
    /// The snapshot itself, at once.
    Accept,
}

impl Policy {
    /// Returns the policy for the values of `CI` and `INSTA_UPDATE`. They are read as insta reads them, with one
    /// exception: in CI nothing is ever written.
    ///
    /// # Errors
    ///
    /// If `INSTA_UPDATE` has a value that insta does not know.
    pub fn from_env(ci: Option<&str>, insta_update: Option<&str>) -> Result<Self, SnapshotError> {
        let policy = match insta_update.unwrap_or("auto") {
            "auto" | "new" => Policy::Pending,
            "always" | "1" | "force" => Policy::Accept,
            "unseen" => Policy::Unseen,
            "no" => Policy::Nothing,
            value => {
                return Err(SnapshotError::Variable {
                    variable: "INSTA_UPDATE",
                    value: value.to_owned(),
                    allowed: "auto, always, new, unseen, no, force",
                });
            }
        };
        Ok(match ci {
            None | Some("" | "0" | "false") => policy,
            Some(_) => Policy::Nothing,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_instas_but_for_ci() {
        let policy = |ci, update| Policy::from_env(ci, update).unwrap();
        for update in [None, Some("auto"), Some("new")] {
            assert_eq!(policy(None, update), Policy::Pending);
        }
        for update in [Some("always"), Some("1"), Some("force")] {
            assert_eq!(policy(None, update), Policy::Accept);
            assert_eq!(policy(Some("true"), update), Policy::Nothing);
        }
        assert_eq!(policy(None, Some("unseen")), Policy::Unseen);
        assert_eq!(policy(None, Some("no")), Policy::Nothing);
        assert_eq!(policy(Some("1"), None), Policy::Nothing);
        for no in ["", "0", "false"] {
            assert_eq!(policy(Some(no), None), Policy::Pending);
        }
    }

    #[test]
    fn unknown_value_is_refused_and_known_ones_are_listed() {
        let error = Policy::from_env(Some("1"), Some("alway")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "INSTA_UPDATE is \"alway\"; set it to one of auto, always, new, unseen, no, force, or unset it"
        );
    }
}
