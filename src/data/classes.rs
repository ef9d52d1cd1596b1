//! The classes that the model sees of a column's levels: one each, but for the rare ones of a column of very many.

use ndarray_rand::rand::Rng;
use serde::{Deserialize, Serialize};

use crate::rng::Stream;

/// Levels with a class of their own in a column of more than [`OWN`] + [`SHARED`] levels: the most frequent ones.
const OWN: usize = 224;
/// Classes that the others share, spread over them by a hash of their text.
const SHARED: usize = 32;

/// What the model adds to the share of each class: one that is never seen still has a share, as if seen half a time in a hundred
/// cells.
pub(crate) const UNSEEN: f64 = 0.005;

/// A column's levels as classes. The networks read and the likelihood scores classes; a level's probability is its
/// class's times its share within the class, so that what is filled or drawn is always a level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Classes {
    /// The class of each level.
    of: Vec<u32>,
    /// Each level's share of its class's observed cells.
    within: Vec<f64>,
    /// The levels of each class, and the most frequent of them, the first of equals.
    members: Vec<Vec<u32>>,
    top: Vec<u32>,
    /// Each class's share of the observed cells.
    pub share: Vec<f64>,
}

impl Classes {
    /// From the levels and how often each is observed; `ordered` levels have a class each however many they are.
    pub fn new(levels: &[String], counts: &[usize], ordered: bool) -> Classes {
        let mut by_count: Vec<usize> = (0..levels.len()).collect();
        let own = if ordered || levels.len() <= OWN + SHARED { levels.len() } else { OWN };
        // Equal counts go by level.
        by_count.sort_by_key(|&l| std::cmp::Reverse(counts[l]));
        let (frequent, rare) = by_count.split_at_mut(own);
        frequent.sort_unstable();
        rare.sort_unstable_by_key(|&l| (hash(&levels[l]), l));
        let mut members: Vec<Vec<u32>> = frequent.iter().map(|&l| vec![l as u32]).collect();
        members.resize(own + SHARED.min(rare.len()), Vec::new());
        for (i, &l) in rare.iter().enumerate() {
            members[own + i % SHARED].push(l as u32);
        }
        let total = counts.iter().sum::<usize>().max(1) as f64;
        let (mut of, mut within, mut share) = (vec![0; levels.len()], vec![0.0; levels.len()], Vec::new());
        for (class, members) in members.iter().enumerate() {
            let cells: usize = members.iter().map(|&l| counts[l as usize]).sum();
            share.push(cells as f64 / total);
            for &l in members {
                of[l as usize] = class as u32;
                // Levels that are declared and never seen are alike.
                within[l as usize] =
                    if cells == 0 { 1.0 / members.len() as f64 } else { counts[l as usize] as f64 / cells as f64 };
            }
        }
        let better = |a: &u32, b: &u32| counts[*a as usize].cmp(&counts[*b as usize]).then(b.cmp(a));
        let top = members.iter().map(|levels| levels.iter().copied().max_by(better).unwrap_or(0)).collect();
        Classes { of, within, members, top, share }
    }

    /// Whether these are classes of so many levels, each level in one of them; a file may say anything.
    pub fn is_sound(&self, levels: usize) -> bool {
        let share = |s: &f64| (0.0..=1.0).contains(s);
        let mut of = vec![None; levels];
        for (class, members) in self.members.iter().enumerate() {
            for &l in members {
                match of.get_mut(l as usize) {
                    Some(place @ None) => *place = Some(class as u32),
                    _ => return false,
                }
            }
        }
        let tops = self.members.iter().zip(&self.top);
        of.iter().eq(self.of.iter().map(|&class| Some(class)).collect::<Vec<_>>().iter())
            && self.top.len() == self.members.len()
            && tops.into_iter().all(|(members, top)| members.contains(top))
            && self.share.len() == self.members.len()
            && self.within.len() == levels
            && self.share.iter().chain(&self.within).all(share)
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.share.len()
    }

    /// The class of a level.
    pub fn of(&self, level: usize) -> usize {
        self.of[level] as usize
    }

    /// The most probable level, the first of equals, where the classes have these probabilities.
    pub fn most_probable(&self, classes: impl Iterator<Item = f64>) -> usize {
        let levels = classes.zip(&self.top).map(|(p, &l)| (p * self.within[l as usize], l));
        let better = |a: (f64, u32), b: (f64, u32)| if b.0 > a.0 || (b.0 == a.0 && b.1 < a.1) { b } else { a };
        levels.reduce(better).map_or(0, |(_, l)| l as usize)
    }

    /// The most frequent level, the first of equals.
    pub fn mode(&self) -> usize {
        self.most_probable(self.share.iter().copied())
    }

    /// ln of a level's share of its class.
    pub fn ln_within(&self, level: usize) -> f64 {
        self.within[level].ln()
    }

    /// A level of a class at random, by their shares.
    pub fn draw(&self, class: usize, rng: &mut Stream) -> usize {
        let members = &self.members[class];
        if let [only] = members[..] {
            return only as usize;
        }
        let mut u = rng.random::<f64>();
        let hit = members.iter().find(|&&l| {
            u -= self.within[l as usize];
            u < 0.0
        });
        // Rounding may leave a sliver beyond the last; one that is seen takes it.
        let seen = || members.iter().rev().find(|&&l| self.within[l as usize] > 0.0);
        hit.or_else(seen).map_or(0, |&l| l as usize)
    }
}

/// FNV-1a: the same on every machine.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    fn many(n: usize) -> (Vec<String>, Vec<usize>) {
        ((0..n).map(|i| format!("level {i}")).collect(), (0..n).map(|i| if i % 50 == 7 { 500 } else { i % 5 }).collect())
    }

    #[test]
    fn few_levels_are_their_own_classes() {
        let levels: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
        let c = Classes::new(&levels, &[1, 0, 3], false);
        assert_eq!((c.len(), c.of(2), c.mode()), (3, 2, 2));
        assert_eq!(c.share, [0.25, 0.0, 0.75]);
        assert_eq!(c.most_probable([0.4, 0.2, 0.4].into_iter()), 0);
        assert_eq!(c.draw(1, &mut stream(0, Purpose::Draw, 0)), 1);
    }

    #[test]
    fn rare_levels_share_and_are_filled_and_drawn_as_themselves() {
        let (levels, counts) = many(5000);
        let c = Classes::new(&levels, &counts, false);
        assert_eq!(c.len(), OWN + SHARED);
        assert!((c.share.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        // The hundred frequent ones are alone; every level's probabilities within its class add up to one.
        for l in (7..5000).step_by(50) {
            assert_eq!(c.members[c.of(l)], [l as u32]);
        }
        for members in &c.members {
            assert!((members.iter().map(|&l| c.within[l as usize]).sum::<f64>() - 1.0).abs() < 1e-9);
        }
        let class = OWN + 3;
        let mut rng = stream(1, Purpose::Draw, 0);
        for _ in 0..1000 {
            let l = c.draw(class, &mut rng);
            assert!(c.of(l) == class && counts[l] > 0);
        }
        // A shared class that is a little more probable than a frequent level's does not win: its levels do not.
        let mut p = vec![0.0; c.len()];
        (p[class], p[c.of(57)]) = (0.6, 0.4);
        assert_eq!(c.most_probable(p.into_iter()), 57);
        assert_eq!(Classes::new(&levels, &counts, true).len(), 5000);
    }

    #[test]
    fn classes_do_not_depend_on_the_order_of_levels_of_equal_text() {
        let (levels, counts) = many(3000);
        let c = Classes::new(&levels, &counts, false);
        assert_eq!(c.of, Classes::new(&levels, &counts, false).of);
        let shared = c.members[OWN..].iter().map(Vec::len);
        assert!(shared.clone().max().unwrap() - shared.min().unwrap() <= 1);
    }
}
