//! Programs that Go builds once from a module that pins them, for tests of the real thing.
//!
//! The user's cache directory keeps them under a hash of what the module consists of, so that neither a fresh clone nor
//! `cargo clean` builds them again.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::process::{Supervised, supervised};

/// How often the build says where it is: often enough that nobody thinks it hangs.
const PROGRESS: Duration = Duration::from_secs(10);

/// A Go module that pins programs.
pub struct GoModule {
    /// Where its `go.mod` is, from the top of the repository.
    pub directory: &'static str,
    /// What `go build` is to build there: `tool` is everything that its `tool` directives name. What is built of one
    /// module at several times is kept in one place.
    pub packages: &'static [&'static str],
    /// What comes of it.
    pub what: &'static str,
    /// How long that takes, for whoever waits for it.
    pub takes: &'static str,
    /// The requirement whose version the programs are to report as theirs.
    pub version_of: &'static str,
    /// The linker's flags that make them report it.
    pub stamp: fn(version: &str) -> String,
    /// What `go build` calls a program, and what it is to be called.
    pub renamed: Option<(&'static str, &'static str)>,
    /// The files that have to be there in the end.
    pub programs: &'static [&'static str],
}

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The machine cannot build them: a reason to skip, not to fail.
    #[error("there is no Go to build {0} with")]
    NoGo(&'static str),
    #[error("{0:?} is missing or not a file")]
    Missing(PathBuf),
    #[error("neither XDG_CACHE_HOME nor HOME is set, so what is built could not be kept")]
    NoCacheDirectory,
    #[error("{directory}/go.mod does not require {module}")]
    NoVersion {
        directory: &'static str,
        module: &'static str,
    },
    #[error("Go could not build {0}:\n{1}")]
    Build(&'static str, String),
    #[error("cannot keep what was built in the cache directory")]
    Io(#[from] io::Error),
}

// === impl GoModule ===

impl GoModule {
    /// The directory with the programs, which are built first if need be.
    pub fn locate(&self) -> Result<PathBuf, BuildError> {
        let go_mod = self.read("go.mod")?;
        let mut hashed = go_mod.clone() + &self.read("go.sum")?;
        if self.packages == ["."] {
            hashed += &self.read("main.go")?;
        }
        let cache = cache_directory()?;
        let hash = fnv1a(hashed.as_bytes());
        let built = cache.join(format!("{hash:016x}"));
        if self.missing(&built).is_none() {
            return Ok(built);
        }
        if Command::new("go").arg("version").output().is_err() {
            return Err(BuildError::NoGo(self.what));
        }
        fs::create_dir_all(&cache)?;
        let lock = fs::File::create(cache.join("build.lock"))?;
        if lock.try_lock().is_err() {
            say("Another process is building with Go; waiting for it.");
            lock.lock()?;
        }
        // Whoever held the lock before us may have built just this.
        if self.missing(&built).is_some() {
            self.build(&built, &go_mod)?;
        }
        match self.missing(&built) {
            None => Ok(built),
            Some(path) => Err(BuildError::Missing(path)),
        }
    }

    /// The first program that is not in the directory.
    pub fn missing(&self, directory: &Path) -> Option<PathBuf> {
        let paths = self.programs.iter().map(|name| directory.join(name));
        paths.into_iter().find(|it| !it.is_file())
    }

    /// Builds beside `target` and moves there what was built, so that an interrupted build leaves nothing that looks
    /// complete. The caller holds the lock.
    fn build(&self, target: &Path, go_mod: &str) -> Result<(), BuildError> {
        let version = version_of(self.version_of, go_mod).ok_or(BuildError::NoVersion {
            directory: self.directory,
            module: self.version_of,
        })?;
        let partial = target.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        fs::create_dir_all(&partial)?;
        say(&format!(
            "Building {} {version} with Go into {}.\nThis happens once and takes {}, seconds if Go has built it before.",
            self.what,
            target.display(),
            self.takes
        ));
        let started = Instant::now();
        self.go_build(&partial, version, started)?;
        if let Some((from, to)) = self.renamed {
            fs::rename(partial.join(from), partial.join(to))?;
        }
        fs::create_dir_all(target)?;
        for program in fs::read_dir(&partial)? {
            let program = program?;
            fs::rename(program.path(), target.join(program.file_name()))?;
        }
        fs::remove_dir(&partial)?;
        say(&format!("Built in {} s.", started.elapsed().as_secs()));
        Ok(())
    }

    fn go_build(&self, output: &Path, version: &str, started: Instant) -> Result<(), BuildError> {
        let flags = format!("-s -w {}", (self.stamp)(version));
        let mut command = supervised("go");
        // Two packages at a time: more would take several GB.
        command
            .args(["build", "-v", "-p", "2", "-trimpath", "-ldflags"])
            .arg(&flags)
            .arg("-o")
            .arg(output)
            .args(self.packages);
        command
            .current_dir(in_repository(self.directory))
            .env("CGO_ENABLED", "0")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut go = Supervised::spawn(&mut command)?;
        let stderr = go.take_stderr().expect("asked for a pipe");

        let (mut packages, mut other, mut next) = (0, Vec::new(), started + PROGRESS);
        for line in BufReader::new(stderr).lines() {
            let line = line?;
            if line.contains(' ') {
                // Not a package path: a download, or the compiler complaining.
                other.push(line.clone());
            } else {
                packages += 1;
            }
            if Instant::now() >= next {
                say(&format!(
                    "{:>4} s, {packages} packages compiled, now {line}",
                    started.elapsed().as_secs()
                ));
                next = Instant::now() + PROGRESS;
            }
        }
        match go.wait(Duration::from_mins(1))? {
            Some(status) if status.success() => Ok(()),
            _ => Err(BuildError::Build(self.what, other.join("\n"))),
        }
    }

    /// Where Go keeps the sources of the requirement whose version is reported.
    pub fn sources(&self) -> Result<PathBuf, BuildError> {
        let mut command = Command::new("go");
        command
            .args(["mod", "download", "-json", self.version_of])
            .current_dir(in_repository(self.directory));
        let Ok(output) = command.output() else {
            return Err(BuildError::NoGo(self.what));
        };
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if let Some(directory) = found["Dir"].as_str() {
            return Ok(directory.into());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(BuildError::Build(self.what, said))
    }

    fn read(&self, file: &str) -> io::Result<String> {
        fs::read_to_string(in_repository(self.directory).join(file))
    }
}

/// The version in `k8s.io/kubernetes v1.37.2`.
fn version_of<'a>(module: &str, go_mod: &'a str) -> Option<&'a str> {
    go_mod.lines().find_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("require ").unwrap_or(line);
        let rest = line.strip_prefix(module)?.strip_prefix(' ')?;
        rest.split_whitespace().next()
    })
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn cache_directory() -> Result<PathBuf, BuildError> {
    let set = |name| {
        env::var_os(name)
            .filter(|it| !it.is_empty())
            .map(PathBuf::from)
    };
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    Ok(base.ok_or(BuildError::NoCacheDirectory)?.join("podgate"))
}

/// FNV-1a: the standard library promises no hash that is the same in its next version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Writes to the real standard error: the print macros are captured while a test runs.
pub fn say(text: &str) {
    let mut stderr = io::stderr().lock();
    for line in text.lines() {
        drop(writeln!(stderr, "[cluster] {line}"));
    }
}
