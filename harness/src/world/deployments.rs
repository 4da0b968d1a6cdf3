//! What the boot server may hand out to the scenario's board, and which of it it does.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::by_boot::Deployed;
use super::foreign_program::foreign_program;
use super::tftp::BootFiles;
use super::trust::Trust;
use crate::error::RunError;
use crate::input::DeploymentName;
use crate::plan::Parts;
use crate::scenario::{
    Boot, BrokenFiles, DEFAULT_DEPLOYMENT, Deployment, Deployments as Planned, FileAct, Scenario,
};
use crate::services::{Blob, Client, DataRoot, Folder};
use crate::timeline::{BoardId, Event, Timeline};

/// The deployments of a run, ready to be handed out. Clones switch the same boot server.
#[derive(Clone)]
pub(crate) struct Deployments {
    data: DataRoot,
    client: Option<Client>,
    tftp: BootFiles,
    /// The board, and what is deployed to each, by which the registry goes.
    board: Option<BoardId>,
    deployed: Deployed,
    all: Arc<BTreeMap<String, Ready>>,
}

/// A deployment, ready to be handed out.
struct Ready {
    folder: Folder,
    /// The boot script as TFTP has it, where nothing is asked for with it.
    script: String,
}

impl Deployments {
    /// Prepares every deployment of `scenario` for the client, and hands out the default one. `known` are the variables that the boot server
    /// knows of itself; `rendered` puts a folder's variables into its script.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(super) fn start(
        scenario: &Scenario,
        parts: &Parts,
        trust: &Trust,
        (board, deployed): (Option<BoardId>, Deployed),
        (data, client): (&DataRoot, Option<Client>),
        known: &[(&str, String)],
        rendered: impl Fn(&Folder, &str) -> String,
    ) -> Result<Self, RunError> {
        let whole = folder(scenario, parts, trust)?;
        let ready = |boot: &Boot, deployment: Option<&Deployment>| {
            let mut folder = with_boot(whole.clone(), boot, known)?;
            if let Some(deployment) = deployment {
                let own = [
                    ("kernel", &deployment.kernel),
                    ("initramfs", &deployment.initramfs),
                ];
                for (path, file) in own {
                    if let Some(file) = file {
                        folder.insert(path, Blob::file(file)?)?;
                    }
                }
                break_files(&mut folder, &deployment.files)?;
            }
            let script = rendered(&folder, &boot.script);
            Ok::<_, RunError>(Ready { folder, script })
        };
        let mut all = BTreeMap::new();
        let default = ready(&scenario.boot, None)?;
        let tftp = BootFiles::new(default.script.clone(), default.folder.clone());
        all.insert(DEFAULT_DEPLOYMENT.to_owned(), default);
        let planned: &Planned = &scenario.deployments;
        for (name, deployment) in planned {
            let ready = ready(&deployment.boot, Some(deployment))?;
            all.insert(name.to_string(), ready);
        }
        let this = Self {
            data: data.clone(),
            client,
            tftp,
            board,
            deployed,
            all: Arc::new(all),
        };
        this.hand_out(DEFAULT_DEPLOYMENT);
        Ok(this)
    }

    /// From the next request on this is handed out, which the board's part of the timeline says; answers that are under way go on as they began.
    pub(crate) fn deploy(&self, name: &DeploymentName, timeline: &Timeline) {
        self.hand_out(name);
        let name = name.to_string();
        timeline.emit(Event::Deployed { name });
    }

    fn hand_out(&self, name: &str) {
        // The scenario has been checked to name none but its own.
        let Some(ready) = self.all.get(name) else {
            return;
        };
        if let Some(client) = self.client {
            self.data.set(client, ready.folder.clone());
        }
        self.deployed.set(self.board.clone(), name);
        self.tftp
            .hand_out(ready.script.clone(), ready.folder.clone());
    }

    /// What is read by TFTP.
    pub(super) fn tftp(&self) -> BootFiles {
        self.tftp.clone()
    }
}

/// The files that every deployment has.
fn folder(scenario: &Scenario, parts: &Parts, trust: &Trust) -> Result<Folder, RunError> {
    let mut folder = Folder::default();
    folder.insert("kernel", Blob::file(&parts.kernel)?)?;
    folder.insert("initramfs", Blob::file(&parts.initramfs)?)?;
    folder.insert("trust", Bytes::from(trust.archive(&scenario.registry)?))?;
    for (path, blob) in &parts.files {
        folder.insert(path, blob.clone())?;
    }
    Ok(folder)
}

/// The same with the templates of a deployment and their variables, of which those that the server knows of itself win.
fn with_boot(
    mut folder: Folder,
    boot: &Boot,
    known: &[(&str, String)],
) -> Result<Folder, RunError> {
    folder.insert("boot.ipxe", Bytes::from(boot.script.clone()))?;
    if let Some(secrets) = &boot.secrets {
        folder.insert("secrets", Bytes::from(secrets.clone()))?;
    }
    let own = boot.variables.iter().map(|(k, v)| (k.as_str(), v));
    for (name, value) in own.chain(known.iter().map(|(k, v)| (*k, v))) {
        folder = folder.variable(name, value);
    }
    Ok(folder)
}

fn break_files(folder: &mut Folder, files: &BrokenFiles) -> Result<(), RunError> {
    for (path, act) in files.iter() {
        let whole = || {
            let blob = folder.file(path).cloned();
            blob.map_or(Ok(Vec::new()), |blob| blob.content())
        };
        let content = match act {
            FileAct::Remove => {
                folder.remove(path)?;
                continue;
            }
            FileAct::Erase => vec![0xff; whole()?.len()],
            FileAct::Halve => {
                let mut content = whole()?;
                content.truncate(content.len() / 2);
                content
            }
            FileAct::Foreign => foreign_program(),
        };
        folder.insert(path, Bytes::from(content))?;
    }
    Ok(())
}
