//! A page read from memory instead of D365: for recorded pages, and for attacking the parser.

use crate::d365::entity::OnHandEntity;
use crate::d365::on_hand_page::{PageExpectation, RowReader, on_hand_page};
use crate::d365::{D365Error, PageEnd, PageItem};
use crate::settings::TenantSettings;
use crate::stock::{OnHandRow, WarehouseId};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::sync::Arc;
use url::Url;

/// Reads an on-hand page of a tenant's warehouse whose bytes come in these chunks, as a page from
/// D365 is read: rows that were not asked for are dropped, a continuation is checked.
///
/// # Errors
/// [`D365Error`] as for a page from D365: it is no whole page, or a row cannot be understood.
pub async fn read_recorded_page(
    tenant: &TenantSettings,
    warehouse: &WarehouseId,
    chunks: Vec<Bytes>,
) -> Result<(Vec<OnHandRow>, PageEnd), D365Error> {
    let entity = OnHandEntity::of(tenant)?;
    let address = format!("/data/{}", entity.set);
    let set_url: Url = tenant
        .environment_url
        .join(&address)
        .map_err(|cause| D365Error::Setup {
            problem: format!("environment_url: {cause}"),
        })?;
    let expected = PageExpectation {
        reader: Arc::new(RowReader::of(&entity)),
        legal_entity: tenant.legal_entity.clone(),
        warehouse: warehouse.clone(),
        set_url,
    };
    let body = stream::iter(chunks.into_iter().map(Ok)).boxed();
    let items: Vec<PageItem> = on_hand_page(expected, body).try_collect().await?;
    let (mut rows, mut end) = (Vec::new(), PageEnd::default());
    for item in items {
        match item {
            PageItem::Rows(more) => rows.extend(more),
            PageItem::End(told) => end = told,
        }
    }
    Ok((rows, end))
}
