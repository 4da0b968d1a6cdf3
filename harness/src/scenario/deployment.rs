//! `[deployment.NAME]`: what the boot server hands out once a step says `deploy = "NAME"`. What `[boot]` says is the deployment `default`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::steps::StepTable;
use super::{Boot, Initrd, Scenario};
use crate::input::{DeploymentName, Document, InputError, Span};

/// The name of what `[boot]` says.
pub const DEFAULT_DEPLOYMENT: &str = "default";

/// The deployments of a scenario, by name.
pub type Deployments = BTreeMap<DeploymentName, Deployment>;

/// What boot server and registry hand out to a board of the scenario.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Script, variables and secrets.
    pub boot: Boot,
    /// The container image that the registry hands out, in an OCI layout; the run's if `None`.
    pub image: Option<PathBuf>,
    /// What `/files/kernel` is; the run's kernel if `None`.
    pub kernel: Option<PathBuf>,
    /// What `/files/initramfs` is; the run's initramfs if `None`.
    pub initramfs: Option<PathBuf>,
    /// Files that are broken on purpose.
    pub files: BrokenFiles,
}

/// What the boot server hands out once a step deploys it. What is not said is as in `[boot]`.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeploymentTable {
    /// The boot script, `boot.ipxe`.
    script: Option<String>,
    /// What stands in place of `${arguments}` in the script: the kernel's arguments. Line ends count as blanks.
    arguments: Option<String>,
    /// What the boot server puts in place of `${NAME}` in script and secrets. Those of `[boot.variables]` hold besides.
    #[serde(default)]
    variables: BTreeMap<String, String>,
    /// What `${secrets_url}` of the boot script leads to, once.
    secrets: Option<String>,
    /// Archives of programs that are booted beside the initramfs.
    initrds: Option<Vec<Initrd>>,
    /// The container image's name at the registry.
    container: Option<String>,
    /// The image that the registry hands out by that name: a folder with an OCI layout, relative to the scenario's file. By default it is the run's.
    #[schemars(with = "Option<PathBuf>")]
    image: Option<Span<PathBuf>>,
    /// The file that the boot server has as `/files/kernel`, relative to the scenario's file; by default the run's kernel.
    #[schemars(with = "Option<PathBuf>")]
    kernel: Option<Span<PathBuf>>,
    /// The file that the boot server has as `/files/initramfs`, relative to the scenario's file; by default the run's initramfs.
    #[schemars(with = "Option<PathBuf>")]
    initramfs: Option<Span<PathBuf>>,
    /// Files of the boot server that are broken on purpose.
    #[serde(default)]
    files: BrokenFiles,
}

/// What becomes of a file of the boot server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileAct {
    /// It holds bytes 0xff.
    Erase,
    /// Its second half is missing.
    Halve,
    /// It is gone.
    Remove,
    /// It is a program for UEFI on x86-64 that returns at once, which other processors do not start.
    Foreign,
}

/// Files of the boot server that are broken on purpose; a file that is not named is whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BrokenFiles {
    /// What becomes of `/files/kernel`.
    pub kernel: Option<FileAct>,
    /// What becomes of `/files/initramfs`.
    pub initramfs: Option<FileAct>,
}

impl BrokenFiles {
    /// Each broken file by its path below `/files`, and what is done to it.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, FileAct)> {
        let all = [("kernel", self.kernel), ("initramfs", self.initramfs)];
        all.into_iter()
            .filter_map(|(path, act)| act.map(|act| (path, act)))
    }
}

/// The deployments of a scenario that boots so.
pub(super) fn read(
    tables: BTreeMap<DeploymentName, Span<DeploymentTable>>,
    boot: &Boot,
    document: &Document,
) -> Result<Deployments, InputError> {
    let mut all = Deployments::new();
    for (name, table) in tables {
        if name == DEFAULT_DEPLOYMENT {
            let message = "the deployment \"default\" is what [boot] says: give this one another name, or put it into [boot]";
            return Err(document.error_at(table.span(), message));
        }
        let DeploymentTable {
            script,
            arguments,
            variables,
            secrets,
            initrds,
            container,
            image,
            kernel,
            initramfs,
            files,
        } = table.into_inner();
        let mut boot = boot.clone();
        boot.script = script.unwrap_or(boot.script);
        boot.arguments = arguments.unwrap_or(boot.arguments);
        boot.variables.extend(variables);
        boot.secrets = secrets.or(boot.secrets);
        boot.initrds = initrds.unwrap_or(boot.initrds);
        boot.container = container.unwrap_or(boot.container);
        let deployment = Deployment {
            boot: boot.written_out(),
            image: beside(image, "folder", Path::is_dir, document)?,
            kernel: beside(kernel, "file", Path::is_file, document)?,
            initramfs: beside(initramfs, "file", Path::is_file, document)?,
            files,
        };
        all.insert(name, deployment);
    }
    Ok(all)
}

/// What a deployment names beside the scenario's file, which must be there.
fn beside(
    named: Option<Span<PathBuf>>,
    what: &str,
    is_there: fn(&Path) -> bool,
    document: &Document,
) -> Result<Option<PathBuf>, InputError> {
    let Some(named) = named else { return Ok(None) };
    let path = document.beside(named.get_ref());
    if is_there(&path) {
        return Ok(Some(path));
    }
    let message = format!(
        "there is no {what} {}; the path is relative to the scenario's file",
        path.display()
    );
    Err(document.error_at(named.span(), &message))
}

/// Looks whether there is each deployment that a step names.
pub(super) fn check_steps(
    steps: &[Span<StepTable>],
    deployments: &BTreeMap<DeploymentName, Span<DeploymentTable>>,
    document: &Document,
) -> Result<(), InputError> {
    let named = steps
        .iter()
        .filter_map(|step| step.get_ref().deploy.as_ref());
    for deploy in named {
        let name = deploy.get_ref();
        if *name == DEFAULT_DEPLOYMENT || deployments.contains_key(name) {
            continue;
        }
        let names = deployments.keys().map(DeploymentName::as_str);
        let names: Vec<_> = std::iter::once(DEFAULT_DEPLOYMENT).chain(names).collect();
        let message = format!(
            "there is no [deployment.{name}]; there is: {}",
            names.join(", ")
        );
        return Err(document.error_at(deploy.span(), &message));
    }
    Ok(())
}

impl Scenario {
    /// The archives that its boot scripts boot beside the initramfs, each once.
    #[must_use]
    pub fn initrds(&self) -> BTreeSet<Initrd> {
        let deployed = self.deployments.values().map(|deployment| &deployment.boot);
        let boots = std::iter::once(&self.boot).chain(deployed);
        boots
            .flat_map(|boot| boot.initrds.iter().copied())
            .collect()
    }

    /// A step switches what the boot server hands out.
    #[must_use]
    pub fn deploys(&self) -> bool {
        self.steps.iter().any(|step| step.deploy.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::board::Board;

    fn read(more: &str) -> Result<Scenario, String> {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let boards = Board::read_all(&project.join("boards")).unwrap();
        let board = boards.iter().find(|b| b.name == "raspi3b").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let http = fs::read_to_string(project.join("scenarios/alpine-http.toml")).unwrap();
        let (head, _) = http.split_once("[[journal]]").unwrap();
        let path = folder.path().join("s.toml");
        fs::write(&path, format!("{head}{more}")).unwrap();
        Scenario::read_for(&path, board).map_err(|error| {
            let text = error.to_string();
            text.replace(&format!("{}/", folder.path().display()), "")
        })
    }

    #[test]
    fn what_a_deployment_does_not_say_is_as_in_boot() {
        let steps = "[[step]]\npower = \"on\"\ndeploy = \"broken\"\n[[step]]\npower = \"cycle\"\ndeploy = \"default\"\n";
        let scenario = read(&format!(
            "[deployment.broken]\narguments = \"init=/nonexistent\"\nvariables.command = \"false\"\nfiles.kernel = \"halve\"\n\
             [deployment.scripted]\nscript = \"#!ipxe\\nexit ${{arguments}}\"\n{steps}"
        ));
        let scenario = scenario.unwrap();
        assert!(scenario.deploys());
        let names = scenario.steps.iter().map(|s| s.deploy.as_deref());
        assert!(names.eq([Some("broken"), Some("default")]));
        let broken = &scenario.deployments["broken"];
        assert!(
            broken
                .boot
                .script
                .contains("console=${console} init=/nonexistent\n")
        );
        assert_eq!(broken.boot.variables["command"], "false");
        let cache = "cache_device";
        assert_eq!(broken.boot.variables[cache], scenario.boot.variables[cache]);
        assert!(broken.files.iter().eq([("kernel", FileAct::Halve)]));
        let scripted = &scenario.deployments["scripted"];
        assert!(scripted.boot.script.starts_with("#!ipxe\nexit b2c.run="));
        assert_eq!(scripted.boot.variables, scenario.boot.variables);
        assert!(!scenario.boot.script.contains("nonexistent"));
        assert!(!read("").unwrap().deploys());
    }

    #[test]
    fn errors_point_at_the_place() {
        let step = "\n[[step]]\npower = \"on\"\n";
        let wrong = [
            format!("[deployment.broken]{step}deploy = \"broke\""),
            format!("[deployment.default]\narguments = \"\"{step}"),
            format!("[deployment.\"a b\"]{step}"),
            format!("[deployment.b]\nargument = \"\"{step}"),
            format!("[deployment.b]\nkernel = \"vmlinuz\"{step}"),
            format!("[deployment.b]\nimage = \"oci\"{step}"),
            format!("[deployment.b]\nfiles.trust = \"halve\"{step}"),
            format!("[deployment.b]\n[services]\nboot = \"absent\"{step}deploy = \"b\""),
            "[deployment.b]\n[[step]]\ndeploy = \"b\"".into(),
        ];
        let shown = wrong.map(|more| read(&more).unwrap_err());
        insta::assert_snapshot!(shown.join("\n"));
    }
}
