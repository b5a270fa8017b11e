//! The components that another component uses.

use std::collections::BTreeSet;

use super::handle::ComponentHandle;
use crate::journal::Name;

/// The components that another component uses: one or several, each given by its name or its
/// [handle](ComponentHandle).
///
/// The options' [`uses`](super::CallOpts::uses) take any value that converts into this. A handle stands for its name,
/// so that all components of that name are meant; a name may be given before its component is registered.
///
/// ```
/// # use deadstop::context::{CallOpts, Uses, WorkerCtx};
/// let ctx = WorkerCtx::new(());
/// let db = ctx.defer_cleanup("db", (), |_scope| {})?;
/// let names = vec!["db", "cache"];
/// let opts = CallOpts::new()
///     .uses(&db)
///     .uses("cache")
///     .uses(["db", "cache"])
///     .uses(names.into_iter().collect::<Uses>());
/// # ctx.defer_cleanup("pool", opts.order(100), |_scope| {})?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses(Vec<Name>);

impl Uses {
    /// Adds the components of `more`.
    pub(super) fn add(&mut self, more: Uses) {
        self.0.extend(more.0);
    }

    /// Returns the names without repetitions, in their order.
    pub(super) fn deduplicated(mut self) -> Uses {
        let mut seen = BTreeSet::new();
        self.0.retain(|name| seen.insert(Name::clone(name)));
        self
    }

    pub(super) fn names(&self) -> &[Name] {
        &self.0
    }
}

impl From<&ComponentHandle> for Uses {
    fn from(handle: &ComponentHandle) -> Self {
        Uses(vec![Name::clone(handle.name())])
    }
}

impl From<ComponentHandle> for Uses {
    fn from(handle: ComponentHandle) -> Self {
        Uses::from(&handle)
    }
}

impl From<Name> for Uses {
    fn from(name: Name) -> Self {
        Uses(vec![name])
    }
}

impl From<&str> for Uses {
    fn from(name: &str) -> Self {
        Uses(vec![name.into()])
    }
}

impl From<String> for Uses {
    fn from(name: String) -> Self {
        Uses(vec![name.into()])
    }
}

impl<U: Into<Uses>, const N: usize> From<[U; N]> for Uses {
    fn from(used: [U; N]) -> Self {
        used.into_iter().collect()
    }
}

impl<U: Into<Uses>> From<Vec<U>> for Uses {
    fn from(used: Vec<U>) -> Self {
        used.into_iter().collect()
    }
}

impl<U: Clone + Into<Uses>> From<&[U]> for Uses {
    fn from(used: &[U]) -> Self {
        used.iter().cloned().collect()
    }
}

impl<U: Into<Uses>> FromIterator<U> for Uses {
    fn from_iter<I: IntoIterator<Item = U>>(used: I) -> Self {
        let mut all = Uses::default();
        all.extend(used);
        all
    }
}

impl<U: Into<Uses>> Extend<U> for Uses {
    fn extend<I: IntoIterator<Item = U>>(&mut self, used: I) {
        for used in used {
            self.add(used.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Kind;

    fn names(uses: impl Into<Uses>) -> Vec<String> {
        let uses = uses.into().deduplicated();
        uses.names().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_and_handles_convert_in_their_order() {
        let db = ComponentHandle::new(1, "db".into(), Kind::Closeable);
        let pool = ComponentHandle::new(2, "pool".into(), Kind::Cleanup);
        assert_eq!(names("db"), ["db"]);
        assert_eq!(names([&pool, &db]), ["pool", "db"]);
        assert_eq!(names(vec![db.clone(), pool, db]), ["db", "pool"]);
        assert_eq!(names(&["b".to_owned(), "a".to_owned()][..]), ["b", "a"]);
        assert_eq!(names(["a"; 0]), [""; 0]);
    }
}
