//! A run as a whole: begun, put in order, counted, and summed up in a sentence.

use crate::policy::{Mode, PolicySet};

use super::item::items;
use super::{API_VERSION, Failure, Fate, KIND, Object, Results, Run, Skipped, Summary};

// === impl Results ===

impl Results {
    /// A run that has seen nothing yet.
    #[must_use]
    pub fn new(command: &str, set: &PolicySet) -> Self {
        let policies = set.policies().iter().map(|it| it.name.clone());
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            run: Run {
                command: command.to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                complete: true,
                policy_set: set.hash().to_owned(),
                policies: policies.collect(),
                ..Run::default()
            },
            summary: Summary::default(),
            namespaces: Vec::new(),
            objects: Vec::new(),
            skipped: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// By namespace, kind and name, as a cluster is read; what a manifest holds stays in its order.
    pub fn sort(&mut self) {
        fn order(it: &Object) -> [&str; 4] {
            [&it.namespace, &it.kind, &it.name, &it.api_version]
        }
        self.namespaces.sort_by(|one, two| one.name.cmp(&two.name));
        self.objects.sort_by(|one, two| order(one).cmp(&order(two)));
        self.skipped
            .sort_by(|one, two| (&one.what, &one.why).cmp(&(&two.what, &two.why)));
        self.errors
            .sort_by(|one, two| (&one.what, &one.why).cmp(&(&two.what, &two.why)));
    }

    /// Counts what the lists hold, and says whether all was judged. What was scanned, and what is fixed since an earlier
    /// run, is kept.
    pub fn count(&mut self) {
        let counted = Summary::of(&self.objects, &self.skipped, &self.errors);
        self.summary = Summary {
            scanned: std::mem::take(&mut self.summary.scanned),
            fixed: self.summary.fixed,
            ..counted
        };
        self.run.complete = self.errors.is_empty();
    }

    /// True if something would be rejected, or its Pods would.
    #[must_use]
    pub fn rejects(&self) -> bool {
        self.summary.rejected + self.summary.pods_rejected > 0
    }

    /// The summary in words. Findings that say the same of several containers count as one here.
    #[must_use]
    pub fn sentence(&self) -> String {
        let further: usize = self
            .objects
            .iter()
            .flat_map(|it| items(&it.findings))
            .filter(|it| it.first().pod_mode != Mode::Enforce)
            .count();
        let Summary {
            judged,
            rejected,
            pods_rejected,
            skipped,
            errors,
            ..
        } = self.summary;
        let fixed = match self.summary.fixed {
            None | Some(0) => String::new(),
            Some(fixed) => format!(", {fixed} fixed since"),
        };
        format!(
            "{judged} judged: {rejected} would be rejected, {pods_rejected} would have their Pods rejected; \
             {further} further findings{fixed}. {skipped} skipped, {errors} could not be judged"
        )
    }
}

// === impl Summary ===

impl Summary {
    /// The counts of these lists.
    #[must_use]
    pub fn of(objects: &[Object], skipped: &[Skipped], errors: &[Failure]) -> Self {
        let mut summary = Self {
            judged: number(objects.len()),
            skipped: skipped.iter().map(|it| it.count).sum(),
            errors: number(errors.len()),
            findings: number(objects.iter().map(|it| it.findings.len()).sum()),
            ..Self::default()
        };
        for object in objects {
            *match object.fate {
                Fate::Rejected => &mut summary.rejected,
                Fate::PodsRejected => &mut summary.pods_rejected,
                Fate::Warned => &mut summary.warned,
                Fate::Recorded => &mut summary.recorded,
                Fate::Clean => &mut summary.clean,
            } += 1;
        }
        summary
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
