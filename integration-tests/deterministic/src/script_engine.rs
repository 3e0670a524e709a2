//! Runs the real scripts in an embedded Lua 5.1, as Redis does.
//!
//! As there, numbers are truncated on return, nil and false are one, a global variable is an error;
//! and as in a cluster, a key that was not declared is one, too.

use crate::fake_redis::{CommandError, FakeRedis, Reply};
use mlua::{Function, Lua, LuaOptions, MultiValue, StdLib, Table, Value, Variadic};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// A script that failed.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// No script of this name was loaded.
    #[error("there is no script {0}")]
    NoSuchScript(String),
    /// Lua, or a command in it, failed.
    #[error("script {script}: {source}")]
    Failed {
        /// Which one.
        script: String,
        /// Why.
        #[source]
        source: mlua::Error,
    },
}

/// What a script under way works on.
#[derive(Default)]
struct Session {
    redis: FakeRedis,
    declared: Vec<String>,
}

/// Lua with the scripts in it.
pub struct ScriptEngine {
    lua: Lua,
    session: Rc<RefCell<Session>>,
    scripts: HashMap<String, Function>,
}

impl ScriptEngine {
    /// Loads scripts: name and source each.
    pub fn with<'a>(
        scripts: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ScriptError> {
        let session = Rc::new(RefCell::new(Session::default()));
        let failed = |script: &str, source| ScriptError::Failed {
            script: script.to_owned(),
            source,
        };
        let lua =
            prepared_lua(&session).map_err(|source| failed("(none, at the start)", source))?;
        let mut functions = HashMap::new();
        for (name, source) in scripts {
            let function = lua
                .load(without_shebang(source))
                .set_name(name)
                .into_function()
                .map_err(|source| failed(name, source))?;
            functions.insert(name.to_owned(), function);
        }
        Ok(Self {
            lua,
            session,
            scripts: functions,
        })
    }

    /// Runs a script on a server.
    pub fn run(
        &self,
        redis: &mut FakeRedis,
        script: &str,
        keys: &[String],
        arguments: &[String],
    ) -> Result<Reply, ScriptError> {
        let function = self
            .scripts
            .get(script)
            .ok_or_else(|| ScriptError::NoSuchScript(script.to_owned()))?;
        {
            let mut session = self.session.borrow_mut();
            std::mem::swap(redis, &mut session.redis);
            session.declared = keys.to_vec();
        }
        let answer = self.invoke(function, keys, arguments);
        std::mem::swap(redis, &mut self.session.borrow_mut().redis);
        answer.map_err(|source| ScriptError::Failed {
            script: script.to_owned(),
            source,
        })
    }

    fn invoke(
        &self,
        function: &Function,
        keys: &[String],
        arguments: &[String],
    ) -> mlua::Result<Reply> {
        let globals = self.lua.globals();
        globals.raw_set("KEYS", self.lua.create_sequence_from(keys.iter().cloned())?)?;
        globals.raw_set(
            "ARGV",
            self.lua.create_sequence_from(arguments.iter().cloned())?,
        )?;
        let returned: MultiValue = function.call(())?;
        reply_of(returned.into_iter().next().unwrap_or(Value::Nil))
    }
}

/// Redis reads the first line itself.
fn without_shebang(source: &str) -> &str {
    match source.strip_prefix("#!lua") {
        Some(rest) => rest,
        None => source,
    }
}

fn prepared_lua(session: &Rc<RefCell<Session>>) -> mlua::Result<Lua> {
    let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
    let lua = Lua::new_with(libraries, LuaOptions::default())?;
    let session = Rc::clone(session);
    let call = lua.create_function(move |lua, arguments: Variadic<Value>| {
        let texts: Vec<String> = arguments
            .iter()
            .map(argument_of)
            .collect::<Result<_, _>>()?;
        let words: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut session = session.borrow_mut();
        if let [command, key, ..] = words.as_slice()
            && *command != "INFO"
            && !session.declared.iter().any(|declared| declared == key)
        {
            return Err(mlua::Error::external(CommandError::Undeclared(
                (*key).to_owned(),
            )));
        }
        let reply = session.redis.call(&words).map_err(mlua::Error::external)?;
        value_of(lua, reply)
    })?;
    let redis = lua.create_table()?;
    redis.raw_set("call", call)?;
    lua.globals().raw_set("redis", redis)?;
    lua.globals().set_metatable(Some(locked_globals(&lua)?))?;
    Ok(lua)
}

/// As in Redis, a script may neither make a global variable nor read one that is not there.
fn locked_globals(lua: &Lua) -> mlua::Result<Table> {
    let refused = |lua: &Lua, what: &'static str| {
        lua.create_function(move |_, (_, name): (Value, String)| -> mlua::Result<()> {
            Err(mlua::Error::runtime(format!(
                "script attempted to {what} the global variable {name}"
            )))
        })
    };
    let locks = lua.create_table()?;
    locks.raw_set("__newindex", refused(lua, "create")?)?;
    locks.raw_set("__index", refused(lua, "read")?)?;
    Ok(locks)
}

fn argument_of(value: &Value) -> mlua::Result<String> {
    match value {
        Value::String(text) => Ok(text.to_str()?.to_owned()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Number(number) if number.fract() == 0.0 => Ok(format!("{number:.0}")),
        _ => Err(mlua::Error::runtime(
            "commands take texts and whole numbers only",
        )),
    }
}

fn value_of(lua: &Lua, reply: Reply) -> mlua::Result<Value> {
    Ok(match reply {
        Reply::Nil => Value::Boolean(false),
        Reply::Int(number) => Value::Integer(number),
        Reply::Text(text) => Value::String(lua.create_string(text)?),
        Reply::Status(text) => {
            let table = lua.create_table()?;
            table.raw_set("ok", text)?;
            Value::Table(table)
        }
        Reply::Array(replies) => {
            let table = lua.create_table()?;
            for reply in replies {
                table.raw_push(value_of(lua, reply)?)?;
            }
            Value::Table(table)
        }
    })
}

fn reply_of(value: Value) -> mlua::Result<Reply> {
    Ok(match value {
        Value::Nil | Value::Boolean(false) => Reply::Nil,
        Value::Boolean(true) => Reply::Int(1),
        Value::Integer(number) => Reply::Int(number),
        Value::Number(number) => Reply::Int(truncated(number)),
        Value::String(text) => Reply::Text(text.to_str()?.to_owned()),
        Value::Table(table) => {
            if let Value::String(status) = table.raw_get("ok")? {
                return Ok(Reply::Status(status.to_str()?.to_owned()));
            }
            let mut replies = Vec::new();
            for value in table.sequence_values::<Value>() {
                replies.push(reply_of(value?)?);
            }
            Reply::Array(replies)
        }
        other => {
            return Err(mlua::Error::runtime(format!(
                "a script may not return a {}",
                other.type_name()
            )));
        }
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "Redis truncates numbers on return, and so does this"
)]
fn truncated(number: f64) -> i64 {
    number as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(source: &str) -> Result<Reply, ScriptError> {
        let engine = ScriptEngine::with([("test", source)]).unwrap();
        engine.run(
            &mut FakeRedis::default(),
            "test",
            &["k".to_owned()],
            &["7".to_owned()],
        )
    }

    #[test]
    fn values_come_back_as_redis_returns_them() {
        for (source, expected) in [
            ("return 3.7", Reply::Int(3)),
            ("return -3.7", Reply::Int(-3)),
            ("return false", Reply::Nil),
            ("return true", Reply::Int(1)),
            ("#!lua\nreturn ARGV[1]", Reply::Text("7".to_owned())),
            ("return redis.call('HGET', KEYS[1], 'f')", Reply::Nil),
            (
                "return { 1, 'a', nil, 2 }",
                Reply::Array(vec![Reply::Int(1), Reply::Text("a".to_owned())]),
            ),
        ] {
            assert_eq!(run(source).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn what_redis_would_refuse_is_refused() {
        for (source, word) in [
            ("x = 1", "global variable x"),
            ("return y", "global variable y"),
            ("return redis.call('GET', 'other')", "not declared"),
            ("return redis.call('KEYS', KEYS[1])", "not modelled"),
            ("return redis.call('HSET', KEYS[1], 'f', {})", "texts"),
        ] {
            let error = run(source).unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(told.contains(word), "{source}: {told}");
        }
    }

    #[test]
    fn writes_stay_when_a_script_ends() {
        let engine =
            ScriptEngine::with([("w", "return redis.call('HINCRBY', KEYS[1], 'n', 2)")]).unwrap();
        let mut redis = FakeRedis::default();
        let keys = ["k".to_owned()];
        engine.run(&mut redis, "w", &keys, &[]).unwrap();
        assert_eq!(
            engine.run(&mut redis, "w", &keys, &[]).unwrap(),
            Reply::Int(4)
        );
    }
}
