//! The kernel's number of a thread.

/// The kernel's number of a thread, or a mark that it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KernelThreadId(pub(in crate::sim) u32);

impl KernelThreadId {
    /// The thread that runs the worlds.
    pub const OWN: KernelThreadId = KernelThreadId(0);
    /// A thread whose number is not known yet.
    pub const UNKNOWN: KernelThreadId = KernelThreadId(u32::MAX);
    /// A thread that did not look up its number, or could not: only Linux has it.
    pub const UNAVAILABLE: KernelThreadId = KernelThreadId(u32::MAX - 1);

    /// Returns the number of the calling thread, or [`UNAVAILABLE`](Self::UNAVAILABLE) unless `wanted`: the
    /// look-up takes time.
    pub fn current_if(wanted: bool) -> Self {
        let id = || {
            // The link is "PID/task/TID". Only Linux has it, and it needs no call to the C library.
            let link = std::fs::read_link("/proc/thread-self").ok()?;
            link.file_name()?.to_str()?.parse().ok()
        };
        let id = wanted.then(id).flatten();
        id.map_or(KernelThreadId::UNAVAILABLE, KernelThreadId)
    }

    /// Returns the id of the thread with that number.
    pub const fn of(thread: u32) -> Self {
        KernelThreadId(thread)
    }

    /// Returns the kernel's number, if it is known.
    pub fn known(self) -> Option<u32> {
        let special = [
            KernelThreadId::OWN,
            KernelThreadId::UNKNOWN,
            KernelThreadId::UNAVAILABLE,
        ];
        (!special.contains(&self)).then_some(self.0)
    }
}
