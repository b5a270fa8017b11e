//! The components of a user's own worker. Until a component is registered, only the name that the file has for it is
//! known.

use super::part::{Part, Parts};
use super::seam::Stage;
use crate::journal::{How, Id, Kind, MAIN, Name, Registered, What};
use crate::scenario::Scenario;
use std::sync::Arc;

impl Parts {
    /// Creates main, and a component for each name that the timeline mentions: a fault may strike before its component
    /// is registered.
    pub fn of_own(scenario: &Scenario) -> Self {
        let parts = Parts::new(scenario);
        for timed in &scenario.timeline {
            if let Some(name) = timed.verb.about() {
                parts.index_or_add(name);
            }
        }
        parts
    }

    /// Returns the index of the component of that name, and adds the component if there is none.
    fn index_or_add(&self, name: &Name) -> usize {
        if let Some(index) = self.index_by_name(name) {
            return index;
        }
        let index = self.all.len();
        // A placeholder: the kind is known once the component is registered.
        self.all
            .push(Box::new(Part::new(index, name.clone(), Kind::Main, None)));
        self.bind_name(name.clone(), index);
        index
    }

    /// Returns the index of the component for a registration. Names need not be unique in code: the second `db` becomes
    /// `db#2`.
    fn index_for_registration(&self, name: &Name) -> usize {
        loop {
            let nth = self.count_registration(name);
            let label = match nth {
                1 => name.clone(),
                nth => format!("{name}#{nth}").into(),
            };
            let index = self.index_or_add(&label);
            if self.all[index].id.get().is_none() {
                return index;
            }
        }
    }

    /// Replaces a component's name by its name in the journal, which may differ from the name that its code gave it.
    fn replace_name(&self, id: Id, name: &mut Name) {
        if let Some(part) = self.by_id(id)
            && part.name != *name
        {
            *name = part.name.clone();
        }
    }
}

impl dyn Stage + '_ {
    /// Records that a component of a user's own worker was registered.
    pub fn own_registered(&self, registered: &Registered) {
        let parts = self.parts();
        let index = parts.index_for_registration(&registered.name);
        let part = &parts.all[index];
        part.kind.set(registered.kind);
        part.id.set(Some(registered.id));
        part.adopted.set(registered.adopted);
        parts.bind(registered.id, index);
        self.record(What::Registered(Arc::new(Registered {
            name: part.name.clone(),
            ..registered.clone()
        })));
        if registered.adopted {
            self.runs_already(part);
        }
    }

    /// Records the end of an adopted component of a user's own worker as the context reports it: the component
    /// runs out of the simulator's sight. The ends of all other components are recorded where they run.
    pub fn own_ended(&self, id: Id, how: How, error: Option<Name>) {
        if let Some(part) = self.parts().by_id(id)
            && part.adopted.get()
        {
            self.ended(part, 1, how, error);
        }
    }

    /// Notes that the token of a user's own component was cancelled: from here on its code can see that it is to stop.
    /// The component has heard once the context also claims to have told it.
    pub fn reached(&self, part: &Part) {
        part.token_cancelled.set(true);
        if part.told.get() {
            self.heard(part);
        }
    }

    /// Notes the context's claim that it told a component. The component has heard once its token is cancelled too.
    pub fn own_told(&self, id: Id) {
        if let Some(part) = self.parts().by_id(id) {
            part.told.set(true);
            if part.token_cancelled.get() {
                self.heard(part);
            }
        }
    }

    /// Returns the claim with the names that the file has for the components.
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
                parts.replace_name(*id, name);
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
                parts.replace_name(*id, name);
                parts.replace_name(*user_id, user);
            }
            _ => {}
        }
        claim
    }
}
