//! An image as `docker save` writes it: one layer, its configuration, and a list of what is there.

use std::{fs, io, path::Path};

use serde_json::json;
use sha2::{Digest, Sha256};

/// What a container starts with.
pub struct Image {
    /// `name:tag`.
    pub name: String,
    /// Empty is root.
    pub user: String,
    pub entrypoint: Vec<String>,
    pub files: Vec<File>,
}

/// A regular file that belongs to root.
pub struct File {
    path: String,
    mode: u32,
    content: Vec<u8>,
}

// === impl File ===

impl File {
    pub fn program(path: &str, content: Vec<u8>) -> Self {
        Self {
            path: path.to_owned(),
            mode: 0o755,
            content,
        }
    }

    pub fn data(path: &str, content: String) -> Self {
        Self {
            path: path.to_owned(),
            mode: 0o644,
            content: content.into_bytes(),
        }
    }
}

// === impl Image ===

impl Image {
    pub fn write(&self, target: &Path) -> io::Result<()> {
        let layer = archive(&self.files)?;
        let digest = Sha256::digest(&layer);
        let digest = digest
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": {"User": self.user, "Entrypoint": self.entrypoint},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
        });
        let manifest =
            json!([{"Config": "config.json", "RepoTags": [self.name], "Layers": ["layer.tar"]}]);
        let whole = archive(&[
            File::data("config.json", config.to_string()),
            File {
                path: "layer.tar".into(),
                mode: 0o644,
                content: layer,
            },
            File::data("manifest.json", manifest.to_string()),
        ])?;
        fs::write(target, whole)
    }
}

fn archive(files: &[File]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(file.mode);
        header.set_size(file.content.len() as u64);
        archive.append_data(&mut header, &file.path, &*file.content)?;
    }
    archive.into_inner()
}

/// As Go calls it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
