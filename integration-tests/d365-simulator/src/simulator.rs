//! The running simulator, and what a test asks of it or changes in it.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::apps::AppRegistration;
use crate::clock::{Clock, UtcMillis};
use crate::config::Config;
use crate::entra::{TokenMint, is_loopback};
use crate::faults::{Call, Fault, FaultBook, FaultReport, FaultSpec};
use crate::load_model::{LoadModel, Running};
use crate::locks::{lock, read, write};
use crate::request_log::{Counters, OpenRecord, RequestLog, RequestRecord};
use crate::sales::Sales;
use crate::switches::Switches;
use crate::world::{
    JournalEntry, StockChange, StockKey, TruthLine, VariantLine, WarehouseLine, World, WorldError,
};

/// A simulated environment with its directory. Cheap to share, safe to use from any thread.
pub struct Simulator {
    config: Config,
    clock: Arc<Clock>,
    world: RwLock<World>,
    faults: Mutex<FaultBook>,
    switches: RwLock<Switches>,
    load: RwLock<LoadModel>,
    under_way: Arc<AtomicU64>,
    log: Arc<RequestLog>,
    sales: Sales,
    mint: TokenMint,
    stopping: CancellationToken,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Simulator")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Simulator {
    pub(crate) fn new(config: Config) -> Result<Self, WorldError> {
        let clock = Arc::new(Clock::default());
        let seed = config.world.as_ref().map_or(1, |world| world.seed);
        let mut world = config.world.as_ref().map_or_else(
            || World::empty(config.journal_limit),
            |size| World::generate(size, config.journal_limit),
        );
        for stock in &config.stock {
            world.put(&stock.row, &stock.set, UtcMillis::BEGINNING)?;
        }
        Ok(Self {
            world: RwLock::new(world),
            faults: Mutex::default(),
            switches: RwLock::default(),
            load: RwLock::new(config.load),
            under_way: Arc::default(),
            log: Arc::new(RequestLog::new(config.request_log, Arc::clone(&clock))),
            sales: Sales::new(seed, config.sales_per_second),
            mint: TokenMint::new(seed),
            stopping: CancellationToken::new(),
            clock,
            config,
        })
    }

    /// The simulator's clock, in which truth and requests are dated.
    pub fn now(&self) -> UtcMillis {
        self.clock.now()
    }

    /// Every on-hand row of a company (of one warehouse, if named) as it was at an instant; now, if none is named.
    pub fn truth(
        &self,
        company: &str,
        warehouse: Option<&str>,
        at: Option<UtcMillis>,
    ) -> Result<Vec<TruthLine>, WorldError> {
        self.reading(|world| world.truth(company, warehouse, at.unwrap_or_else(|| self.now())))
    }

    /// Everything that happened to an item (in one warehouse, if named), oldest first.
    pub fn journal(
        &self,
        company: &str,
        item: &str,
        warehouse: Option<&str>,
    ) -> Result<Vec<JournalEntry>, WorldError> {
        self.reading(|world| world.journal(company, item, warehouse))
    }

    /// The released product variants of a company.
    pub fn variants(&self, company: &str) -> Result<Vec<VariantLine>, WorldError> {
        self.reading(|world| world.variant_lines(company))
    }

    /// The warehouses of all companies with their number of rows.
    pub fn warehouses(&self) -> Vec<WarehouseLine> {
        self.reading(World::warehouse_lines)
    }

    /// Sets quantities of a row; what is new is added. Returns when that became true.
    pub fn put_stock(&self, key: &StockKey, change: &StockChange) -> Result<UtcMillis, WorldError> {
        let mut world = write(&self.world);
        let now = self.now();
        world.put(key, change, now)?;
        Ok(now)
    }

    /// Releases a product variant: the key's item and dimensions get a number of their own.
    pub fn release_variant(&self, key: &StockKey, number: &str) -> Result<(), WorldError> {
        write(&self.world).release(key, number)
    }

    /// Removes a row. Returns when that became true.
    pub fn delete_stock(&self, key: &StockKey) -> Result<UtcMillis, WorldError> {
        let mut world = write(&self.world);
        let now = self.now();
        world.delete(key, now)?;
        Ok(now)
    }

    /// Sets the rate of random stock movements. With `0` none is in flight when this returns.
    pub fn set_sales(&self, per_second: f64) {
        self.sales.set_rate(per_second);
    }

    /// The rate of random stock movements, and how many have been made.
    pub fn sales(&self) -> (f64, u64) {
        self.sales.rate_and_made()
    }

    /// Adds a fault; returns its number.
    pub fn add_fault(&self, fault: FaultSpec) -> u64 {
        lock(&self.faults).add(fault)
    }

    /// Faults with how often each has matched and fired.
    pub fn faults(&self) -> Vec<FaultReport> {
        lock(&self.faults).reports().to_vec()
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        lock(&self.faults).clear();
    }

    /// Requests with a number above `seq`, oldest first; only the newest are kept.
    pub fn requests(&self, seq: u64) -> Vec<RequestRecord> {
        self.log.since(seq)
    }

    /// Sums over all requests.
    pub fn counters(&self) -> Counters {
        self.log.counters()
    }

    /// The quirks in force.
    pub fn switches(&self) -> Switches {
        *read(&self.switches)
    }

    /// Puts other quirks in force.
    pub fn set_switches(&self, switches: Switches) {
        *write(&self.switches) = switches;
    }

    /// Puts another load model in force.
    pub fn set_load(&self, model: LoadModel) {
        *write(&self.load) = model;
    }

    /// Takes a request in; says how long it takes.
    pub(crate) fn admit(&self) -> (Duration, Running) {
        read(&self.load).admit(&self.under_way)
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn mint(&self) -> &TokenMint {
        &self.mint
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    pub(crate) fn reading<T>(&self, question: impl FnOnce(&World) -> T) -> T {
        question(&read(&self.world))
    }

    pub(crate) fn open_record(&self, method: &str, path: &str, query: &str) -> OpenRecord {
        self.log.open(method, path, query)
    }

    pub(crate) fn firing(&self, call: &Call) -> Vec<Fault> {
        lock(&self.faults).firing(call)
    }

    /// Sells until the simulator stops.
    pub(crate) async fn sell(&self) {
        let selling = self.sales.sell(&self.world, &self.clock);
        self.stopping.run_until_cancelled(selling).await;
    }

    /// The app a bearer token was issued to, if D365 accepts the token.
    pub(crate) fn app_of_token(
        &self,
        token: Option<&str>,
        origin: &str,
    ) -> Option<&AppRegistration> {
        let claims = self.mint.check(token?, self.now())?;
        if !self.is_own_audience(&claims.aud, origin) {
            return None;
        }
        self.config
            .apps
            .iter()
            .find(|app| app.client_id == claims.appid && app.listed_in_d365)
    }

    /// The audience must be this environment's address in lower case; a slash behind it is forgiven.
    fn is_own_audience(&self, audience: &str, origin: &str) -> bool {
        let plain = audience.strip_suffix('/').unwrap_or(audience);
        plain == origin
            || self.config.audiences.iter().any(|known| known == plain)
            || (is_loopback(plain) && plain == plain.to_ascii_lowercase())
    }
}
