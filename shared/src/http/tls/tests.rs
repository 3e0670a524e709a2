use super::*;
use crate::process::tasks::Tasks;
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use rcgen::{CertificateParams, KeyPair, SerialNumber};
use reqwest::tls::TlsInfo;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

struct Scene {
    folder: TempDir,
    address: SocketAddr,
    handle: ServerHandle,
    stop: CancellationToken,
}

/// Writes a pair of this serial number; the certificate in DER.
fn write_pair(folder: &Path, serial: u64) -> Vec<u8> {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.serial_number = Some(SerialNumber::from(serial));
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    std::fs::write(folder.join("certificate.pem"), certificate.pem()).unwrap();
    certificate.der().to_vec()
}

fn settings(folder: &Path) -> TlsSettings {
    TlsSettings {
        certificate_file: folder.join("certificate.pem"),
        key_file: folder.join("key.pem"),
        reload_interval: Duration::from_millis(20),
    }
}

fn serve(folder: TempDir) -> Scene {
    let certificate = ServedCertificate::load("test", &settings(folder.path())).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = HttpServer::new(|| {
        App::new().route("/", web::get().to(async || HttpResponse::Ok().body("here")))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .listen_rustls_0_23(listener, certificate.server_config().unwrap())
    .unwrap()
    .run();
    let (handle, stop, tasks) = (server.handle(), CancellationToken::new(), Tasks::new());
    tasks.spawn("server", async { server.await.unwrap() });
    tasks.spawn("certificate", certificate.keep_fresh(stop.clone()));
    Scene {
        folder,
        address,
        handle,
        stop,
    }
}

impl Scene {
    /// A caller with connections of its own.
    fn caller() -> reqwest::Client {
        reqwest::Client::builder()
            .tls_info(true)
            .tls_danger_accept_invalid_certs(true)
            .build()
            .unwrap()
    }

    /// The certificate this caller is shown, in DER.
    async fn shown(&self, caller: &reqwest::Client) -> Vec<u8> {
        let reply = caller
            .get(format!("https://{}/", self.address))
            .send()
            .await
            .unwrap();
        let info = reply.extensions().get::<TlsInfo>().unwrap();
        let certificate = info.peer_certificate().unwrap().to_vec();
        assert_eq!(reply.text().await.unwrap(), "here");
        certificate
    }

    async fn shows_to_the_next(&self, certificate: &[u8]) {
        let wait = async {
            while self.shown(&Self::caller()).await != certificate {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap();
    }
}

fn reloads(outcome: &str) -> u64 {
    let text = crate::process::metrics::install().unwrap().render();
    let series = format!("http_tls_reloads_total{{surface=\"test\",outcome=\"{outcome}\"}} ");
    text.lines()
        .find_map(|line| line.strip_prefix(&series)?.parse().ok())
        .unwrap_or(0)
}

#[actix_web::test]
async fn new_files_are_served_bad_ones_are_not_and_no_connection_is_dropped() {
    crate::process::metrics::install().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let first = write_pair(folder.path(), 4711);
    let scene = serve(folder);
    let early = Scene::caller();
    assert_eq!(scene.shown(&early).await, first);

    let second = write_pair(scene.folder.path(), 4712);
    assert_ne!(first, second);
    scene.shows_to_the_next(&second).await;
    // The connection made before is still there: a new one would show the new certificate.
    assert_eq!(scene.shown(&early).await, first);

    let refused = reloads("refused");
    std::fs::write(
        scene.folder.path().join("certificate.pem"),
        "no certificate",
    )
    .unwrap();
    let told = async {
        while reloads("refused") == refused {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!(scene.shown(&Scene::caller()).await, second);

    let third = write_pair(scene.folder.path(), 4713);
    scene.shows_to_the_next(&third).await;
    assert!(reloads("loaded") >= 2);

    let plain = reqwest::get(format!("http://{}/", scene.address)).await;
    assert!(plain.is_err(), "{plain:?}");
    scene.stop.cancel();
    scene.handle.stop(false).await;
}

/// HTTP/2 has limits of its own, and none of ours: it is not spoken, whoever offers it.
#[actix_web::test]
async fn a_caller_who_offers_http_2_gets_http_1() {
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path(), 1);
    let scene = serve(folder);
    let reply = Scene::caller()
        .get(format!("https://{}/", scene.address))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.version(), reqwest::Version::HTTP_11);
    assert_eq!(reply.text().await.unwrap(), "here");
    scene.stop.cancel();
    scene.handle.stop(false).await;
}

#[test]
fn files_that_do_not_belong_together_are_refused_without_a_word_of_the_key() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_pair(one.path(), 1);
    write_pair(other.path(), 2);
    let key = std::fs::read_to_string(one.path().join("key.pem")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    std::fs::copy(
        other.path().join("certificate.pem"),
        one.path().join("certificate.pem"),
    )
    .unwrap();
    let error = ServedCertificate::load("test", &settings(one.path())).unwrap_err();
    assert!(matches!(error, TlsError::Unusable(_)), "{error:?}");
    assert!(!format!("{error} {error:?}").contains(secret));

    std::fs::write(one.path().join("key.pem"), "no key").unwrap();
    let error = ServedCertificate::load("test", &settings(one.path())).unwrap_err();
    assert!(matches!(error, TlsError::NoKey { .. }), "{error:?}");
    std::fs::remove_file(one.path().join("key.pem")).unwrap();
    let error = ServedCertificate::load("test", &settings(one.path())).unwrap_err();
    assert!(matches!(error, TlsError::Unreadable { .. }), "{error:?}");

    write_pair(one.path(), 3);
    let served = ServedCertificate::load("test", &settings(one.path())).unwrap();
    let key = std::fs::read_to_string(one.path().join("key.pem")).unwrap();
    assert!(!format!("{served:?}").contains(key.lines().nth(1).unwrap()));
}
