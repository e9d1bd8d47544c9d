//! Settings of the function: the same names as those of the service. The only module that reads the
//! environment.

use anyhow::{Context as _, bail};
use search::{AuthChoice, IndexSettings, Login, Prefix};
use traces::Collector;
use url::Url;

/// The index that the environment names.
pub async fn from_env() -> anyhow::Result<IndexSettings> {
    let settings = Settings::read(variable)?;
    let auth = settings.login.auth(&settings.url).await;
    let auth = auth.context("AUDIT_SEARCH_AUTH: see AUDIT_SEARCH_USER, AUDIT_SEARCH_PASSWORD")?;
    Ok(IndexSettings { url: settings.url, auth, prefix: settings.prefix })
}

/// Where spans go, if anywhere.
pub fn collector() -> anyhow::Result<Option<Collector>> {
    let headers = variable(traces::HEADERS).unwrap_or_default();
    Collector::set(variable(traces::ENDPOINT).as_deref(), &headers)
}

/// Which events to log.
pub fn log_level() -> String {
    variable("AUDIT_LOG_LEVEL").unwrap_or_else(|| "info".to_owned())
}

/// Set to nothing is as good as unset, as with the service.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

struct Settings {
    url: Url,
    login: Login,
    prefix: Prefix,
}

impl Settings {
    fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let set_url =
            variable("AUDIT_SEARCH_URL").context("set AUDIT_SEARCH_URL to OpenSearch's URL")?;
        let choice = match variable("AUDIT_SEARCH_AUTH").as_deref() {
            None | Some("auto") => AuthChoice::Auto,
            Some("none") => AuthChoice::None,
            Some("basic") => AuthChoice::Basic,
            Some("aws") => AuthChoice::Aws,
            Some(_) => bail!("AUDIT_SEARCH_AUTH: use auto, none, basic or aws"),
        };
        let (password, file) =
            (variable("AUDIT_SEARCH_PASSWORD"), variable("AUDIT_SEARCH_PASSWORD_FILE"));
        let password = secret_or_file(password, file)?;
        let url: Url = set_url.parse().context("AUDIT_SEARCH_URL: not a URL")?;
        search::check_url(&url).context("AUDIT_SEARCH_URL")?;
        let prefix = variable("AUDIT_SEARCH_PREFIX").unwrap_or_else(|| "audit-logs".to_owned());
        Ok(Self {
            url,
            login: Login { choice, user: variable("AUDIT_SEARCH_USER"), password },
            prefix: Prefix::parse(&prefix).context("AUDIT_SEARCH_PREFIX")?,
        })
    }
}

fn secret_or_file(value: Option<String>, file: Option<String>) -> anyhow::Result<Option<String>> {
    match (value, file) {
        (Some(_), Some(_)) => {
            bail!("AUDIT_SEARCH_PASSWORD and AUDIT_SEARCH_PASSWORD_FILE are both set: unset one")
        }
        (None, Some(file)) => {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("AUDIT_SEARCH_PASSWORD_FILE: cannot read {file}"))?;
            Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
        (value, None) => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> anyhow::Result<Settings> {
        Settings::read(|name| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_url_is_all_it_takes() {
        let settings = read(&[("AUDIT_SEARCH_URL", "http://127.0.0.1:9200")]).unwrap();
        assert_eq!(settings.prefix, Prefix::parse("audit-logs").unwrap());
        assert_eq!(settings.login.choice, AuthChoice::Auto);
        assert!(read(&[]).is_err());
    }

    #[test]
    fn a_wrong_setting_is_named() {
        for (name, value) in [
            ("AUDIT_SEARCH_AUTH", "magic"),
            ("AUDIT_SEARCH_PREFIX", "A*"),
            ("AUDIT_SEARCH_URL", "x"),
            ("AUDIT_SEARCH_URL", "ftp://127.0.0.1"),
            ("AUDIT_SEARCH_URL", "https://user:planted@127.0.0.1"),
        ] {
            // The first of a name counts.
            let Err(error) = read(&[(name, value), ("AUDIT_SEARCH_URL", "http://127.0.0.1:9200")])
            else {
                panic!("{name}={value} was taken")
            };
            assert!(error.to_string().starts_with(name), "{error}");
        }
    }
}
