//! What must not be stored: secrets by the name of their key, and card numbers.

use crate::{card, text};

/// What stands where a secret stood.
pub const MASK: &str = "[masked]";

/// Ends of keys whose values are secrets, normalised.
const SENSITIVE_KEYS: &[&str] = &[
    "accesskey",
    "apikey",
    "authorization",
    "cardnumber",
    "cookie",
    "creditcard",
    "cvc",
    "cvv",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "pwd",
    "secret",
    "secretkey",
    "ssn",
    "token",
];

/// What is masked in a tenant's entries before they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masking {
    enabled: bool,
    extra_keys: Vec<String>,
}

impl Masking {
    /// More keys of its own a tenant does not get: each costs a look at each key of each entry.
    pub const EXTRA_KEYS_MAX: usize = 100;
    /// The longest key of its own that a tenant may name.
    pub const EXTRA_KEY_CHARS_MAX: usize = 64;

    /// Masking with the built-in keys and the tenant's own.
    pub fn new<K: AsRef<str>>(enabled: bool, extra_keys: &[K]) -> Result<Self, InvalidMaskedKey> {
        if extra_keys.len() > Self::EXTRA_KEYS_MAX {
            return Err(InvalidMaskedKey::TooMany);
        }
        let extra_keys: Result<_, _> =
            extra_keys.iter().map(|key| extra_key(key.as_ref())).collect();
        Ok(Self { enabled, extra_keys: extra_keys? })
    }

    /// No masking at all.
    pub const fn off() -> Self {
        Self { enabled: false, extra_keys: Vec::new() }
    }

    /// Whether anything is masked.
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The tenant's own keys, lower-cased and without `-` and `_`.
    pub fn extra_keys(&self) -> &[String] {
        &self.extra_keys
    }

    /// Whether the value under `key` is a secret: lower-cased and without `-`
    /// and `_`, the key ends with a sensitive one.
    pub(crate) fn covers(&self, key: &str) -> bool {
        if !self.enabled {
            return false;
        }
        let builtin = SENSITIVE_KEYS.iter().copied();
        let mut sensitive = builtin.chain(self.extra_keys.iter().map(String::as_str));
        if key.is_ascii() {
            return sensitive.any(|end| ascii_ends_with(key, end));
        }
        let key = normalised(key);
        sensitive.any(|end| key.ends_with(end))
    }

    /// The text without card numbers, or `None` when it stays as it is.
    pub(crate) fn text(&self, text: &str) -> Option<String> {
        if self.enabled { card::mask(text) } else { None }
    }
}

impl Default for Masking {
    fn default() -> Self {
        Self { enabled: true, extra_keys: Vec::new() }
    }
}

fn extra_key(key: &str) -> Result<String, InvalidMaskedKey> {
    if text::is_longer_than(key, Masking::EXTRA_KEY_CHARS_MAX) {
        return Err(InvalidMaskedKey::TooLong);
    }
    let key = normalised(key);
    // The empty key would match every key there is.
    if key.is_empty() { Err(InvalidMaskedKey::Empty) } else { Ok(key) }
}

fn normalised(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

/// `normalised(key).ends_with(end)` for an ASCII key, without the copy.
fn ascii_ends_with(key: &str, end: &str) -> bool {
    let key = key.bytes().rev().filter(|byte| !matches!(byte, b'-' | b'_'));
    let mut key = key.map(|byte| byte.to_ascii_lowercase());
    end.bytes().rev().all(|byte| key.next() == Some(byte))
}

/// Why a tenant cannot have a key masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMaskedKey {
    /// Nothing is left without `-` and `_`.
    #[error("a masked key must have a character other than `-` and `_`")]
    Empty,
    /// Longer than [`Masking::EXTRA_KEY_CHARS_MAX`].
    #[error("a masked key must have at most {} characters", Masking::EXTRA_KEY_CHARS_MAX)]
    TooLong,
    /// More than [`Masking::EXTRA_KEYS_MAX`].
    #[error("name at most {} masked keys", Masking::EXTRA_KEYS_MAX)]
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sensitive_by_its_end() {
        let masking = Masking::default();
        for key in [
            "password",
            "PASSWORD",
            "new-password",
            "user_password",
            "pass_word",
            "_p-a_s_s-w-o-r-d_",
            "X-Api-Key",
            "apiKey",
            "Set-Cookie",
            "client_secret",
            "refreshToken",
            "to\u{212a}en",
            "größe_token",
            "SSN",
        ] {
            assert!(masking.covers(key), "{key}");
        }
        for key in ["", "-", "passwords", "token_type", "secretary", "user", "passwort", "größe"]
        {
            assert!(!masking.covers(key), "{key}");
        }
    }

    #[test]
    fn the_builtin_keys_are_normalised_and_each_covers_itself() {
        for key in SENSITIVE_KEYS {
            assert_eq!(normalised(key), *key);
            assert!(Masking::default().covers(key));
        }
        assert!(SENSITIVE_KEYS.is_sorted());
    }

    #[test]
    fn a_tenants_own_keys_count_too() {
        let masking = Masking::new(true, &["Kunden-Nummer", "ПАРОЛЬ"]).unwrap();
        assert_eq!(masking.extra_keys(), ["kundennummer", "пароль"]);
        assert!(masking.covers("alte_kundennummer"));
        assert!(masking.covers("Пароль"));
        assert!(masking.covers("password"));
        assert!(!Masking::default().covers("kundennummer"));
    }

    #[test]
    fn what_would_mask_everything_or_cost_too_much_is_refused() {
        let keys = |n: usize| (0..n).map(|i| format!("k{i}")).collect::<Vec<_>>();
        assert_eq!(Masking::new(true, &["-_"]), Err(InvalidMaskedKey::Empty));
        assert_eq!(Masking::new(true, &[""]), Err(InvalidMaskedKey::Empty));
        assert!(Masking::new(true, &["é".repeat(64)]).is_ok());
        assert_eq!(Masking::new(true, &["é".repeat(65)]), Err(InvalidMaskedKey::TooLong));
        assert!(Masking::new(true, &keys(100)).is_ok());
        assert_eq!(Masking::new(true, &keys(101)), Err(InvalidMaskedKey::TooMany));
    }

    #[test]
    fn switched_off_nothing_is_masked() {
        let masking = Masking::new(false, &["mine"]).unwrap();
        for off in [masking, Masking::off()] {
            assert!(!off.covers("password") && !off.covers("mine"));
            assert_eq!(off.text("4111111111111111"), None);
        }
        assert!(Masking::default().text("4111111111111111").is_some());
    }
}
