//! The service's own entries: what somebody made it do, in the log that it was done to.

use std::sync::Arc;

use domain::{NewEntry, TenantId};

use crate::app::App;
use crate::error::{ApiError, unknown_tenant};
use crate::writer::{AppendError, Request};

/// How often an entry is sent again because its tenant's settings changed meanwhile.
const TRIES_MAX: usize = 4;

/// Appends an entry of the service itself; also to the log of a suspended tenant.
pub async fn record(app: &App, tenant_id: TenantId, entry: NewEntry) -> Result<(), ApiError> {
    let permit = Arc::new(app.admission.admit_own(tenant_id));
    for _ in 0..TRIES_MAX {
        let tenant = app.tenants.find(tenant_id).await?.ok_or_else(unknown_tenant)?;
        let request = Request {
            tenant_id,
            settings_version: tenant.version,
            recorded_by: entry.recorded_by.as_str().to_owned(),
            key: None,
            refused: None,
            entries: vec![entry.clone()],
        };
        match app.writer.append(request, Arc::clone(&permit)).await {
            Ok(_) => return Ok(()),
            Err(AppendError::SettingsChanged) => app.tenants.forget(tenant_id).await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(AppendError::SettingsChanged.into())
}
