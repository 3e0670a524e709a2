//! Runs the real scripts in an embedded Lua 5.1, as Redis does.
//!
//! As there, numbers are truncated on return, nil and false are one, a global variable is an error;
//! and as in a cluster, a key that was not declared is one, too.

use crate::redis_model::{CommandError, RedisModel};
use mlua::{Function, Lua, LuaOptions, MultiValue, StdLib, Table, Variadic};
use redis::Value;
use shared::redis_store::scripts;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The scripts' texts, by their files' names.
#[derive(Debug, Clone)]
pub struct Scripts(BTreeMap<String, String>);

impl Scripts {
    /// As they are.
    pub fn real() -> Self {
        let own = scripts::ALL.iter();
        Self(
            own.map(|script| (script.name().to_owned(), script.source()))
                .collect(),
        )
    }

    /// With a piece of a script replaced; none if the script does not hold it exactly once, since
    /// then nothing, or more than meant, would be broken.
    #[must_use]
    pub fn broken(mut self, script: &str, piece: &str, by: &str) -> Option<Self> {
        let source = self.0.get_mut(script)?;
        if source.matches(piece).count() != 1 {
            return None;
        }
        *source = source.replace(piece, by);
        Some(self)
    }
}

/// A script that failed.
#[derive(Debug, thiserror::Error)]
#[error("script {script}: {source}")]
pub struct ScriptError {
    script: String,
    #[source]
    source: mlua::Error,
}

/// What a script under way works on.
#[derive(Default)]
struct Session {
    redis: RedisModel,
    declared: Vec<String>,
}

/// Lua with the scripts in it.
pub struct ScriptEngine {
    lua: Lua,
    session: Rc<RefCell<Session>>,
    functions: BTreeMap<String, Function>,
}

impl ScriptEngine {
    /// Loads the scripts.
    pub fn with(scripts: &Scripts) -> Result<Self, ScriptError> {
        let failed = |script: &str| {
            let script = script.to_owned();
            move |source| ScriptError { script, source }
        };
        let session = Rc::new(RefCell::new(Session::default()));
        let lua = prepared_lua(&session).map_err(failed("(none, at the start)"))?;
        let mut functions = BTreeMap::new();
        for (name, source) in &scripts.0 {
            // Redis reads the first line itself.
            let body = source.strip_prefix("#!lua").unwrap_or(source);
            let function = lua.load(body).set_name(name).into_function();
            functions.insert(name.clone(), function.map_err(failed(name))?);
        }
        Ok(Self {
            lua,
            session,
            functions,
        })
    }

    /// Runs a script on a server.
    pub fn run(
        &self,
        redis: &mut RedisModel,
        script: &str,
        keys: &[String],
        arguments: &[String],
    ) -> Result<Value, ScriptError> {
        {
            let mut session = self.session.borrow_mut();
            std::mem::swap(redis, &mut session.redis);
            session.declared = keys.to_vec();
        }
        let answer = self.invoke(script, keys, arguments);
        std::mem::swap(redis, &mut self.session.borrow_mut().redis);
        answer.map_err(|source| ScriptError {
            script: script.to_owned(),
            source,
        })
    }

    fn invoke(&self, script: &str, keys: &[String], arguments: &[String]) -> mlua::Result<Value> {
        let no_such = || mlua::Error::runtime("there is no such script");
        let function = self.functions.get(script).ok_or_else(no_such)?;
        let globals = self.lua.globals();
        let sequence = |texts: &[String]| self.lua.create_sequence_from(texts.iter().cloned());
        globals.raw_set("KEYS", sequence(keys)?)?;
        globals.raw_set("ARGV", sequence(arguments)?)?;
        let returned: MultiValue = function.call(())?;
        answer_of(returned.into_iter().next().unwrap_or(mlua::Value::Nil))
    }
}

fn prepared_lua(session: &Rc<RefCell<Session>>) -> mlua::Result<Lua> {
    let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
    let lua = Lua::new_with(libraries, LuaOptions::default())?;
    let session = Rc::clone(session);
    let call = lua.create_function(move |lua, arguments: Variadic<mlua::Value>| {
        let texts = arguments.iter().map(argument_of);
        let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
        let words: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut session = session.borrow_mut();
        if let [command, key, ..] = words.as_slice()
            && *command != "INFO"
            && !session.declared.iter().any(|declared| declared == key)
        {
            let undeclared = CommandError(format!("the key {key} was not declared"));
            return Err(mlua::Error::external(undeclared));
        }
        let answer = session.redis.call(&words).map_err(mlua::Error::external)?;
        lua_of(lua, answer)
    })?;
    let redis = lua.create_table()?;
    redis.raw_set("call", call)?;
    lua.globals().raw_set("redis", redis)?;
    lua.globals().set_metatable(Some(locked_globals(&lua)?))?;
    Ok(lua)
}

/// As in Redis, a script may neither make a global variable nor read one that is not there.
fn locked_globals(lua: &Lua) -> mlua::Result<Table> {
    let refused = |what: &'static str| {
        lua.create_function(
            move |_, (_, name): (mlua::Value, String)| -> mlua::Result<()> {
                Err(mlua::Error::runtime(format!(
                    "script attempted to {what} the global variable {name}"
                )))
            },
        )
    };
    let locks = lua.create_table()?;
    locks.raw_set("__newindex", refused("create")?)?;
    locks.raw_set("__index", refused("read")?)?;
    Ok(locks)
}

fn argument_of(value: &mlua::Value) -> mlua::Result<String> {
    match value {
        mlua::Value::String(text) => Ok(text.to_str()?.to_owned()),
        mlua::Value::Integer(number) => Ok(number.to_string()),
        mlua::Value::Number(number) if number.fract() == 0.0 => Ok(format!("{number:.0}")),
        _ => Err(mlua::Error::runtime(
            "commands take texts and whole numbers only",
        )),
    }
}

fn lua_of(lua: &Lua, answer: Value) -> mlua::Result<mlua::Value> {
    Ok(match answer {
        Value::Int(number) => mlua::Value::Integer(number),
        Value::BulkString(text) => mlua::Value::String(lua.create_string(text)?),
        Value::Okay => {
            let table = lua.create_table()?;
            table.raw_set("ok", "OK")?;
            mlua::Value::Table(table)
        }
        Value::Array(answers) => {
            let table = lua.create_table()?;
            for answer in answers {
                table.raw_push(lua_of(lua, answer)?)?;
            }
            mlua::Value::Table(table)
        }
        _ => mlua::Value::Boolean(false),
    })
}

fn answer_of(value: mlua::Value) -> mlua::Result<Value> {
    Ok(match value {
        mlua::Value::Nil | mlua::Value::Boolean(false) => Value::Nil,
        mlua::Value::Boolean(true) => Value::Int(1),
        mlua::Value::Integer(number) => Value::Int(number),
        mlua::Value::Number(number) => Value::Int(truncated(number)),
        mlua::Value::String(text) => Value::BulkString(text.as_bytes().to_vec()),
        mlua::Value::Table(table) => {
            let values = table.sequence_values::<mlua::Value>();
            let answers = values.map(|value| answer_of(value?));
            Value::Array(answers.collect::<mlua::Result<_>>()?)
        }
        other => {
            let problem = format!("a script may not return a {}", other.type_name());
            return Err(mlua::Error::runtime(problem));
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

    #[test]
    fn what_redis_would_refuse_is_refused() {
        for (source, word) in [
            ("x = 1", "global variable x"),
            ("return y", "global variable y"),
            ("return redis.call('HGET', 'other', 'f')", "not declared"),
            ("return redis.call('KEYS', KEYS[1])", "not modelled"),
            ("return redis.call('HSET', KEYS[1], 'f', {})", "texts"),
        ] {
            let scripts = Scripts([("test".to_owned(), source.to_owned())].into());
            let engine = ScriptEngine::with(&scripts).unwrap();
            let mut redis = RedisModel::default();
            let error = engine.run(&mut redis, "test", &["k".to_owned()], &[]);
            let error = format!("{:?}", error.unwrap_err());
            assert!(error.contains(word), "{source}: {error}");
        }
    }
}
