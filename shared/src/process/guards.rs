//! Guards the fault rig and the histories of orders switch off one by one, to show that they would
//! notice if one were missing.
//!
//! Without the feature `negative-controls` nothing here can be switched: `is_off` is a constant. The
//! feature is no default of any crate and cannot be built without debug assertions, so that no
//! release has it.

#[cfg(all(feature = "negative-controls", not(debug_assertions)))]
compile_error!("negative-controls are for the fault rig: they cannot be built into a release");

/// Something that keeps the truth, and that the rig must miss when it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// As-of is the start of a request, not the arrival of its answer.
    RequestStartStamps,
    /// A line is replaced only by a newer one.
    NewestWins,
    /// A stamp in the future is corrupt.
    FutureIsCorrupt,
    /// Only a complete cycle is a snapshot.
    Completeness,
    /// An item is summed when all its rows are known.
    HeldBackItems,
    /// Nobody calls D365 before the wait it asked for is over.
    ThrottleGate,
    /// A failed page or warehouse is not asked for again at once.
    Pauses,
    /// A script Redis has forgotten is loaded again.
    ScriptReload,
    /// Tenants have keys of their own.
    TenantsApart,
    /// A lease ends.
    LeasesEnd,
    /// A lost schedule is put back.
    ScheduleRebuilt,
    /// The reader judges how old the feed is.
    ReaderJudgesAge,
    /// Absence needs a proof.
    AbsenceNeedsProof,
    /// An environment that keeps failing is left alone for a while.
    Breaker,
    /// Live questions for one SKU share a request.
    SharedQuestions,
    /// A question ends with its deadline.
    Deadline,
    /// A caller's token is verified, and unknown keys have the issuer asked rarely.
    TokenChecks,
    /// A failing token endpoint is left alone for a while.
    TokenPauses,
    /// A continuation is followed at the configured origin only.
    LinkOrigin,
    /// A row is used if it is the one that was asked for.
    RowEcho,
    /// Holds are replaced only if they still read as they were read.
    HoldsCompared,
    /// A confirmed hold does not count against a number read after the confirmation.
    ConfirmedEnds,
    /// What orders hold is taken from what is told.
    HoldsSubtracted,
    /// Nothing panics: without it every request does, and a task in the background, telling all they
    /// know. The rig searches what is left of it for secrets.
    NoPanics,
}

/// Breaks where the rig wants to see it.
///
/// # Panics
/// With this text where the rig has switched [`Guard::NoPanics`] off.
pub fn panic_if_wanted(text: impl FnOnce() -> String) {
    assert!(!is_off(Guard::NoPanics), "wanted by the rig: {}", text());
}

/// Whether the rig has switched this guard off.
#[cfg(not(feature = "negative-controls"))]
pub const fn is_off(_guard: Guard) -> bool {
    false
}

/// Whether the rig has switched this guard off: `CONNECTOR_GUARD_OFF` names it.
#[cfg(feature = "negative-controls")]
#[expect(
    clippy::disallowed_methods,
    reason = "a switch of the rig is no setting of the product"
)]
pub fn is_off(guard: Guard) -> bool {
    static OFF: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| std::env::var("CONNECTOR_GUARD_OFF").unwrap_or_default());
    *OFF == format!("{guard:?}")
}
