//! How often a tenant may ask: a bucket of tokens for each tenant and class of requests.
//!
//! Nothing is limited unless somebody says so, for all tenants or for one. A replica counts what it
//! answers itself: several let through several times as much. Who has no token is refused before
//! anything of the request but its head is looked at.

mod bucket;
mod class;
mod rate;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::header::{HeaderMap, HeaderName};
use domain::{ProblemCode, TenantId};
use moka::future::Cache;
use serde_json::{Map, Value};

use self::bucket::Bucket;
pub use self::class::Class;
pub use self::rate::{InvalidRate, Rate};
use crate::error::ApiError;

/// Tenants whose buckets are remembered; of one that is forgotten they are full again.
const TENANTS_MAX: u64 = 100_000;

/// How long they are remembered; no bucket takes longer to be full again.
const REMEMBERED: Duration = rate::FULL_WITHIN;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// The limits of each class, where there is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits([Option<Rate>; Class::COUNT]);

impl RateLimits {
    /// Reads limits as they are set for all tenants, like `write=500/s,bulk=5000/s:20000`.
    pub fn parse(text: &str) -> Result<Self, InvalidRate> {
        let mut limits = Self::default();
        for part in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
            let of_part = |problem: InvalidRate| problem.of(part);
            let (class, rate) = part.split_once('=').ok_or(InvalidRate::Pair).map_err(of_part)?;
            let class = Class::parse(class.trim()).ok_or(InvalidRate::Class).map_err(of_part)?;
            let rate = Rate::parse(rate.trim()).map_err(of_part)?;
            if limits.0[class as usize].replace(rate).is_some() {
                return Err(InvalidRate::Twice.of(part));
            }
        }
        Ok(limits)
    }
}

/// What an operator has said about one tenant alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnLimits([Option<Own>; Class::COUNT]);

/// Instead of what all tenants have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    Unlimited,
    Limited(Rate),
}

impl Own {
    /// A limit of a tenant that says there is none.
    const UNLIMITED: &str = "off";

    fn parse(text: &str) -> Result<Self, InvalidRate> {
        if text == Self::UNLIMITED {
            return Ok(Self::Unlimited);
        }
        Rate::parse(text).map(Self::Limited)
    }
}

impl OwnLimits {
    /// What was stored; names that say nothing to this version have no effect.
    pub fn stored(limits: &Map<String, Value>) -> Self {
        let mut own = Self::default();
        for (name, value) in limits {
            let limit = value.as_str().and_then(|text| Own::parse(text).ok());
            if let Some((class, limit)) = Class::parse(name).zip(limit) {
                own.0[class as usize] = Some(limit);
            }
        }
        own
    }

    /// Whether a tenant may be given this limit; else what is wrong with it.
    pub fn check(name: &str, value: &Value) -> Result<(), InvalidRate> {
        Class::parse(name).ok_or(InvalidRate::Class)?;
        Own::parse(value.as_str().ok_or(InvalidRate::Form)?).map(|_| ())
    }

    fn of(&self, class: Class, all: &RateLimits) -> Option<Rate> {
        match self.0[class as usize] {
            None => all.0[class as usize],
            Some(Own::Unlimited) => None,
            Some(Own::Limited(rate)) => Some(rate),
        }
    }
}

/// The buckets of one tenant.
#[derive(Debug, Default)]
struct Buckets([Bucket; Class::COUNT]);

/// See the module.
#[derive(Debug)]
pub struct Rates {
    limits: RateLimits,
    begun: Instant,
    buckets: Cache<TenantId, Arc<Buckets>>,
}

impl Rates {
    /// All buckets full.
    pub fn new(limits: RateLimits) -> Self {
        let buckets = Cache::builder().max_capacity(TENANTS_MAX).time_to_idle(REMEMBERED).build();
        Self { limits, begun: Instant::now(), buckets }
    }

    /// What the tenant may do of this class; `None` where there is no limit.
    pub async fn allowance(
        &self,
        tenant_id: TenantId,
        own: &OwnLimits,
        class: Class,
    ) -> Option<Allowance> {
        let rate = own.of(class, &self.limits)?;
        let buckets = match self.buckets.get(&tenant_id).await {
            Some(buckets) => buckets,
            None => self.buckets.get_with(tenant_id, async { Arc::default() }).await,
        };
        Some(Allowance { buckets, class, rate, begun: self.begun })
    }
}

/// A tenant's bucket of one class.
#[derive(Debug, Clone)]
pub struct Allowance {
    buckets: Arc<Buckets>,
    class: Class,
    rate: Rate,
    begun: Instant,
}

impl Allowance {
    /// Takes a token, or says when there will be one.
    pub fn take(&self) -> Result<(), ApiError> {
        self.bucket().take(&self.rate, self.now()).map_err(|wait| {
            let (class, rate) = (self.class, self.rate);
            let detail = format!(
                "this tenant has a limit of {rate} for {}; nothing was done: try again later",
                class.counted()
            );
            ApiError::new(ProblemCode::RateLimited, detail).retry_after(seconds(wait).max(1))
        })
    }

    /// Takes so many more for work that is being done, and owes what is not there.
    pub fn owe(&self, tokens: usize) {
        self.bucket().owe(&self.rate, tokens, self.now());
    }

    /// Tells the client how it stands.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let standing = self.bucket().standing(&self.rate, self.now());
        headers.insert(LIMIT, self.rate.burst().into());
        headers.insert(REMAINING, standing.remaining.into());
        headers.insert(RESET, seconds(standing.full_in).into());
    }

    fn bucket(&self) -> &Bucket {
        &self.buckets.0[self.class as usize]
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Whole seconds, at least as long.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn own(limits: &Value) -> OwnLimits {
        OwnLimits::stored(limits.as_object().expect("an object"))
    }

    #[test]
    fn limits_are_read_and_what_is_wrong_is_named() {
        let limits = RateLimits::parse("write=500/s, bulk=20/s:40,export=6/h").expect("limits");
        assert_eq!(limits.0[Class::Bulk as usize], Rate::parse("20/s:40").ok());
        assert_eq!(limits.0[Class::Read as usize], None);
        assert_eq!(RateLimits::parse(""), Ok(RateLimits::default()));
        for (text, named) in [
            ("write", "`write`"),
            ("write=5/s,wirte=5/s", "`wirte=5/s`: no such class"),
            ("write=5", "`write=5`"),
            ("write=5/s,write=6/s", "`write=6/s`: given twice"),
            ("write=5/s,", "``"),
        ] {
            let problem = RateLimits::parse(text).expect_err(text).to_string();
            assert!(problem.contains(named), "{text}: {problem}");
        }
    }

    #[test]
    fn a_tenants_own_limit_stands_for_that_of_all() {
        let all = RateLimits::parse("write=5/s,read=5/s").expect("limits");
        let own = own(&json!({ "write": "9/s", "read": "off", "old_name": 7, "search": "?" }));
        assert_eq!(own.of(Class::Write, &all), Rate::parse("9/s").ok());
        assert_eq!(own.of(Class::Read, &all), None);
        assert_eq!(own.of(Class::Search, &all), None);
        assert_eq!(OwnLimits::default().of(Class::Write, &all), Rate::parse("5/s").ok());
    }

    #[tokio::test]
    async fn each_tenant_and_class_has_a_bucket_of_its_own() {
        let rates = Rates::new(RateLimits::parse("write=2/h,read=1/h").expect("limits"));
        let tenant = |n| TenantId::new(uuid::Uuid::from_u128(n));
        let take = async |n, class| {
            let allowance = rates.allowance(tenant(n), &OwnLimits::default(), class).await;
            allowance.expect("a limit").take().is_ok()
        };
        assert!(take(1, Class::Write).await && take(1, Class::Write).await);
        assert!(!take(1, Class::Write).await);
        assert!(take(1, Class::Read).await && take(2, Class::Write).await);
        let unlimited = rates.allowance(tenant(1), &OwnLimits::default(), Class::Search).await;
        assert!(unlimited.is_none());
    }
}
