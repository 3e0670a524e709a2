use super::*;
use crate::process::clock::ManualClock;
use crate::process::tasks::Tasks;
use crate::settings::JwtSettings;
use crate::stock::AsOf;
use std::path::Path;

fn write_key(path: &Path, id: &str, byte: u8) {
    use base64::Engine;
    let number = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([byte; 256]);
    let keys = format!(r#"{{"keys":[{{"kty":"RSA","kid":"{id}","n":"{number}","e":"AQAB"}}]}}"#);
    std::fs::write(path, keys).unwrap();
}

fn settings(path: &Path) -> JwtSettings {
    toml::from_str(&format!(
        "issuer = 'i'\naudience = 'a'\njwks_file = '{}'\nalgorithm = 'RS256'",
        path.display()
    ))
    .unwrap()
}

struct Scene {
    keys: Arc<IssuerKeys>,
    clock: Arc<ManualClock>,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let clock = Arc::new(ManualClock::at(AsOf::EPOCH));
        let keys = Arc::new(IssuerKeys::new(&settings(&path), clock.clone()).unwrap());
        Self {
            keys,
            clock,
            path,
            _folder: folder,
        }
    }

    async fn start(&self) {
        let keys = Arc::clone(&self.keys);
        Tasks::new().spawn("keys", async move {
            keys.keep_fresh(CancellationToken::new()).await;
        });
        self.keys.looked_once().await;
    }

    fn looks(&self) -> u64 {
        *self.keys.looks.borrow()
    }

    fn generation(&self) -> Option<u64> {
        self.keys.known().map(|known| known.generation)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_unknown_keys_lead_to_one_look_in_five_minutes() {
    let scene = Scene::new();
    write_key(&scene.path, "one", 0xC1);
    scene.start().await;
    assert_eq!((scene.looks(), scene.generation()), (1, Some(1)));
    let flood =
        || futures_util::future::join_all((0..10_000).map(|_| scene.keys.look_for_unknown()));
    flood().await;
    assert_eq!(scene.looks(), 2);
    scene
        .clock
        .advance(BETWEEN_WISHES.saturating_sub(Duration::from_millis(1)));
    flood().await;
    assert_eq!(scene.looks(), 2);
    write_key(&scene.path, "two", 0xC3);
    scene.clock.advance(Duration::from_millis(1));
    flood().await;
    assert_eq!((scene.looks(), scene.generation()), (3, Some(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_known_keys_serve_while_the_document_is_away() {
    let scene = Scene::new();
    write_key(&scene.path, "one", 0xC1);
    scene.start().await;
    for broken in ["", "<html>", r#"{"keys":1}"#] {
        std::fs::write(&scene.path, broken).unwrap();
        scene.clock.advance(BETWEEN_WISHES);
        scene.keys.look_for_unknown().await;
        assert_eq!(scene.generation(), Some(1), "{broken}");
    }
    std::fs::remove_file(&scene.path).unwrap();
    scene.clock.advance(BETWEEN_WISHES);
    scene.keys.look_for_unknown().await;
    assert_eq!((scene.looks(), scene.generation()), (5, Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_lists_no_key_has_withdrawn_them_all() {
    let scene = Scene::new();
    write_key(&scene.path, "one", 0xC1);
    scene.start().await;
    std::fs::write(&scene.path, r#"{"keys":[]}"#).unwrap();
    scene.clock.advance(BETWEEN_WISHES);
    scene.keys.look_for_unknown().await;
    assert_eq!(scene.generation(), Some(2));
    assert_eq!(scene.keys.known().unwrap().keys.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_is_fulfilled_also_when_whoever_had_it_has_gone() {
    let scene = Scene::new();
    write_key(&scene.path, "one", 0xC1);
    scene.start().await;
    write_key(&scene.path, "two", 0xC3);
    // Polled once, then dropped, as when a caller hangs up.
    let _ = futures_util::FutureExt::now_or_never(scene.keys.look_for_unknown());
    let mut looks = scene.keys.looks.subscribe();
    looks.wait_for(|looks| *looks == 2).await.unwrap();
    assert_eq!(scene.generation(), Some(2));
}
