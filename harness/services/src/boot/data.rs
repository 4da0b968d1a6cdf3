//! What the boot server hands out: a folder for each client, in memory or on disk.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::Client;
use super::path::FilePath;
use crate::{Blob, Error};

/// The folders of all clients. Those set here win over those on disk. Clones share the folders: what is set in one is handed out by all.
#[derive(Debug, Clone, Default)]
pub struct DataRoot {
    folders: Arc<RwLock<HashMap<Client, Folder>>>,
    disk: Option<PathBuf>,
    follows_upstream: bool,
}

impl DataRoot {
    /// The folders below `path`, each named after its client. Files are looked up at each request.
    ///
    /// # Errors
    /// [`Error::File`] when there is no such directory.
    pub fn on_disk(path: &Path) -> Result<Self, Error> {
        let checked = path.canonicalize().and_then(|path| match path.is_dir() {
            true => Ok(path),
            false => Err(io::ErrorKind::NotADirectory.into()),
        });
        match checked {
            Ok(disk) => Ok(Self {
                folders: Arc::default(),
                disk: Some(disk),
                follows_upstream: false,
            }),
            Err(source) => Err(Error::File {
                path: path.into(),
                source,
            }),
        }
    }

    /// Lets `/update-cfg` bring the directory on disk, a git checkout, to its upstream. Anybody who reaches the server may ask for it.
    #[must_use]
    pub fn follow_upstream(mut self) -> Self {
        self.follows_upstream = true;
        self
    }

    /// `/update-cfg` may change the directory on disk.
    pub(super) fn follows_upstream(&self) -> bool {
        self.follows_upstream
    }

    /// Sets the folder of a client, from the next request on. Answers that are under way go on as they began.
    pub fn set(&self, client: Client, folder: Folder) {
        let mut folders = self.folders.write().unwrap_or_else(PoisonError::into_inner);
        folders.insert(client, folder);
    }

    /// The folder that was set for a client.
    fn folder(&self, client: Client) -> Option<Folder> {
        let folders = self.folders.read().unwrap_or_else(PoisonError::into_inner);
        folders.get(&client).cloned()
    }

    /// The template variables of a client's folder.
    pub(super) fn variables(&self, client: Client) -> BTreeMap<String, String> {
        let folder = self.folder(client).unwrap_or_default();
        folder.variables().clone()
    }

    /// The directory on disk.
    pub(super) fn disk(&self) -> Option<&Path> {
        self.disk.as_deref()
    }

    /// The client has a folder.
    pub(super) fn knows(&self, client: Client) -> bool {
        let on_disk = |disk: &PathBuf| disk.join(client.to_string()).is_dir();
        self.folder(client).is_some() || self.disk.as_ref().is_some_and(on_disk)
    }

    /// A file of a client's folder, if there is such a file.
    ///
    /// # Errors
    /// [`Error::Outside`] when a symbolic link leads out of the data root, [`Error::File`] when the file cannot be read.
    pub(super) async fn file(
        &self,
        client: Client,
        path: &FilePath,
    ) -> Result<Option<Blob>, Error> {
        if let Some(folder) = self.folder(client) {
            return Ok(folder.files.get(path).cloned());
        }
        let Some(root) = self.disk.clone() else {
            return Ok(None);
        };
        let wanted = root.join(client.to_string()).join(path.to_string());
        let found = tokio::task::spawn_blocking(move || find(&root, wanted)).await;
        found.map_err(|error| Error::File {
            path: path.to_string().into(),
            source: error.into(),
        })?
    }
}

/// The regular file at `wanted`, with links followed as long as they stay below `root`.
fn find(root: &Path, wanted: PathBuf) -> Result<Option<Blob>, Error> {
    let absent = |kind| matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    let real = match wanted.canonicalize() {
        Ok(real) => real,
        Err(error) if absent(error.kind()) => return Ok(None),
        Err(source) => {
            return Err(Error::File {
                path: wanted,
                source,
            });
        }
    };
    if !real.starts_with(root) {
        return Err(Error::Outside { path: wanted });
    }
    if !real.is_file() {
        return Ok(None);
    }
    Blob::file(real).map(Some)
}

/// A client's files by path, and variables of its templates, `boot.ipxe` and `secrets`. Clones share what they have in common.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    files: Arc<BTreeMap<FilePath, Blob>>,
    variables: Arc<BTreeMap<String, String>>,
}

impl Folder {
    /// Puts content at `path`, in place of what was there.
    ///
    /// # Errors
    /// [`Error::Path`] when the path is not a plain relative one.
    pub fn insert(&mut self, path: &str, blob: impl Into<Blob>) -> Result<(), Error> {
        Arc::make_mut(&mut self.files).insert(FilePath::new(path)?, blob.into());
        Ok(())
    }

    /// Takes the file at `path` out, if there is one.
    ///
    /// # Errors
    /// [`Error::Path`] when the path is not a plain relative one.
    pub fn remove(&mut self, path: &str) -> Result<(), Error> {
        Arc::make_mut(&mut self.files).remove(&FilePath::new(path)?);
        Ok(())
    }

    /// Sets a template variable of this folder alone. It wins over the one that all clients have.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        Arc::make_mut(&mut self.variables).insert(name.into(), value.into());
        self
    }

    /// The content at `path`; `None` also for a path that is not a plain relative one.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&Blob> {
        self.files.get(&FilePath::new(path).ok()?)
    }

    pub(super) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn links_are_followed_inside_the_root_and_refused_outside() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("passwd"), "x").unwrap();
        let root = tempfile::tempdir().unwrap();
        let client = Client::Machine("b8:27:eb:00:00:01".parse().unwrap());
        let folder = root.path().join(client.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir(root.path().join("common")).unwrap();
        fs::write(root.path().join("common/kernel"), "kernel").unwrap();
        symlink("../common/kernel", folder.join("kernel")).unwrap();
        symlink(outside.path().join("passwd"), folder.join("absolute")).unwrap();
        symlink(outside.path(), folder.join("directory")).unwrap();
        symlink("nowhere", folder.join("broken")).unwrap();
        symlink("circle", folder.join("circle")).unwrap();
        let data = DataRoot::on_disk(root.path()).unwrap();
        let file = async |path| data.file(client, &FilePath::new(path).unwrap()).await;
        assert_eq!(file("kernel").await.unwrap().unwrap().len(), 6);
        for path in ["absolute", "directory/passwd"] {
            let found = file(path).await;
            assert!(
                matches!(found, Err(Error::Outside { .. })),
                "{path}: {found:?}"
            );
        }
        for path in ["broken", "none", "kernel/below"] {
            assert!(file(path).await.unwrap().is_none(), "{path}");
        }
        assert!(matches!(file("circle").await, Err(Error::File { .. })));
        let unknown = Client::Machine("b8:27:eb:00:00:02".parse().unwrap());
        assert!(data.knows(client) && !data.knows(unknown));
    }

    #[test]
    fn a_root_that_is_no_directory_is_an_error_that_names_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = DataRoot::on_disk(file.path()).unwrap_err().to_string();
        assert!(error.contains(file.path().to_str().unwrap()), "{error}");
    }
}
