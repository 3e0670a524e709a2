//! The ceiling: actix reads the body and answers a constant.

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use std::net::TcpListener;

/// Serves until the process ends; prints its address.
#[expect(
    clippy::print_stdout,
    reason = "the program that started this one reads the address"
)]
pub(crate) fn serve(bytes: usize) -> std::io::Result<()> {
    let body = Bytes::from(vec![b'x'; bytes]);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    actix_web::rt::System::new().block_on(
        HttpServer::new(move || {
            let body = body.clone();
            App::new().default_service(web::to(move |_read: Bytes| {
                let body = body.clone();
                async move {
                    HttpResponse::Ok()
                        .content_type("application/json")
                        .body(body)
                }
            }))
        })
        .listen(listener)?
        .run(),
    )
}
