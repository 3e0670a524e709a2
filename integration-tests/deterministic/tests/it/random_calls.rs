//! Calls of scripts drawn by chance, that often fit what is stored, so that scripts get past their
//! first question.

use deterministic_simulation::chance::Chance;
use deterministic_simulation::fake_redis::{FakeRedis, Value};
use shared::redis_store::scripts;
use shared::stock::AsOf;

/// Times to live are whole multiples of this, which no history lasts.
pub(crate) const FAR_MS: u64 = 10_000_000;

/// A call in time, and one that comes too late.
const IN_TIME: &str = "9007199254740992";
const LATE: &str = "1";

/// What only works after something else is called more often.
const OFTEN: [&str; 4] = [
    "open_cycle.lua",
    "claim.lua",
    "watch_cycle.lua",
    "finish_part.lua",
];
/// Those that grant nothing to a caller who waits no more.
const GRANTING: [&str; 5] = [
    "claim.lua",
    "extend.lua",
    "open_cycle.lua",
    "renew_call.lua",
    "take_call.lua",
];
/// Not run by the simulation: they serve demand and operators.
const NOT_MODELLED: [&str; 9] = [
    "accept.lua",
    "change_settings.lua",
    "mark_live.lua",
    "note_asked.lua",
    "note_event.lua",
    "respell.lua",
    "swap_orders.lua",
    "take_demand_calls.lua",
    "take_live.lua",
];

/// A call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) script: &'static str,
    pub(crate) keys: Vec<String>,
    pub(crate) arguments: Vec<String>,
}

/// Makes calls.
pub(crate) struct Caller<'a> {
    pub(crate) chance: &'a mut Chance,
    pub(crate) fake: &'a FakeRedis,
    pub(crate) now_us: i64,
    /// The wait a gate was closed for last: another one of the same length could end either way.
    pub(crate) longest_gate: u64,
}

/// What a call is about.
struct About {
    warehouse: String,
    shard: String,
    part: String,
    token: String,
}

impl About {
    fn due() -> String {
        "t:due".to_owned()
    }

    fn record(&self) -> String {
        format!("t:shard:{}", self.shard)
    }

    fn cycle(&self) -> String {
        format!("t:cycle:{}", self.warehouse)
    }

    fn snapshot(&self) -> String {
        format!("t:snapshot:{}", self.warehouse)
    }
}

impl Caller<'_> {
    pub(crate) fn call(&mut self) -> Call {
        let modelled: Vec<&str> = scripts::ALL
            .iter()
            .map(|script| script.name())
            .filter(|name| !NOT_MODELLED.contains(name))
            .collect();
        let choices = if self.chance.below(3) == 0 {
            &OFTEN[..]
        } else {
            &modelled[..]
        };
        let script = *self.chance.pick(choices).unwrap();
        let about = self.about(script);
        let (keys, mut arguments) = match script {
            "apply_lines.lua" => self.lines(),
            "close_gate.lua" => self.gate(),
            "take_call.lua" | "renew_call.lua" | "end_call.lua" => self.budget(script),
            "open_cycle.lua" => self.opening(&about),
            "seal.lua" => self.seal(&about),
            "finish_part.lua" => self.end_of_part(&about),
            _ => self.schedule(script, about),
        };
        if GRANTING.contains(&script) {
            let ends = if self.chance.happens(100) {
                LATE
            } else {
                IN_TIME
            };
            arguments.push(ends.to_owned());
        }
        Call {
            script,
            keys,
            arguments,
        }
    }

    fn about(&mut self, script: &str) -> About {
        let warehouse = self.one_of(&["W1", "W2"]);
        let generation = self.one_of(&["1", "2"]);
        let part = self.one_of(&["1", "2", "3"]);
        let is_of_part = match script {
            "finish_part.lua" | "put_back.lua" | "drop_shard.lua" => true,
            "watch_cycle.lua" | "make_due.lua" => false,
            _ => self.chance.happens(500),
        };
        let shard = if is_of_part {
            format!("{warehouse}#{generation}/{part}")
        } else {
            warehouse.clone()
        };
        let record = format!("t:shard:{shard}");
        let token = self.stored(&record, "token", &["1", "2", "9"]);
        About {
            warehouse,
            shard,
            part,
            token,
        }
    }

    fn schedule(&mut self, script: &str, about: About) -> (Vec<String>, Vec<String>) {
        let (due, record, cycle) = (About::due(), about.record(), about.cycle());
        let About { shard, token, .. } = about;
        match script {
            "claim.lua" => {
                let seen = self.stored(&due, &shard, &["0", "1", "2"]);
                let holder = self.one_of(&["a", "b"]);
                let lease = self.number(1, 30_000);
                (vec![due, record], vec![shard, holder, lease, seen])
            }
            "drop_shard.lua" | "put_back.lua" => (vec![due, record], vec![shard, token]),
            "extend.lua" => {
                let mut arguments = vec![shard, token, self.number(1, 30_000)];
                if self.chance.happens(500) {
                    arguments.push(self.number(0, 99));
                    arguments.push(self.one_of(&["A", "B"]));
                    arguments.push("{}".to_owned());
                }
                (vec![due, record], arguments)
            }
            "finish.lua" => {
                let how = self.one_of(&["well", "failed", "later"]);
                let wait = self.number(0, 60_000);
                let arguments = vec![shard, token, wait, how, "no".to_owned()];
                (vec![due, record], arguments)
            }
            "make_due.lua" => (vec![due, record, cycle], vec![shard]),
            "watch_cycle.lua" => {
                let arguments = vec![shard, token, self.number(0, 30_000)];
                (vec![due, record, cycle], arguments)
            }
            other => panic!("the calls of {other} are not made here yet"),
        }
    }

    fn opening(&mut self, about: &About) -> (Vec<String>, Vec<String>) {
        let snapshot = about.snapshot();
        let seen = self.stored(&snapshot, "generation", &["0", "0", "1"]);
        let watch = self.number(0, 30_000);
        let settings = self.one_of(&["", "aa", "bb"]);
        let mut arguments = vec![about.warehouse.clone(), seen, self.stamp(), watch, settings];
        for _ in 0..self.chance.between(1, 3) {
            arguments.push(self.one_of(&["", "A", "B"]));
            arguments.push(self.one_of(&["", "C", "D"]));
        }
        let shard = format!("t:shard:{}", about.warehouse);
        (
            vec![snapshot, about.cycle(), About::due(), shard],
            arguments,
        )
    }

    fn end_of_part(&mut self, about: &About) -> (Vec<String>, Vec<String>) {
        let cycle = about.cycle();
        let arguments = vec![
            about.shard.clone(),
            about.token.clone(),
            about.warehouse.clone(),
            self.stored(&cycle, "generation", &["1", "2"]),
            self.stored(&cycle, "started", &["then"]),
            about.part.clone(),
            "{\"rows\":1}".to_owned(),
        ];
        (vec![About::due(), about.record(), cycle], arguments)
    }

    fn seal(&mut self, about: &About) -> (Vec<String>, Vec<String>) {
        let snapshot = about.snapshot();
        let state = self.one_of(&["complete", "complete", "partial", "quarantined"]);
        let reason = if state == "complete" { "" } else { "why" };
        let mut arguments = vec![
            self.stored(&snapshot, "generation", &["1", "2"]),
            state,
            self.stored(&snapshot, "started", &["then"]),
            self.stamp(),
            self.number(0, 99),
            self.number(1, 9),
            reason.to_owned(),
            "hash".to_owned(),
            self.stamp(),
            self.number(0, 99),
            self.number(1, 4),
            self.one_of(&["below-usual", "empty"]),
        ];
        arguments.extend((0..self.chance.below(3)).map(|n| format!("I{n}")));
        let ranges = format!("t:ranges:{}", about.warehouse);
        let history = format!("t:history:{}", about.warehouse);
        (vec![snapshot, about.cycle(), ranges, history], arguments)
    }

    fn budget(&mut self, script: &str) -> (Vec<String>, Vec<String>) {
        let calls = self.one_of(&["b:prefetch", "b:live"]);
        let id = self.number(1, 9);
        match script {
            "take_call.lua" => {
                let keys = ["b", "b:prefetch", "b:live", "b:processes"].map(str::to_owned);
                let kind = self.one_of(&["prefetch", "live"]);
                let process = self.one_of(&["p", "q"]);
                let until = self.number(1, 9_000);
                let most = self.number(1, 16);
                let kept = self.number(0, 4);
                let percent = self.one_of(&["75", "100"]);
                let arguments = vec![kind, id, process, until, most, kept, percent];
                (keys.to_vec(), arguments)
            }
            "renew_call.lua" => (vec![calls], vec![id, self.number(1, 9_000)]),
            _ => {
                let halvings = self.stored("b", "halvings", &["0", "1"]);
                let how = self.one_of(&["well", "overload", "neither"]);
                let most = self.number(1, 16);
                (vec!["b".to_owned(), calls], vec![id, how, halvings, most])
            }
        }
    }

    fn gate(&mut self) -> (Vec<String>, Vec<String>) {
        let mut wait = self.longest_gate;
        while wait == self.longest_gate {
            wait = (self.chance.below(50) + 1) * FAR_MS;
        }
        let ends = self.now_us.unsigned_abs() / 1_000 + wait;
        let arguments = vec![wait.to_string(), self.stamp(), ends.to_string()];
        (vec!["t:throttle".to_owned()], arguments)
    }

    fn lines(&mut self) -> (Vec<String>, Vec<String>) {
        let keys = ["t:stock:A", "t:stock:B", "t:stock:C"].map(str::to_owned);
        let mut arguments = vec![(100 * FAR_MS).to_string(), (50 * FAR_MS).to_string()];
        for _ in 0..self.chance.between(1, 5) {
            let stamp = self.stamp();
            let is_live = self.chance.happens(400);
            let origin = if is_live { "live" } else { "snap:1" };
            let value = match self.chance.below(8) {
                0 => format!("absent|{stamp}|{origin}"),
                1 => "no line at all".to_owned(),
                n => format!("{n}|9|2|0|{stamp}|{origin}"),
            };
            arguments.extend([
                self.number(1, 3),
                self.one_of(&["W1", "W2"]),
                stamp,
                u8::from(is_live).to_string(),
                value,
            ]);
        }
        (keys.to_vec(), arguments)
    }

    fn one_of(&mut self, choices: &[&str]) -> String {
        (*self.chance.pick(choices).unwrap()).to_owned()
    }

    fn number(&mut self, first: i64, last: i64) -> String {
        self.chance.between(first, last).to_string()
    }

    fn stored(&mut self, key: &str, field: &str, otherwise: &[&str]) -> String {
        let stored = match self.fake.entries().get(key).map(|entry| &entry.value) {
            Some(Value::Hash(fields)) => fields.get(field).cloned(),
            Some(Value::Sorted(members)) => members.get(field).map(i64::to_string),
            _ => None,
        };
        match stored {
            Some(stored) if self.chance.happens(800) => stored,
            _ => self.one_of(otherwise),
        }
    }

    fn stamp(&mut self) -> String {
        let offset = match self.chance.below(10) {
            0 => 5_000,
            1 => 5_001,
            2 => 60_000,
            _ => self.chance.between(-9, 0),
        };
        AsOf::from_unix_ms(self.now_us / 1_000 + offset)
            .unwrap()
            .to_string()
    }
}
