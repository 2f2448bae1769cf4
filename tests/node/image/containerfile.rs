//! What the Containerfile says that matters to who makes the image without it.

/// The last stage, and how the binary in it was built. Whatever else stands in that stage is an error.
#[derive(Debug, Default)]
pub struct Containerfile {
    /// Paths in the image, without the first slash. All come from the stage before.
    pub files: Vec<String>,
    pub user: String,
    pub entrypoint: Vec<String>,
    /// What `cargo rustc` hands on to the compiler for the binary alone.
    pub rustc_flags: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ContainerfileError {
    #[error("the last stage is from {0:?}; it has to be from scratch")]
    NotScratch(String),
    #[error("the tests do not know how to do this as docker would: {0}")]
    Unknown(String),
    #[error("no line builds the binary with `cargo rustc … -- FLAGS`")]
    NoFlags,
}

// === impl Containerfile ===

impl Containerfile {
    pub fn parse(text: &str) -> Result<Self, ContainerfileError> {
        let mut said = Self::default();
        let mut base = "";
        let mut flags = None;
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|it| !it.is_empty() && !it.starts_with('#')) {
            let (instruction, rest) = line.split_once(' ').unwrap_or((line, ""));
            let unknown = || ContainerfileError::Unknown(line.to_owned());
            match instruction {
                "FROM" => {
                    base = rest;
                    said = Self::default();
                }
                "RUN" if base != "scratch" && rest.contains("cargo rustc") => {
                    flags = rest.split_once(" -- ").map(|(_, flags)| flags);
                }
                _ if base != "scratch" => {}
                "COPY" => {
                    let path = match rest.split(' ').collect::<Vec<_>>()[..] {
                        ["--from=build", _, path] => path.strip_prefix('/'),
                        _ => None,
                    };
                    said.files.push(path.ok_or_else(unknown)?.to_owned());
                }
                "USER" => rest.clone_into(&mut said.user),
                "ENTRYPOINT" => {
                    said.entrypoint = serde_json::from_str(rest).map_err(|_| unknown())?;
                }
                _ => return Err(unknown()),
            }
        }
        if base != "scratch" {
            return Err(ContainerfileError::NotScratch(base.to_owned()));
        }
        let flags = flags.ok_or(ContainerfileError::NoFlags)?;
        said.rustc_flags = flags.split_whitespace().map(str::to_owned).collect();
        Ok(said)
    }
}
