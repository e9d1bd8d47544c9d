//! Finds payment card numbers in text and takes them out.

use std::ops::Range;

use crate::masking::MASK;

const DIGITS_MIN: usize = 13;
const DIGITS_MAX: usize = 19;

/// The text without its card numbers, or `None` when it has none.
///
/// A card number is 13 to 19 digits that pass the Luhn check, written in one or
/// more groups with a single space or hyphen between. Every group that is part
/// of *any* reading as a card number goes, so no reading is left behind, not
/// even where several overlap.
pub(crate) fn mask(text: &str) -> Option<String> {
    if !may_hold_one(text) {
        return None;
    }
    let mut masked = String::new();
    let mut copied = 0;
    for card in cards(text.as_bytes()) {
        masked.push_str(&text[copied..card.start]);
        masked.push_str(MASK);
        copied = card.end;
    }
    (copied > 0).then(|| masked + &text[copied..])
}

/// Whether `text` has enough digits. Also right for JSON that is still escaped:
/// an escape has more digits than it stands for.
pub(crate) fn may_hold_one(text: &str) -> bool {
    text.len() >= DIGITS_MIN && text.bytes().filter(u8::is_ascii_digit).count() >= DIGITS_MIN
}

/// The parts of `text` to take out: readings that share a group make one part.
fn cards(text: &[u8]) -> Vec<Range<usize>> {
    let mut cards: Vec<Range<usize>> = Vec::new();
    for start in group_starts(text) {
        let Some(len) = longest_card(&text[start..]) else {
            continue;
        };
        let end = start + len;
        match cards.last_mut() {
            Some(last) if start < last.end => last.end = last.end.max(end),
            _ => cards.push(start..end),
        }
    }
    cards
}

/// Where a digit stands that none stands before.
fn group_starts(text: &[u8]) -> impl Iterator<Item = usize> {
    let is_start =
        |at: usize| text[at].is_ascii_digit() && (at == 0 || !text[at - 1].is_ascii_digit());
    (0..text.len()).filter(move |at| is_start(*at))
}

/// The length of the longest card number at the start of `text`, which is the start of a group.
fn longest_card(text: &[u8]) -> Option<usize> {
    let mut luhn = Luhn::default();
    let mut longest = None;
    for (at, byte) in text.iter().enumerate() {
        let digit_follows = text.get(at + 1).is_some_and(u8::is_ascii_digit);
        match byte {
            b'0'..=b'9' if luhn.digits < DIGITS_MAX => luhn.push(byte - b'0'),
            b' ' | b'-' if digit_follows => continue,
            _ => break,
        }
        if !digit_follows && luhn.digits >= DIGITS_MIN && luhn.holds() {
            longest = Some(at + 1);
        }
    }
    longest
}

/// The Luhn check of a number that still grows to the right.
///
/// Every second digit counts double, from the right: which ones shows only at
/// the end, so both sums are kept.
#[derive(Default)]
struct Luhn {
    digits: usize,
    /// The sum with the last digit plain: the check is on this one.
    last_plain: u32,
    /// The sum with the last digit doubled: the other one when a digit follows.
    last_doubled: u32,
}

impl Luhn {
    fn push(&mut self, digit: u8) {
        let plain = u32::from(digit);
        let doubled = if plain > 4 { plain * 2 - 9 } else { plain * 2 };
        (self.last_plain, self.last_doubled) =
            (self.last_doubled + plain, self.last_plain + doubled);
        self.digits += 1;
    }

    fn holds(&self) -> bool {
        self.last_plain.is_multiple_of(10)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(text: &str) -> String {
        mask(text).unwrap_or_else(|| text.to_owned())
    }

    /// The same decision, made slowly: sums from the right, every window tried.
    fn holds_a_card(text: &str) -> bool {
        let bytes = text.as_bytes();
        let windows = (0..bytes.len()).flat_map(|a| (a + 1..=bytes.len()).map(move |b| (a, b)));
        windows.into_iter().any(|(a, b)| {
            let alone = |at: Option<&u8>| !at.is_some_and(u8::is_ascii_digit);
            let before = a.checked_sub(1).map(|at| &bytes[at]);
            is_card(&bytes[a..b]) && alone(before) && alone(bytes.get(b))
        })
    }

    fn is_card(window: &[u8]) -> bool {
        let digits: Vec<u32> = window.iter().filter_map(|b| char::from(*b).to_digit(10)).collect();
        let ends = [window.first(), window.last()];
        let sum: u32 = digits.iter().rev().enumerate().fold(0, |sum, (at, digit)| {
            let weighed = digit * (1 + u32::from(at % 2 == 1));
            sum + weighed / 10 + weighed % 10
        });
        ends.iter().all(|end| end.is_some_and(u8::is_ascii_digit))
            && window.iter().all(|byte| matches!(byte, b'0'..=b'9' | b' ' | b'-'))
            && window.windows(2).all(|pair| pair.iter().any(u8::is_ascii_digit))
            && (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len())
            && sum.is_multiple_of(10)
    }

    /// `body` with the digit that makes it pass.
    fn with_check_digit(body: &str) -> String {
        let number = (0..10).map(|digit| format!("{body}{digit}"));
        number
            .into_iter()
            .find(|number| {
                let mut luhn = Luhn::default();
                number.bytes().for_each(|byte| luhn.push(byte - b'0'));
                luhn.holds()
            })
            .unwrap()
    }

    #[test]
    fn card_numbers_are_found_in_every_way_of_writing() {
        for (text, expected) in [
            ("4111111111111111", "[masked]"),
            ("4111 1111 1111 1111", "[masked]"),
            ("4111-1111-1111-1111", "[masked]"),
            ("4111-1111 1111-1111", "[masked]"),
            ("3782 822463 10005", "[masked]"),
            ("4222222222222", "[masked]"),
            ("6304000000000000000", "[masked]"),
            ("card:4111111111111111.", "card:[masked]."),
            ("é4111111111111111é", "é[masked]é"),
            ("2024-01-01 4111 1111 1111 1111", "2024-01-01 [masked]"),
            ("4111111111111111 5500000000000004", "[masked] [masked]"),
            ("4111111111111111, 5500000000000004", "[masked], [masked]"),
            ("x4111111111111111x", "x[masked]x"),
        ] {
            assert_eq!(masked(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_card_number_stays() {
        for text in [
            "",
            "4111111111111112",
            "411111111111",
            "4111  1111 1111 1111",
            "4111.1111.1111.1111",
            "4111 - 1111 1111 1111",
            "14111111111111111",
            "41111111111111110",
            "2026-11-21T12:50:11.123Z",
            "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        ] {
            assert_eq!(mask(text), None, "{text:?}");
        }
    }

    #[test]
    fn thirteen_to_nineteen_digits_are_a_card_number() {
        for digits in 10..=22 {
            let number = with_check_digit(&"4".repeat(digits - 1));
            assert_eq!(mask(&number).is_some(), (13..=19).contains(&digits), "{digits} digits");
        }
    }

    #[test]
    fn of_several_readings_nothing_stays() {
        assert_eq!(masked("0 4111 1111 1111 1111"), "[masked]", "the longest");
        assert_eq!(masked("1 4111 1111 1111 1111"), "1 [masked]", "the only one");

        let first = with_check_digit("400012345678901");
        let second = with_check_digit(&format!("{}999", &first[4..]));
        let groups = [&first[..4], &first[4..8], &first[8..12], &first[12..], &second[12..]];
        assert_eq!(masked(&groups.join(" ")), "[masked]", "two that overlap");
    }

    proptest! {
        #[test]
        fn no_card_survives_and_masking_again_changes_nothing(
            text in "([0-9]{1,8}[ -]?|[0-9]{13,19}|x| |-){0,12}"
        ) {
            let once = masked(&text);
            prop_assert_eq!(mask(&text).is_some(), holds_a_card(&text));
            prop_assert!(!holds_a_card(&once), "{:?}", once);
            prop_assert_eq!(mask(&once), None);
        }

        #[test]
        fn every_valid_number_is_found(
            body in "[0-9]{12,18}",
            separators in proptest::collection::vec(0..6_usize, 18),
        ) {
            let number = with_check_digit(&body);
            let mut text = String::new();
            for (at, digit) in number.chars().enumerate() {
                text.push(digit);
                match separators.get(at) {
                    Some(0) if at + 1 < number.len() => text.push(' '),
                    Some(1) if at + 1 < number.len() => text.push('-'),
                    _ => {}
                }
            }
            prop_assert_eq!(masked(&format!("pay {text}, please")), "pay [masked], please");
        }

        #[test]
        fn other_text_is_kept(text in "\\PC{0,40}") {
            if let Some(masked) = mask(&text) {
                prop_assert!(masked.contains(MASK));
            } else {
                prop_assert!(!holds_a_card(&text));
            }
        }
    }
}
