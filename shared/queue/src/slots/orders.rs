//! What administrators order, and what is taken out of the jobs.

use std::{hash::Hash, sync::Arc};

use mail::clock::Timestamp;

use super::Destinations;
use crate::destination::Job;

impl<D: Eq + Hash, O: Copy + Ord + Hash> Destinations<D, O> {
    /// Takes out the jobs that wait for a destination or its hosts and for which `which` holds.
    pub(crate) fn extract(&mut self, to: &D, which: impl Fn(&Job) -> bool) -> Vec<Job> {
        let site = self.known.get(to).and_then(|it| self.sites.get(&it.site));
        let mut jobs = Vec::new();
        for member in site.into_iter().flat_map(|site| &site.members) {
            if let Some(destination) = self.known.get_mut(member) {
                jobs.extend(destination.extract(&which));
            }
        }
        jobs
    }

    /// Administrator: try all destinations again now.
    pub(crate) fn resume(&mut self, now: Timestamp) {
        for site in self.sites.values_mut() {
            site.suspended = None;
            site.failures = 0;
            site.asking.end_pause();
        }
        for destination in self.known.values_mut() {
            destination.refused.end_pause();
        }
        self.relist(now);
    }

    /// Administrator: try this one again now.
    pub(crate) fn resume_one(&mut self, to: &Arc<D>, now: Timestamp) {
        let Some(destination) = self.known.get_mut(to) else {
            return;
        };
        destination.refused.end_pause();
        if self.settings.back_off.stays
            && let Some(site) = self.sites.get_mut(&destination.site)
        {
            site.suspended = None;
        }
        self.list(to, now);
    }
}
