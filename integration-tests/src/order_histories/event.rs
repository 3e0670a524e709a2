//! What can happen to a SKU, and how often it is drawn.

/// A kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A check that holds nothing.
    Ask,
    /// A new order.
    Order,
    /// The same order again.
    Replay,
    /// The same new order, sent to both replicas at the same time.
    OrderTwiceAtOnce,
    /// An order with another quantity.
    Change,
    /// Two orders at the same time, one at each replica.
    TwoOrdersAtOnce,
    /// A new reservation.
    Reserve,
    /// A reservation with another quantity.
    ChangeReservation,
    /// A reservation becomes an order.
    Convert,
    /// A reservation is given up.
    GiveUp,
    /// Reserved stock is given back by quantity.
    Reject,
    /// An order is cancelled.
    Cancel,
    /// The ERP books an order: its number falls. Nobody has been told yet.
    Book,
    /// The ERP's confirmation before a number with the booking was read.
    ConfirmUnseen,
    /// The ERP's confirmation after such a number was read.
    ConfirmSeen,
    /// A confirmation before the booking, against the rules.
    ConfirmEarly,
    /// A confirmation of an order whose hold has ended by itself.
    ConfirmLate,
    /// A settled order is asked for something else.
    Unsettle,
    /// Confirmation and cancellation at the same time.
    ConfirmBesideCancel,
    /// Confirmation and another quantity at the same time.
    ConfirmBesideChange,
    /// Booking and confirmation while a live question is under way.
    ConfirmBesideLive,
    /// A browse question and an order at the same time.
    BrowseBesideOrder,
    /// A live question.
    Live,
    /// A browse question.
    Browse,
    /// A snapshot of the warehouse.
    Snapshot,
    /// Stock arrives.
    Arrive,
    /// Stock falls below what is held, perhaps below zero.
    FallBelowHeld,
    /// A hold's time passes.
    Lapse,
}

impl Event {
    /// All of them with their weights.
    pub(super) const ALL: [(Self, u64); 28] = [
        (Self::Ask, 3),
        (Self::Order, 12),
        (Self::Replay, 5),
        (Self::OrderTwiceAtOnce, 3),
        (Self::Change, 6),
        (Self::TwoOrdersAtOnce, 5),
        (Self::Reserve, 8),
        (Self::ChangeReservation, 6),
        (Self::Convert, 9),
        (Self::GiveUp, 3),
        (Self::Reject, 3),
        (Self::Cancel, 4),
        (Self::Book, 8),
        (Self::ConfirmUnseen, 8),
        (Self::ConfirmSeen, 10),
        (Self::ConfirmEarly, 1),
        (Self::ConfirmLate, 8),
        (Self::Unsettle, 3),
        (Self::ConfirmBesideCancel, 2),
        (Self::ConfirmBesideChange, 2),
        (Self::ConfirmBesideLive, 4),
        (Self::BrowseBesideOrder, 3),
        (Self::Live, 6),
        (Self::Browse, 8),
        (Self::Snapshot, 3),
        (Self::Arrive, 4),
        (Self::FallBelowHeld, 3),
        (Self::Lapse, 3),
    ];

    /// As it stands in tables and histories.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ask => "check without an order",
            Self::Order => "order",
            Self::Replay => "the same order again",
            Self::OrderTwiceAtOnce => "the same order to both replicas at once",
            Self::Change => "order with another quantity",
            Self::TwoOrdersAtOnce => "two orders at once",
            Self::Reserve => "reservation",
            Self::ChangeReservation => "reservation with another quantity",
            Self::Convert => "reservation becomes an order",
            Self::GiveUp => "reservation given up",
            Self::Reject => "rejection",
            Self::Cancel => "cancellation",
            Self::Book => "booking",
            Self::ConfirmUnseen => "confirmation before the booking is seen",
            Self::ConfirmSeen => "confirmation after the booking is seen",
            Self::ConfirmEarly => "confirmation before the booking",
            Self::ConfirmLate => "confirmation after the hold ended",
            Self::Unsettle => "settled order asked for something else",
            Self::ConfirmBesideCancel => "confirmation beside a cancellation",
            Self::ConfirmBesideChange => "confirmation beside a change",
            Self::ConfirmBesideLive => "confirmation beside a live question",
            Self::BrowseBesideOrder => "browse question beside an order",
            Self::Live => "live question",
            Self::Browse => "browse question",
            Self::Snapshot => "snapshot",
            Self::Arrive => "stock arrives",
            Self::FallBelowHeld => "stock falls below what is held",
            Self::Lapse => "a hold's time passes",
        }
    }
}
