//! The limits of a run. A run that passes a limit gets a verdict with the limit's name, and costs no more than the
//! limit allows.
use deadstop_harness::journal::{StuckWhy, What};
use deadstop_harness::report::{Check, SourceFile, judge};
use deadstop_harness::sim::{self, MAX_ROWS_PER_RUN, Options};
use deadstop_harness::{journal, scenario};

/// Returns a file with a thousand closeables, and `events` cleanups by a thousand callers each, a second apart.
fn crowded(events: usize) -> String {
    let components: String = (0..1_000)
        .map(|n| format!("  {{ closeable = \"{n}\" }},\n"))
        .collect();
    let calls: String = (1..=events)
        .map(|n| format!("  {{ at = \"{n}s\", call = \"cleanup\", callers = 1000 }},\n"))
        .collect();
    format!(
        "title = \"Too many rows\"\n[worker]\nrun = false\ncomponents = [\n{components}]\n\
         [timeline]\nevents = [\n{calls}]\n"
    )
}

fn report_rows(events: &[journal::Event]) -> usize {
    let rows = events.iter().map(|event| match &event.what {
        What::Returned { steps, deaths, .. } => steps.len() + deaths.len(),
        _ => 0,
    });
    rows.sum()
}

#[test]
fn run_with_too_many_report_rows_is_too_large() {
    // 20 times a thousand callers of a thousand components would give 20 million rows, which take 3 GiB.
    let text = crowded(20);
    let scenario = scenario::parse("crowded", &text).expect("the file is valid");
    let journal = sim::run(&scenario, &Options::default());
    let last = journal.events.last().expect("no journal is empty");
    let too_large = What::Stuck {
        why: StuckWhy::TooLarge,
        name: "caller".into(),
    };
    assert_eq!((last.t, &last.what), (1_000, &too_large));
    // The answer that passes the limit is the last one: there are 201 answers of a thousand rows.
    assert_eq!(report_rows(&journal.events), MAX_ROWS_PER_RUN + 1_000);
    let file = SourceFile {
        path: "crowded.toml".to_owned(),
        text,
    };
    let findings = judge(&scenario, &file.into(), &journal.events);
    let messages: Vec<_> = findings
        .iter()
        .map(|finding| (finding.check, finding.message.as_str()))
        .collect();
    assert_eq!(
        messages,
        [(
            Check::End,
            "the run was given up (too-large): its reports have more than 200,000 rows in all, and the last row is \
             for \"caller\"; use fewer callers, or split the file"
        )]
    );
}

#[test]
fn run_with_report_rows_at_the_limit_ends_normally() {
    let text = crowded(1).replace("callers = 1000", "callers = 200");
    let scenario = scenario::parse("crowded", &text).expect("the file is valid");
    let journal = sim::run(&scenario, &Options::default());
    assert_eq!(report_rows(&journal.events), MAX_ROWS_PER_RUN);
    let last = journal.events.last().expect("no journal is empty");
    assert!(matches!(last.what, What::Exit { code: 0, .. }), "{last:?}");
}
