//! Calls a worker context, and turns the results of the calls into events of the journal.

use crate::journal::{Call, How, Id, Name, Row, What};
use deadstop::context::{Main, Report, StartError, WorkerCtx};

/// Result of a call, with the rows of its report.
pub(crate) struct Said {
    pub result: Name,
    pub steps: Vec<Row>,
    pub deaths: Vec<(Id, How)>,
}

impl Said {
    pub fn plain(result: impl Into<Name>) -> Self {
        Said {
            result: result.into(),
            steps: Vec::new(),
            deaths: Vec::new(),
        }
    }

    /// Returns the result of a call that has a report. `started` is the start's result; `Ok` for the other calls.
    pub fn of(started: &Result<(), StartError>, report: &Report) -> Self {
        Said {
            result: started
                .as_ref()
                .err()
                .map_or_else(|| "ok".into(), StartError::word),
            steps: report.steps.iter().map(Row::from).collect(),
            deaths: report
                .deaths
                .iter()
                .map(|death| (death.id, death.how))
                .collect(),
        }
    }

    /// Returns the event for the return of the call.
    pub fn returned(self, call: Call, caller: u32) -> What {
        What::Returned {
            call,
            caller,
            result: self.result,
            steps: self.steps,
            deaths: self.deaths,
        }
    }
}

/// Calls a context and returns the result. A start runs `main`.
pub(crate) async fn call<A>(
    ctx: &WorkerCtx<A>,
    call: Call,
    message: Option<String>,
    main: impl FnOnce(WorkerCtx<A>) -> Main + Send + 'static,
) -> Said
where
    A: Send + Sync + 'static,
{
    match call {
        Call::Start | Call::Run => match ctx.start_main(main).await {
            Ok(()) => Said::plain("ok"),
            Err(error) => match &error {
                StartError::Main { report, .. } | StartError::StopRequested { report } => {
                    Said::of(&Err(error.clone()), report)
                }
                _ => Said::plain(error.word()),
            },
        },
        Call::Stop => ctx.stop().await.map_or_else(
            |_| Said::plain("called-from-inside"),
            |report| Said::of(&Ok(()), &report),
        ),
        Call::Cleanup => ctx.cleanup().await.map_or_else(
            |_| Said::plain("called-from-inside"),
            |report| Said::of(&Ok(()), &report),
        ),
        Call::RequestStop => {
            ctx.request_stop(message.unwrap_or_else(|| "request-stop".to_owned()));
            Said::plain("ok")
        }
    }
}
