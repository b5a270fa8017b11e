//! The macro that makes tests of a folder of scenarios.

/// Turns each scenario file in a folder into a test of the worker that a function registers.
///
/// `register` is the function that the service starts with: `async fn(WorkerCtx<A>) -> Result<(), MainError>` with
/// `A: Default`, or such a closure that can be called many times. The folder is relative to the crate's manifest. A
/// third argument makes the state if the default one does not suit a test: `deadstop_harness::scenarios!(register,
/// "scenarios/", app = || App::for_tests())`.
///
/// The last argument gives the limits that the service has in production, `limits = my_service::limits()` (a
/// [`Limits`](deadstop::context::Limits)). They hold where a file sets none. Without this argument, a limit that a
/// file does not set has the default of scenario files.
///
/// For a main that may block, `fn(WorkerCtx<A>, &Scope) -> Result<(), MainError>`, write `blocking` before it:
/// `deadstop_harness::scenarios!(blocking register, "scenarios/")`.
///
/// Use it once in a file of `tests/`:
///
/// ```ignore
/// // tests/shutdown.rs
/// deadstop_harness::scenarios!(my_service::register, "scenarios/");
/// ```
///
/// It works with and without `harness = false` in the manifest's `[[test]]`. With it, each file is a test that can be
/// listed, filtered and run alone: `cargo test --test shutdown -- hung-flush`. Without it, one test runs all files.
/// In both cases `DEADSTOP_SCENARIO=hung-flush` picks some by a part of their name. A folder without scenarios fails.
#[macro_export]
macro_rules! scenarios {
    (blocking $register:expr, $folder:expr $(, limits = $limits:expr)? $(,)?) => {
        $crate::scenarios!(@ $crate::kit::Own::blocking($register)$(.limits($limits))?, $folder);
    };
    (blocking $register:expr, $folder:expr, app = $app:expr $(, limits = $limits:expr)? $(,)?) => {
        $crate::scenarios!(
            @ $crate::kit::Own::blocking_with_app($app, $register)$(.limits($limits))?, $folder
        );
    };
    ($register:expr, $folder:expr $(, limits = $limits:expr)? $(,)?) => {
        $crate::scenarios!(@ $crate::kit::Own::new($register)$(.limits($limits))?, $folder);
    };
    ($register:expr, $folder:expr, app = $app:expr $(, limits = $limits:expr)? $(,)?) => {
        $crate::scenarios!(@ $crate::kit::Own::with_app($app, $register)$(.limits($limits))?, $folder);
    };
    (@suite $own:expr, $folder:expr) => {
        $crate::kit::Suite::new(
            ::core::env!("CARGO_MANIFEST_DIR"),
            $folder,
            ::core::env!("CARGO_PKG_NAME"),
            ::core::file!(),
            ::core::env!("CARGO_CRATE_NAME"),
            $own,
        )
    };
    (@ $own:expr, $folder:expr) => {
        /// Runs all files as one test, under the usual harness.
        #[test]
        fn scenarios() {
            $crate::scenarios!(@suite $own, $folder)
                .test();
        }

        /// Runs each file as a test, as its own harness.
        #[allow(dead_code)]
        fn main() -> ::std::process::ExitCode {
            $crate::scenarios!(@suite $own, $folder)
                .main()
        }
    };
}
