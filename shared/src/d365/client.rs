//! The `OData` source: one tenant's D365, asked for one purpose.

use crate::d365::chain::{at_link, read_chain, with_query};
use crate::d365::connections::{Connections, KEPT_IDLE};
use crate::d365::entity::{OnHandEntity, checked_set};
use crate::d365::entra::{Credential, Entra, TokenRequest};
use crate::d365::look_up::{EchoCheck, exact_chunks, look_up_query};
use crate::d365::metrics::{Call, Labels};
use crate::d365::on_hand_page::{PageExpectation, RowReader, on_hand_page};
use crate::d365::page_query::page_query;
use crate::d365::query::Query;
use crate::d365::repeat_budget::RepeatBudget;
use crate::d365::sender::{Allowance, Sender};
use crate::d365::throttle::{AppId, Share};
use crate::d365::variants::{VariantRows, all_variants_query, variants_queries};
use crate::d365::warehouses::{warehouse_of, warehouses_query};
use crate::d365::{
    Answer, D365Error, LookUp, LookUpAnswer, OnHandPage, OnHandSource, PageItem, PageQuery,
    PageStart, ThrottleGate, VariantQuestion,
};
use crate::process::clock::Clock;
use crate::settings::{PagingMode, TenantSettings, TokenEndpointVersion};
use crate::stock::{ItemNumber, LegalEntity, Sku, Variant, WarehouseId};
use futures_util::future::try_join_all;
use futures_util::stream::{BoxStream, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use url::{Position, Url};

/// What D365 is asked for. Each purpose can have an app registration of its own, and each client
/// its own share of calls, so that prefetching never takes what an order needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Look-ups somebody waits for.
    Live,
    /// Pages of snapshots.
    Prefetch,
}

impl Purpose {
    /// The word used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Prefetch => "prefetch",
        }
    }

    /// How long a connection may take before another one is tried, which may take all the time left.
    fn connect_limit(self) -> Duration {
        match self {
            Self::Live => Duration::from_millis(400),
            Self::Prefetch => Duration::from_secs(5),
        }
    }
}

/// Kept of a live question's time for the answer, but no more than half of it: the right to a call
/// that comes later is of no use, and an answer that had less time says nothing about D365.
const ANSWER_TIME: Duration = Duration::from_millis(500);
/// What the end of one call may take.
const A_MOMENT: Duration = Duration::from_millis(3);
/// Largest answer to a live question.
const LIVE_BODY_BYTES: usize = 8 * 1024 * 1024;
/// A live answer of more pages than this is not read to its end.
const LIVE_PAGES: usize = 8;
/// Longest silence inside a page.
const IDLE: Duration = Duration::from_secs(30);
/// Pages of a full list: 20 million rows.
const LIST_PAGES: usize = 2_000;

/// Longest time to reach Entra ID, which is a world-wide service and may be far away.
const TOKEN_CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// How we name ourselves to D365's administrators.
const USER_AGENT: &str = concat!("icm-d365-stock-connector/", env!("CARGO_PKG_VERSION"));

/// Limits of one prefetched page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimits {
    /// Longest time from the request to the last byte.
    pub time: Duration,
    /// Largest body, decompressed.
    pub bytes: usize,
}

impl Default for PageLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_mins(2),
            bytes: 64 * 1024 * 1024,
        }
    }
}

/// Reads one tenant's D365 over `OData`.
#[derive(Debug)]
pub struct D365Client {
    sender: Sender,
    legal_entity: LegalEntity,
    paging: PagingMode,
    entity: OnHandEntity,
    reader: Arc<RowReader>,
    on_hand_url: Url,
    variants_url: Url,
    warehouses_url: Url,
    page_limits: PageLimits,
    longest_address: usize,
}

impl D365Client {
    /// Builds the client of a tenant. Asks nobody anything yet.
    ///
    /// # Errors
    /// [`D365Error::Setup`] if a name, address, credential or authority file cannot be used.
    pub fn new(
        tenant: &TenantSettings,
        purpose: Purpose,
        clock: Arc<dyn Clock>,
        gate: Arc<dyn ThrottleGate>,
    ) -> Result<Self, D365Error> {
        let entity = OnHandEntity::of(tenant)?;
        let labels = Labels::new(&tenant.id, purpose);
        let connections = Connections::new(
            http_client(tenant, Some(purpose.connect_limit()), KeptConnections::Some)?,
            http_client(tenant, None, KeptConnections::None)?,
            Arc::clone(&clock),
        );
        let entra = entra(tenant, purpose, &clock, labels.clone())?;
        let set_url = |set: &str| {
            let base = tenant.environment_url.as_str().trim_end_matches('/');
            Url::parse(&format!("{base}/data/{set}"))
                .map_err(|cause| setup(format!("environment_url gives no address: {cause}")))
        };
        Ok(Self {
            on_hand_url: set_url(&entity.set)?,
            variants_url: set_url(&checked_set("variants_entity", &tenant.variants_entity)?)?,
            warehouses_url: set_url(&checked_set(
                "warehouses_entity",
                &tenant.warehouses_entity,
            )?)?,
            sender: Sender {
                connections,
                app: app_of(tenant, purpose),
                entra,
                gate,
                clock,
                share: share_of(tenant, purpose),
                labels,
                repeats: RepeatBudget::default(),
            },
            legal_entity: tenant.legal_entity.clone(),
            paging: tenant.paging,
            reader: Arc::new(RowReader::of(&entity)),
            entity,
            page_limits: PageLimits::default(),
            longest_address: tenant.longest_address,
        })
    }

    /// Other limits for pages than the default 2 minutes and 64 MiB.
    #[must_use]
    pub fn with_page_limits(mut self, limits: PageLimits) -> Self {
        self.page_limits = limits;
        self
    }

    fn page_allowance(&self) -> Allowance {
        Allowance {
            queue: self.page_limits.time,
            attempt: self.page_limits.time,
            idle: IDLE,
            body_bytes: self.page_limits.bytes,
            ends_at: None,
            gives_way: false,
        }
    }

    fn live_allowance(&self, time_left: Duration) -> Allowance {
        // Who waits for a live answer decides how long. Nobody waits for what a prefetcher looks up.
        let longest = match self.sender.share.purpose {
            Purpose::Live => time_left,
            Purpose::Prefetch => IDLE,
        };
        Allowance {
            queue: time_left.saturating_sub(ANSWER_TIME).max(time_left / 2),
            attempt: longest.min(time_left),
            idle: longest,
            body_bytes: LIVE_BODY_BYTES,
            ends_at: Some(self.sender.clock.monotonic().saturating_add(time_left)),
            gives_way: false,
        }
    }

    async fn page(&self, query: &PageQuery) -> Result<OnHandPage, D365Error> {
        let url = if let PageStart::Link(link) = &query.start {
            at_link(&self.on_hand_url, link)?
        } else {
            let query = page_query(&self.entity, &self.legal_entity, self.paging, query)?;
            with_query(&self.on_hand_url, &query.to_string())
        };
        let opened = self.sender.open(&url, self.page_allowance()).await?;
        let expected = PageExpectation {
            reader: Arc::clone(&self.reader),
            legal_entity: self.legal_entity.clone(),
            warehouse: query.warehouse.clone(),
            set_url: self.on_hand_url.clone(),
        };
        let items = on_hand_page(expected, opened.body);
        Ok(OnHandPage {
            as_of: opened.as_of,
            items: counted(items, opened.call, self.sender.labels.clone()),
        })
    }

    async fn live_rows(&self, question: &LookUp) -> Result<LookUpAnswer, D365Error> {
        let LookUp {
            items,
            warehouses,
            time_left,
            gives_way,
        } = question;
        if items.is_empty() || warehouses.is_empty() {
            return Ok(LookUpAnswer {
                as_of: self.sender.clock.now(),
                rows: Vec::new(),
                dropped_rows: 0,
                unproved: Vec::new(),
            });
        }
        let chunks = exact_chunks(
            items,
            warehouses,
            &self.entity,
            &self.legal_entity,
            self.on_hand_url.as_str().len(),
            self.longest_address,
        )?;
        let allowance = Allowance {
            gives_way: *gives_way,
            ..self.live_allowance(*time_left)
        };
        let answers = chunks
            .iter()
            .map(|chunk| self.live_chunk(chunk, warehouses, allowance));
        let answers = within(*time_left, try_join_all(answers)).await?;
        let joined = answers.into_iter().reduce(|mut joined, answer| {
            joined.as_of = joined.as_of.min(answer.as_of);
            joined.rows.extend(answer.rows);
            joined.dropped_rows += answer.dropped_rows;
            joined.unproved.extend(answer.unproved);
            joined
        });
        let answer = joined.ok_or_else(|| setup("a question without items".to_owned()))?;
        self.sender.labels.count_dropped_rows(answer.dropped_rows);
        Ok(answer)
    }

    async fn live_chunk(
        &self,
        items: &[ItemNumber],
        warehouses: &[WarehouseId],
        allowance: Allowance,
    ) -> Result<LookUpAnswer, D365Error> {
        let query = look_up_query(&self.entity, &self.legal_entity, items, warehouses)?;
        let mut check = EchoCheck::new(&self.reader, &self.legal_entity, warehouses, items);
        let as_of = read_chain(
            &self.sender,
            &self.on_hand_url,
            &query,
            allowance,
            LIVE_PAGES,
            &mut |number, json: &[u8]| check.take(number, json),
        )
        .await?;
        Ok(LookUpAnswer {
            as_of,
            unproved: check.unproved(),
            rows: check.rows,
            dropped_rows: check.dropped_rows,
        })
    }

    async fn all_variants(&self) -> Result<Vec<Variant>, D365Error> {
        let query = all_variants_query(&self.legal_entity)?;
        let rows = VariantRows::new(&self.legal_entity, None);
        let allowance = self.page_allowance();
        self.variant_rows(&query, rows, allowance, LIST_PAGES).await
    }

    async fn variants_of(
        &self,
        skus: &[Sku],
        time_left: Duration,
    ) -> Result<Vec<Variant>, D365Error> {
        let queries = variants_queries(&self.legal_entity, skus)?;
        let allowance = self.live_allowance(time_left);
        let answers = queries.iter().map(|query| {
            let rows = VariantRows::new(&self.legal_entity, Some(skus));
            self.variant_rows(query, rows, allowance, LIVE_PAGES)
        });
        let answers = within(time_left, try_join_all(answers)).await?;
        Ok(answers.into_iter().flatten().collect())
    }

    async fn variant_rows(
        &self,
        query: &Query,
        mut rows: VariantRows<'_>,
        allowance: Allowance,
        most_pages: usize,
    ) -> Result<Vec<Variant>, D365Error> {
        let take_row = &mut |number, json: &[u8]| rows.take(number, json);
        let url = &self.variants_url;
        read_chain(&self.sender, url, query, allowance, most_pages, take_row).await?;
        self.sender.labels.count_dropped_rows(rows.dropped_rows);
        Ok(rows.variants)
    }

    async fn known_warehouses(&self) -> Result<Vec<WarehouseId>, D365Error> {
        let query = warehouses_query(&self.legal_entity)?;
        let mut known = Vec::new();
        read_chain(
            &self.sender,
            &self.warehouses_url,
            &query,
            self.page_allowance(),
            LIVE_PAGES,
            &mut |number, json: &[u8]| {
                known.extend(warehouse_of(number, json, &self.legal_entity)?);
                Ok(())
            },
        )
        .await?;
        Ok(known)
    }
}

impl OnHandSource for D365Client {
    fn read_page<'a>(&'a self, query: &'a PageQuery) -> Answer<'a, OnHandPage> {
        Box::pin(self.page(query))
    }

    fn look_up<'a>(&'a self, question: &'a LookUp) -> Answer<'a, LookUpAnswer> {
        Box::pin(self.live_rows(question))
    }

    fn variants<'a>(&'a self, question: &'a VariantQuestion) -> Answer<'a, Vec<Variant>> {
        match question {
            VariantQuestion::All => Box::pin(self.all_variants()),
            VariantQuestion::Of { skus, time_left } => Box::pin(self.variants_of(skus, *time_left)),
        }
    }

    fn warehouses(&self) -> Answer<'_, Vec<WarehouseId>> {
        Box::pin(self.known_warehouses())
    }
}

async fn within<T>(
    time_left: Duration,
    work: impl Future<Output = Result<T, D365Error>>,
) -> Result<T, D365Error> {
    // The calls end by themselves, and say how long D365 was silent.
    tokio::time::timeout(time_left + A_MOMENT, work)
        .await
        .unwrap_or(Err(D365Error::TimedOut {
            stage: "the time allowed is over",
            silent_for: Duration::ZERO,
        }))
}

/// Counts a page once its last item has left, and holds its call until then.
fn counted(
    items: BoxStream<'static, Result<PageItem, D365Error>>,
    call: Call,
    labels: Labels,
) -> BoxStream<'static, Result<PageItem, D365Error>> {
    let mut call = Some(call);
    items
        .inspect(move |item| match item {
            Ok(PageItem::Rows(_)) => {}
            Ok(PageItem::End(end)) => {
                labels.count_dropped_rows(end.dropped_rows);
                if let Some(call) = call.take() {
                    call.went_well();
                }
            }
            Err(error) => {
                if let Some(call) = call.take() {
                    call.failed(error);
                }
            }
        })
        .boxed()
}

fn setup(problem: String) -> D365Error {
    D365Error::Setup { problem }
}

fn app_of(tenant: &TenantSettings, purpose: Purpose) -> AppId {
    let credentials = match purpose {
        Purpose::Live => tenant.entra.live_credentials(),
        Purpose::Prefetch => tenant.entra.prefetch_credentials(),
    };
    let environment = &tenant.environment_url[Position::BeforeHost..Position::AfterPort];
    AppId::new(&credentials.client_id, environment)
}

/// Where both use one registration, prefetching leaves a part of the budget to live look-ups.
fn share_of(tenant: &TenantSettings, purpose: Purpose) -> Share {
    let is_shared = app_of(tenant, Purpose::Live) == app_of(tenant, Purpose::Prefetch);
    Share {
        purpose,
        most: tenant.calls_at_once,
        kept_for_live: if is_shared {
            tenant.calls_kept_for_live
        } else {
            0
        },
        gives_way: false,
    }
}

fn entra(
    tenant: &TenantSettings,
    purpose: Purpose,
    clock: &Arc<dyn Clock>,
    labels: Labels,
) -> Result<Entra, D365Error> {
    let settings = &tenant.entra;
    let credentials = match purpose {
        Purpose::Live => settings.live_credentials(),
        Purpose::Prefetch => settings.prefetch_credentials(),
    };
    let problem = |problem: String| {
        setup(format!(
            "the credentials of client {:?}: {problem}",
            credentials.client_id
        ))
    };
    if credentials.client_id.is_empty() {
        return Err(problem("client_id is empty".to_owned()));
    }
    let url = |version| TokenRequest::url_of(settings, version).map_err(setup);
    let request = TokenRequest {
        // A token lives for an hour: no connection would be used twice.
        http: http_client(tenant, Some(TOKEN_CONNECT_LIMIT), KeptConnections::None)?,
        url: url(settings.token_endpoint_version)?,
        version: settings.token_endpoint_version,
        app: app_of(tenant, purpose),
        credential: Credential::of(&credentials).map_err(problem)?,
        // Entra names the v2 address as the audience whichever endpoint is used.
        assertion_audience: url(TokenEndpointVersion::V2)?.into(),
        resource: tenant
            .environment_url
            .as_str()
            .trim_end_matches('/')
            .to_lowercase(),
        clock: Arc::clone(clock),
    };
    Ok(Entra::new(request, settings.minimum_token_lifetime, labels))
}

/// Whether a client keeps connections between calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeptConnections {
    Some,
    None,
}

/// No redirects (a token must not follow one), no cookies (D365's affinity cookie would tie all
/// calls to one of its web servers), no repeats of its own. HTTP/1.1, because a call that times out
/// then takes its connection with it; a dead HTTP/2 connection would swallow all later calls too.
fn http_client(
    tenant: &TenantSettings,
    connect_limit: Option<Duration>,
    kept: KeptConnections,
) -> Result<reqwest::Client, D365Error> {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .http1_only()
        .gzip(true)
        .pool_idle_timeout(KEPT_IDLE)
        .pool_max_idle_per_host(match kept {
            KeptConnections::Some => 16,
            KeptConnections::None => 0,
        })
        // Firewalls forget quiet connections after half a minute at the earliest; a peer that is
        // gone is found out after another half.
        .tcp_keepalive(Duration::from_secs(20))
        .tcp_keepalive_interval(Duration::from_secs(10))
        .tcp_keepalive_retries(3);
    if let Some(limit) = connect_limit {
        builder = builder.connect_timeout(limit);
    }
    if let Some(file) = &tenant.ca_file {
        let problem = |cause: String| setup(format!("ca_file {}: {cause}", file.display()));
        let pem = std::fs::read(file).map_err(|cause| problem(cause.to_string()))?;
        let authorities = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|cause| problem(cause.to_string()))?;
        if authorities.is_empty() {
            return Err(problem("it holds no certificate in PEM form".to_owned()));
        }
        builder = builder.tls_certs_merge(authorities);
    }
    builder
        .build()
        .map_err(|cause| setup(format!("the HTTP client: {cause}")))
}
