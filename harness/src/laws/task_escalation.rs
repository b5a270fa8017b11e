//! A task is told, waited for, aborted at most once and at its bound, and then ends. No thread is aborted.

use super::limits::{floor_of, floors};
use super::record::{Component, EventIndex, Record};
use super::{Breaks, Law};
use crate::journal::{At, BoundBy, How, Id, Kind, MAIN, Outcome, Phase};

pub(super) const LAW: Law = Law {
    name: "task/escalation",
    rules: "6",
    statement: "A task is told, awaited, aborted at most once and only at its bound, and then ends. No thread is aborted.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.is_plan {
        return; // The plan only cancels a task; it does not escalate.
    }
    let floors = floors(record);
    for (id, component) in (0..).zip(&record.components) {
        let judged = Judged::new(record, id, component);
        if let Some(&abort) = component.aborts.first() {
            judged.check_right_to_abort(abort, breaks);
            judged.check_time_of_abort(abort, &floors, breaks);
            judged.check_effect_of_abort(abort, breaks);
        } else {
            judged.check_missing_abort(breaks);
        }
        judged.check_adoption(breaks);
        judged.check_drop(breaks);
    }
}

/// A component, and what decides how it may be ended.
struct Judged<'a> {
    record: &'a Record<'a>,
    id: Id,
    component: &'a Component<'a>,
    name: &'a str,
    is_registered: bool,
    is_task: bool,
    is_adopted: bool,
    can_be_aborted: bool,
}

impl<'a> Judged<'a> {
    fn new(record: &'a Record<'a>, id: Id, component: &'a Component<'a>) -> Self {
        let registered = component.registered.map(|(_, registered)| registered);
        // A user's own main may block. It then runs on a thread, and only an abort shows that it does not.
        let awaits = !record.is_own_worker || !component.aborts.is_empty();
        let is_task = id == MAIN && awaits
            || registered.is_some_and(|registered| registered.kind == Kind::Task);
        Judged {
            record,
            id,
            component,
            name: component.name_or_unknown(),
            is_registered: registered.is_some(),
            is_task,
            is_adopted: registered.is_some_and(|registered| registered.adopted),
            can_be_aborted: is_task || registered.is_some_and(|registered| registered.is_async),
        }
    }

    /// Checks that the component can be aborted, is aborted once, and has been told.
    fn check_right_to_abort(&self, abort: EventIndex, breaks: &mut Breaks<'_>) {
        let Judged { record, name, .. } = *self;
        if !self.can_be_aborted {
            breaks.at(
                abort,
                format!(
                    "\"{name}\" was aborted at {}: it runs on a thread",
                    At(record.time_of(abort))
                ),
            );
        }
        if let Some(again) = self.component.aborts.get(1) {
            breaks.at(
                *again,
                format!(
                    "\"{name}\" was aborted again at {}",
                    At(record.time_of(*again))
                ),
            );
        }
        let told = self.component.told;
        if self.is_task && !self.is_adopted && told.is_none_or(|told| told > abort) {
            breaks.at(
                abort,
                format!(
                    "\"{name}\" was aborted at {}, but had not been told",
                    At(record.time_of(abort))
                ),
            );
        }
    }

    /// Checks that the abort comes no earlier than its bound, at the end of a wait.
    fn check_time_of_abort(
        &self,
        abort: EventIndex,
        floors: &[(Id, u64, u64)],
        breaks: &mut Breaks<'_>,
    ) {
        let Judged { record, name, .. } = *self;
        if record.time_of(abort) < self.earliest_abort(floors) {
            breaks.at(
                abort,
                format!(
                    "\"{name}\" was aborted at {}, before its bound",
                    At(record.time_of(abort))
                ),
            );
        }
        // A step whose wait is cut is not aborted: the share is gone, or a second signal ended the wait.
        let cut = self.component.step.is_some_and(|step| {
            matches!(step.bound_by, BoundBy::ShareGone | BoundBy::SecondSignal)
                && step.phase != Phase::Cleanup
        });
        if cut && !self.is_adopted {
            let at = At(record.time_of(abort));
            breaks.at(
                abort,
                format!("\"{name}\" was aborted at {at}, but its end was not awaited"),
            );
        }
    }

    /// Checks that the component ends in the instant of its abort. Only a held executor keeps an abort from taking
    /// effect.
    fn check_effect_of_abort(&self, abort: EventIndex, breaks: &mut Breaks<'_>) {
        let Judged { record, name, .. } = *self;
        let t = record.time_of(abort);
        let over = record.last_instant() == t;
        if !over && !record.held_at(t) && self.component.end.is_none_or(|end| end.t > t) {
            breaks.at(
                abort,
                format!(
                    "\"{name}\" was aborted at {}, but continued although the executor was free",
                    At(t)
                ),
            );
        }
    }

    /// Checks that a component without an abort was not left behind and, if it is adopted, had ended by itself.
    fn check_missing_abort(&self, breaks: &mut Breaks<'_>) {
        let Judged {
            component, name, ..
        } = *self;
        if !self.can_be_aborted {
            return;
        }
        let Some((step, end)) = component.step.and_then(|step| Some((step, step.end?))) else {
            return;
        };
        if end.outcome == Outcome::Leaked {
            let at = At(end.t);
            breaks.at(
                end.at,
                format!("\"{name}\" was left behind at {at}, but had not been aborted"),
            );
        } else if self.is_adopted && component.end.is_none_or(|end| end.at > step.at) {
            let at = At(step.t);
            breaks.at(
                step.at,
                format!("\"{name}\" was adopted, but was not aborted at {at}, when its step began"),
            );
        }
    }

    /// Checks that an adopted component is aborted when its step begins, and never told.
    fn check_adoption(&self, breaks: &mut Breaks<'_>) {
        let Judged {
            record,
            component,
            name,
            ..
        } = *self;
        if !self.is_adopted {
            return;
        }
        if let (Some(step), Some(&abort)) = (component.step, component.aborts.first())
            && record.time_of(abort) > step.t
        {
            let at = At(record.time_of(abort));
            breaks.at(
                abort,
                format!("\"{name}\" was adopted, but was aborted only at {at}"),
            );
        }
        if let Some(told) = component.told {
            breaks.at(
                told,
                format!(
                    "\"{name}\" was adopted without a token, but was told at {}",
                    At(record.time_of(told))
                ),
            );
        }
    }

    /// Checks that a component is dropped only after its abort. An adopted task has another owner, which may abort it
    /// at any time.
    fn check_drop(&self, breaks: &mut Breaks<'_>) {
        let Judged {
            component, name, ..
        } = *self;
        let dropped = component
            .end
            .filter(|end| end.how == How::Dropped && self.is_registered && !self.is_adopted);
        if let Some(end) =
            dropped.filter(|end| component.aborts.first().is_none_or(|abort| *abort > end.at))
        {
            breaks.at(
                end.at,
                format!(
                    "\"{name}\" was dropped at {}, but had not been aborted",
                    At(end.t)
                ),
            );
        }
    }

    /// Returns the earliest instant at which the component may be aborted: its bound, which a second signal shortens
    /// in cleanup; or the begin of its step if it cannot be told.
    fn earliest_abort(&self, floors: &[(Id, u64, u64)]) -> u64 {
        let Some(step) = self.component.step else {
            return u64::MAX;
        };
        let bound = step.t.saturating_add(step.bound);
        match self.record.second_signal() {
            _ if self.is_adopted => step.t,
            Some((second, _)) if step.phase == Phase::Cleanup => {
                let (floor, _) = floor_of(floors, self.id);
                let second = self.record.time_of(second);
                bound.min(second.max(step.t.saturating_add(floor)))
            }
            _ => bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{
        ByHand, adopted_task, day, rolled_back, second_signal_in_cleanup, short_grace,
        stubborn_writer,
    };

    /// Returns a day on which the close of `db` hangs; its bound is over at 41.5 s.
    fn hung_db() -> ByHand {
        day()
            .with_keys("ended db", r#""how":"dropped""#)
            .with_keys("step-ended db", r#""took":10000,"outcome":"timed-out""#)
            .with_row(6, r#"[6,"timed-out",10000,"timeout",31500,10000]"#)
            .with_row(11, r#"[11,"ok",10000,"phase",41500,0]"#)
            .before("ended db", r#"{"t":31700,"event":"still-waiting","name":"db","waited":5000,"bound":10000,"id":6}"#)
            .shifted("still-waiting db", 4_800)
            .shifted("ended db", 5_000)
            .with_keys("step-started cache", r#""bound":8000,"bound_by":"phase""#)
            .with_row(11, r#"[11,"ok",8000,"phase",41500,0]"#)
    }

    const ABORT: &str = r#"{"t":41500,"event":"abort","name":"db","id":6}"#;

    #[test]
    fn close_aborted_at_its_bound_passes() {
        hung_db().before("ended db", ABORT).breaks_nothing();
    }

    #[test]
    fn drop_without_an_abort_breaks() {
        hung_db().breaks_only(LAW.name);
    }

    #[test]
    fn abort_without_effect_breaks() {
        hung_db()
            .before("ended db", ABORT)
            .without("ended db")
            .with_keys("step-ended db", r#""outcome":"leaked","took":10100"#)
            .before(
                "step-ended db",
                r#"{"t":41500,"event":"leak","id":6,"name":"db","kind":"closeable"}"#,
            )
            .shifted("leak db", 100)
            .with_keys("step-started cache", r#""bound":7900"#)
            .with_row(6, r#"[6,"leaked",10000,"timeout",31500,10100]"#)
            .with_row(11, r#"[11,"ok",7900,"phase",41600,0]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn close_left_behind_without_an_abort_breaks() {
        hung_db()
            .without("ended db")
            .with_keys("step-ended db", r#""outcome":"leaked""#)
            .before(
                "step-ended db",
                r#"{"t":41500,"event":"leak","id":6,"name":"db","kind":"closeable"}"#,
            )
            .with_row(6, r#"[6,"leaked",10000,"timeout",31500,10000]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn abort_before_the_bound_breaks() {
        day()
            .after(
                "still-waiting writer",
                r#"{"t":21200,"event":"abort","name":"writer","id":2}"#,
            )
            .breaks_only(LAW.name);
    }

    #[test]
    fn abort_of_a_task_at_its_bound_passes() {
        stubborn_writer().breaks_nothing();
    }

    #[test]
    fn abort_of_a_task_before_its_bound_breaks() {
        // The task was given up too early, too.
        day()
            .with_keys("ended writer", r#""how":"dropped""#)
            .before(
                "ended writer",
                r#"{"t":21500,"event":"abort","name":"writer","id":2}"#,
            )
            .with_keys("step-ended writer", r#""outcome":"aborted""#)
            .with_row(2, r#"[2,"aborted",2000,"cancel-timeout",20000,1500]"#)
            .breaks_exactly(&[LAW.name, "steps/patient"]);
    }

    #[test]
    fn drop_before_the_abort_breaks() {
        stubborn_writer()
            .moved_after("abort writer", "ended writer")
            .breaks_only(LAW.name);
    }

    #[test]
    fn end_later_than_the_abort_breaks() {
        stubborn_writer()
            .shifted("ended writer", 50)
            .with_keys("step-ended writer", r#""took":2050"#)
            .with_row(2, r#"[2,"aborted",2000,"cancel-timeout",20000,2050]"#)
            .with_row(3, r#"[3,"ok",10000,"timeout",22050,0]"#)
            .with_row(10, r#"[10,"ok",10000,"timeout",22050,0]"#)
            .with_row(4, r#"[4,"ok",10000,"timeout",22050,0]"#)
            .with_row(5, r#"[5,"leaked",10000,"timeout",22050,10000]"#)
            .with_row(6, r#"[6,"ok",10000,"timeout",32050,200]"#)
            .with_row(11, r#"[11,"ok",10000,"timeout",32250,0]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn abort_in_the_last_instant_need_not_be_done() {
        stubborn_writer()
            .cut_after("abort writer")
            .killed_at(22_000)
            .breaks_nothing();
    }

    #[test]
    fn main_that_is_told_after_its_abort_breaks() {
        rolled_back()
            .moved_after("told main", "abort main")
            .breaks_only(LAW.name);
    }

    /// Returns a day on which main goes on, is not aborted, and is left behind.
    fn main_left_behind() -> ByHand {
        rolled_back()
            .without("abort main")
            .without("ended main")
            .before(
                "step-ended main",
                r#"{"t":5400,"event":"leak","id":0,"name":"main","kind":"main"}"#,
            )
            .with_keys("step-ended main", r#""outcome":"leaked""#)
            .with_row(0, r#"[0,"leaked",5000,"timeout",400,5000]"#)
    }

    #[test]
    fn main_that_is_left_behind_and_not_aborted_breaks() {
        main_left_behind().breaks_only(LAW.name);
    }

    #[test]
    fn own_main_that_blocks_may_be_left_behind() {
        let own = main_left_behind().with_keys("journal", r#""subject":"own-worker""#);
        assert_eq!(own.messages(LAW.name), [""; 0]);
    }

    /// Returns a day with a second signal at 23 s, on which the close of `db` hangs and is aborted at `aborted`; its
    /// floor is over at 25.5 s.
    fn hung_db_at_second_signal(aborted: u64) -> ByHand {
        let abort = format!(r#"{{"t":{aborted},"event":"abort","name":"db","id":6}}"#);
        second_signal_in_cleanup()
            .before("ended db", r#"{"t":25000,"event":"still-waiting","name":"db","waited":500,"bound":1000,"id":6}"#)
            .shifted("ended db", 800)
            .before("ended db", &abort)
            .with_keys("ended db", r#""how":"dropped""#)
            .with_keys("step-ended db", r#""outcome":"timed-out","took":1000"#)
            .with_row(6, r#"[6,"timed-out",1000,"second-signal",24500,1000]"#)
            .with_row(11, r#"[11,"ok",1000,"second-signal",25500,0]"#)
    }

    #[test]
    fn abort_at_the_floor_after_a_second_signal_passes() {
        hung_db_at_second_signal(25_500).breaks_nothing();
        // The signal comes while `db` is waited for: its bound is 10 s, and its floor is over at 32.5 s.
        let abort = r#"{"t":33000,"event":"abort","name":"db","id":6}"#;
        let signal = r#"{"t":33000,"event":"signal","name":"SIGTERM","nth":2}"#;
        day()
            .before("ended db", signal)
            .before("ended db", abort)
            .shifted("ended db", 1_300)
            .with_keys("ended db", r#""how":"dropped""#)
            .with_keys("step-ended db", r#""outcome":"timed-out","took":1500"#)
            .with_row(6, r#"[6,"timed-out",10000,"timeout",31500,1500]"#)
            .with_keys(
                "step-started cache",
                r#""bound":1000,"bound_by":"second-signal""#,
            )
            .with_row(11, r#"[11,"ok",1000,"second-signal",33000,0]"#)
            .with_keys("exit", r#""code":143,"cause":"second-signal""#)
            .breaks_nothing();
    }

    #[test]
    fn abort_of_a_task_at_a_second_signal_breaks() {
        // By rule 11, a step that stop no longer waits for is not aborted.
        day()
            .cut_after("still-waiting writer")
            .append(r#"{"t":21200,"event":"signal","name":"SIGTERM","nth":2}"#)
            .append(r#"{"t":21200,"event":"abort","name":"writer","id":2}"#)
            .append(r#"{"t":21200,"event":"ended","id":2,"name":"writer","nth":1,"how":"dropped","error":null}"#)
            .append(r#"{"t":21200,"event":"step-ended","phase":"stop","name":"writer","order":0,"outcome":"aborted","took":1200,"id":2,"error":null}"#)
            .killed_at(21_200)
            .breaks_only(LAW.name);
    }

    #[test]
    fn abort_of_a_call_that_is_not_awaited_breaks() {
        short_grace()
            .with_keys("registered bye", r#""async":true"#)
            .before(
                "step-ended bye",
                r#"{"t":21500,"event":"held","id":1,"name":"flusher"}"#,
            )
            .before(
                "step-ended bye",
                r#"{"t":21500,"event":"abort","name":"bye","id":10}"#,
            )
            .breaks_only(LAW.name);
    }

    #[test]
    fn adopted_task_that_is_not_awaited_is_aborted() {
        adopted_task()
            .cut_after("phase-started stop")
            .with_keys("worker", r#""grace":10500"#)
            .before("state running", r#"{"t":0,"event":"bound-over-share","id":7,"name":"dog","bound":5000,"phase":"stop","share":0}"#)
            .with_keys("grace-began", r#""stop_ends":20000,"cleanup_ends":30000,"last_resort":30250,"kill":30500"#)
            .with_keys("phase-started stop", r#""ends":20000"#)
            .append(r#"{"t":20000,"event":"step-started","phase":"stop","name":"old hand","order":0,"bound":0,"bound_by":"share-gone","id":12,"kind":"task","group":1}"#)
            .append(r#"{"t":20000,"event":"abort","name":"old hand","id":12}"#)
            .append(r#"{"t":20000,"event":"ended","id":12,"name":"old hand","nth":1,"how":"dropped","error":null}"#)
            .append(r#"{"t":20000,"event":"step-ended","phase":"stop","name":"old hand","order":0,"outcome":"ok","took":0,"id":12,"error":null}"#)
            .killed_at(20_000)
            .breaks_nothing();
    }

    #[test]
    fn adopted_task_that_is_not_aborted_breaks() {
        let alone = adopted_task()
            .without("abort old hand")
            .with_keys("ended old hand", r#""how":"ok""#);
        alone.clone().breaks_only(LAW.name);
        // A task that has ended before its step needs no abort.
        alone
            .moved_after("ended old hand", "told dog")
            .breaks_nothing();
    }

    #[test]
    fn adopted_task_that_is_aborted_late_breaks() {
        adopted_task()
            .moved_after("step-ended old hand", "step-ended dog")
            .moved_after("ended old hand", "step-ended dog")
            .moved_after("abort old hand", "step-ended dog")
            .with_keys("step-ended old hand", r#""t":20100,"took":100"#)
            .with_keys("ended old hand", r#""t":20100"#)
            .with_keys("abort old hand", r#""t":20100"#)
            .with_row(12, r#"[12,"ok",2000,"cancel-timeout",20000,100]"#)
            .breaks_only(LAW.name);
    }
}
