//! The HTTP clients that reach D365 and Entra ID.

use crate::d365::connections::KEPT_IDLE;
use crate::d365::error::{D365Error, setup};
use crate::settings::{TenantSettings, read_file};
use std::time::Duration;

/// How we name ourselves to D365's administrators.
const USER_AGENT: &str = concat!("icm-d365-stock-connector/", env!("CARGO_PKG_VERSION"));

/// No redirects (a token must not follow one), no cookies (D365's affinity cookie would tie all
/// calls to one of its web servers), no repeats of its own. HTTP/1.1, because a call that times out
/// then takes its connection with it; a dead HTTP/2 connection would swallow all later calls too.
pub(super) fn http_client(
    tenant: &TenantSettings,
    connect_limit: Option<Duration>,
    kept_connections: usize,
) -> Result<reqwest::Client, D365Error> {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .http1_only()
        .gzip(true)
        .pool_idle_timeout(KEPT_IDLE)
        .pool_max_idle_per_host(kept_connections)
        // Firewalls forget quiet connections after half a minute at the earliest; a peer that is
        // gone is found out after another half.
        .tcp_keepalive(Duration::from_secs(20))
        .tcp_keepalive_interval(Duration::from_secs(10))
        .tcp_keepalive_retries(3);
    if let Some(limit) = connect_limit {
        builder = builder.connect_timeout(limit);
    }
    if let Some(file) = &tenant.ca_file {
        let problem = |cause: String| setup(format!("ca_file {}: {cause}", file.display()));
        let pem = read_file(file).map_err(|cause| problem(cause.to_string()))?;
        let authorities = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|cause| problem(cause.to_string()))?;
        if authorities.is_empty() {
            return Err(problem("it holds no certificate in PEM form".to_owned()));
        }
        builder = builder.tls_certs_merge(authorities);
    }
    builder
        .build()
        .map_err(|cause| setup(format!("the HTTP client: {cause}")))
}
