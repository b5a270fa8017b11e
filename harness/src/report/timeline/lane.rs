//! The lane of a component: the strokes and marks that are drawn for it, and the words at its end.

use super::super::figures::plural;
use crate::journal::{At, FaultVerb, How, Kind, LostWhat, MAIN, Ms, Outcome, Phase};

use super::super::paint::Ink;
use super::story::{ComponentStory, End, PhasePeriod, Story};

/// A stroke of a lane: something that goes on over a stretch of time. A later variant is drawn over an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stroke {
    Runs,
    LeftBehind,
    Step,
    Holds,
}

/// A mark of a lane: something that happens at an instant. Where several marks share a column, the last variant of
/// them is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Told,
    Job,
    GoodProbe,
    Abort,
    BadProbe,
    Fault,
    Ok,
    Refused,
    UsedClosed,
    /// A callback is called again.
    Again,
    Lost,
    NotAwaited,
    Aborted,
    TimedOut,
    Leaked,
    Failed,
    Panicked,
    Fired,
}

impl Stroke {
    /// Returns the character, and its meaning in the legend.
    pub(super) const fn sign(self) -> (char, &'static str) {
        match self {
            Stroke::Runs => ('─', "runs"),
            Stroke::LeftBehind => ('·', "left behind"),
            Stroke::Step => ('═', "step"),
            Stroke::Holds => ('▒', "holds the executor"),
        }
    }
}

impl Mark {
    /// Returns the character, and its meaning in the legend. Capitals are bad ends.
    pub(super) const fn sign(self) -> (char, &'static str) {
        match self {
            Mark::Told => ('t', "told"),
            Mark::Job => ('j', "job"),
            Mark::GoodProbe => ('+', "probe"),
            Mark::Abort => ('a', "abort"),
            Mark::BadProbe => ('x', "failed probe"),
            Mark::Fault => ('!', "fault"),
            Mark::Again => ('C', "called again"),
            Mark::Ok => ('●', "ok"),
            Mark::Refused => ('R', "refused"),
            Mark::UsedClosed => ('U', "used what is closed"),
            Mark::Lost => ('?', "lost"),
            Mark::NotAwaited => ('N', "not awaited"),
            Mark::Aborted => ('A', "aborted"),
            Mark::TimedOut => ('T', "timed out"),
            Mark::Leaked => ('L', "leaked"),
            Mark::Failed => ('F', "failed"),
            Mark::Panicked => ('P', "panicked"),
            Mark::Fired => ('W', "watchdog fires"),
        }
    }

    pub(super) const fn ink(self) -> Ink {
        match self {
            Mark::Told | Mark::Job | Mark::GoodProbe | Mark::Ok => Ink::Plain,
            Mark::Fault | Mark::Abort | Mark::Refused => Ink::Signal,
            _ => Ink::Bad,
        }
    }
}

/// The content of one lane.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub name: String,
    pub strokes: Vec<(u64, u64, Stroke)>,
    pub marks: Vec<(u64, Mark)>,
    /// The words at its end, in pieces, the most important first.
    pub words: Vec<String>,
    /// When the component first went wrong, if it did, and all the words about it.
    pub problem: Option<(u64, String)>,
    /// Whether the component did nothing but end well at once.
    pub is_plain_ok: bool,
}

impl Lane {
    pub(super) fn of(component: &ComponentStory, story: &Story) -> Self {
        let mut lane = Lane {
            name: component.name(),
            ..Lane::default()
        };
        lane.draw(component, story);
        let mut words = vec![];
        lane.add_words(component, story, &mut words);
        let bad_marks = lane.marks.iter().filter(|(_, mark)| mark.ink() == Ink::Bad);
        let ended_badly = bad_marks.filter(|(_, mark)| *mark != Mark::BadProbe);
        if let Some(at) = ended_badly.map(|(at, _)| *at).min() {
            // The fault goes before the error's own words, since those may be cut.
            let mut whole = words.clone();
            if let (Some(short), Some((long, since))) =
                (words.first_mut(), explaining_fault(component))
            {
                let end = short.find(':').unwrap_or(short.len());
                short.insert_str(end, &format!(" ({long})"));
                whole[0].insert_str(end, &format!(", {long} since {}", At(since)));
            }
            let here = format!(" at {}", At(at));
            lane.problem = Some((at, whole.join("; ").replacen(&here, "", 1)));
        }
        lane.words = words;
        let plain = |mark: &Mark| matches!(mark, Mark::Ok | Mark::Told);
        lane.is_plain_ok = lane.words.iter().all(|words| words == "ok")
            && lane.marks.iter().all(|(_, mark)| plain(mark));
        lane
    }

    fn mark(&mut self, at: u64, mark: Mark) {
        self.marks.push((at, mark));
    }

    fn draw(&mut self, component: &ComponentStory, story: &Story) {
        for body in &component.bodies {
            let from = body.from.or(body.to).unwrap_or(story.first);
            self.strokes
                .push((from, body.to.unwrap_or(story.last), Stroke::Runs));
            if let (Some(to), Some(how)) = (body.to, body.how) {
                match how {
                    How::Ok => self.mark(to, Mark::Ok),
                    How::Failed => self.mark(to, Mark::Failed),
                    How::Panicked => self.mark(to, Mark::Panicked),
                    How::Dropped => {}
                }
            }
        }
        for step in &component.steps {
            let to = step.to.unwrap_or(story.last);
            self.strokes.push((step.from, to, Stroke::Step));
            if let Some(end) = &step.end {
                self.mark(end.at, outcome_mark(end.outcome));
            }
            let left = match &step.end {
                Some(end) => matches!(end.outcome, Outcome::Leaked | Outcome::NotAwaited),
                // The journal does not record how the step ended. If the callback was called more than once, it may
                // have ended by itself before the second call.
                None => step.to.is_some() && component.bodies.len() < 2,
            };
            let gone = component
                .bodies
                .iter()
                .all(|body| body.to.is_some_and(|at| at <= to));
            if left && !gone {
                let until = component.bodies.iter().filter_map(|body| body.to).max();
                self.strokes
                    .push((to, until.unwrap_or(story.last), Stroke::LeftBehind));
            }
        }
        let until = |end: &Option<u64>| end.unwrap_or(story.last);
        let held = component
            .held
            .iter()
            .map(|(from, end)| (*from, until(end), Stroke::Holds));
        self.strokes.extend(held);
        for at in &component.told {
            // The component was told with all the others: the phase's own line shows that.
            let stop = |phase: &PhasePeriod| phase.phase == Phase::Stop && phase.from == *at;
            if !story.phases.iter().any(stop) {
                self.mark(*at, Mark::Told);
            }
        }
        for (at, good) in &component.probes {
            self.mark(
                *at,
                if *good {
                    Mark::GoodProbe
                } else {
                    Mark::BadProbe
                },
            );
        }
        for fault in &component.faults {
            if fault.verb != FaultVerb::Job {
                self.mark(fault.at, Mark::Fault);
            }
        }
        self.marks
            .extend(component.aborts.iter().map(|at| (*at, Mark::Abort)));
        self.marks
            .extend(component.jobs.iter().map(|at| (*at, Mark::Job)));
        self.marks
            .extend(component.lost.iter().map(|(at, _)| (*at, Mark::Lost)));
        self.marks.extend(
            component
                .used_closed
                .iter()
                .map(|(at, _)| (*at, Mark::UsedClosed)),
        );
        self.marks
            .extend(component.refused.map(|(at, _)| (at, Mark::Refused)));
        self.marks
            .extend(component.fired.map(|(at, _)| (at, Mark::Fired)));
        // If a step ended, its outcome is drawn, and shows the leak.
        if component.steps.iter().all(|step| step.end.is_none()) {
            self.marks
                .extend(component.leaked.map(|at| (at, Mark::Leaked)));
        }
    }

    fn add_words(&mut self, component: &ComponentStory, story: &Story, words: &mut Vec<String>) {
        if let Some((_, reason)) = component.refused {
            words.push(format!("refused ({reason})"));
            return;
        }
        if let Some((_, attempts)) = component.fired {
            words.push(format!("fired after {attempts} failures"));
        }
        self.add_end_words(component, story, words);
        let callback = matches!(
            component.kind,
            Some(Kind::Stop | Kind::Cleanup | Kind::Closeable)
        );
        if callback && component.bodies.len() > 1 {
            words.insert(0, format!("called {} times", component.bodies.len()));
            if let Some(again) = component.bodies[1].from {
                self.mark(again, Mark::Again);
            }
        }
        let left_at = component.steps.iter().find_map(|step| {
            let end = step.end.as_ref()?;
            matches!(end.outcome, Outcome::Leaked | Outcome::NotAwaited).then_some(end.at)
        });
        let last_end = component.bodies.iter().filter_map(|body| body.to).max();
        if let (Some(left), Some(ended)) = (left_at, last_end)
            && ended >= left
        {
            words.push(format!("ended at {}", At(ended)));
        }
        if let Some((_, of)) = component.used_closed.first() {
            words.push(format!(
                "used {} after its close",
                story.component_name(*of)
            ));
        }
        let is_job = |what: LostWhat| what == LostWhat::Job;
        let jobs = component
            .lost
            .iter()
            .filter(|(_, what)| is_job(*what))
            .count();
        let others = component.lost.iter().filter(|(_, what)| !is_job(*what));
        let mut lost: Vec<String> = others.map(|(_, what)| lost_words(*what).into()).collect();
        lost.dedup();
        if jobs > 0 {
            lost.push(format!("lost {}", plural(jobs as u64, "job")));
        }
        if !lost.is_empty() && component.fired.is_none() {
            words.push(lost.join(", "));
        }
        if component.jobs_open > 0 && jobs == 0 {
            words.push(plural(component.jobs_open as u64, "job") + " open");
        }
    }

    /// Adds words about how the step ended, or else the body.
    fn add_end_words(
        &mut self,
        component: &ComponentStory,
        story: &Story,
        words: &mut Vec<String>,
    ) {
        let over = !matches!(story.end, End::Cut);
        let ends = || component.steps.iter().filter_map(|step| step.end.as_ref());
        let worst = ends()
            .find(|end| end.outcome != Outcome::Ok)
            .or_else(|| ends().next_back());
        let body = component.bodies.last();
        let error = body.and_then(|body| body.error.as_ref());
        if let Some(end) = worst {
            let error = end
                .error
                .as_ref()
                .or(error)
                .filter(|_| end.outcome != Outcome::Ok);
            let after = match end.outcome {
                Outcome::Ok if end.took == 0 => "ok".to_owned(),
                Outcome::Ok => format!("ok, {}", Ms(end.took)),
                Outcome::Failed | Outcome::Panicked if end.took == 0 => end.outcome.to_string(),
                outcome => format!("{} after {}", outcome_words(outcome), Ms(end.took)),
            };
            words.push(error.map_or(after.clone(), |error| format!("{after}: {error}")));
            return;
        }
        let step = component.steps.last();
        let ended = body.and_then(|body| Some((body.to?, body.how?)));
        let error = error.map_or(String::new(), |error| format!(": {error}"));
        match (step, ended) {
            (Some(step), Some((to, How::Ok))) if to >= step.from => {
                words.push(ok_after(to - step.from));
            }
            (Some(step), None) => {
                let to = step.to.unwrap_or(story.last);
                let waited = Ms(to.saturating_sub(step.from));
                if step.to.is_some() {
                    self.mark(to, Mark::NotAwaited);
                    words.push(match waited.0 {
                        0 => "given up at once".to_owned(),
                        _ => format!("given up after {waited}"),
                    });
                } else if over {
                    self.mark(to, Mark::Lost);
                    words.push(format!("unfinished after {waited}"));
                } else {
                    words.push(format!("waited for since {}", At(step.from)));
                }
            }
            (_, Some((to, How::Ok))) if component.id == Some(MAIN) => {
                let from = body.and_then(|body| body.from).unwrap_or(to);
                words.push(ok_after(to.saturating_sub(from)));
            }
            (None, Some((to, How::Ok))) => words.push(format!("ended at {}", At(to))),
            (_, Some((to, how))) => words.push(format!("{how} at {}{error}", At(to))),
            // A loss, or a watchdog that fired, has words of its own.
            (None, None) if !component.lost.is_empty() || component.fired.is_some() => {}
            (None, None) if body.is_some() => words.push("still running".to_owned()),
            (None, None) => {}
        }
    }
}

fn ok_after(took: u64) -> String {
    if took == 0 {
        "ok".to_owned()
    } else {
        format!("ok, {}", Ms(took))
    }
}

/// Returns the fault that explains a bad end, and when it struck.
fn explaining_fault(component: &ComponentStory) -> Option<(&'static str, u64)> {
    let begun = component.steps.first().map_or(0, |step| step.from);
    component.faults.iter().rev().find_map(|fault| {
        let is_over = fault.until.is_some_and(|until| until <= begun);
        Some((fault.verb.explains(is_over)?, fault.at))
    })
}

fn outcome_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::TimedOut => "timed out",
        Outcome::NotAwaited => "not awaited",
        other => other.as_str(),
    }
}

fn outcome_mark(outcome: Outcome) -> Mark {
    match outcome {
        Outcome::Ok => Mark::Ok,
        Outcome::Failed => Mark::Failed,
        Outcome::Panicked => Mark::Panicked,
        Outcome::TimedOut => Mark::TimedOut,
        Outcome::Aborted => Mark::Aborted,
        Outcome::Leaked => Mark::Leaked,
        Outcome::NotAwaited => Mark::NotAwaited,
    }
}

fn lost_words(what: LostWhat) -> &'static str {
    match what {
        LostWhat::NotStopped => "never stopped",
        LostWhat::NotClosed => "never closed",
        LostWhat::Job => "in flight",
        LostWhat::Running => "still running",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use Mark::*;

    /// Signs that only a colour or a weight distinguishes would be one sign in a log file.
    #[test]
    fn no_two_signs_are_the_same_character() {
        let marks = [
            Told, Job, GoodProbe, Abort, BadProbe, Fault, Ok, Refused, UsedClosed, Again, Lost,
            NotAwaited, Aborted, TimedOut, Leaked, Failed, Panicked, Fired,
        ];
        let strokes = [
            Stroke::Runs,
            Stroke::LeftBehind,
            Stroke::Step,
            Stroke::Holds,
        ];
        let signs = marks.map(|mark| mark.sign().0).into_iter();
        let signs: Vec<char> = signs.chain(strokes.map(|stroke| stroke.sign().0)).collect();
        let apart: BTreeSet<char> = signs.iter().copied().chain("~123dKSD━┼".chars()).collect();
        assert_eq!(apart.len(), signs.len() + "~123dKSD━┼".chars().count());
    }

    #[test]
    fn a_bad_end_is_drawn_over_a_good_one() {
        let bad = [
            Lost, NotAwaited, Aborted, TimedOut, Leaked, Failed, Panicked, Fired,
        ];
        assert!(bad.iter().all(|mark| *mark > Ok && mark.ink() == Ink::Bad));
        assert!(Outcome::ALL.iter().all(|outcome| {
            (outcome_mark(*outcome).ink() == Ink::Bad) == (*outcome != Outcome::Ok)
        }));
    }
}
