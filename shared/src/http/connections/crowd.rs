//! Which quiet connections have to go where there are too many.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

/// A quiet connection: since when, and its number.
type Quiet = (u64, u64);

/// PURE: the numbers of those that go, so that `most` are left: one after the other, of the address
/// that has most at that point the one that has been quiet for longest. Where that one is quiet only
/// since later than `since` nobody goes yet: others must not pay for a crowd that is young.
pub(super) fn surplus(mut of_address: Vec<Vec<Quiet>>, most: usize, since: u64) -> HashSet<u64> {
    let all: usize = of_address.iter().map(Vec::len).sum();
    let surplus = all.saturating_sub(most);
    if surplus == 0 {
        return HashSet::new();
    }
    for quiet in &mut of_address {
        // The first of them is the last.
        quiet.sort_unstable_by_key(|quiet| Reverse(*quiet));
    }
    let place = |at: usize, quiet: &[Quiet]| Some((quiet.len(), Reverse(*quiet.last()?), at));
    let places = of_address.iter().enumerate();
    let mut crowds: BinaryHeap<_> = places.filter_map(|(at, quiet)| place(at, quiet)).collect();
    let mut gone = HashSet::new();
    while gone.len() < surplus
        && let Some((_, Reverse((quiet_since, number)), at)) = crowds.pop()
        && quiet_since <= since
    {
        gone.insert(number);
        let quiet = &mut of_address[at];
        quiet.pop();
        crowds.extend(place(at, quiet));
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(of_address: &[&[Quiet]], most: usize, since: u64) -> Vec<u64> {
        let of_address = of_address.iter().map(|quiet| quiet.to_vec()).collect();
        let mut gone: Vec<u64> = surplus(of_address, most, since).into_iter().collect();
        gone.sort_unstable();
        gone
    }

    #[test]
    fn whoever_has_most_loses_the_longest_quiet_until_all_have_alike() {
        let shop: &[Quiet] = &[(1, 1), (2, 2)];
        let crowd: &[Quiet] = &[(9, 9), (6, 6), (7, 7), (8, 8)];
        assert!(gone(&[shop, crowd], 6, 100).is_empty());
        assert_eq!(gone(&[shop, crowd], 4, 100), [6, 7]);
        // With as many of each, the longest quiet of all.
        assert_eq!(gone(&[shop, crowd], 3, 100), [1, 6, 7]);
        assert_eq!(gone(&[shop, crowd], 0, 100), [1, 2, 6, 7, 8, 9]);
        assert!(gone(&[], 0, 100).is_empty());
    }

    #[test]
    fn nobody_pays_for_a_crowd_that_is_young() {
        let shop: &[Quiet] = &[(1, 1), (2, 2)];
        let crowd: &[Quiet] = &[(50, 5), (60, 6), (70, 7), (80, 8)];
        assert!(gone(&[shop, crowd], 2, 49).is_empty());
        assert_eq!(gone(&[shop, crowd], 2, 50), [5]);
        assert_eq!(gone(&[shop, crowd], 2, 60), [1, 5, 6]);
    }
}
