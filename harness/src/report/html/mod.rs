//! Pages for people: one file per run and one for all runs, without anything from elsewhere, readable without JavaScript.

mod console;
mod index;
mod page;
mod waterfall;
mod words;

pub use index::{INDEX_FILE, IndexError, write_index};
pub use page::{PAGE_FILE, PageError, page, write_page};
