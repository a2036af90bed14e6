//! Names for what was given none: `pi-19-cluster`.

use uuid::Uuid;

/// The letters of the Greek alphabet.
const LETTERS: [&str; 24] = [
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "omicron", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
];

/// A random letter, a number from 1 to 24, and what it is a name of.
pub(crate) fn generate(what: &str) -> String {
    let [letter, number, ..] = *Uuid::new_v4().as_bytes();
    format!("{}-{}-{what}", LETTERS[usize::from(letter) % LETTERS.len()], number % 24 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_three_parts() {
        for _ in 0..100 {
            let name = generate("cluster");
            let parts: Vec<&str> = name.split('-').collect();
            assert!(LETTERS.contains(&parts[0]), "{name}");
            assert!((1..=24).contains(&parts[1].parse::<u8>().unwrap()), "{name}");
            assert_eq!(parts[2], "cluster");
        }
    }
}
