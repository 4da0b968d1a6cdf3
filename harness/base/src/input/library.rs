//! Where definitions are read from: folders of the user's, and behind them the files that the program brings with it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::document::Document;
use super::error::InputError;
use super::names::DefinitionName;

/// Definitions that extend each other are read up to this depth.
const DEPTH: usize = 16;

/// A file that the program brings with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltinFile {
    /// Folder and name, for example `boards/raspi3b.toml`.
    pub path: &'static str,
    /// What it says.
    pub text: &'static str,
}

/// Places of definitions. A file of an earlier place hides one of the same name in a later place, and may extend it.
#[derive(Debug, Clone, Default)]
pub struct Library {
    folders: Vec<PathBuf>,
    builtin: Vec<BuiltinFile>,
}

/// What of a file says whether it is made of others.
#[derive(Deserialize)]
struct Head {
    extends: Option<toml::Spanned<String>>,
    #[serde(default)]
    include: Vec<toml::Spanned<String>>,
}

/// The file that others are looked for: where it was found, its name, and how many files deep it may still go.
struct Base<'a> {
    place: usize,
    file: &'a str,
    depth: usize,
}

impl Library {
    /// The files of one folder, which must be there.
    #[must_use]
    pub fn folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            folders: vec![folder.into()],
            builtin: Vec::new(),
        }
    }

    /// The same, with the files of one more folder before all others.
    #[must_use]
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folders.insert(0, folder.into());
        self
    }

    /// The same, with files of the program behind the folders.
    #[must_use]
    pub fn with_builtin(mut self, files: impl IntoIterator<Item = BuiltinFile>) -> Self {
        self.builtin.extend(files);
        self
    }

    /// Names of all definitions without `.toml`, sorted; files with a second dot (`netboot.chain.toml`) are none.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>, InputError> {
        let builtin = self
            .builtin
            .iter()
            .filter_map(|f| name_of(Path::new(f.path)));
        let mut names: BTreeSet<_> = builtin.collect();
        names.extend(self.own_names()?);
        Ok(names.into_iter().collect())
    }

    /// Of these, the names of those that lie in folders.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn own_names(&self) -> Result<BTreeSet<String>, InputError> {
        let mut names = BTreeSet::new();
        for folder in &self.folders {
            let unreadable = |source| InputError::Unreadable {
                path: folder.clone(),
                source,
            };
            for entry in fs::read_dir(folder).map_err(unreadable)? {
                names.extend(name_of(&entry.map_err(unreadable)?.path()));
            }
        }
        Ok(names)
    }

    /// Whether there is a file of this name, for example `netboot.chain.toml`.
    #[must_use]
    pub fn has(&self, file: &str) -> bool {
        self.places()
            .any(|place| matches!(self.at(place, file), Some(Ok(_))))
    }

    /// Where a file of this name is looked for first, for people.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.folders
            .first()
            .map_or_else(|| file.into(), |folder| folder.join(file))
    }

    /// Reads the file of this name, together with those that it extends.
    ///
    /// # Errors
    /// There is no such file, it cannot be read, or it extends one that is not there.
    pub fn read(&self, file: &str) -> Result<Document, InputError> {
        match self.find(file, 0, DEPTH)? {
            Some(document) => Ok(document),
            None => Document::read(&self.path(file)),
        }
    }

    /// The file of this name in the first place from `from` on that has one.
    fn find(&self, file: &str, from: usize, depth: usize) -> Result<Option<Document>, InputError> {
        let found = self
            .places()
            .skip(from)
            .find_map(|place| Some((place, self.at(place, file)?)));
        let Some((place, document)) = found else {
            return Ok(None);
        };
        let document = document?;
        // The parser of the whole file reports text that is not TOML.
        let Ok(Head { extends, include }) = document.parse() else {
            return Ok(Some(document));
        };
        // What is included counts more than what is extended, and of what is included the last.
        let bases = include.iter().rev().map(|name| (name, "include"));
        let bases = bases.chain(extends.iter().map(|name| (name, "extend")));
        let mut whole = document.clone();
        for (name, how) in bases {
            let at = Base { place, file, depth };
            let base = self.base(&document, name, how, &at)?;
            whole = whole.over(base)?;
        }
        Ok(Some(whole))
    }

    /// A file that `document` extends or includes.
    fn base(
        &self,
        document: &Document,
        name: &toml::Spanned<String>,
        how: &str,
        at: &Base<'_>,
    ) -> Result<Document, InputError> {
        let base_file = format!("{}.toml", name.get_ref());
        // A file may extend the one that it hides, but not itself.
        let from = if base_file == at.file {
            at.place + 1
        } else {
            0
        };
        let wrong = |message: &str| Err(document.error_at(name.span(), message));
        // A second dot makes a file that is only there for others.
        let is_wrong = |part: &str| part.parse::<DefinitionName>().is_err();
        if name.get_ref().split('.').any(is_wrong)
            && let Err(error) = name.get_ref().parse::<DefinitionName>()
        {
            return wrong(&error.to_string());
        }
        if at.depth == 0 {
            return wrong(&format!("this {how}s a file that {how}s this one"));
        }
        match self.find(&base_file, from, at.depth - 1)? {
            Some(base) => Ok(base),
            None => {
                let names = self.names()?.join(", ");
                wrong(&format!(
                    "there is no \"{}\" to {how}; there is: {names}",
                    name.get_ref()
                ))
            }
        }
    }

    /// Numbers of the places: the folders, then the program's own files.
    fn places(&self) -> impl Iterator<Item = usize> {
        0..=self.folders.len()
    }

    /// The file of this name in one place.
    fn at(&self, place: usize, file: &str) -> Option<Result<Document, InputError>> {
        if let Some(folder) = self.folders.get(place) {
            let path = folder.join(file);
            return path.is_file().then(|| Document::read(&path));
        }
        let is_it = |f: &&BuiltinFile| Path::new(f.path).file_name() == Some(file.as_ref());
        let builtin = self.builtin.iter().find(is_it)?;
        Some(Ok(Document::of(
            format!("(built in)/{}", builtin.path),
            builtin.text,
        )))
    }
}

impl From<&Path> for Library {
    fn from(folder: &Path) -> Self {
        Self::folder(folder)
    }
}

impl From<&PathBuf> for Library {
    fn from(folder: &PathBuf) -> Self {
        Self::folder(folder)
    }
}

impl From<&Self> for Library {
    fn from(library: &Self) -> Self {
        library.clone()
    }
}

/// The name of the definition in a file, or `None` for other files.
fn name_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_suffix(".toml")?;
    (!name.contains('.') && !name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILTIN: [BuiltinFile; 2] = [
        BuiltinFile {
            path: "things/base.toml",
            text: "title = \"base\"\nsize = 1\n[inner]\na = 1\nb = 2\n",
        },
        BuiltinFile {
            path: "things/kind.chain.toml",
            text: "",
        },
    ];

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        extends: Option<String>,
        #[serde(default)]
        include: Vec<String>,
        title: String,
        size: toml::Spanned<u8>,
        inner: Inner,
    }

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    struct Inner {
        a: u8,
        b: u8,
    }

    fn library(files: &[(&str, &str)]) -> (tempfile::TempDir, Library) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let library = Library::folder(folder.path()).with_builtin(BUILTIN);
        (folder, library)
    }

    fn error(files: &[(&str, &str)], read: &str) -> String {
        let (folder, library) = library(files);
        let error = library.read(read).and_then(|d| d.parse::<Thing>());
        let folder = format!("{}/", folder.path().display());
        error.unwrap_err().to_string().replace(&folder, "")
    }

    #[test]
    fn tables_are_merged_key_by_key_and_the_rest_is_replaced() {
        let mine = "extends = \"base\"\ntitle = \"mine\"\n[inner]\nb = 9\n";
        let (_folder, library) = library(&[("mine.toml", mine)]);
        let document = library.read("mine.toml").unwrap();
        let thing: Thing = document.parse().unwrap();
        assert_eq!((&*thing.title, thing.inner), ("mine", Inner { a: 1, b: 9 }));
        assert_eq!(document.name::<DefinitionName>().unwrap(), "mine");
        assert_eq!(
            document.place(thing.size.span().start),
            "(built in)/things/base.toml:2"
        );
        // A bundle holds one file that says everything.
        let alone = Document::of("mine.toml", document.source().text);
        assert_eq!(alone.parse::<Thing>().unwrap().title, "mine");
        assert_eq!(library.names().unwrap(), ["base", "mine"]);
        assert_eq!(library.own_names().unwrap(), ["mine".to_owned()].into());
    }

    #[test]
    fn what_is_included_stands_between_the_file_and_what_it_extends() {
        let mine = "extends = \"base\"\ninclude = [\"one.part\", \"two.part\"]\n[inner]\nb = 9\n";
        let (_folder, library) = library(&[
            ("mine.toml", mine),
            (
                "one.part.toml",
                "title = \"one\"\nsize = 3\n[inner]\nb = 4\n",
            ),
            ("two.part.toml", "title = \"two\"\n[inner]\na = 7\n"),
        ]);
        let document = library.read("mine.toml").unwrap();
        let thing: Thing = document.parse().unwrap();
        assert_eq!((&*thing.title, *thing.size.get_ref()), ("two", 3));
        assert_eq!(thing.inner, Inner { a: 7, b: 9 });
        assert!(
            document
                .place(thing.size.span().start)
                .ends_with("one.part.toml:2")
        );
        assert_eq!(document.files(), ["mine", "two.part", "one.part", "base"]);
        // A bundle holds one file that says everything.
        let alone = Document::of("mine.toml", document.source().text);
        assert_eq!(alone.parse::<Thing>().unwrap().inner, thing.inner);
        let lost = error(&[("mine.toml", "include = [\"lost\"]\n")], "mine.toml");
        assert!(lost.contains("there is no \"lost\" to include"), "{lost}");
        let circle = [
            ("a.toml", "include = [\"b\"]"),
            ("b.toml", "include = [\"a\"]"),
        ];
        assert!(error(&circle, "a.toml").contains("includes a file that includes this one"));
    }

    #[test]
    fn a_file_may_extend_the_one_that_it_hides() {
        let (_folder, library) =
            library(&[("base.toml", "extends = \"base\"\ntitle = \"hides\"\n")]);
        let thing: Thing = library.read("base.toml").unwrap().parse().unwrap();
        assert_eq!((&*thing.title, *thing.size.get_ref()), ("hides", 1));
    }

    #[test]
    fn errors_point_into_the_file_that_is_wrong() {
        insta::assert_snapshot!(error(&[("mine.toml", "extends = \"base\"\nsize = 999\n")], "mine.toml"), @r"
        mine.toml:2:8: invalid value: integer `999`, expected u8
          | size = 999
          |        ^^^
        ");
        insta::assert_snapshot!(error(&[("mine.toml", "extends = \"bass\"\n")], "mine.toml"), @r#"
        mine.toml:1:11: there is no "bass" to extend; there is: base, mine
          | extends = "bass"
          |           ^^^^^^
        "#);
        let circle = [("a.toml", "extends = \"b\""), ("b.toml", "extends = \"a\"")];
        assert!(error(&circle, "a.toml").contains("extends a file that extends this one"));
        let of_base = [
            ("base.toml", "size = 1\n[inner]\na = 1\nb = \"x\"\n"),
            ("mine.toml", "extends = \"base\"\ntitle = \"\"\n"),
        ];
        insta::assert_snapshot!(error(&of_base, "mine.toml"), @r#"
        base.toml:4:5: invalid type: string "x", expected u8
          | b = "x"
          |     ^^^
        "#);
    }

    #[test]
    fn a_file_with_variants_is_several() {
        let text = "extends = \"base\"\n[inner]\nb = 9\n[[variant]]\nname = \"large\"\nsize = 2\n[[variant]]\nname = \"other\"\ninner.a = 5\n";
        let (_folder, library) = library(&[("mine.toml", text)]);
        let variants = library.read("mine.toml").unwrap().variants().unwrap();
        let read: Vec<_> = variants
            .iter()
            .map(|document| {
                let thing: Thing = document.parse().unwrap();
                // A bundle holds one file that says everything.
                let source = document.source();
                let alone = Document::of(&source.file, source.text);
                let name = document.name::<DefinitionName>().unwrap();
                assert_eq!(alone.name::<DefinitionName>().unwrap(), name);
                assert_eq!(alone.parse::<Thing>().unwrap().inner, thing.inner);
                let size = thing.size;
                (name, size.span(), *size.get_ref(), thing.inner)
            })
            .collect();
        let names: Vec<_> = read.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["mine-large", "mine-other"]);
        assert_eq!((read[0].2, &read[0].3), (2, &Inner { a: 1, b: 9 }));
        assert_eq!((read[1].2, &read[1].3), (1, &Inner { a: 5, b: 9 }));
        assert!(variants[0].place(read[0].1.start).ends_with("mine.toml:6"));
        assert_eq!(
            variants[1].place(read[1].1.start),
            "(built in)/things/base.toml:2"
        );
        assert_eq!(variants[1].files(), ["mine", "base"]);
        let alone = library.read("base.toml").unwrap().variants().unwrap();
        assert_eq!((alone.len(), alone[0].variant()), (1, None));
    }

    #[test]
    fn variants_have_names_of_their_own() {
        let error = |variants: &str| {
            let document = Document::of("m.toml", format!("{variants}\n"));
            document.variants().unwrap_err().to_string()
        };
        insta::assert_snapshot!(error("[[variant]]\nname = \"a b\""), @r#"
        m.toml:2:8: `a b` is no name of a variant: use lower-case letters, digits and dashes
          | name = "a b"
          |        ^^^^^
        "#);
        insta::assert_snapshot!(error("[[variant]]\nname = \"a\"\n[[variant]]\nname = \"a\""), @r#"
        m.toml:4:8: there is another variant "a": give each its own name
          | name = "a"
          |        ^^^
        "#);
        insta::assert_snapshot!(error("[[variant]]\nsize = 1"), @r"
        m.toml:1:1: missing field `name`
          | [[variant]]
          | ^^^^^^^^^^^
        ");
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert!(error(&[], "mine.toml").starts_with("cannot read "));
        let (_folder, library) = library(&[]);
        assert!(library.has("kind.chain.toml") && !library.has("other.chain.toml"));
    }
}
