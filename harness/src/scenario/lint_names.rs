//! The names of the lints.

/// Every lint: its name, and the fault that it reports.
pub const LINTS: &[(&str, &str)] = &[
    (
        "floors-cannot-fit",
        "the cleanup steps without a floor of their own get no time, since the other floors take the whole reserve",
    ),
    (
        "bounds-over-grace",
        "the bounds that the file gives add up to more than the grace, so that some bounds are cut short",
    ),
    ("cannot-hold", "an expectation that cannot hold"),
    ("never-strikes", "an event that can never strike"),
    (
        "never-registered",
        "a `late` component that no event registers",
    ),
    (
        "no-effect",
        "a key that has no effect together with another key, or an event that has no effect",
    ),
];
