//! What handlers need to know of a tenant, remembered for a few seconds.
//!
//! Old settings do no harm to a write: `append` refuses what was checked under a version that
//! is no longer the tenant's, and the handler checks again.

use std::sync::Arc;
use std::time::Duration;

use domain::{Masking, ProblemCode, TenantId};
use moka::future::Cache;

use crate::error::ApiError;
use crate::rates::OwnLimits;
use crate::store::Store;
use crate::store::tenants::{self, Settings, Tenant};

/// How long a tenant's settings are remembered.
const REMEMBERED: Duration = Duration::from_secs(5);

/// Tenants remembered at a time.
const TENANTS_MAX: u64 = 10_000;

/// Days that a new tenant's entries are kept, unless it is said otherwise.
pub const RETENTION_DAYS_DEFAULT: i32 = 90;

/// A tenant, as far as a request is concerned.
#[derive(Debug)]
pub struct KnownTenant {
    /// Names its log.
    pub id: TenantId,
    /// For people.
    pub name: String,
    /// Of the settings that these are.
    pub version: i32,
    /// Whether writing is refused.
    pub suspended: bool,
    /// What is masked.
    pub masking: Masking,
    /// Whether who reads leaves a trace.
    pub record_reads: bool,
    /// How often it may ask, where that is its own.
    pub limits: OwnLimits,
}

impl KnownTenant {
    /// Writing to a suspended tenant is refused; reading goes on.
    pub fn refuse_if_suspended(&self) -> Result<(), ApiError> {
        if self.suspended {
            let detail = "this tenant is suspended: it can be read, not written";
            return Err(ApiError::new(ProblemCode::TenantSuspended, detail));
        }
        Ok(())
    }
}

impl From<Tenant> for KnownTenant {
    fn from(tenant: Tenant) -> Self {
        let limits = OwnLimits::stored(&tenant.settings.limits);
        let Settings { name, suspended, masking, masked_keys, record_reads, .. } = tenant.settings;
        // What is stored was checked; if it ever fails, masking the built-in keys is right.
        let masking = Masking::new(masking, &masked_keys).unwrap_or_default();
        let (id, version) = (tenant.id, tenant.version);
        Self { id, name, version, suspended, masking, record_reads, limits }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Tenants {
    store: Store,
    autocreate: bool,
    retention_days_min: i32,
    remembered: Cache<TenantId, Arc<KnownTenant>>,
}

impl Tenants {
    /// Remembers nothing yet.
    pub fn new(store: Store, autocreate: bool, retention_days_min: i32) -> Self {
        let remembered =
            Cache::builder().max_capacity(TENANTS_MAX).time_to_live(REMEMBERED).build();
        Self { store, autocreate, retention_days_min, remembered }
    }

    /// Finds a tenant; with autocreate, makes it.
    pub async fn find(&self, tenant_id: TenantId) -> sqlx::Result<Option<Arc<KnownTenant>>> {
        if let Some(known) = self.remembered.get(&tenant_id).await {
            return Ok(Some(known));
        }
        let Some(tenant) = self.read(tenant_id).await? else { return Ok(None) };
        let known = Arc::new(KnownTenant::from(tenant));
        self.remembered.insert(tenant_id, Arc::clone(&known)).await;
        Ok(Some(known))
    }

    /// Finds a tenant as it is now.
    pub async fn find_anew(&self, tenant_id: TenantId) -> sqlx::Result<Option<Arc<KnownTenant>>> {
        self.forget(tenant_id).await;
        self.find(tenant_id).await
    }

    /// Forgets what it knows, because it has changed.
    pub async fn forget(&self, tenant_id: TenantId) {
        self.remembered.invalidate(&tenant_id).await;
    }

    async fn read(&self, tenant_id: TenantId) -> sqlx::Result<Option<Tenant>> {
        let found =
            self.store.read(tenant_id, async |db| tenants::find_own(db, tenant_id).await).await?;
        if found.is_some() || !self.autocreate {
            return Ok(found);
        }
        let settings = default_settings(tenant_id.to_string(), self.retention_days_min);
        tenants::create(&self.store.worker, tenant_id, &settings).await?;
        tenants::find(&self.store.worker, tenant_id).await
    }
}

/// What a tenant of that name starts with.
pub fn default_settings(name: String, retention_days_min: i32) -> Settings {
    Settings {
        name,
        suspended: false,
        retention_days: RETENTION_DAYS_DEFAULT.max(retention_days_min),
        retention_kept: None,
        legal_hold: None,
        masking: true,
        masked_keys: Vec::new(),
        record_reads: true,
        limits: serde_json::Map::new(),
    }
}
