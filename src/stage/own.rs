//! The parts of a user's own worker: nothing is known of them until they are registered, but what the
//! file calls them.

use super::Stage;
use super::part::{Part, Parts};
use crate::journal::{Id, Kind, MAIN, Name, Registered, What};
use crate::scenario::Scenario;

impl Parts {
    /// Main, and a part for each name that the timeline mentions: a fault may strike before what it
    /// strikes is registered.
    pub fn of_own(scenario: &Scenario) -> Self {
        let parts = Parts::new(scenario);
        for timed in &scenario.timeline {
            if let Some(name) = timed.verb.about() {
                parts.mention(name);
            }
        }
        parts
    }

    /// The part of that name, which is made if there is none.
    fn mention(&self, name: &Name) -> usize {
        if let Some(index) = self.index(name) {
            return index;
        }
        let index = self.all.len();
        // What it is comes with its registration.
        self.all
            .push(Part::new(index, name.clone(), Kind::Main, None));
        self.call(name.clone(), index);
        index
    }

    /// The part for a registration: names need not be unique in code, and the second `db` is `db#2`.
    fn take(&self, name: &Name) -> usize {
        loop {
            let nth = self.count(name);
            let label = match nth {
                1 => name.clone(),
                nth => format!("{name}#{nth}").into(),
            };
            let index = self.mention(&label);
            if self.all[index].id.get().is_none() {
                return index;
            }
        }
    }

    /// The name of a component in the journal, where that is not the one that its code gave it.
    fn label(&self, id: Id, name: &mut Name) {
        if let Some(part) = self.by_id(id)
            && part.name != *name
        {
            *name = part.name.clone();
        }
    }
}

impl dyn Stage + '_ {
    /// A component of a user's own worker was registered.
    pub fn own_registered(&self, registered: &Registered) {
        let parts = self.parts();
        let index = parts.take(&registered.name);
        let part = &parts.all[index];
        part.kind.set(registered.kind);
        part.id.set(Some(registered.id));
        part.adopted.set(registered.adopted);
        parts.bind(registered.id, index);
        self.record(What::Registered(Box::new(Registered {
            name: part.name.clone(),
            ..registered.clone()
        })));
        if registered.adopted {
            self.runs_already(part);
        }
    }

    /// What a context says of its own worker, with the names by which the file knows its components; and
    /// of the end of what runs out of sight only the context hears.
    pub fn own_fact(&self, fact: &What) {
        if let What::Ended { id, how, error, .. } = fact
            && let Some(part) = self.parts().by_id(*id)
            && part.adopted.get()
        {
            self.ended(part, 1, *how, error.clone());
        }
    }

    /// The token of a user's own component was cancelled: from here on its code can see that it is to stop.
    pub fn reached(&self, part: &Part) {
        part.reached.set(true);
        if part.told.get() {
            self.heard(part);
        }
    }

    /// The context says that it has told a component; whether it has, its token says.
    pub fn own_told(&self, id: Id) {
        if let Some(part) = self.parts().by_id(id) {
            part.told.set(true);
            if part.reached.get() {
                self.heard(part);
            }
        }
    }

    /// The claim, in the names of the file.
    pub fn in_our_names(&self, mut claim: What) -> What {
        let parts = self.parts();
        match &mut claim {
            What::StepStarted { id, name, .. }
            | What::StepEnded { id, name, .. }
            | What::StillWaiting { id, name, .. }
            | What::Told { id, name }
            | What::WakePanicked { id, name, .. }
            | What::Abort { id, name }
            | What::UsesUnknown { id, name, .. }
            | What::BoundOverShare { id, name, .. }
            | What::Leak { id, name, .. }
                if *id != MAIN =>
            {
                parts.label(*id, name);
            }
            What::ClosesBeforeUser {
                id,
                name,
                user_id,
                user,
                ..
            }
            | What::EndsBeforeUser {
                id,
                name,
                user_id,
                user,
            } => {
                parts.label(*id, name);
                parts.label(*user_id, user);
            }
            _ => {}
        }
        claim
    }
}
