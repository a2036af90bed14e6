//! Random choices that can be made again: the same seed, the same sequence (SplitMix64, whose constants are its authors').

/// A sequence of choices.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// The sequence of a seed; of one seed there is one for each `part`.
    pub(super) fn new(seed: u64, part: u64) -> Self {
        let mut random = Self(seed ^ part.wrapping_mul(0xd1b5_4a32_d192_ed03));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `bound`; 0 for a bound of 0. The bias of the remainder does not matter here.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(self.next().checked_rem(bound).unwrap_or_default()).unwrap_or_default()
    }

    /// From 0 to below 1.
    pub(super) fn fraction(&mut self) -> f64 {
        const STEPS: usize = 1 << 30;
        self.below(STEPS) as f64 / STEPS as f64
    }

    /// One of them.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// One of them, by their weights.
    pub(super) fn weighted<'a, T>(&mut self, from: &[&'a T], weight: impl Fn(&T) -> usize) -> Option<&'a T> {
        let mut left = self.below(from.iter().map(|item| weight(item)).sum());
        from.iter().copied().find(|item| {
            let own = weight(item);
            let found = left < own;
            left = left.saturating_sub(own);
            found
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_choices_again_and_parts_differ() {
        let choices = |seed, part| {
            let mut random = Random::new(seed, part);
            (0..20).map(|_| random.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(choices(1, 2), choices(1, 2));
        assert_ne!(choices(1, 2), choices(1, 3));
        assert_ne!(choices(1, 2), choices(2, 2));
    }

    #[test]
    fn weights_decide_how_often() {
        let mut random = Random::new(1, 1);
        let mut counts = [0_usize; 3];
        for _ in 0..10_000 {
            let chosen = random.weighted(&[&0_usize, &1, &2], |item| [1, 0, 9][*item]);
            counts[*chosen.unwrap_or(&1)] += 1;
        }
        assert!(counts[1] == 0 && counts[0] > 800 && counts[0] < 1200, "{counts:?}");
        assert_eq!(random.weighted(&[&0_usize], |_| 0), None);
        assert_eq!(random.pick::<u8>(&[]), None);
        assert!((0..100).map(|_| random.fraction()).all(|part| (0.0..1.0).contains(&part)));
    }
}
