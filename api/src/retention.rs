//! How long entries are kept, as far as the instance has a say.

use domain::{FieldCode, FieldProblem, ProblemCode, Timestamp};

use crate::error::ApiError;
use crate::store::tenants::{RetentionKept, Settings};

const MS_PER_HOUR: i64 = 3_600_000;

/// What this instance says about every tenant's retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Nobody's entries expire earlier.
    pub days_min: i32,
    /// How long the days before still count when they are shortened, in hours.
    pub grace_h: u16,
}

impl Retention {
    /// Sets a tenant's days; what they were is kept for the grace if it was more.
    pub fn set(self, settings: &mut Settings, days: i32, now: Timestamp) -> Result<(), ApiError> {
        if days < self.days_min {
            let detail = format!("this instance keeps entries for at least {} days", self.days_min);
            let problem = FieldProblem::new("retention_days", FieldCode::UnknownValue, detail);
            return Err(ApiError::refused(ProblemCode::InvalidTenant, vec![problem]));
        }
        let kept = settings.days_kept(now);
        if days >= kept {
            settings.retention_kept = None;
        } else if days < settings.retention_days {
            let until = now.plus_millis(i64::from(self.grace_h) * MS_PER_HOUR);
            settings.retention_kept =
                (self.grace_h > 0).then_some(RetentionKept { days: kept, until });
        }
        settings.retention_days = days;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::default_settings;

    const RETENTION: Retention = Retention { days_min: 7, grace_h: 24 };
    const HOUR: i64 = MS_PER_HOUR;

    fn after(hours: i64) -> Timestamp {
        Timestamp::from_millis(1_795_265_411_123).plus_millis(hours * HOUR)
    }

    fn set(settings: &mut Settings, days: i32, hours: i64) -> Option<(i32, Timestamp)> {
        assert!(RETENTION.set(settings, days, after(hours)).is_ok());
        assert_eq!(settings.retention_days, days);
        settings.retention_kept.map(|kept| (kept.days, kept.until))
    }

    #[test]
    fn what_was_kept_before_counts_for_the_grace_and_no_longer() {
        let mut settings = default_settings("x".to_owned(), 7);
        assert_eq!(set(&mut settings, 30, 0), Some((90, after(24))));
        assert_eq!(settings.days_kept(after(23)), 90);
        assert_eq!(settings.days_kept(after(24)), 30);
        // The grace is over: it begins anew, from what counts now.
        assert_eq!(set(&mut settings, 10, 25), Some((30, after(49))));
    }

    #[test]
    fn shortening_again_and_again_never_shortens_the_grace() {
        let mut settings = default_settings("x".to_owned(), 7);
        set(&mut settings, 30, 0);
        assert_eq!(set(&mut settings, 60, 12), Some((90, after(24))), "longer, but less than 90");
        assert_eq!(set(&mut settings, 20, 13), Some((90, after(37))), "shorter again");
        assert_eq!(set(&mut settings, 20, 14), Some((90, after(37))), "the same");
        assert_eq!(set(&mut settings, 90, 15), None, "as before it all");
    }

    #[test]
    fn without_a_grace_nothing_is_kept_and_the_least_stays_the_least() {
        let mut settings = default_settings("x".to_owned(), 7);
        let hard = Retention { grace_h: 0, ..RETENTION };
        assert!(hard.set(&mut settings, 7, after(0)).is_ok());
        assert_eq!((settings.retention_days, settings.retention_kept), (7, None));
        assert!(hard.set(&mut settings, 6, after(0)).is_err());
        assert_eq!(settings.retention_days, 7);
    }
}
