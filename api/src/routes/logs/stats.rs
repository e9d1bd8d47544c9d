//! `/logs/stats`: entries counted.

use axum::Json;
use axum::extract::State;
use domain::{Calendar, Filter, GroupBy, Interval, ProblemCode, StatsQuery, Zone};

use crate::app::App;
use crate::error::ApiError;
use crate::identity::caller::LogAuditor;
use crate::query::{Parameters, invalid};
use crate::store::statistics::{self, CountError, Stats};

/// `GET /api/v1/logs/stats`: how many entries there are, by up to two fields and by time.
pub async fn get(
    State(app): State<App>,
    caller: LogAuditor,
    parameters: Parameters,
) -> Result<Json<Stats>, ApiError> {
    let query = read(&parameters)?;
    let stats = statistics::count(&app.store, caller.tenant_id(), &query).await?;
    app.reads.note(&caller, "GET /logs/stats", &query.filter.clone().into(), 0);
    Ok(Json(stats))
}

fn read(parameters: &Parameters) -> Result<StatsQuery, ApiError> {
    parameters.allow(&[&Filter::PARAMETERS[..], &["group_by", "interval", "tz"]].concat())?;
    let group_by = GroupBy::read(parameters.all("group_by"));
    let group_by = group_by.map_err(|error| invalid("group_by", &error.to_string()))?;
    let interval = parameters.one("interval")?.map(Interval::parse).transpose();
    let interval = interval.map_err(|error| invalid("interval", &error.to_string()))?;
    let zone = parameters.one("tz")?.map_or(Ok(Zone::UTC), Zone::parse);
    let zone = zone.map_err(|error| invalid("tz", &error.to_string()))?;
    Ok(StatsQuery {
        filter: parameters.filter()?,
        group_by,
        calendar: interval.map(|interval| Calendar { interval, zone }),
    })
}

impl From<CountError> for ApiError {
    fn from(error: CountError) -> Self {
        match error {
            CountError::TooManyBuckets(error) => invalid("interval", &error.to_string()),
            CountError::FloorMoves => {
                let detail = "entries expired while they were counted: try again";
                Self::new(ProblemCode::LogBusy, detail).retry_after(1)
            }
            CountError::Database(error) => error.into(),
        }
    }
}
