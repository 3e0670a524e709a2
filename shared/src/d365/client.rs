//! The `OData` source: one tenant's D365, asked for one purpose.

use crate::d365::chain::read_chain;
use crate::d365::connections::Connections;
use crate::d365::credential::Credential;
use crate::d365::entity::{OnHandEntity, checked_set};
use crate::d365::entra::Entra;
use crate::d365::error::{D365Error, setup};
use crate::d365::http_client::http_client;
use crate::d365::look_up::{EchoCheck, exact_chunks, look_up_query};
use crate::d365::metrics::Labels;
use crate::d365::next_link::{NextLink, with_query};
use crate::d365::page::{Page, bad_row};
use crate::d365::page_query::page_query;
use crate::d365::query::Query;
use crate::d365::repeat_budget::RepeatBudget;
use crate::d365::row::RawRow;
use crate::d365::sender::{CallLimits, Sender};
use crate::d365::source::{
    Answer, LookUp, LookUpAnswer, OnHandPage, OnHandSource, PageEnd, PageQuery, PageStart,
    VariantQuestion,
};
use crate::d365::throttle::{AppId, Purpose, Share, ThrottleGate};
use crate::d365::token_request::TokenRequest;
use crate::d365::variants::{VariantRows, all_variants_query, variants_queries};
use crate::d365::warehouses::{warehouse_of, warehouses_query};
use crate::process::clock::Clock;
use crate::settings::{CredentialSettings, PagingMode, TenantSettings, TokenEndpointVersion};
use crate::stock::{ItemNumber, LegalEntity, OnHandRow, Sku, Variant, WarehouseId};
use futures_util::future::try_join_all;
use std::sync::Arc;
use std::time::Duration;
use url::{Position, Url};

/// Longest time to make a connection for a look-up before another one is tried, which may take all the
/// time left.
const LIVE_CONNECT_LIMIT: Duration = Duration::from_millis(400);
/// The same for a page.
const PREFETCH_CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Connections kept between calls.
const KEPT_CONNECTIONS: usize = 16;
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

const WAREHOUSES_ENTITY: &str = "Warehouses";
/// Longest time to reach Entra ID, which is a world-wide service and may be far away.
const TOKEN_CONNECT_LIMIT: Duration = Duration::from_secs(3);
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
        let connect_limit = match purpose {
            Purpose::Live => LIVE_CONNECT_LIMIT,
            Purpose::Prefetch => PREFETCH_CONNECT_LIMIT,
        };
        let connections = Connections::new(
            http_client(tenant, Some(connect_limit), KEPT_CONNECTIONS)?,
            http_client(tenant, None, 0)?,
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
            warehouses_url: set_url(&checked_set("warehouses_entity", WAREHOUSES_ENTITY)?)?,
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

    fn page_call_limits(&self) -> CallLimits {
        CallLimits {
            queue: self.page_limits.time,
            attempt: self.page_limits.time,
            idle: IDLE,
            body_bytes: self.page_limits.bytes,
            ends_at: None,
            gives_way: false,
        }
    }

    fn live_call_limits(&self, time_left: Duration) -> CallLimits {
        // Who waits for a live answer decides how long. Nobody waits for what a prefetcher looks up.
        let longest = match self.sender.share.purpose {
            Purpose::Live => time_left,
            Purpose::Prefetch => IDLE,
        };
        CallLimits {
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
            link.at(&self.on_hand_url)?
        } else {
            let query = page_query(&self.entity, &self.legal_entity, self.paging, query)?;
            with_query(&self.on_hand_url, &query.to_string())
        };
        let limits = self.page_call_limits();
        let read = |body: &[u8]| self.read_body(body, &query.warehouse);
        let (as_of, (rows, end)) = self.sender.ask(&url, limits, read).await?;
        self.sender.labels.count_dropped_rows(end.dropped_rows);
        Ok(OnHandPage { as_of, rows, end })
    }

    /// Reads the body of a page of a warehouse. Drops and counts rows of another company or warehouse
    /// (the blank one too).
    ///
    /// # Errors
    /// [`D365Error::BadAnswer`] if it is no whole page, or a row cannot be understood.
    pub fn read_body(
        &self,
        body: &[u8],
        warehouse: &WarehouseId,
    ) -> Result<(Vec<OnHandRow>, PageEnd), D365Error> {
        let page = Page::read(body)?;
        let mut rows = Vec::with_capacity(page.rows.len());
        let mut end = PageEnd::default();
        for json in page.rows {
            end.rows += 1;
            let raw = RawRow::read(json.get(), &self.entity)
                .map_err(|problem| bad_row(end.rows, &problem))?;
            let is_asked_for = self.legal_entity.is_named_by(&raw.company)
                && warehouse.is_named_by(&raw.warehouse);
            match raw.into_row() {
                Some(row) if is_asked_for => rows.push(row),
                None if is_asked_for => end.nameless_rows += 1,
                _ => end.dropped_rows += 1,
            }
        }
        let link = page
            .next_link
            .map(|link| NextLink::checked(&link, &self.on_hand_url));
        end.next_link = link.transpose()?;
        Ok((rows, end))
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
        let limits = CallLimits {
            gives_way: *gives_way,
            ..self.live_call_limits(*time_left)
        };
        let answers = chunks
            .iter()
            .map(|chunk| self.live_chunk(chunk, warehouses, limits));
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
        limits: CallLimits,
    ) -> Result<LookUpAnswer, D365Error> {
        let query = look_up_query(&self.entity, &self.legal_entity, items, warehouses)?;
        let mut check = EchoCheck::new(&self.entity, &self.legal_entity, warehouses, items);
        let take = |row: &str| check.take(row);
        let url = &self.on_hand_url;
        let as_of = read_chain(&self.sender, url, &query, limits, LIVE_PAGES, take).await?;
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
        let limits = self.page_call_limits();
        self.variant_rows(&query, rows, limits, LIST_PAGES).await
    }

    async fn variants_of(
        &self,
        skus: &[Sku],
        time_left: Duration,
    ) -> Result<Vec<Variant>, D365Error> {
        let queries = variants_queries(&self.legal_entity, skus)?;
        let limits = self.live_call_limits(time_left);
        let answers = queries.iter().map(|query| {
            let rows = VariantRows::new(&self.legal_entity, Some(skus));
            self.variant_rows(query, rows, limits, LIVE_PAGES)
        });
        let answers = within(time_left, try_join_all(answers)).await?;
        Ok(answers.into_iter().flatten().collect())
    }

    async fn variant_rows(
        &self,
        query: &Query,
        mut rows: VariantRows<'_>,
        limits: CallLimits,
        most_pages: usize,
    ) -> Result<Vec<Variant>, D365Error> {
        let take = |row: &str| rows.take(row);
        let url = &self.variants_url;
        read_chain(&self.sender, url, query, limits, most_pages, take).await?;
        self.sender.labels.count_dropped_rows(rows.dropped_rows);
        Ok(rows.variants)
    }

    async fn known_warehouses(&self) -> Result<Vec<WarehouseId>, D365Error> {
        let query = warehouses_query(&self.legal_entity)?;
        let mut known = Vec::new();
        let take = |row: &str| {
            known.extend(warehouse_of(row, &self.legal_entity)?);
            Ok(())
        };
        let (url, limits) = (&self.warehouses_url, self.page_call_limits());
        read_chain(&self.sender, url, &query, limits, LIVE_PAGES, take).await?;
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

fn credentials_of(tenant: &TenantSettings, purpose: Purpose) -> CredentialSettings {
    match purpose {
        Purpose::Live => tenant.entra.live_credentials(),
        Purpose::Prefetch => tenant.entra.prefetch_credentials(),
    }
}

fn app_of(tenant: &TenantSettings, purpose: Purpose) -> AppId {
    let credentials = credentials_of(tenant, purpose);
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
            tenant.calls_kept_for_live()
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
    let credentials = credentials_of(tenant, purpose);
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
        http: http_client(tenant, Some(TOKEN_CONNECT_LIMIT), 0)?,
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
