//! Both services speak TLS to their callers and take a new certificate without a restart.

use integration_tests::binaries::{Launch, Program};
use integration_tests::certificates::Authority;
use integration_tests::connector_config::ConnectorConfig;
use integration_tests::eventually::eventually;
use integration_tests::redis_fixture::RedisFixture;
use reqwest::tls::TlsInfo;
use reqwest::{Certificate, Client};

fn caller(authority: &Authority) -> Client {
    Client::builder()
        .add_root_certificate(Certificate::from_pem(authority.pem().as_bytes()).unwrap())
        .tls_info(true)
        .build()
        .unwrap()
}

/// The certificate shown to this caller, in DER.
async fn shown(caller: &Client, url: &str) -> Option<Vec<u8>> {
    let reply = caller.get(url).send().await.ok()?;
    assert!(reply.status().is_success(), "{url}: {}", reply.status());
    let info = reply.extensions().get::<TlsInfo>()?;
    info.peer_certificate().map(<[u8]>::to_vec)
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_are_served_over_tls_with_the_newest_certificate() {
    let redis = RedisFixture::start().await.unwrap();
    let d365 = d365_simulator::start(crate::house::world(10)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new().unwrap();
    let mut config = ConnectorConfig::new(&redis.url(), &d365.url(), vec!["24".to_owned()]);
    let files = authority.sign_into(folder.path(), 1).unwrap();
    let tls = format!(
        "certificate_file = {:?}\nkey_file = {:?}\nreload_interval = \"100ms\"\n",
        files.certificate, files.key
    );
    config.more = format!("[api.tls]\n{tls}\n[worker.tls]\n{tls}");
    let config = config.write().unwrap();
    for (program, path) in [
        (Program::InventoryApi, "/inventory/v1/limits"),
        (Program::PrefetchWorker, "/inventoryPrefetcher/v1/status"),
    ] {
        let launch = Launch::new(program, config.path()).unwrap();
        let mut service = launch.start().await.unwrap();
        let plain = format!("{}{path}", service.url());
        let url = plain.replacen("http:", "https:", 1);
        let first = shown(&caller(&authority), &url).await.unwrap();
        assert!(
            reqwest::get(&plain).await.is_err(),
            "plain HTTP was answered"
        );
        let stranger = reqwest::get(&url).await;
        assert!(stranger.is_err(), "nobody signed for the certificate");

        let early = caller(&authority);
        assert_eq!(shown(&early, &url).await.as_ref(), Some(&first));
        authority.sign_into(folder.path(), 2).unwrap();
        eventually("the new certificate is served", async || {
            let shown = shown(&caller(&authority), &url).await?;
            (shown != first).then_some(())
        })
        .await
        .unwrap();
        assert_eq!(shown(&early, &url).await.as_ref(), Some(&first));
        service.stop().await.unwrap();
    }
}
