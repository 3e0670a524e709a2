//! A test bed for tests that unwrap.

use d365_simulator::{Config, Simulator};
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::Service;
use integration_tests::connector_config::ConnectorConfig;
use integration_tests::test_bed::TestBed;
use std::sync::Arc;

pub(crate) use integration_tests::test_bed::world;

pub(crate) struct House {
    bed: TestBed,
    pub(crate) config: ConnectorConfig,
}

impl House {
    pub(crate) async fn with(d365: Config, warehouses: &[&str]) -> Self {
        let bed = TestBed::start(d365, warehouses).await.unwrap();
        Self {
            config: bed.config.clone(),
            bed,
        }
    }

    pub(crate) fn d365(&self) -> Arc<Simulator> {
        self.bed.d365()
    }

    pub(crate) async fn running_worker(&self, name: &str) -> Service {
        self.bed.worker(name).await.unwrap()
    }

    pub(crate) async fn snapshot(&self) {
        self.bed.snapshot().await.unwrap();
    }

    pub(crate) async fn api(&self) -> (Service, ApiClient) {
        self.bed.api().await.unwrap()
    }
}
