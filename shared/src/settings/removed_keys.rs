//! Keys of earlier versions, each with what holds instead.

const REMOVED: [(&str, &str); 14] = [
    ("redis.pool_size", "connections are shared by all calls"),
    (
        "redis.connect_timeout",
        "connecting may take as long as command_timeout",
    ),
    ("tenants.warehouses_entity", "it is Warehouses"),
    (
        "tenants.variants_max_age",
        "a list of variants is good for 1h",
    ),
    (
        "tenants.calls_kept_for_live",
        "it is a quarter of calls_at_once",
    ),
    (
        "api.stale_after_intervals",
        "a feed is stale after 2 refresh intervals",
    ),
    (
        "api.auth.jwt.leeway",
        "the issuer's clock may be off by 30s",
    ),
    ("api.auth.jwt.jwks_refresh", "keys are read again every 15m"),
    ("api.limits.json_depth", "JSON may be nested 32 deep"),
    (
        "api.limits.burst_per_caller",
        "it is twice requests_per_second_per_caller",
    ),
    ("worker.page_timeout", "a page may take 2m"),
    ("worker.page_bytes", "a page may have 64 MiB"),
    ("worker.refresh_skus", "a refresh may name 1,000 SKUs"),
    ("worker.refresh_queue", "64 refreshes may wait"),
];

/// Why there is no such key any more; none if there never was.
pub(super) fn why(key: &str) -> Option<String> {
    // Entries of lists are one key.
    let mut name = String::new();
    for part in key.split('[') {
        name.push_str(part.split_once(']').map_or(part, |(_number, rest)| rest));
    }
    let (_, instead) = REMOVED.iter().find(|(removed, _)| *removed == name)?;
    Some(format!("there is no such key any more: {instead}"))
}
