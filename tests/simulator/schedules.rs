//! A recorded schedule, replayed, gives the same journal to the byte, over the whole corpus.

use std::collections::BTreeSet;
use std::sync::Arc;

use deadstop_harness::journal;
use deadstop_harness::scenario::Scenario;
use deadstop_harness::sim::{
    self, Bodies, Choices, Halt, Journal, Noted, Options, Point, Recorded, Recording, Repeated,
    Replayed, Run, RunError, Runners, Schedule, Seeded, Subject,
};

use crate::corpus::{corpus, parse};

const SUBJECTS: [Subject; 2] = [Subject::Worker, Subject::Plan];

/// Calls `check` for each file of the corpus that has components, for both subjects and the seeds 0 to 3. Returns the
/// number of calls.
fn for_each_run(mut check: impl FnMut(&Scenario, Options)) -> usize {
    let mut runs = 0;
    for scenario in corpus() {
        if scenario.worker.components.is_none() {
            continue;
        }
        for subject in SUBJECTS {
            for seed in 0..=3 {
                let bodies = Bodies::Coroutines;
                check(
                    &scenario,
                    Options {
                        seed,
                        subject,
                        bodies,
                    },
                );
                runs += 1;
            }
        }
    }
    assert!(runs > 500, "{runs}");
    runs
}

fn bytes(journal: &Journal) -> String {
    journal::json(&journal.events)
}

fn record(scenario: &Scenario, options: &Options) -> (Journal, Recording) {
    let recorded = Recorded::new(Seeded::new(options.seed));
    let (journal, recorded) = sim::run_with(scenario, options, recorded);
    let journal = journal.unwrap_or_else(|halt| panic!("{}: {halt}", scenario.name));
    (journal, recorded.into_recording())
}

/// Runs the scenario by these choices, followed by a seed.
fn replay(
    scenario: &Scenario,
    options: &Options,
    choices: &Choices,
    seed: u64,
) -> Result<Journal, Halt> {
    let replayed = Replayed::new(choices.clone(), Seeded::new(seed));
    sim::run_with(scenario, options, replayed).0
}

/// Returns a scenario with several callbacks in one group, which are called in one instant.
fn group(names: &[&str]) -> Scenario {
    let components = names
        .iter()
        .map(|name| format!("{{ thread = \"{name}\" }}"));
    let components = components.collect::<Vec<_>>().join(", ");
    let text = format!(
        "title = \"Threads of one order\"\n[worker]\ncomponents = [{components}]\n\
         [timeline]\nevents = [{{ at = \"10s\", signal = \"SIGTERM\" }}]\n"
    );
    parse("group", &text)
}

#[test]
fn recorded_schedules_replay_to_the_same_bytes() {
    let (mut with_choices, mut most) = (0, 0);
    for_each_run(|scenario, options| {
        let plain = sim::run(scenario, &options);
        let (journal, recording) = record(scenario, &options);
        assert_eq!(
            bytes(&journal),
            bytes(&plain),
            "{}, {options:?}",
            scenario.name
        );
        assert!(!recording.is_cut());
        // The text form carries it. The schedule that follows would choose otherwise, and has nothing to choose.
        let line = recording.choices().to_string();
        let choices: Choices = line.parse().expect("what is shown can be read");
        assert_eq!(choices, recording.choices());
        let again = replay(scenario, &options, &choices, options.seed + 100)
            .unwrap_or_else(|halt| panic!("{}, {options:?}: {halt}", scenario.name));
        assert_eq!(
            bytes(&again),
            bytes(&plain),
            "{}, {options:?}",
            scenario.name
        );
        assert_eq!(again, plain);
        with_choices += usize::from(!choices.is_empty());
        most = most.max(choices.len());
    });
    assert!(
        with_choices > 500,
        "{with_choices} runs have choices, at most {most}"
    );
}

#[test]
fn any_prefix_then_the_same_seed_gives_the_same_bytes() {
    for_each_run(|scenario, options| {
        let (journal, recording) = record(scenario, &options);
        let (choices, plain) = (recording.choices(), bytes(&journal));
        for len in [1, choices.len() / 2] {
            let again = replay(scenario, &options, &choices.prefix(len), options.seed);
            let again =
                again.unwrap_or_else(|halt| panic!("{}, {options:?}: {halt}", scenario.name));
            assert_eq!(
                bytes(&again),
                plain,
                "{}, {options:?}, {len} choices",
                scenario.name
            );
        }
    });
}

#[test]
fn second_runs_come_to_the_same_points() {
    for_each_run(|scenario, options| {
        let seeded = || Seeded::new(options.seed);
        let (first, noted) = sim::run_with(scenario, &options, Noted::new(seeded()));
        let repeated = Repeated::new(noted.into_points(), seeded());
        let (second, _) = sim::run_with(scenario, &options, repeated);
        assert!(first.is_ok());
        assert_eq!(second, first, "{}, {options:?}", scenario.name);
    });
}

/// A journal is a function of the choices: the forced choices alone give every journal that seeds give.
#[test]
fn odometer_over_the_choices_finds_the_journal_of_every_seed() {
    let scenario = group(&["a", "b"]);
    let options = Options::default();
    let (mut found, mut runs, mut next) = (BTreeSet::new(), 0, Some(Choices::default()));
    while let Some(choices) = next {
        let forced = Recorded::new(Replayed::new(choices, Seeded::new(0)));
        let (journal, recorded) = sim::run_with(&scenario, &options, forced);
        found.insert(bytes(&journal.expect("it follows the forced choices")));
        runs += 1;
        assert!(runs < 10_000, "it ends");
        let recording = recorded.into_recording();
        let grows = recording
            .made()
            .iter()
            .rposition(|choice| choice.index + 1 < choice.among);
        next = grows.map(|at| {
            let grown = recording.made()[at].index + 1;
            recording.choices().prefix(at).then(grown)
        });
    }
    assert!(found.len() > 1, "{} journals of {runs} runs", found.len());
    for seed in 0..200 {
        let (journal, _) = sim::run_with(&scenario, &options, Seeded::new(seed));
        let journal = bytes(&journal.expect("a seed ends no run"));
        assert!(found.contains(&journal), "seed {seed}");
    }
}

#[test]
fn recording_of_another_scenario_departs() {
    let options = Options {
        seed: 3,
        ..Options::default()
    };
    let (_, recording) = record(&group(&["a", "b", "c"]), &options);
    let halt = replay(&group(&["a", "b", "d"]), &options, &recording.choices(), 3).unwrap_err();
    assert!(matches!(halt, Halt::OtherCandidates { .. }), "{halt}");
    let text = halt.to_string();
    assert!(
        text.starts_with("the run departs from the schedule at choice ") && text.contains(", d"),
        "{text}"
    );

    let fewer = replay(&group(&["a"]), &options, &Choices::new([2; 40]), 3).unwrap_err();
    assert!(matches!(fewer, Halt::TooFew { picked: 3, .. }), "{fewer}");
    let long = Choices::new([0; 5_000]);
    let left = replay(&group(&["a", "b"]), &options, &long, 3).unwrap_err();
    assert!(
        matches!(left, Halt::ChoicesLeft { forced: 5_000, .. }),
        "{left}"
    );
}

#[test]
fn runs_of_different_choices_come_to_different_points() {
    let (scenario, options) = (group(&["a", "b", "c"]), Options::default());
    let (_, noted) = sim::run_with(&scenario, &options, Noted::new(Seeded::new(1)));
    let repeated = Repeated::new(noted.into_points(), Seeded::new(2));
    let halt = sim::run_with(&scenario, &options, repeated).0.unwrap_err();
    assert!(matches!(halt, Halt::NotRepeated { .. }), "{halt}");
}

/// Counts its points, and answers with nonsense, or ends the run, at one of them.
struct At {
    point: usize,
    answer: Result<usize, Halt>,
    told: usize,
}

impl Schedule for At {
    fn choose(&mut self, _: &Point<'_>) -> Result<usize, Halt> {
        self.told += 1;
        if self.told == self.point {
            return self.answer.clone();
        }
        Ok(0)
    }
}

#[test]
fn schedule_that_ends_a_run_anywhere_is_told_nothing_more() {
    for subject in SUBJECTS {
        let (scenario, told) = (group(&["a", "b"]), 0);
        let options = Options {
            subject,
            ..Options::default()
        };
        let never = At {
            point: 0,
            answer: Ok(0),
            told,
        };
        let (journal, At { told: whole, .. }) = sim::run_with(&scenario, &options, never);
        assert_eq!(journal, Ok(sim::run(&scenario, &options)));
        assert!(whole >= 8, "{whole}");
        for point in 1..=whole {
            let cut = At {
                point,
                answer: Err(Halt::Cut),
                told,
            };
            let (journal, cut) = sim::run_with(&scenario, &options, cut);
            assert_eq!((journal, cut.told), (Err(Halt::Cut), point));
            let wild = At {
                point,
                answer: Ok(1_000),
                told,
            };
            let halt = sim::run_with(&scenario, &options, wild).0.unwrap_err();
            assert!(
                matches!(halt, Halt::NoSuchCandidate { picked: 1_001, .. }),
                "{halt}"
            );
        }
    }
}

#[test]
fn runners_record_and_replay_on_coroutines_and_batons() {
    let scenario = Arc::new(group(&["a", "b", "c"]));
    let runners = Runners::new(2).expect("threads to run on");
    let run = |run: Run| runners.run_all([run]).next().expect("one result");
    for bodies in [Bodies::Coroutines, Bodies::Batons] {
        let options = Options {
            seed: 5,
            bodies,
            ..Options::default()
        };
        let plain = Run::new(Arc::clone(&scenario), options);
        let first = run(plain.clone().recorded()).expect("a run has a journal");
        assert_eq!(
            run(plain.clone()).expect("a run has a journal").recording,
            None
        );
        let choices = first.recording.expect("it was asked for").choices();
        assert!(!choices.is_empty());
        let replayed = move || Replayed::new(choices.clone(), Seeded::new(0));
        let again = run(plain.clone().scheduled(replayed).recorded()).expect("it is followed");
        assert_eq!(again.journal, first.journal);

        let forced = || Replayed::new(Choices::new([99]), Seeded::new(0));
        let error = run(plain.scheduled(forced)).unwrap_err();
        assert!(matches!(error, RunError::Halted { .. }));
        let text = "scenario \"group\", seed 5, was not run to its end: the run departs from the schedule at choice 1";
        assert!(error.to_string().starts_with(text), "{error}");
    }
    assert_eq!(runners.left_behind(), 0);
}
