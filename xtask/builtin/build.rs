//! Lists the files of `boards` and `scenarios`, which are embedded at compile time.

use std::fmt::Write;
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut out = String::new();
    for (name, folder) in [("BOARDS", "boards"), ("SCENARIOS", "scenarios")] {
        println!("cargo::rerun-if-changed={folder}");
        let files = fs::read_dir(root.join(folder))?;
        let files = files.map(|file| file?.path().canonicalize());
        let mut files: Vec<PathBuf> = files.collect::<io::Result<_>>()?;
        files.retain(|file| file.extension().is_some_and(|e| e == "toml"));
        files.sort();
        let _ = writeln!(out, "const {name}: &[BuiltinFile] = &[");
        for file in files {
            let base = file.file_name().unwrap_or_default();
            let path = format!("{folder}/{}", base.to_string_lossy());
            let _ = writeln!(
                out,
                "    BuiltinFile {{ path: {path:?}, text: include_str!({file:?}) }},"
            );
        }
        out += "];\n";
    }
    let target = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(target.join("files.rs"), out)
}
