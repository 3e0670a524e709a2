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

struct Served {
    address: SocketAddr,
    handle: ServerHandle,
    stop: CancellationToken,
}

fn serve(folder: &TempDir) -> Served {
    let certificate = ServedCertificate::load("test", &settings(folder.path())).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let app = || App::new().route("/", web::get().to(async || HttpResponse::Ok().body("here")));
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1)
        .listen_rustls_0_23(listener, certificate.server_config().unwrap())
        .unwrap()
        .run();
    let (handle, stop, tasks) = (server.handle(), CancellationToken::new(), Tasks::new());
    tasks.spawn("server", async { server.await.unwrap() });
    tasks.spawn("certificate", certificate.keep_fresh(stop.clone()));
    Served {
        address,
        handle,
        stop,
    }
}

/// A caller with connections of its own.
fn caller() -> reqwest::Client {
    let builder = reqwest::Client::builder().tls_info(true);
    builder
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap()
}

impl Served {
    /// The certificate this caller is shown, in DER. HTTP/2 has limits of its own, and is not spoken to those
    /// who offer it.
    async fn shown(&self, caller: &reqwest::Client) -> Vec<u8> {
        let reply = caller.get(format!("https://{}/", self.address)).send();
        let reply = reply.await.unwrap();
        assert_eq!(reply.version(), reqwest::Version::HTTP_11);
        let info = reply.extensions().get::<TlsInfo>().unwrap();
        let certificate = info.peer_certificate().unwrap().to_vec();
        assert_eq!(reply.text().await.unwrap(), "here");
        certificate
    }

    async fn shows_to_the_next(&self, certificate: &[u8]) {
        eventually(async || self.shown(&caller()).await == certificate).await;
    }
}

async fn eventually(is_so: impl AsyncFn() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
}

fn reloads(outcome: &str) -> u64 {
    let text = crate::process::metrics::install().unwrap().render();
    let series = format!("http_tls_reloads_total{{surface=\"test\",outcome=\"{outcome}\"}} ");
    let mut values = text.lines().filter_map(|line| line.strip_prefix(&series));
    values.next().map_or(0, |value| value.parse().unwrap())
}

#[actix_web::test]
async fn new_files_are_served_bad_ones_are_not_and_no_connection_is_dropped() {
    crate::process::metrics::install().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let first = write_pair(folder.path(), 4711);
    let served = serve(&folder);
    let early = caller();
    assert_eq!(served.shown(&early).await, first);
    let second = write_pair(folder.path(), 4712);
    served.shows_to_the_next(&second).await;
    // The connection made before is still there: a new one would show the new certificate.
    assert_eq!(served.shown(&early).await, first);

    let refused = reloads("refused");
    std::fs::write(folder.path().join("certificate.pem"), "none").unwrap();
    eventually(async || reloads("refused") > refused).await;
    assert_eq!(served.shown(&caller()).await, second);

    let third = write_pair(folder.path(), 4713);
    served.shows_to_the_next(&third).await;
    assert!(reloads("loaded") >= 2);
    let plain = reqwest::get(format!("http://{}/", served.address)).await;
    assert!(plain.is_err(), "{plain:?}");
    served.stop.cancel();
    served.handle.stop(false).await;
}

#[test]
fn files_that_do_not_belong_together_are_refused_without_a_word_of_the_key() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| one.path().join(name));
    let secret = || {
        let text = std::fs::read_to_string(&key).unwrap();
        text.lines().nth(1).unwrap().to_owned()
    };
    let load = || ServedCertificate::load("test", &settings(one.path()));
    write_pair(one.path(), 1);
    write_pair(other.path(), 2);
    std::fs::copy(other.path().join("certificate.pem"), &certificate).unwrap();
    let error = load().unwrap_err();
    assert!(matches!(error, TlsError::Unusable(_)), "{error:?}");
    assert!(!format!("{error} {error:?}").contains(&secret()));
    std::fs::write(&key, "no key").unwrap();
    assert!(matches!(load().unwrap_err(), TlsError::NoKey(_)));
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(load().unwrap_err(), TlsError::Unreadable { .. }));
    write_pair(one.path(), 3);
    assert!(!format!("{:?}", load().unwrap()).contains(&secret()));
}
