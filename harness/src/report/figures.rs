//! Numbers as people read them.

/// Returns a count of something, with its digits grouped.
pub fn plural(n: u64, word: &str) -> String {
    format!("{} {word}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// Returns a number with its digits in groups of three.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::plural;

    #[test]
    fn figures_are_grouped() {
        assert_eq!(plural(1, "run"), "1 run");
        assert_eq!(plural(144, "run"), "144 runs");
        assert_eq!(plural(1_234_567, "event"), "1,234,567 events");
    }
}
