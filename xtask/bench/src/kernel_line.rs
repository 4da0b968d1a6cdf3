//! The kernel command line that a boot script ends in, for a boot without the script.
//!
//! Source: iPXE's command reference, `kernel`: the words behind the image are the command line, with one blank between them.

use anyhow::{Context, Result, bail};

/// The command line that `script` gives its kernel, without the words that name initial RAM disks.
pub(super) fn of_script(script: &str) -> Result<String> {
    let mut words = script
        .lines()
        .map(str::split_ascii_whitespace)
        .find_map(|mut words| (words.next() == Some("kernel")).then_some(words))
        .context("the boot script has no line `kernel …`")?;
    match words.next() {
        Some(image) if !image.starts_with('-') => {}
        _ => bail!("the boot script's line `kernel …` does not begin with the image"),
    }
    let words: Vec<_> = words.filter(|word| !word.starts_with("initrd=")).collect();
    let line = words.join(" ");
    if line.contains("${") {
        bail!("only iPXE can expand the variables in `{line}`: use a scenario without any");
    }
    // The boot server's template rule for a dollar that stands for itself.
    Ok(line.replace("$$", "$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_shell_variables_stay() {
        let script = "#!ipxe\n\necho kernel /no\n  kernel /files/kernel initrd=b2c  initrd=trust console=ttyAMA0,115200 \
            b2c.run=\"-ti image sh -c 'echo $NONCE $$HOME'\" quiet\ninitrd /files/b2c\nboot\n";
        assert_eq!(
            of_script(script).unwrap(),
            "console=ttyAMA0,115200 b2c.run=\"-ti image sh -c 'echo $NONCE $HOME'\" quiet"
        );
    }

    #[test]
    fn scripts_that_only_ipxe_can_follow_are_refused() {
        let refusal = |script| of_script(script).unwrap_err().to_string();
        insta::assert_snapshot!(refusal("#!ipxe\nboot\n"), @"the boot script has no line `kernel …`");
        insta::assert_snapshot!(refusal("kernel --name k /files/kernel"), @"the boot script's line `kernel …` does not begin with the image");
        insta::assert_snapshot!(refusal("kernel /k ip=${net0/ip}"), @"only iPXE can expand the variables in `ip=${net0/ip}`: use a scenario without any");
    }
}
