//! Saying something to people or programs, who may have stopped listening.

use std::io::Write;

/// Writes a line to standard output, or to standard error. A reader that has gone (`| head`) or a full disk is no reason to end a run
/// or to lose its report.
pub fn say(to_stderr: bool, text: &str) {
    let line = format!("{text}\n");
    let _ = if to_stderr {
        std::io::stderr().lock().write_all(line.as_bytes())
    } else {
        let mut out = std::io::stdout().lock();
        out.write_all(line.as_bytes()).and_then(|()| out.flush())
    };
}
