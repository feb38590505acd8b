//! Reading ahead for the backlog, and noticing on the way what damage has taken out of the database.
//!
//! sled gives no error when it has lost a page. But positions are contiguous but for records that were deleted, and the counts know
//! how many those are: a larger hole was torn by damage, and is mended from the raw file where that still holds the records.

use tracing::warn;

use super::super::codec::Bad;
use super::super::core::{Core, Reading};
use super::super::record;
use super::super::salvage::Index;
use super::super::store::{Row, Trouble};
use super::Flash;

impl Flash {
    /// Reads a few records for the forwarder.
    pub(super) fn read(&mut self, asked: Reading) -> Result<(), Trouble> {
        let mut records = Vec::with_capacity(asked.count);
        let mut at = asked.after;
        let mut cursor = None;
        for _ in 0..asked.count {
            let Some(store) = &self.store else { return Ok(()) };
            let next = store.after(asked.row, at)?;
            let position = next.as_ref().map_or(store.counts().next, |(position, _)| *position);
            if asked.row == Row::Backlog && self.mend_hole(at, position, records.len())? {
                // Read again, from before the hole.
                cursor = Some(at);
                break;
            }
            cursor = next.as_ref().map(|(position, _)| *position);
            let Some((position, frame)) = next else { break };
            at = position;
            match record::parse(&frame).and_then(|frame| frame.batch(&|id| self.shelf.get(id))) {
                Ok(batch) => records.push((position, batch)),
                // Kept: another release, or a schema that turns up again, may be able to read it.
                Err(error) => self.skip(position, &error),
            }
        }
        self.desk.read(asked, records, cursor);
        self.check_emptiness()
    }

    /// Said once for all of them: a downgrade may leave thousands.
    fn skip(&mut self, position: u64, error: &Bad) {
        if self.skipped.is_empty() {
            warn!(position, %error, "a record on flash cannot be read here; it and others like it are kept and skipped");
        }
        self.skipped.insert(position);
    }

    /// Looks at the positions between two records, of which the first was passed with `passed` others since the core knew. Says
    /// whether records were put back there.
    fn mend_hole(&mut self, after: u64, before: u64, passed: usize) -> Result<bool, Trouble> {
        let after = after.max(self.mark.lowest.saturating_sub(1)).max(self.searched_to);
        let span = before.saturating_sub(after).saturating_sub(1);
        if span == 0 {
            return Ok(false);
        }
        let passed = passed + self.skipped.range(..=after).count();
        let deleted = self.desk.report(|core| core.deleted_behind(after, passed));
        let lost = span.saturating_sub(deleted);
        if lost == 0 {
            return Ok(false);
        }
        self.searched_to = before - 1;
        let mut index = Index::scan(&self.database(), after + 1)?;
        index.forget(&self.deleted);
        let Some(store) = self.store.as_mut() else { return Ok(false) };
        let saved = index.pour(store, after + 1..before, Some(lost))?;
        warn!(lost, saved, "the database has lost records to damage; some were put back from its raw file");
        let counts = store.counts();
        if saved < lost {
            // How many readings is known when all the rest is gone; that some are lost is told at once.
            self.desk.tell_lost(self.mark.since_ms, None);
        }
        self.desk.report(|core| core.recounted(counts));
        Ok(saved > 0)
    }

    /// Records that the counts name and that are nowhere were lost to damage: they are told, and counted no more.
    pub(super) fn check_emptiness(&mut self) -> Result<(), Trouble> {
        let Some(store) = self.store.as_mut() else { return Ok(()) };
        let counts = store.counts();
        if counts.batches == 0 || !self.desk.report(|core| core.seems_drained()) {
            return Ok(());
        }
        if let Some((position, _)) = store.after(Row::Backlog, 0)? {
            // A damaged tree may have hidden it before; what cannot be read here stays, and is not looked at again and again.
            if self.looked_at.replace(position) != Some(position) {
                self.desk.report(Core::look_again);
            }
            return Ok(());
        }
        if store.after(Row::Aside, 0)?.is_some() {
            return Ok(());
        }
        warn!(batches = counts.batches, readings = counts.readings, "records on flash were lost to damage; a gap tells of them");
        let mut change = store.change();
        change.nothing_left();
        store.apply(change)?;
        let left = store.counts();
        self.desk.tell_lost(self.mark.since_ms, Some(counts.readings));
        self.desk.report(|core| core.lost(left));
        self.sync_deletions()
    }
}
