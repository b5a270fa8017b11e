//! Tests of the registration in this process: as it is, as it fails, and in the plan's order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use deadstop::context::{StartError, WorkerCtx};
use deadstop::journal::{Claim, Record, Sink};
use deadstop_harness::journal::SignalName;
use deadstop_harness::kit::{Own, Trial};
use model_server::listen::{Callers, Listening};
use model_server::store::Database;
use model_server::{App, order, register};

/// Returns callers in quick succession.
fn callers() -> Callers {
    Callers {
        interval: Duration::from_millis(5),
        takes: Duration::from_millis(20),
        counts: Arc::default(),
    }
}

fn app(callers: &Callers) -> App {
    App {
        listening: Listening::Callers(callers.clone()),
        ..App::default()
    }
}

#[tokio::test]
async fn callers_before_the_stop_get_an_answer() {
    let callers = callers();
    let ctx = WorkerCtx::new(app(&callers));
    ctx.start(register).await.unwrap();
    let mut answered = callers.counts.answered.subscribe();
    answered.wait_for(|answered| *answered >= 10).await.unwrap();

    let report = ctx.cleanup().await.unwrap();
    assert!(report.is_ok(), "{report}");
    let called = *callers.counts.called.borrow();
    let all = answered.wait_for(|answered| *answered == called);
    all.await.unwrap();

    let names: Vec<&str> = report.steps.iter().map(|step| &*step.name).collect();
    let in_order = [
        "http",
        "worker 1",
        "worker 2",
        "worker 3",
        "worker 4",
        "flusher",
        "thread pool",
        "predictor",
        "stdout flusher",
        "telemetry",
        "db",
    ];
    assert_eq!(names, in_order);
}

#[tokio::test]
async fn a_start_that_fails_half_way_closes_what_it_had_opened() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ctx = WorkerCtx::new(App {
        listening: Listening::Tcp(taken.local_addr().unwrap()),
        ..App::default()
    });
    let Err(StartError::Main { report, .. }) = ctx.start(register).await else {
        panic!("the address is taken");
    };
    assert!(report.is_ok(), "{report}");
    assert_eq!(report.steps.last().map(|step| &*step.name), Some("db"));
}

#[tokio::test]
async fn database_that_cannot_be_opened_fails_the_start() {
    let ctx = WorkerCtx::new(App {
        database: Database::File("/".into()),
        ..App::default()
    });
    let Err(StartError::Main {
        message, report, ..
    }) = ctx.start(register).await
    else {
        panic!("a folder is no database");
    };
    assert!(message.contains("unable to open"), "{message}");
    assert_eq!(report.steps.len(), 0);
}

/// A sink that keeps the warnings of start that a resource closes before its user.
#[derive(Default)]
struct Warnings(Mutex<Vec<(String, String)>>);

impl Sink for Warnings {
    fn record(&self, record: &Record<'_>) {
        let claim = record.claim;
        if let Claim::ClosesBeforeUser { name, user, .. } = claim {
            let pair = (name.to_string(), user.to_string());
            self.0.lock().unwrap().push(pair);
        }
    }
}

async fn warnings_with(predictor_order: i32) -> Vec<(String, String)> {
    let warnings = Arc::new(Warnings::default());
    let ctx = WorkerCtx::<()>::builder()
        .sink(Arc::clone(&warnings) as Arc<dyn Sink>)
        .build(App {
            predictor_order,
            ..app(&callers())
        })
        .unwrap();
    ctx.start(register).await.unwrap();
    let _ = ctx.cleanup().await;
    let warnings = warnings.0.lock().unwrap();
    warnings.clone()
}

#[tokio::test]
async fn start_warns_of_the_plans_order_and_not_of_this_one() {
    let planned = warnings_with(order::PREDICTOR).await;
    assert_eq!(planned, [("predictor".into(), "thread pool".into())]);
    assert_eq!(warnings_with(order::PREDICTOR_AFTER_POOL).await, []);
}

#[test]
fn plans_order_breaks_the_law_of_users_and_this_one_breaks_none() {
    let laws_broken_with = |predictor_order| {
        let app = move || App {
            predictor_order,
            ..App::default()
        };
        let trial = Trial::of_own(Own::with_app(app, register));
        let broken = trial.at("10s", SignalName::Sigterm).observe().broken_laws();
        broken
            .iter()
            .map(|broken| broken.law.name)
            .collect::<Vec<_>>()
    };
    let planned = laws_broken_with(order::PREDICTOR);
    assert_eq!(planned, ["uses/closed-after-users"]);
    let none: [&str; 0] = [];
    assert_eq!(laws_broken_with(order::PREDICTOR_AFTER_POOL), none);
}
