//! `[deployment.NAME]`: what the boot server hands out once a step says `deploy = "NAME"`. What `[boot]` says is the deployment `default`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::card_fault::CardAct;
use super::steps::StepTable;
use super::{Boot, Scenario};
use crate::input::{DeploymentName, Document, InputError, Span};

/// The name of what `[boot]` says.
pub const DEFAULT_DEPLOYMENT: &str = "default";

/// The deployments of a scenario, by name.
pub type Deployments = BTreeMap<DeploymentName, Deployment>;

/// What the boot server hands out to the scenario's board.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Script, variables and secrets.
    pub boot: Boot,
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
    /// Files of the boot server that are broken on purpose.
    #[serde(default)]
    files: BrokenFiles,
}

/// Files of the boot server that are broken on purpose; a file that is not named is whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BrokenFiles {
    /// What becomes of `/files/kernel`.
    pub kernel: Option<CardAct>,
    /// What becomes of `/files/initramfs`.
    pub initramfs: Option<CardAct>,
}

impl BrokenFiles {
    /// Each broken file by its path below `/files`, and what is done to it.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, CardAct)> {
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
            files,
        } = table.into_inner();
        let mut boot = boot.clone();
        boot.script = script.unwrap_or(boot.script);
        boot.arguments = arguments.unwrap_or(boot.arguments);
        boot.variables.extend(variables);
        boot.secrets = secrets.or(boot.secrets);
        let boot = boot.written_out();
        all.insert(name, Deployment { boot, files });
    }
    Ok(all)
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
        assert!(broken.files.iter().eq([("kernel", CardAct::Halve)]));
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
            format!("[deployment.b]\nfiles.trust = \"halve\"{step}"),
            format!("[deployment.b]\n[services]\nboot = \"absent\"{step}deploy = \"b\""),
            "[deployment.b]\n[[step]]\ndeploy = \"b\"".into(),
        ];
        let shown = wrong.map(|more| read(&more).unwrap_err());
        insta::assert_snapshot!(shown.join("\n"));
    }
}
