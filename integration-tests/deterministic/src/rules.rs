//! The rules a run goes by: the real ones, or one of them broken on purpose to see it found.

use crate::evidence::AbsenceRule;
use crate::house::real_scripts;

/// When a read is stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StampRule {
    /// With the start of the request, as the services do.
    AtStart,
    /// With the arrival of the answer: wrong on purpose.
    AtArrival,
}

/// When a cycle is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SealRule {
    /// When every part has ended, as the worker does.
    AllParts,
    /// As soon as one part has ended: wrong on purpose.
    AnyPart,
}

/// When the place a part has got to is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoteRule {
    /// When the lines before it are stored, as the worker does.
    AfterStoring,
    /// When the page is read: wrong on purpose.
    AtOnce,
}

/// What happens to lines that are refused because their stamps lie in the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FutureRule {
    /// The part counts as not stored.
    NotStored,
    /// Nobody cares: wrong on purpose.
    Overlooked,
}

/// All of them.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Name and source of every script.
    pub scripts: Vec<(String, String)>,
    /// See [`StampRule`].
    pub stamp: StampRule,
    /// See [`SealRule`].
    pub seal: SealRule,
    /// See [`AbsenceRule`].
    pub absence: AbsenceRule,
    /// See [`NoteRule`].
    pub note: NoteRule,
    /// See [`FutureRule`].
    pub future: FutureRule,
}

impl Rules {
    /// The real ones.
    pub fn real() -> Self {
        Self {
            scripts: real_scripts(),
            stamp: StampRule::AtStart,
            seal: SealRule::AllParts,
            absence: AbsenceRule::Real,
            note: NoteRule::AfterStoring,
            future: FutureRule::NotStored,
        }
    }

    /// With a piece of a script replaced; none if the script does not hold it exactly once, since
    /// then nothing, or more than meant, would be broken.
    #[must_use]
    pub fn with_script_broken(mut self, script: &str, piece: &str, by: &str) -> Option<Self> {
        let (_, source) = self.scripts.iter_mut().find(|(name, _)| name == script)?;
        if source.matches(piece).count() != 1 {
            return None;
        }
        *source = source.replace(piece, by);
        Some(self)
    }
}
