//! Which quiet connections are closed where there are too many.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

/// A quiet connection: since when, and its number.
pub(super) type Quiet = (u64, u64);

/// PURE: the numbers of those to close so that `most` are left. One after the other, of the address that has
/// most at that point the longest quiet one. None that is quiet only since later than `since`: its first
/// request may be on the way, and others must not be closed in its place.
pub(super) fn to_close(mut of_address: Vec<Vec<Quiet>>, most: usize, since: u64) -> HashSet<u64> {
    let all: usize = of_address.iter().map(Vec::len).sum();
    let surplus = all.saturating_sub(most);
    let mut closed = HashSet::new();
    if surplus == 0 {
        return closed;
    }
    for quiet in &mut of_address {
        // The longest quiet one comes last.
        quiet.sort_unstable_by_key(|quiet| Reverse(*quiet));
    }
    let rank = |at: usize, quiet: &[Quiet]| Some((quiet.len(), Reverse(*quiet.last()?), at));
    let ranked = of_address.iter().enumerate();
    let mut addresses: BinaryHeap<_> = ranked.filter_map(|(at, quiet)| rank(at, quiet)).collect();
    while closed.len() < surplus
        && let Some((_, Reverse((quiet_since, number)), at)) = addresses.pop()
        && quiet_since <= since
    {
        closed.insert(number);
        let quiet = &mut of_address[at];
        quiet.pop();
        addresses.extend(rank(at, quiet));
    }
    closed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_with_most_loses_its_longest_quiet_and_none_for_the_sake_of_a_new_one() {
        let shop: &[Quiet] = &[(1, 1), (2, 2)];
        let many: &[Quiet] = &[(9, 9), (6, 6), (7, 7), (8, 8)];
        let new: &[Quiet] = &[(50, 5), (60, 6), (70, 7), (80, 8)];
        for (of_address, most, since, expected) in [
            (vec![shop, many], 6, 100, vec![]),
            (vec![shop, many], 4, 100, vec![6, 7]),
            // With as many of each, the longest quiet of all.
            (vec![shop, many], 3, 100, vec![1, 6, 7]),
            (vec![shop, many], 0, 100, vec![1, 2, 6, 7, 8, 9]),
            (vec![], 0, 100, vec![]),
            (vec![shop, new], 2, 49, vec![]),
            (vec![shop, new], 2, 50, vec![5]),
            (vec![shop, new], 2, 60, vec![1, 5, 6]),
        ] {
            let of_address = of_address.iter().map(|quiet| quiet.to_vec()).collect();
            let mut closed: Vec<u64> = to_close(of_address, most, since).into_iter().collect();
            closed.sort_unstable();
            assert_eq!(closed, expected, "{most} {since}");
        }
    }
}
