//! A simulator with a client pointed at it.

use d365_simulator::{
    Action, Config, FaultSpec, Handle, Kind, RequestRecord, Simulator, StockChange, StockKey,
    TruthLine, WorldConfig,
};
use shared::d365::{
    D365Client, D365Error, LookUp, OnHandPage, OnHandSource, PageLimits, PageQuery, PageStart,
    ProcessThrottleGate, Purpose, ThrottleGate,
};
use shared::process::clock::{Clock, SystemClock};
use shared::settings::TenantSettings;
use shared::stock::{ItemNumber, OnHandRow, Quantities, Quantity, WarehouseId};
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Erp {
    handle: Handle,
    /// Where the client finds it, if not at its own address.
    pub(crate) address: Option<String>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) gate: Arc<dyn ThrottleGate>,
    /// More lines of `[tenants.entra]`, the credential excepted.
    pub(crate) entra: String,
    /// The credential of `[tenants.entra]`.
    pub(crate) credential: String,
    /// More lines of `[[tenants]]`.
    pub(crate) tenant: String,
}

/// So many items in 3 warehouses.
pub(crate) fn world_of(items: usize) -> Config {
    Config {
        world: Some(WorldConfig {
            items,
            warehouses: 3,
            ..WorldConfig::default()
        }),
        ..Config::default()
    }
}

impl Erp {
    /// 60 items in 3 warehouses.
    pub(crate) fn start() -> Self {
        Self::with(world_of(60))
    }

    pub(crate) fn with(config: Config) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        Self {
            handle: d365_simulator::start(config).unwrap(),
            gate: Arc::new(ProcessThrottleGate::new(Arc::clone(&clock))),
            clock,
            address: None,
            entra: String::new(),
            credential: format!("client_secret = {:?}", Config::CLIENT_SECRET),
            tenant: String::new(),
        }
    }

    /// The environment's host, with its port.
    pub(crate) fn host(&self) -> String {
        self.handle.address().to_string()
    }

    /// Puts the client's time into the test's hands.
    pub(crate) fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.gate = Arc::new(ProcessThrottleGate::new(Arc::clone(&clock)));
        self.clock = clock;
        self
    }

    pub(crate) fn simulator(&self) -> &Arc<Simulator> {
        self.handle.simulator()
    }

    pub(crate) fn port(&self) -> u16 {
        self.handle.address().port()
    }

    pub(crate) fn settings(&self) -> TenantSettings {
        let url = self.address.clone().unwrap_or_else(|| self.handle.url());
        let Self {
            entra,
            credential,
            tenant,
            ..
        } = self;
        let (directory, client) = (Config::ENTRA_TENANT, Config::CLIENT_ID);
        toml::from_str(&format!(
            "id = \"contoso\"\nenvironment_url = \"{url}/\"\nlegal_entity = \"USMF\"\n\
             warehouses = []\n{tenant}\n[entra]\ntenant_id = \"{directory}\"\n\
             authority = \"{url}\"\nclient_id = \"{client}\"\n{credential}\n{entra}\n"
        ))
        .unwrap()
    }

    pub(crate) fn client(&self, purpose: Purpose) -> D365Client {
        let (clock, gate) = (Arc::clone(&self.clock), Arc::clone(&self.gate));
        D365Client::new(&self.settings(), purpose, clock, gate).unwrap()
    }

    /// The main company's warehouse with the most rows.
    pub(crate) fn warehouse(&self) -> WarehouseId {
        let fullest = self
            .simulator()
            .warehouses()
            .into_iter()
            .filter(|warehouse| warehouse.company == "usmf" && !warehouse.warehouse.is_empty())
            .max_by_key(|warehouse| warehouse.rows)
            .unwrap();
        WarehouseId::parse(fullest.warehouse).unwrap()
    }

    pub(crate) fn truth(&self, warehouse: &WarehouseId) -> Vec<TruthLine> {
        let truth = self
            .simulator()
            .truth("usmf", Some(warehouse.as_str()), None);
        truth.unwrap()
    }

    /// Puts so much of an item into the warehouse with the most rows.
    pub(crate) fn stocked(&self, item: &str, quantity: &str) -> WarehouseId {
        let warehouse = self.warehouse();
        let key = StockKey::of("usmf", item, warehouse.as_str());
        let stock = StockChange::on_hand(quantity);
        self.simulator().put_stock(&key, &stock).unwrap();
        warehouse
    }

    /// Every request of a kind goes wrong from now on.
    pub(crate) fn break_all(&self, kind: Kind, action: Action) {
        self.simulator().add_fault(FaultSpec::on(kind, action));
    }

    pub(crate) fn asked(&self, kind: Kind) -> Vec<RequestRecord> {
        let mut asked = self.simulator().requests(0);
        asked.retain(|request| request.kind == kind);
        asked
    }

    /// Waits until as many requests of a kind have come in.
    pub(crate) async fn wait_for(&self, kind: Kind, count: usize) {
        let come_in = async {
            while self.asked(kind).len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), come_in)
            .await
            .unwrap_or_else(|_| panic!("{} of {count}", self.asked(kind).len()));
    }
}

pub(crate) fn query(warehouse: &WarehouseId, start: PageStart, page_size: u32) -> PageQuery {
    PageQuery {
        warehouse: warehouse.clone(),
        start,
        up_to: None,
        page_size,
    }
}

pub(crate) async fn first_page(erp: &Erp) -> Result<OnHandPage, D365Error> {
    let client = erp.client(Purpose::Prefetch).with_page_limits(PageLimits {
        time: Duration::from_secs(5),
        bytes: 1024 * 1024,
    });
    let first = query(&erp.warehouse(), PageStart::First, 10_000);
    client.read_page(&first).await
}

pub(crate) fn items(numbers: &[&str]) -> Vec<ItemNumber> {
    numbers
        .iter()
        .map(|number| ItemNumber::parse(*number).unwrap())
        .collect()
}

pub(crate) fn look_up(numbers: &[&str], warehouse: &WarehouseId) -> LookUp {
    LookUp {
        gives_way: false,
        items: items(numbers),
        warehouses: vec![warehouse.clone()],
        time_left: Duration::from_millis(2_500),
    }
}

/// A row as comparable text: key and the four quantities.
pub(crate) fn shown(row: &OnHandRow) -> String {
    let dimensions = &row.dimensions;
    let key = [
        row.item.as_str(),
        dimensions.color.as_str(),
        dimensions.configuration.as_str(),
        dimensions.size.as_str(),
        dimensions.style.as_str(),
        dimensions.version.as_str(),
        row.warehouse.as_str(),
    ];
    format!("{} {:?}", key.join("|"), row.quantities)
}

pub(crate) fn shown_truth(line: &TruthLine) -> String {
    let number = |text: &str| text.parse::<Quantity>().unwrap();
    let key = [
        &*line.item,
        &line.color,
        &line.configuration,
        &line.size,
        &line.style,
        &line.version,
        &line.warehouse,
    ];
    let quantities = Quantities {
        available: number(&line.available),
        on_hand: number(&line.on_hand),
        reserved: number(&line.reserved),
        ordered: number(&line.ordered),
    };
    format!("{} {quantities:?}", key.join("|"))
}

pub(crate) fn sorted(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<String> = texts.into_iter().collect();
    texts.sort();
    texts
}
