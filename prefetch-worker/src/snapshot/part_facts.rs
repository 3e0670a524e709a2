//! What a part of a cycle knows about itself: noted while it is read, so that another worker can go
//! on, and handed in at its end, so that the cycle can be judged when it is sealed.

use super::line_hash::LineHash;
use serde::{Deserialize, Serialize};
use shared::redis_store::{PartId, ShardRecord};
use shared::stock::ItemNumber;
use std::time::Duration;

/// A part that was taken this often without getting on is given up: it may be what kills workers.
const MOST_TAKES: u32 = 5;

/// Marks of one part; a part of ten minutes has eighty of them.
const MOST_MARKS: usize = 256;

/// Rows, pages and milliseconds of thousands of parts add up without leaving their range.
const LARGEST_NUMBER: u64 = 1 << 40;

/// The facts of one part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PartFacts {
    /// Rows of complete items.
    pub rows: u64,
    /// Whole pages.
    pub pages: u64,
    /// Rows of another company or warehouse that came back and were dropped.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped_rows: u64,
    /// Rows that belong to no SKU.
    #[serde(skip_serializing_if = "is_zero")]
    pub unmapped_rows: u64,
    /// Over its lines.
    pub hash: LineHash,
    /// Why reading broke off, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broke_off: Option<String>,
    /// An item that came again after it was complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_seen_twice: Option<String>,
    /// Why lines could not be stored, if some could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_stored: Option<String>,
    /// Where it was when, for splitting the next cycle.
    pub marks: Vec<Mark>,
}

/// A place in a part, and the time it took to get there from the mark before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The last complete item.
    pub item: String,
    /// Milliseconds since the mark before.
    pub ms: u64,
}

/// What the reader before noted about a part.
#[derive(Debug, Default)]
pub struct Noted {
    /// The last item whose lines are stored; none at the part's beginning.
    pub cursor: Option<ItemNumber>,
    /// The facts up to there.
    pub facts: PartFacts,
}

impl Noted {
    /// Notes count only as a whole: without a place, or without what was found up to there, the part
    /// begins again.
    pub fn of(record: ShardRecord) -> Self {
        let cursor = record.cursor.and_then(|text| ItemNumber::parse(text).ok());
        let facts = record.notes.as_deref().and_then(PartFacts::from_notes);
        match (cursor, facts) {
            (Some(cursor), Some(facts)) => Self {
                cursor: Some(cursor),
                facts,
            },
            _ => Self::default(),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands a reference to it"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl PartFacts {
    /// The end of a part that was taken too often without getting on; none for any other.
    pub fn given_up(id: PartId, record: &ShardRecord) -> Option<Self> {
        (record.taken > MOST_TAKES).then(|| Self {
            broke_off: Some(format!(
                "part {id} was taken {MOST_TAKES} times and nobody got on with it"
            )),
            ..Noted::of(record.clone()).facts
        })
    }

    /// Nothing but why it broke off.
    pub fn broken_off(reason: String) -> Self {
        Self {
            broke_off: Some(reason),
            ..Self::default()
        }
    }

    /// From the notes of the reader before; none if they cannot be read.
    pub fn from_notes(notes: &str) -> Option<Self> {
        let facts: Self = serde_json::from_str(notes).ok()?;
        let numbers = [
            facts.rows,
            facts.pages,
            facts.dropped_rows,
            facts.unmapped_rows,
        ];
        let times = facts.marks.iter().map(|mark| mark.ms);
        let is_ours = facts.marks.len() <= MOST_MARKS
            && numbers
                .into_iter()
                .chain(times)
                .all(|n| n <= LARGEST_NUMBER);
        is_ours.then_some(facts)
    }

    /// As notes.
    pub fn to_notes(&self) -> String {
        // Numbers and texts only: there is nothing in it that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Notes that getting here took so long, if that is worth a mark: an eighth of the time a part
    /// should take.
    pub fn mark(&mut self, item: &str, since_last: Duration, part_time: Duration) -> bool {
        if since_last < part_time / 8 {
            return false;
        }
        if self.marks.len() >= MOST_MARKS {
            self.thin_out();
        }
        self.marks.push(Mark {
            item: item.to_owned(),
            ms: u64::try_from(since_last.as_millis()).unwrap_or(u64::MAX),
        });
        true
    }

    /// Every second mark goes; its time goes to the next one.
    fn thin_out(&mut self) {
        let mut carried = 0;
        let mut is_kept = true;
        self.marks.retain_mut(|mark| {
            is_kept = !is_kept;
            if is_kept {
                mark.ms = mark.ms.saturating_add(std::mem::take(&mut carried));
            } else {
                carried = mark.ms;
            }
            is_kept
        });
    }

    /// The cycle's facts from those of its parts, in their order.
    pub fn joined(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut whole = Self::default();
        for part in parts {
            whole.rows += part.rows;
            whole.pages += part.pages;
            whole.dropped_rows += part.dropped_rows;
            whole.unmapped_rows += part.unmapped_rows;
            whole.hash.add(part.hash);
            whole.broke_off = whole.broke_off.or(part.broke_off);
            whole.item_seen_twice = whole.item_seen_twice.or(part.item_seen_twice);
            whole.not_stored = whole.not_stored.or(part.not_stored);
            whole.marks.extend(part.marks);
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn notes_come_back_as_they_were() {
        let mut facts = PartFacts {
            rows: 7,
            pages: 2,
            dropped_rows: 1,
            broke_off: Some("page 3: \"HTML\"".to_owned()),
            ..PartFacts::default()
        };
        assert!(facts.mark(" A'1", MINUTE, MINUTE));
        assert_eq!(PartFacts::from_notes(&facts.to_notes()), Some(facts));
        assert_eq!(PartFacts::from_notes("{"), None);
        for rubbish in [
            format!("{{\"rows\":{}}}", u64::MAX),
            format!("{{\"marks\":[{{\"item\":\"A\",\"ms\":{}}}]}}", u64::MAX),
        ] {
            assert_eq!(PartFacts::from_notes(&rubbish), None, "{rubbish}");
        }
    }

    #[test]
    fn marks_are_few_and_lose_no_time() {
        let mut facts = PartFacts::default();
        assert!(!facts.mark("A", Duration::from_secs(7), MINUTE));
        for n in 0..10_000_u32 {
            assert!(facts.mark(&format!("I{n}"), Duration::from_secs(8), MINUTE));
        }
        assert!(facts.marks.len() <= MOST_MARKS);
        let total: u64 = facts.marks.iter().map(|mark| mark.ms).sum();
        assert_eq!(total, 80_000_000);
        assert_eq!(facts.marks.last().unwrap().item, "I9999");
    }

    #[test]
    fn a_cycle_has_the_sums_and_the_first_trouble_of_its_parts() {
        let part = |rows, broke_off: Option<&str>| PartFacts {
            rows,
            pages: 1,
            broke_off: broke_off.map(str::to_owned),
            ..PartFacts::default()
        };
        let whole = PartFacts::joined([part(1, None), part(2, Some("b")), part(3, Some("c"))]);
        assert_eq!((whole.rows, whole.pages), (6, 3));
        assert_eq!(whole.broke_off.as_deref(), Some("b"));
    }
}
