//! Continuations that lead away, in a circle, or nowhere.

use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::{Rig, Stage};
use d365_simulator::{Action, FaultSpec, Kind, LinkTrick, RequestRecord};
use integration_tests::redis_fixture::RedisFixture;
use integration_tests::tcp_proxy::TcpProxy;
use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::time::Duration;

const TRICKS: [LinkTrick; 7] = [
    LinkTrick::OtherHost,
    LinkTrick::OtherPort,
    LinkTrick::UserInfo,
    LinkTrick::OtherScheme,
    LinkTrick::OtherPath,
    LinkTrick::SamePage,
    LinkTrick::Endless,
];

/// Whole pages, those without a row that are borne, and a second try, in both warehouses: an endless
/// chain that were followed would be at several hundred by then.
const MOST_PAGES: f64 = 150.0;
/// After the first bent link: long enough for a cycle to go where it leads.
const GOING_ON: Duration = Duration::from_secs(3);

/// A place nobody may be sent to: counts who comes. The system takes connections into its queue
/// without anybody accepting them, so that none is missed.
struct Elsewhere(TcpListener);

impl Elsewhere {
    fn open() -> Result<Self, RowError> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    /// As a host with a port; another name for the same machine, so that the host differs too.
    fn host(&self) -> Result<String, RowError> {
        Ok(format!("localhost:{}", self.0.local_addr()?.port()))
    }

    fn visitors(&self) -> u64 {
        let mut count = 0;
        while self.0.accept().is_ok() {
            count += 1;
        }
        count
    }
}

/// Requests where nothing is to be asked for, though it is D365's own port: TLS where it speaks plain
/// HTTP, as the proxy sees it, and paths that are neither tokens nor data, as D365 itself does.
fn strays(stage: &Stage, proxy: &TcpProxy) -> u64 {
    let is_stray = |request: &RequestRecord| {
        let path = request.address.to_ascii_lowercase();
        request.kind == Kind::Other && !path.starts_with("/data/")
    };
    let of_paths = stage
        .d365()
        .requests(0)
        .into_iter()
        .filter(is_stray)
        .count();
    of_paths as u64 + proxy.counters().tls_begun.load(Ordering::Relaxed)
}

fn bent(kind: Kind, trick: LinkTrick, host: &str) -> FaultSpec {
    let host = Some(host.to_owned());
    FaultSpec::on(kind, Action::NextLink { trick, host })
}

/// One question about an order, by an API of its own: a rested environment would not be asked.
async fn is_taken_live(stage: &Stage, item: &str) -> Result<bool, RowError> {
    let (mut service, api) = stage.api().await?;
    let reply = api.exact("24", &[item]).await?;
    service.stop().await?;
    Ok(reply
        .line(item)
        .is_some_and(|line| line["source"] == "LIVE"))
}

/// The first cycle of an empty cache over bent links: how often they were, how many pages it asked
/// for, and whether it was taken for a snapshot.
async fn cycle_over(
    stage: &Stage,
    trick: LinkTrick,
    host: &str,
) -> Result<(u64, f64, bool), RowError> {
    stage.redis.flush().await?;
    let before = stage.last_request();
    stage.d365().add_fault(bent(Kind::Page, trick, host));
    let gone_on = async {
        let fired = async || (stage.faults_fired() > 0).then_some(());
        stage
            .within(Duration::from_mins(1), "a bent link", fired)
            .await?;
        tokio::time::sleep(GOING_ON).await;
        Ok::<bool, RowError>(false)
    };
    // A broken cycle is tried again later and later; that is not waited for.
    let is_whole = tokio::select! {
        is_whole = stage.once() => is_whole?,
        gone_on = gone_on => gone_on?,
    };
    let fired = stage.faults_fired();
    let pages = u32::try_from(stage.pages_since(before).len())?;
    stage.d365().clear_faults();
    let has_watermark = stage.feed("24").await?.contains_key("watermark");
    Ok((fired, f64::from(pages), is_whole || has_watermark))
}

pub(super) async fn bent_links(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.items = 400;
    rig.scale.interval = Duration::from_hours(1);
    let elsewhere = Elsewhere::open()?;
    let host = elsewhere.host()?;
    let mut outcome = Outcome::default();
    let (mut visitors, mut fired, mut taken, mut believed) = (0, 0, 0, 0);
    let mut most_pages: f64 = 0.0;
    let mut pages = rig.world();
    pages.page_size = 100;
    let port = integration_tests::free_port::free_port()?;
    pages.listen = ([127, 0, 0, 1], port).into();
    let proxy = TcpProxy::before(pages.listen).await?;
    let proxy_url = format!("http://{}", proxy.address());
    pages.audiences.push(proxy_url.clone());
    let redis = RedisFixture::start_process().await?;
    let stage = rig.stage_with(redis, pages, "page_size = 100", |config| {
        config.d365_url = proxy_url;
        config.paging = Some("next-link".to_owned());
    })?;
    let whole = stage.once().await?;
    let items = stage.items("24")?;
    for (number, trick) in TRICKS.into_iter().enumerate() {
        stage.d365().add_fault(bent(Kind::Any, trick, &host));
        taken += u64::from(is_taken_live(&stage, &items[number]).await?);
        let on_look_ups = stage.faults_fired();
        stage.d365().clear_faults();

        let (on_pages, pages, is_believed) = cycle_over(&stage, trick, &host).await?;
        believed += u64::from(is_believed);
        most_pages = most_pages.max(pages);
        fired += u64::from(on_look_ups > 0 && on_pages > 0);
        visitors += elsewhere.visitors();
    }
    outcome.none("foreign requests", visitors + strays(&stage, &proxy));
    outcome.none("live answers taken from a bent chain", taken);
    outcome.none("snapshots taken from bent chains", believed);
    outcome.at_most("pages asked for by a cycle", most_pages, MOST_PAGES, "");
    stage.redis.flush().await?;
    outcome.holds("a straight chain is read", whole && stage.once().await?);
    outcome.holds(
        "every trick was tried on look-ups and pages",
        fired == TRICKS.len() as u64,
    );
    outcome.happened("tricks", fired);
    Ok(outcome)
}
