//! Connections that die as a request goes out.

use crate::erp::{Erp, look_up, query, world_of};
use d365_simulator::{Config, Kind};
use shared::d365::{OnHandSource, PageStart, Purpose};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// Between the client and the simulator: every other connection is closed by the first bytes of a
/// request, beginning with the first.
struct Front {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Front {
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let number = counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    if number.is_multiple_of(2) {
                        let _request = client.read_u8().await;
                    } else if let Ok(mut server) = TcpStream::connect(server).await {
                        let _end = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self {
            address,
            connections,
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_request_whose_connection_dies_is_made_once_more_over_a_new_one() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = port.local_addr().unwrap();
    drop(port);
    let front = Front::before(listen).await;
    let front_url = format!("http://{}", front.address);
    let mut erp = Erp::with(Config {
        listen,
        audiences: vec![front_url.clone()],
        ..world_of(10)
    });
    erp.address = Some(front_url);
    let warehouse = erp.stocked("A", "5");

    // The token's connection dies and the look-up's, each once.
    let live = erp.client(Purpose::Live);
    let answer = live.look_up(&look_up(&["A"], &warehouse)).await.unwrap();
    assert_eq!(answer.rows.len(), 1);
    assert_eq!(front.connections(), 4);
    assert_eq!(erp.asked(Kind::Token).len(), 1);
    assert_eq!(erp.asked(Kind::Lookup).len(), 1);

    // So with what nobody waits for: a page, and a list.
    let prefetch = erp.client(Purpose::Prefetch);
    let page = query(&warehouse, PageStart::First, 1_000);
    assert!(!prefetch.read_page(&page).await.unwrap().rows.is_empty());
    assert_eq!(front.connections(), 8);
    prefetch.warehouses().await.unwrap();
    assert_eq!(erp.asked(Kind::Page).len(), 1);
    assert_eq!(erp.asked(Kind::Warehouses).len(), 1);
}
