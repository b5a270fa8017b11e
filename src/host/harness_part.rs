//! Finds the part of a host that only the harness implements.

use super::harness_host::HarnessHost;
use super::seam::Host;

/// A host of a service, which has no such part.
struct Plain;

impl HarnessHost for Plain {}

/// Returns the part of a host that only the harness implements.
pub(crate) fn harness_part(host: &dyn Host) -> &dyn HarnessHost {
    host.harness_part().unwrap_or(&Plain)
}
