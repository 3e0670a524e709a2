//! The scripts' sources, for tests that run them outside a server.

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = include_str!(concat!("scripts/", $file));)*

        /// Every script: its file and its source.
        pub const ALL: &[(&str, &str)] = &[$(($file, $name)),*];
    };
}

scripts! {
    /// Takes a quarantined cycle for a snapshot.
    ACCEPT = "accept.lua";
    /// Writes lines, each only if it is newer.
    APPLY_LINES = "apply_lines.lua";
    /// Begins a feed anew under other settings.
    CHANGE_SETTINGS = "change_settings.lua";
    /// Claims a shard that was seen to be due.
    CLAIM = "claim.lua";
    /// Closes a throttle gate.
    CLOSE_GATE = "close_gate.lua";
    /// Takes a shard off the schedule for good.
    DROP_SHARD = "drop_shard.lua";
    /// Gives the right to a call back.
    END_CALL = "end_call.lua";
    /// Extends a lease and notes the progress.
    EXTEND = "extend.lua";
    /// Gives a shard back.
    FINISH = "finish.lua";
    /// Notes how a part of a cycle ended.
    FINISH_PART = "finish_part.lua";
    /// Makes a warehouse due at once.
    MAKE_DUE = "make_due.lua";
    /// Says how far a live question is.
    MARK_LIVE = "mark_live.lua";
    /// Counts SKUs that were asked for.
    NOTE_ASKED = "note_asked.lua";
    /// Notes an event.
    NOTE_EVENT = "note_event.lua";
    /// Opens a cycle.
    OPEN_CYCLE = "open_cycle.lua";
    /// Gives a part back before its end.
    PUT_BACK = "put_back.lua";
    /// Keeps the right to a call.
    RENEW_CALL = "renew_call.lua";
    /// Moves what is stored under one name to another.
    RESPELL = "respell.lua";
    /// Records how a cycle ended.
    SEAL = "seal.lua";
    /// Changes orders and what they hold.
    SWAP_ORDERS = "swap_orders.lua";
    /// Asks for the right to a call.
    TAKE_CALL = "take_call.lua";
    /// Takes calls out of the budget of demand.
    TAKE_DEMAND_CALLS = "take_demand_calls.lua";
    /// Announces a live question.
    TAKE_LIVE = "take_live.lua";
    /// Looks after a cycle under way.
    WATCH_CYCLE = "watch_cycle.lua";
}

#[cfg(test)]
mod tests {
    use super::ALL;
    use std::path::Path;

    #[test]
    fn every_script_in_the_folder_is_listed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/redis_store/scripts");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let listed: Vec<_> = ALL.iter().map(|(file, _)| (*file).to_owned()).collect();
        assert_eq!(listed, files);
    }
}
