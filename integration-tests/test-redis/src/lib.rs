//! A real redis-server of a test's own: free port, own folder, killed on drop.

use shared::settings::{Layers, RedisSettings};
use std::io::{BufRead, BufReader, Error, Result};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A running server.
#[derive(Debug)]
pub struct TestRedis {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl TestRedis {
    /// Starts a server without persistence.
    pub fn start() -> Result<Self> {
        // Between the look for a free port and its use somebody else may take it.
        let mut last = Error::other("no try was made");
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let folder = tempfile::tempdir()?;
            match launch(port, &folder) {
                Ok(process) => {
                    return Ok(Self {
                        process,
                        port,
                        folder,
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://…`
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The default settings with this server's address.
    pub fn settings(&self) -> Result<RedisSettings> {
        Layers::default()
            .flag("redis.url", Some(self.url()))
            .load()
            .map(|settings| settings.redis)
            .map_err(Error::other)
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait().map(|_status| ())
    }

    /// Starts it again, empty, on the same port.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        self.process = launch(self.port, &self.folder)?;
        Ok(())
    }

    /// Freezes it (true) or lets it go on (false).
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let done = Command::new("kill")
            .args([signal, &self.process.id().to_string()])
            .status()?;
        if done.success() {
            Ok(())
        } else {
            Err(Error::other("the signal was not sent"))
        }
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing more to do then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn launch(port: u16, folder: &TempDir) -> Result<Child> {
    let mut process = Command::new("redis-server")
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
        ])
        .args(["--appendonly", "no", "--dir"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|cause| Error::other(format!("redis-server cannot be started: {cause}")))?;
    let output = process
        .stdout
        .take()
        .ok_or_else(|| Error::other("no output to read"))?;
    let mut lines = BufReader::new(output).lines();
    for line in lines.by_ref() {
        if line?.contains("Ready to accept connections") {
            // Somebody has to read on, or the server stops when the pipe is full.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(process);
        }
    }
    let _ = process.wait();
    Err(Error::other(format!(
        "redis-server did not start on port {port}"
    )))
}
