use super::*;
use crate::process::clock::ManualClock;
use crate::process::tasks::Tasks;
use crate::stock::AsOf;
use futures_util::FutureExt;
use futures_util::future::join_all;

/// An issuer whose document is a file.
struct TestBed {
    keys: Arc<IssuerKeys>,
    clock: Arc<ManualClock>,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl TestBed {
    /// After the first look.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let settings = format!(
            "issuer = 'i'\naudience = 'a'\njwks_file = '{}'\nalgorithm = 'RS256'",
            path.display()
        );
        let clock = Arc::new(ManualClock::at(AsOf::EPOCH));
        let keys = IssuerKeys::new(&toml::from_str(&settings).unwrap(), clock.clone()).unwrap();
        let bed = Self {
            keys: Arc::new(keys),
            clock,
            path,
            _folder: folder,
        };
        bed.write_key("one");
        let keys = Arc::clone(&bed.keys);
        Tasks::new().spawn("keys", async move {
            keys.keep_fresh(CancellationToken::new()).await;
        });
        bed.keys.looked_once().await;
        assert_eq!((bed.looks(), bed.generation()), (1, 1));
        bed
    }

    fn write(&self, document: &str) {
        std::fs::write(&self.path, document).unwrap();
    }

    fn write_key(&self, id: &str) {
        let keys = format!(r#"{{"keys":[{{"kty":"RSA","kid":"{id}","n":"AQAB","e":"AQAB"}}]}}"#);
        self.write(&keys);
    }

    fn looks(&self) -> u64 {
        *self.keys.looks.borrow()
    }

    fn generation(&self) -> u64 {
        self.keys.known().unwrap().generation
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_unknown_keys_lead_to_one_look_in_five_minutes() {
    let bed = TestBed::new().await;
    let flood = || join_all((0..10_000).map(|_| bed.keys.look_for_unknown()));
    flood().await;
    assert_eq!(bed.looks(), 2);
    let moment = Duration::from_millis(1);
    bed.clock.advance(FOR_UNKNOWN_EVERY.saturating_sub(moment));
    flood().await;
    assert_eq!(bed.looks(), 2);
    bed.write_key("two");
    bed.clock.advance(moment);
    flood().await;
    assert_eq!((bed.looks(), bed.generation()), (3, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn known_keys_serve_while_the_document_is_away_and_an_empty_one_withdraws_them() {
    let bed = TestBed::new().await;
    let look = async || {
        bed.clock.advance(FOR_UNKNOWN_EVERY);
        bed.keys.look_for_unknown().await;
    };
    for broken in ["", "<html>", r#"{"keys":1}"#] {
        bed.write(broken);
        look().await;
        assert_eq!(bed.generation(), 1, "{broken}");
    }
    std::fs::remove_file(&bed.path).unwrap();
    look().await;
    assert_eq!((bed.looks(), bed.generation()), (5, 1));
    bed.write(r#"{"keys":[]}"#);
    look().await;
    assert_eq!(bed.generation(), 2);
    assert!(bed.keys.known().unwrap().keys.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_goes_on_when_the_caller_has_gone() {
    let bed = TestBed::new().await;
    bed.write_key("two");
    // Polled once, then dropped, as when a caller hangs up.
    let _ = bed.keys.look_for_unknown().now_or_never();
    let mut looks = bed.keys.looks.subscribe();
    looks.wait_for(|looks| *looks == 2).await.unwrap();
    assert_eq!(bed.generation(), 2);
}
