//! Both services speak TLS to their callers. That new certificates are taken up is proved in `shared`.

use integration_tests::binaries::Program;
use integration_tests::certificates::Authority;
use integration_tests::test_bed::{TestBed, world};
use reqwest::{Certificate, Client};

#[tokio::test(flavor = "multi_thread")]
async fn callers_are_served_over_tls_alone() {
    let mut bed = TestBed::start(world(10), &["24"]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new().unwrap();
    let files = authority.sign_into(folder.path(), 1).unwrap();
    let tls = format!(
        "certificate_file = {:?}\nkey_file = {:?}\n",
        files.certificate, files.key
    );
    bed.reconfigure(|config| config.more = format!("[api.tls]\n{tls}\n[worker.tls]\n{tls}"))
        .unwrap();
    let root = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    let caller = Client::builder()
        .add_root_certificate(root)
        .build()
        .unwrap();
    for (program, path) in [
        (Program::InventoryApi, "/inventory/v1/limits"),
        (Program::PrefetchWorker, "/inventoryPrefetcher/v1/status"),
    ] {
        let mut service = bed.launch(program).unwrap().start().await.unwrap();
        let plain = format!("{}{path}", service.url());
        let url = plain.replacen("http:", "https:", 1);
        let reply = caller.get(&url).send().await.unwrap();
        assert!(reply.status().is_success(), "{url}: {}", reply.status());
        assert!(
            reqwest::get(&plain).await.is_err(),
            "plain HTTP was answered"
        );
        let untrusting = reqwest::get(&url).await;
        assert!(
            untrusting.is_err(),
            "nobody it trusts signed the certificate"
        );
        service.stop().await.unwrap();
    }
}
