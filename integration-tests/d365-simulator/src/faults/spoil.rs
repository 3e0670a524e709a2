//! Damage to rows, links and bodies of an otherwise good answer.

use std::time::Duration;

use rust_decimal::Decimal;

use crate::answer::{Answer, Delivery};
use crate::faults::book::Fault;
use crate::faults::spec::{Action, CutPoint, DelayPoint, LinkTrick};
use crate::odata::entities::{EntitySet, SetRow, Spoiled};
use crate::world::Text;

/// Added to the quantities of rows that must not be used.
pub(crate) const POISON: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// How many rows are half of them, without those of an item that would be cut in two.
fn half_of(rows: &[SetRow<'_>]) -> usize {
    let number = |row: &SetRow<'_>| row.item.map(|item| item.number.raw().to_owned());
    let half = rows.len() / 2;
    let Some(cut) = rows.get(half).and_then(number) else {
        return half;
    };
    let whole = rows[..half]
        .iter()
        .rposition(|row| number(row).as_ref() != Some(&cut));
    whole.map_or(half, |last| last + 1)
}

/// Damages the rows of a page. Returns whether the chain of pages ends here whatever follows.
pub(crate) fn spoil_rows(faults: &[Fault], set: EntitySet, rows: &mut Vec<SetRow<'_>>) -> bool {
    let mut ends = false;
    for fault in faults {
        match &fault.action {
            Action::Empty => {
                rows.clear();
                ends = true;
            }
            Action::Halve => {
                rows.truncate(half_of(rows));
                ends = true;
            }
            Action::WrongCompany { company } => {
                for row in rows.iter_mut() {
                    damage(row).company = Some(Text::new(company));
                    poison(row);
                }
            }
            Action::WrongWarehouse { warehouse, every } => mix_in(rows, warehouse, *every),
            Action::Respell { every } => {
                let turned = |text: &Text| Text::new(&turned(text.raw()));
                for row in rows.iter_mut().step_by((*every).max(1)) {
                    let (item, warehouse) = (row.item, row.warehouse);
                    let company = turned(row.company);
                    let spoiled = damage(row);
                    spoiled.company = Some(company);
                    spoiled.item = item.map(|item| turned(&item.number));
                    spoiled.warehouse = warehouse.map(|warehouse| turned(&warehouse.id));
                }
            }
            Action::MissingProperty { property, row } => {
                if let (Some(row), Ok(property)) = (rows.get_mut(*row), set.property(property)) {
                    damage(row).missing = Some(property);
                }
            }
            Action::NullProperty { property, row } => {
                if let (Some(row), Ok(property)) = (rows.get_mut(*row), set.property(property)) {
                    damage(row).null = Some(property);
                }
            }
            _ => {}
        }
    }
    ends
}

fn mix_in(rows: &mut Vec<SetRow<'_>>, warehouse: &str, every: usize) {
    let mut mixed = Vec::with_capacity(rows.len() * 2);
    for (place, row) in rows.drain(..).enumerate() {
        let again = place.is_multiple_of(every.max(1)).then(|| row.clone());
        mixed.push(row);
        if let Some(mut again) = again {
            damage(&mut again).warehouse = Some(Text::new(warehouse));
            poison(&mut again);
            mixed.push(again);
        }
    }
    *rows = mixed;
}

/// The same text as the database compares it, spelled otherwise.
fn turned(text: &str) -> String {
    let letters = text.chars().map(|letter| match letter {
        'a'..='z' => letter.to_ascii_uppercase(),
        letter => letter.to_ascii_lowercase(),
    });
    letters.chain([' ']).collect()
}

fn damage<'a>(row: &'a mut SetRow<'_>) -> &'a mut Spoiled {
    row.spoiled.get_or_insert_default()
}

fn poison(row: &mut SetRow<'_>) {
    row.quantities.on_hand += POISON;
    row.quantities.ordered += POISON;
}

/// Bends the continuation link. `good` is the right one, `following` the one that would lead on even from a last
/// page, `here` the address of this request.
pub(crate) fn spoil_link(
    faults: &[Fault],
    good: Option<String>,
    following: &str,
    here: &str,
) -> Option<String> {
    faults.iter().fold(good, |link, fault| match &fault.action {
        Action::NextLink {
            trick: LinkTrick::SamePage,
            ..
        } => Some(here.to_owned()),
        Action::NextLink { trick, host } => {
            let link = link.unwrap_or_else(|| following.to_owned());
            Some(bend(
                *trick,
                host.as_deref().unwrap_or("evil.example"),
                link,
            ))
        }
        _ => link,
    })
}

fn bend(trick: LinkTrick, host: &str, link: String) -> String {
    match trick {
        LinkTrick::SamePage | LinkTrick::Endless => link,
        LinkTrick::OtherHost => {
            let (host, port) = split_host(host);
            with_authority(&link, |url| {
                let port = port.or(url.port());
                url.set_host(Some(host)).is_ok() && url.set_port(port).is_ok()
            })
        }
        LinkTrick::OtherPort => {
            let named = split_host(host).1;
            with_authority(&link, |url| {
                let other = url
                    .port_or_known_default()
                    .map_or(1, |port| port.wrapping_add(1).max(1));
                url.set_port(Some(named.unwrap_or(other))).is_ok()
            })
        }
        LinkTrick::OtherScheme => match link.strip_prefix("https:") {
            Some(rest) => format!("http:{rest}"),
            None => link.replacen("http:", "https:", 1),
        },
        LinkTrick::UserInfo => match url::Url::parse(&link) {
            Ok(url) => {
                let authority = url.authority();
                link.replacen(authority, &format!("{authority}@{host}"), 1)
            }
            Err(_) => link,
        },
        LinkTrick::OtherPath => link.replacen("/data/", "/other/", 1),
    }
}

/// The link with another authority; as it was if that cannot be.
fn with_authority(link: &str, change: impl FnOnce(&mut url::Url) -> bool) -> String {
    let Ok(mut url) = url::Url::parse(link) else {
        return link.to_owned();
    };
    if change(&mut url) {
        url.into()
    } else {
        link.to_owned()
    }
}

fn split_host(host: &str) -> (&str, Option<u16>) {
    match host.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok()),
        None => (host, None),
    }
}

/// Damages the finished answer on its way out.
pub(crate) fn spoil_answer(faults: &[Fault], answer: &mut Answer) {
    for fault in faults {
        match &fault.action {
            Action::Delay {
                ms,
                at: DelayPoint::AfterRead,
            } => {
                answer.hold += Duration::from_millis(*ms);
            }
            Action::Cut { after } => {
                let bytes = match *after {
                    CutPoint::Bytes(bytes) => bytes,
                    CutPoint::Rows(0) => 0,
                    CutPoint::Rows(rows) => {
                        let ends = &answer.row_ends;
                        ends.get(rows - 1).or(ends.last()).copied().unwrap_or(0)
                    }
                };
                answer.delivery = Delivery::CutAfter(bytes);
            }
            Action::Trickle { bytes, pause_ms } => {
                answer.delivery = Delivery::Trickle {
                    chunk: (*bytes).max(1),
                    pause: Duration::from_millis(*pause_ms),
                };
            }
            Action::BadJson => {
                let middle = answer.row_ends.get(answer.row_ends.len() / 2).copied();
                let cut = middle.unwrap_or(answer.body.len()).saturating_sub(3);
                answer.body.truncate(cut);
            }
            Action::HugeBody { bytes } if answer.body.len() > 1 => {
                let mut body = answer.body.to_vec();
                body.pop();
                let filler = "x".repeat(*bytes);
                body.extend_from_slice(format!(",\"Padding\":\"{filler}\"}}").as_bytes());
                answer.body = body.into();
            }
            Action::TruncatedGzip => answer.delivery = Delivery::TruncatedGzip,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trick_bends_what_it_says() {
        let good = "https://d365.example:8070/data/Set?$skip=10";
        let here = "https://d365.example:8070/data/Set";
        for (trick, host, expected) in [
            (
                LinkTrick::OtherHost,
                None,
                good.replace("d365.example", "evil.example"),
            ),
            (
                LinkTrick::OtherHost,
                Some("127.0.0.1:99"),
                good.replace("d365.example:8070", "127.0.0.1:99"),
            ),
            (LinkTrick::OtherPort, None, good.replace("8070", "8071")),
            (LinkTrick::OtherScheme, None, good.replace("https", "http")),
            (
                LinkTrick::UserInfo,
                None,
                good.replace(":8070/", ":8070@evil.example/"),
            ),
            (
                LinkTrick::OtherPath,
                None,
                good.replace("/data/", "/other/"),
            ),
            (LinkTrick::SamePage, None, here.to_owned()),
        ] {
            let action = Action::NextLink {
                trick,
                host: host.map(str::to_owned),
            };
            let fault = Fault {
                action,
                fired_before: 0,
            };
            let link = spoil_link(&[fault], Some(good.into()), good, here);
            assert_eq!(link, Some(expected), "{trick:?}");
        }
        let endless = Fault {
            action: Action::NextLink {
                trick: LinkTrick::Endless,
                host: None,
            },
            fired_before: 0,
        };
        let link = spoil_link(&[endless], None, good, here);
        assert_eq!(link.as_deref(), Some(good));
    }
}
