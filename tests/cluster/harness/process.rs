//! Child processes that cannot outlive this one.
//!
//! Every child runs under a small shell that reads a pipe from us. The pipe closes when a [`Supervised`] is dropped
//! and, because the kernel does it, also when this process panics, exits or is killed; then the shell kills the child.
//! It runs in a process group of its own, so that Ctrl-C reaches us first and we decide what ends when.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// Standard input carries one signal name a line; its end means KILL.
const SUPERVISE: &str = r#"
exec 3<&0
"$@" 3<&- </dev/null &
child=$!
{
  while read -r signal <&3; do kill -s "$signal" "$child"; done
  kill -s KILL "$child"
} 2>/dev/null &
watcher=$!
wait "$child" 2>/dev/null
status=$?
kill -s KILL "$watcher"
exit "$status"
"#;

/// Removes a directory when its standard input ends; the processes that wrote there are being killed at that moment.
const SWEEP: &str = r#"
read -r _
for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" && exit; sleep 0.1; done
"#;

/// A running child and the pipe that keeps it alive.
#[derive(Debug)]
pub struct Supervised {
    shell: Child,
}

/// A command that runs `program` under the supervising shell; add arguments as to any other command.
pub fn supervised(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", SUPERVISE, "supervise"])
        .arg(program.as_ref());
    command
}

/// As [`supervised`], for a command that has its program, arguments, environment and directory already.
pub fn supervised_from(template: &Command) -> Command {
    let mut command = supervised(template.get_program());
    command.args(template.get_args());
    for (name, value) in template.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(directory) = template.get_current_dir() {
        command.current_dir(directory);
    }
    command
}

/// Removes `directory` after this process has ended, however it ends.
pub fn remove_at_exit(directory: &Path) -> io::Result<Supervised> {
    let mut command = Command::new("sh");
    command
        .args(["-c", SWEEP, "sweep"])
        .arg(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Supervised::spawn(&mut command)
}

// === impl Supervised ===

impl Supervised {
    /// Spawns a command made by [`supervised`].
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        let shell = command.stdin(Stdio::piped()).process_group(0).spawn()?;
        Ok(Self { shell })
    }

    /// As [`Self::spawn`], with both output streams appended to `log`.
    pub fn spawn_logged(command: &mut Command, log: &Path) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        Self::spawn(command.stdout(log.try_clone()?).stderr(log))
    }

    /// The child's standard output, where the command asked for a pipe.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.shell.stdout.take()
    }

    /// The child's standard error, where the command asked for a pipe.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.shell.stderr.take()
    }

    /// The exit status, if the child has ended.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.shell.try_wait()
    }

    /// Sends a signal by its POSIX name, such as `TERM`.
    pub fn signal(&mut self, name: &str) -> io::Result<()> {
        match &mut self.shell.stdin {
            Some(stdin) => writeln!(stdin, "{name}"),
            None => Ok(()),
        }
    }

    /// Waits for the end; kills the child at the deadline and says so by returning `None`.
    pub fn wait(mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.ended()? {
                return Ok(Some(status));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(None)
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        drop(self.shell.wait());
    }
}
