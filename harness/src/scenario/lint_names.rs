//! The names of the lints.

/// Every lint: its name, and the fault that it reports.
pub const LINTS: &[(&str, &str)] = &[
    (
        "floors-cannot-fit",
        "the floors of cleanup's steps are more than the time that cleanup is sure of",
    ),
    (
        "bounds-over-grace",
        "the bounds that the file gives add up to more than the grace: some will be cut",
    ),
    ("cannot-hold", "an expectation that cannot hold"),
    ("never-strikes", "an event that can never strike"),
    (
        "never-registered",
        "a component that is late and never registered",
    ),
    (
        "no-effect",
        "a key that has no effect beside another, or an event that has none",
    ),
];
