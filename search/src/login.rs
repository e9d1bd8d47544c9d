//! Where OpenSearch is and who we are to it, out of what the settings say.

use thiserror::Error;
use url::Url;

use crate::Auth;

/// How to prove who we are, as a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthChoice {
    /// By what else is set: a user means basic, a host of AWS means signed requests.
    #[default]
    Auto,
    /// Not at all.
    None,
    /// A user and a password.
    Basic,
    /// Signed requests, for Amazon OpenSearch Service.
    Aws,
}

/// What the settings say.
#[derive(Clone)]
pub struct Login {
    /// How.
    pub choice: AuthChoice,
    /// The user, for basic.
    pub user: Option<String>,
    /// The password, for basic.
    pub password: Option<String>,
}

/// The settings do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IncompleteLogin {
    /// Basic needs both.
    #[error("basic needs a user and a password")]
    Basic,
}

/// Not the address of an OpenSearch. The URL itself is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WrongUrl {
    /// Something else than HTTP.
    #[error("it must begin with http:// or https://")]
    Scheme,
    /// Addresses are told in errors and logs.
    #[error("it holds a password: use AUDIT_SEARCH_USER, AUDIT_SEARCH_PASSWORD")]
    Password,
}

/// Whether this can be the address of an OpenSearch.
pub fn check_url(url: &Url) -> Result<(), WrongUrl> {
    match (url.scheme(), url.password()) {
        ("http" | "https", None) => Ok(()),
        ("http" | "https", Some(_)) => Err(WrongUrl::Password),
        _ => Err(WrongUrl::Scheme),
    }
}

impl Login {
    /// Who we are to this OpenSearch. For AWS the usual variables, files and services are asked.
    pub async fn auth(self, url: &Url) -> Result<Auth, IncompleteLogin> {
        match self.kind(url) {
            AuthChoice::Basic => match (self.user, self.password) {
                (Some(user), Some(password)) => Ok(Auth::Basic { user, password }),
                _ => Err(IncompleteLogin::Basic),
            },
            AuthChoice::Aws => {
                let latest = aws_config::BehaviorVersion::latest();
                Ok(Auth::Aws(Box::new(aws_config::load_defaults(latest).await)))
            }
            AuthChoice::Auto | AuthChoice::None => Ok(Auth::None),
        }
    }

    fn kind(&self, url: &Url) -> AuthChoice {
        let is_aws = || url.host_str().is_some_and(|host| host.ends_with(".amazonaws.com"));
        match self.choice {
            AuthChoice::Auto if self.user.is_some() => AuthChoice::Basic,
            AuthChoice::Auto if is_aws() => AuthChoice::Aws,
            choice => choice,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_goes_by_the_user_then_by_the_host() {
        let kind = |user: Option<&str>, url: &str| {
            let login =
                Login { choice: AuthChoice::Auto, user: user.map(str::to_owned), password: None };
            login.kind(&url.parse().unwrap())
        };
        let aws = "https://search-x.eu-central-1.es.amazonaws.com";
        assert_eq!(kind(Some("u"), aws), AuthChoice::Basic);
        assert_eq!(kind(None, aws), AuthChoice::Aws);
        assert_eq!(kind(None, "https://amazonaws.com.example.org"), AuthChoice::Auto);
        assert_eq!(kind(None, "http://localhost:9200"), AuthChoice::Auto);
    }
}
