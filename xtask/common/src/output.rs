//! Saying something to people or programs, who may have stopped listening.
//!
//! `println!` and its siblings panic when standard output is closed (`| head`) or its disk is full. That is no reason to end a command, or to lose a
//! run's report: what is written here and cannot be is lost.

use std::fmt::Arguments;
use std::io::{self, Write};

/// Writes a line to standard output, or to standard error.
pub fn say(to_stderr: bool, text: &str) {
    match to_stderr {
        true => to_standard_error(format_args!("{text}\n")),
        false => to_standard_output(format_args!("{text}\n")),
    }
}

/// Writes to standard output, as `print!` does.
#[macro_export]
macro_rules! out {
    ($($argument:tt)*) => { $crate::output::to_standard_output(format_args!($($argument)*)) };
}

/// Writes a line to standard output, as `println!` does.
#[macro_export]
macro_rules! outln {
    ($($argument:tt)*) => { $crate::out!("{}\n", format_args!($($argument)*)) };
}

/// Writes to standard error, as `eprint!` does.
#[macro_export]
macro_rules! err {
    ($($argument:tt)*) => { $crate::output::to_standard_error(format_args!($($argument)*)) };
}

/// Writes a line to standard error, as `eprintln!` does.
#[macro_export]
macro_rules! errln {
    ($($argument:tt)*) => { $crate::err!("{}\n", format_args!($($argument)*)) };
}

#[doc(hidden)]
pub fn to_standard_output(text: Arguments<'_>) {
    let mut out = io::stdout().lock();
    let _ = out.write_fmt(text).and_then(|()| out.flush());
}

#[doc(hidden)]
pub fn to_standard_error(text: Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}
