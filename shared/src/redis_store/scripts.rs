//! Every script. A simulation runs the same sources.

use super::script::StoreScript;

pub(super) static ACCEPT: StoreScript =
    StoreScript::at_any_time("accept.lua", include_str!("scripts/accept.lua"));
pub(super) static APPLY_LINES: StoreScript =
    StoreScript::at_any_time("apply_lines.lua", include_str!("scripts/apply_lines.lua"));
pub(super) static CHANGE_SETTINGS: StoreScript = StoreScript::at_any_time(
    "change_settings.lua",
    include_str!("scripts/change_settings.lua"),
);
pub(super) static CLAIM: StoreScript =
    StoreScript::in_time("claim.lua", include_str!("scripts/claim.lua"));
pub(super) static CLOSE_GATE: StoreScript =
    StoreScript::at_any_time("close_gate.lua", include_str!("scripts/close_gate.lua"));
pub(super) static DROP_SHARD: StoreScript =
    StoreScript::at_any_time("drop_shard.lua", include_str!("scripts/drop_shard.lua"));
pub(super) static END_CALL: StoreScript =
    StoreScript::at_any_time("end_call.lua", include_str!("scripts/end_call.lua"));
pub(super) static EXTEND: StoreScript =
    StoreScript::in_time("extend.lua", include_str!("scripts/extend.lua"));
pub(super) static FINISH: StoreScript =
    StoreScript::at_any_time("finish.lua", include_str!("scripts/finish.lua"));
pub(super) static FINISH_PART: StoreScript =
    StoreScript::at_any_time("finish_part.lua", include_str!("scripts/finish_part.lua"));
pub(super) static MAKE_DUE: StoreScript =
    StoreScript::at_any_time("make_due.lua", include_str!("scripts/make_due.lua"));
pub(super) static NOTE_ASKED: StoreScript =
    StoreScript::at_any_time("note_asked.lua", include_str!("scripts/note_asked.lua"));
pub(super) static NOTE_EVENT: StoreScript =
    StoreScript::in_time("note_event.lua", include_str!("scripts/note_event.lua"));
pub(super) static OPEN_CYCLE: StoreScript =
    StoreScript::in_time("open_cycle.lua", include_str!("scripts/open_cycle.lua"));
pub(super) static PUT_BACK: StoreScript =
    StoreScript::at_any_time("put_back.lua", include_str!("scripts/put_back.lua"));
pub(super) static RELEASE_LIVE: StoreScript =
    StoreScript::at_any_time("release_live.lua", include_str!("scripts/release_live.lua"));
pub(super) static RENEW_CALL: StoreScript =
    StoreScript::in_time("renew_call.lua", include_str!("scripts/renew_call.lua"));
pub(super) static RESPELL: StoreScript =
    StoreScript::at_any_time("respell.lua", include_str!("scripts/respell.lua"));
pub(super) static SEAL: StoreScript =
    StoreScript::at_any_time("seal.lua", include_str!("scripts/seal.lua"));
pub(super) static SWAP_ORDERS: StoreScript =
    StoreScript::in_time("swap_orders.lua", include_str!("scripts/swap_orders.lua"));
pub(super) static TAKE_CALL: StoreScript =
    StoreScript::in_time("take_call.lua", include_str!("scripts/take_call.lua"));
pub(super) static TAKE_DEMAND_CALLS: StoreScript = StoreScript::in_time(
    "take_demand_calls.lua",
    include_str!("scripts/take_demand_calls.lua"),
);
pub(super) static WATCH_CYCLE: StoreScript =
    StoreScript::at_any_time("watch_cycle.lua", include_str!("scripts/watch_cycle.lua"));

pub static ALL: [&StoreScript; 23] = [
    &ACCEPT,
    &APPLY_LINES,
    &CHANGE_SETTINGS,
    &CLAIM,
    &CLOSE_GATE,
    &DROP_SHARD,
    &END_CALL,
    &EXTEND,
    &FINISH,
    &FINISH_PART,
    &MAKE_DUE,
    &NOTE_ASKED,
    &NOTE_EVENT,
    &OPEN_CYCLE,
    &PUT_BACK,
    &RELEASE_LIVE,
    &RENEW_CALL,
    &RESPELL,
    &SEAL,
    &SWAP_ORDERS,
    &TAKE_CALL,
    &TAKE_DEMAND_CALLS,
    &WATCH_CYCLE,
];

#[cfg(test)]
mod tests {
    use super::ALL;
    use std::path::Path;

    #[test]
    fn every_script_in_the_folder_is_listed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/redis_store/scripts");
        let files = std::fs::read_dir(folder).unwrap();
        let mut files: Vec<_> = files
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        assert!(
            files.iter().eq(ALL.iter().map(|script| script.name())),
            "{files:?}"
        );
    }
}
