//! Options that say where the parts come from.

use std::path::{Path, PathBuf};

use anyhow::Result;
use shakedown_fixtures::alpine::AlpineSource;
use shakedown_fixtures::{Kit, KitOptions};
use shakedown_harness::project::Defaults;
use shakedown_harness::shell;

/// Options that say where the parts come from.
#[derive(Clone, clap::Args)]
pub struct PartsArgs {
    /// Use only what has been fetched before.
    #[arg(long)]
    offline: bool,
    /// Take exactly the packages of `fixtures/parts.lock`. Without this the newest ones stand in for those that are not to be had, and the
    /// terminal and the report say so.
    #[arg(long)]
    locked: bool,
    /// An initramfs to boot instead of ours, as in upstream's boot2container.
    #[arg(long, value_name = "FILE")]
    pub initramfs: Option<PathBuf>,
    /// A disk image to boot instead of the generated one: prebuilt or provisioned; raw, xz, zstd, gzip or qcow2; `-` for a pipe. It is
    /// never written to.
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// Serve the stand-in, which is not Alpine and says so, and never ask Docker Hub.
    #[arg(long, conflicts_with = "container")]
    stand_in: bool,
    /// A folder in OCI image layout to serve as the container image. By default it is Alpine: from `SHAKEDOWN_ALPINE_ROOTFS_DIR`, from the cache,
    /// or from Docker Hub on the first run; when that does not answer within ten seconds, a stand-in.
    #[arg(long, value_name = "FOLDER")]
    pub container: Option<PathBuf>,
}

impl PartsArgs {
    /// The options as they are typed, each with a space before it.
    #[must_use]
    pub fn words(&self) -> String {
        let files = [
            ("--initramfs", &self.initramfs),
            ("--container", &self.container),
            ("--image", &self.image),
        ];
        let words: String = files
            .iter()
            .filter_map(|(option, path)| {
                let path = path.as_ref()?.to_string_lossy();
                Some(format!(" {option} {}", shell::word(&path)))
            })
            .collect();
        let words = match self.locked {
            true => words + " --locked",
            false => words,
        };
        let words = match self.stand_in {
            true => words + " --stand-in",
            false => words,
        };
        // What came through a pipe has to come through one again.
        match self.image.as_deref() {
            Some(image) if image == Path::new("-") => words + " < IMAGE",
            _ => words,
        }
    }

    /// Opens the kit of parts that these options describe, and where they say nothing the project's and the user's defaults.
    ///
    /// # Errors
    /// There is no place for a cache, or a file that was named is not there.
    pub fn kit(&self, defaults: &Defaults) -> Result<Kit> {
        Ok(Kit::open(self.options(defaults))?)
    }

    /// What these options ask for, and where they say nothing the project's and the user's defaults.
    #[must_use]
    pub fn options(&self, defaults: &Defaults) -> KitOptions {
        let given = |option: &Option<PathBuf>, default: &Option<PathBuf>| {
            option.clone().or_else(|| default.clone())
        };
        // The environment comes before the files.
        let cache = std::env::var_os("SHAKEDOWN_CACHE").filter(|folder| !folder.is_empty());
        KitOptions {
            offline: self.offline || defaults.offline.unwrap_or(false),
            initramfs: given(&self.initramfs, &defaults.initramfs),
            image: given(&self.image, &defaults.image),
            container: given(&self.container, &defaults.container),
            alpine: match self.stand_in {
                true => AlpineSource::StandIn,
                false => AlpineSource::Fetched,
            },
            cache: defaults.cache.clone().filter(|_| cache.is_none()),
            locked: self.locked,
            retry: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_are_told_as_a_shell_takes_them() {
        let args = |image: &str| PartsArgs {
            offline: true,
            locked: false,
            initramfs: Some("my initramfs".into()),
            image: Some(image.into()),
            container: None,
            stand_in: false,
        };
        assert_eq!(
            args("out/a.img").words(),
            " --initramfs 'my initramfs' --image out/a.img"
        );
        assert_eq!(
            args("-").words(),
            " --initramfs 'my initramfs' --image - < IMAGE"
        );
    }
}
