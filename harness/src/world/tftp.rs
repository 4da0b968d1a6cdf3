//! What boards read by TFTP: their boot scripts, and the files that the boot server has for each.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use crate::lan::{TftpContent, TftpFiles};
use crate::services::Folder;
use crate::timeline::{BoardId, Timeline};

/// Name of the boot script, which DHCP tells iPXE.
pub(crate) const SCRIPT: &str = "boot.ipxe";
/// Where the other files are, as over HTTP.
const FILES: &str = "files/";

/// The files of each board, which the timeline tells from the others by its address. Who is no board has those of the first.
#[derive(Debug, Clone)]
pub(crate) struct BoardFiles {
    boards: Vec<(Option<BoardId>, BootFiles)>,
    timeline: Timeline,
}

impl BoardFiles {
    /// The files of these boards; `None` is the one board of a run that has one.
    pub(crate) fn new(boards: Vec<(Option<BoardId>, BootFiles)>, timeline: &Timeline) -> Self {
        Self {
            boards,
            timeline: timeline.clone(),
        }
    }
}

impl TftpFiles for BoardFiles {
    fn open(&self, client: Ipv4Addr, name: &str) -> io::Result<TftpContent> {
        let board = self.timeline.of_client(client).board();
        let its = self.boards.iter().find(|(id, _)| *id == board);
        match its.or(self.boards.first()) {
            Some((_, files)) => files.open(name),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// The files of one board. Clones hand out the same.
#[derive(Debug, Clone)]
pub(crate) struct BootFiles(Arc<RwLock<HandedOut>>);

#[derive(Debug, Clone)]
struct HandedOut {
    script: Bytes,
    folder: Folder,
}

impl BootFiles {
    /// A boot script, and the folder of a client of the boot server.
    pub(crate) fn new(script: String, folder: Folder) -> Self {
        let script = script.into();
        Self(Arc::new(RwLock::new(HandedOut { script, folder })))
    }

    /// Hands out these from the next request on.
    pub(super) fn hand_out(&self, script: String, folder: Folder) {
        let script = script.into();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = HandedOut { script, folder };
    }
}

impl BootFiles {
    fn open(&self, name: &str) -> io::Result<TftpContent> {
        let HandedOut { script, folder } = {
            let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
            current.clone()
        };
        if name == SCRIPT {
            return Ok(script.into());
        }
        let blob = name.strip_prefix(FILES).and_then(|path| folder.file(path));
        let blob = blob.ok_or(io::ErrorKind::NotFound)?;
        let content = blob.content().map_err(io::Error::other)?;
        Ok(Bytes::from(content).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_reads_its_script_and_its_files_and_nothing_else() {
        let mut folder = Folder::default();
        folder.insert("kernel", Bytes::from_static(b"MZ")).unwrap();
        folder
            .insert(SCRIPT, Bytes::from_static(b"${template}"))
            .unwrap();
        let files = BootFiles::new("#!ipxe".into(), folder);
        let open = |name: &str| {
            let opened = files.open(name);
            opened.map(|_| ()).map_err(|error| error.kind())
        };
        assert_eq!(open("boot.ipxe"), Ok(()));
        assert_eq!(open("files/kernel"), Ok(()));
        for name in [
            "kernel",
            "files/",
            "files/../boot.ipxe",
            "files/lost",
            "secrets",
        ] {
            assert_eq!(open(name), Err(io::ErrorKind::NotFound), "{name}");
        }
    }
}
