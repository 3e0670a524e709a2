//! The registry of metrics; the names are in each folder's and service's own `metrics.rs`.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Upper bounds of duration histograms, in seconds: from a Redis round trip to a slow D365 page.
const DURATION_BUCKETS: [f64; 16] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0,
    120.0,
];

#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    #[error("the metrics registry cannot be built: {0}")]
    Build(#[from] BuildError),
    #[error("metrics are already being recorded by another recorder")]
    AlreadyInstalled,
}

#[derive(Clone)]
pub struct MetricsHandle(PrometheusHandle);

impl MetricsHandle {
    /// All series in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }
}

impl std::fmt::Debug for MetricsHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsHandle")
    }
}

static INSTALLED: OnceLock<MetricsHandle> = OnceLock::new();
static INSTALLING: Mutex<()> = Mutex::new(());

/// Starts recording, once a process; later calls give the same handle.
pub fn install() -> Result<MetricsHandle, MetricsError> {
    let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = INSTALLED.get() {
        return Ok(handle.clone());
    }
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS)?
        .build_recorder();
    let handle = MetricsHandle(recorder.handle());
    ::metrics::set_global_recorder(recorder).or(Err(MetricsError::AlreadyInstalled))?;
    Ok(INSTALLED.get_or_init(|| handle).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_is_rendered_with_buckets_in_seconds() {
        let handle = install().unwrap();
        ::metrics::histogram!("metrics_test_seconds").record(0.003);
        let text = install().unwrap().render();
        assert!(
            text.contains("metrics_test_seconds_bucket{le=\"0.005\"} 1"),
            "{text}"
        );
        assert!(handle.render().contains("metrics_test_seconds_count 1"));
    }
}
