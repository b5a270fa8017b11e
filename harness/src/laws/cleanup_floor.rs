//! Every cleanup step that has not ended has had its floor, also after a second signal.

use super::limits::floors;
use super::record::Record;
use super::{Breaks, Law};
use crate::journal::{Ms, Outcome, Phase};

pub(super) const LAW: Law = Law {
    name: "cleanup/floor",
    rules: "3, 11",
    statement: "Every cleanup step that does not end earlier gets at least its floor, even after a second signal.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let floors = floors(record);
    let cut = record.is_cut() && !killed_at_the_end(record);
    for (id, floor, _) in floors {
        let Some(component) = record.component(id) else {
            continue;
        };
        let had = match component.step {
            Some(step) if !record.is_plan => {
                if step.bound < floor {
                    breaks.at(
                        step.at,
                        format!(
                            "\"{}\" (order {}) got a bound of {}: its floor is {}",
                            component.name_or_unknown(),
                            step.order,
                            Ms(step.bound),
                            Ms(floor)
                        ),
                    );
                    continue;
                }
                let Some(end) = step.end else { continue };
                if matches!(
                    end.outcome,
                    Outcome::Ok | Outcome::Failed | Outcome::Panicked
                ) {
                    continue;
                }
                end.t.saturating_sub(step.t)
            }
            // Judged by the facts: code that was called and has not returned when the process ends.
            _ if cut || record.phase_began(Phase::Cleanup).is_none() => continue,
            _ => match (component.began, component.end) {
                (_, Some(_)) => continue,
                (Some(began), None) => record.last_instant().saturating_sub(record.time_of(began)),
                (None, None) if record.is_plan => 0,
                (None, None) => continue,
            },
        };
        if had < floor {
            let at = component
                .step
                .and_then(|step| step.end)
                .map_or(record.events.len().saturating_sub(1), |end| end.at);
            breaks.at(
                at,
                format!(
                    "\"{}\" was given up after {}: its floor is {}",
                    component.name_or_unknown(),
                    Ms(had),
                    Ms(floor)
                ),
            );
        }
    }
}

/// Returns whether the platform killed the process because its grace was over: the floors had to be kept before that.
/// No platform stops a program that handles no signals, so a SIGKILL may cut such a run at any time.
fn killed_at_the_end(record: &Record<'_>) -> bool {
    let (Some((killed, _)), Some(asked), Some(limits)) =
        (record.killed, record.first_request(), record.limits)
    else {
        return false;
    };
    record.handles_signals()
        && record.time_of(killed) >= record.time_of(asked).saturating_add(limits.grace)
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{ByHand, day, killed, lines, plan_day, second_signal_in_cleanup};

    #[test]
    fn second_signal_that_takes_the_floor_breaks() {
        second_signal_in_cleanup()
            .shifted("leak flush", -1_000)
            .with_keys("step-ended flush", r#""took":2000"#)
            .with_row(5, r#"[5,"leaked",10000,"timeout",21500,2000]"#)
            .with_row(6, r#"[6,"ok",1000,"second-signal",23500,200]"#)
            .with_row(11, r#"[11,"ok",1000,"second-signal",23700,0]"#)
            .breaks_only(LAW.name);
    }

    /// Returns a day on which the plan's `flush` hangs until the process is killed; `db` is never called.
    fn planned_and_killed(at: u64) -> ByHand {
        plan_day().cut_after("began flush").killed_at(at)
    }

    #[test]
    fn kill_at_the_end_of_the_grace_takes_the_floor() {
        planned_and_killed(50_000).breaks_exactly(&[
            LAW.name,
            "phase/within-grace",
            "steps/bounded",
        ]);
    }

    #[test]
    fn kill_before_the_end_of_the_grace_takes_no_floor() {
        planned_and_killed(30_000).breaks_nothing();
        killed().breaks_nothing();
    }

    #[test]
    fn call_that_the_plan_gives_up_before_its_floor_breaks() {
        // A second signal ends the plan's process half a second after `db` was called; the floor of `db` is a second.
        plan_day()
            .without("ended db")
            .without("returned run")
            .before(
                "exit",
                r#"{"t":26500,"event":"signal","name":"SIGTERM","nth":2}"#,
            )
            .before(
                "exit",
                r#"{"t":26500,"event":"lost","id":6,"name":"db","what":"running"}"#,
            )
            .with_keys("exit", r#""t":26500,"code":143,"cause":"second-signal""#)
            .breaks_exactly(&[LAW.name, "ledger/accounted", "report/agrees"]);
    }

    #[test]
    fn floor_is_taken_though_the_process_goes_on() {
        second_signal_in_cleanup()
            .shifted("leak flush", -1_000)
            .with_keys("step-ended flush", r#""took":2000"#)
            .with_row(5, r#"[5,"leaked",10000,"timeout",21500,2000]"#)
            .shifted("ended db", 700)
            .with_keys("step-ended db", r#""took":900"#)
            .before("ended db", r#"{"t":24000,"event":"still-waiting","name":"db","waited":500,"bound":1000,"id":6}"#)
            .with_row(6, r#"[6,"ok",1000,"second-signal",23500,900]"#)
            .shifted("ended cache", 900)
            .with_keys("step-ended cache", r#""took":900"#)
            .before("ended cache", r#"{"t":24900,"event":"still-waiting","name":"cache","waited":500,"bound":1000,"id":11}"#)
            .with_row(11, r#"[11,"ok",1000,"second-signal",24400,900]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn call_that_the_worker_never_makes_is_another_laws() {
        day()
            .without("step-started cache")
            .without("began cache")
            .without("ended cache")
            .without("step-ended cache")
            .with_row(11, "")
            .before(
                "exit",
                r#"{"t":31700,"event":"lost","id":11,"name":"cache","what":"not-closed"}"#,
            )
            .breaks_exactly(&["ledger/accounted", "steps/isolated"]);
    }

    /// Returns a journal in which the plan's cleanup is called at 100 s by `call` (`run` or `cleanup`), and a SIGKILL
    /// comes 200 ms later.
    fn killed_in_cleanup(call: &str) -> crate::laws::by_hand::ByHand {
        lines(&format!(
            r#"
{{"t":0,"event":"journal","version":1,"scenario":"by hand","seed":0,"subject":"plan","host":"sim"}}
{{"t":0,"event":"worker","grace":30000,"reserve":10000,"margin":500,"ties":"first","start_timeout":5000}}
{{"t":0,"event":"registered","id":1,"kind":"cleanup","name":"c","order":0,"timeout":10000,"floor":null,"uses":[],"told":"at-once","async":false,"adopted":false}}
{{"t":0,"event":"call-began","call":"stop","caller":1,"from":null}}
{{"t":0,"event":"returned","call":"stop","caller":1,"result":"ok","steps":[],"deaths":[]}}
{{"t":100000,"event":"call-began","call":"{call}","caller":2,"from":null}}
{{"t":100000,"event":"step-started","phase":"cleanup","name":"c","order":0,"bound":0,"bound_by":"timeout","id":1,"kind":"cleanup","group":1}}
{{"t":100000,"event":"began","id":1,"name":"c","nth":1}}
{{"t":100200,"event":"signal","name":"SIGKILL","nth":1}}
{{"t":100200,"event":"killed","signal":"SIGKILL"}}
{{"t":100200,"event":"lost","id":1,"name":"c","what":"running"}}
{{"t":100200,"event":"exit","code":137,"cause":"killed"}}
"#
        ))
    }

    #[test]
    fn sigkill_cuts_a_program_that_no_platform_stops() {
        killed_in_cleanup("cleanup").breaks_nothing();
    }

    #[test]
    fn floor_not_had_by_the_end_of_a_platforms_grace_breaks() {
        let broken = crate::laws::judge(&killed_in_cleanup("run").events());
        assert!(
            broken.iter().any(|broken| *broken.law == LAW),
            "{broken:#?}"
        );
    }
}
