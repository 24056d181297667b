//! Numbers and durations as people read them.

use std::{fmt::Display, time::Duration};

/// A whole number with a comma between groups of three digits.
pub fn grouped(number: impl Display) -> String {
    let number = number.to_string();
    let (sign, digits) = number.strip_prefix('-').map_or(("", &*number), |digits| ("-", digits));
    let mut text = sign.to_owned();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A latency, rounded to two digits or more: `350 µs`, `3.5 ms`, `35 ms`, `3.5 s`, `35 s`. The
/// console's script writes it in the same way (`latency` of `assets/console.js`).
pub fn latency(micros: u64) -> String {
    let rounded = |unit: u64| micros.saturating_add(unit / 2) / unit;
    let tenths = |tenths: u64| format!("{}.{}", tenths / 10, tenths % 10);
    if micros < 1_000 {
        format!("{micros} µs")
    } else if rounded(100) < 100 {
        format!("{} ms", tenths(rounded(100)))
    } else if rounded(1_000) < 1_000 {
        format!("{} ms", rounded(1_000))
    } else if rounded(100_000) < 100 {
        format!("{} s", tenths(rounded(100_000)))
    } else {
        format!("{} s", grouped(rounded(1_000_000)))
    }
}

/// The time until something begins: `1 d 0:58` (days, hours and minutes), or
/// hours, minutes and seconds.
pub fn countdown(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    if days > 0 {
        format!("{} d {hours}:{minutes:02}", grouped(days))
    } else {
        format!("{hours}:{minutes:02}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (-999, "-999"),
            (1_000, "1,000"),
            (10_000, "10,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_latency_has_a_unit_that_fits() {
        for (micros, text) in [
            (0, "0 µs"),
            (4, "4 µs"),
            (999, "999 µs"),
            (1_000, "1.0 ms"),
            (1_149, "1.1 ms"),
            (1_150, "1.2 ms"),
            (9_949, "9.9 ms"),
            (9_960, "10 ms"),
            (10_499, "10 ms"),
            (10_500, "11 ms"),
            (999_499, "999 ms"),
            (999_600, "1.0 s"),
            (1_250_000, "1.3 s"),
            (9_949_999, "9.9 s"),
            (9_950_000, "10 s"),
            (12_400_000, "12 s"),
            (999_500_000, "1,000 s"),
            (1_200_000_000, "1,200 s"),
        ] {
            assert_eq!(latency(micros), text);
        }
    }

    #[test]
    fn the_time_until_an_opening_is_read_at_a_glance() {
        for (seconds, text) in
            [(89_910, "1 d 0:58"), (86_399, "23:59:59"), (3_605, "1:00:05"), (9, "0:00:09")]
        {
            assert_eq!(countdown(Duration::from_secs(seconds)), text);
        }
    }
}
