//! The source files of the package, parsed: which names each file uses, defines and re-exports.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, Item, ItemUse, Macro, UseTree, Visibility,
    visit::{self, Visit},
};

/// A path of names from the root of the crate, such as `["broker", "rabbitmq", "Topology"]`.
pub(super) type Names = Vec<String>;

/// One source file.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Below `src`, such as `broker/rabbitmq/mod.rs`.
    pub(super) path: String,
    pub(super) text: String,
    pub(super) module: Names,
    /// Paths of this crate that the file uses, outside of tests.
    pub(super) uses: BTreeSet<Names>,
    /// Other crates that the file names.
    pub(super) crates: BTreeSet<String>,
    /// What the file imports or re-exports, by name; `*` for globs. Its submodules see both by `super::`.
    pub(super) imports: BTreeMap<String, Vec<Names>>,
}

impl Source {
    /// Parses the text of the file at this path below `src`.
    pub(super) fn parse(path: &str, text: &str) -> Self {
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut module: Names = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
            module.pop();
        }
        let mut source = Self { path: path.to_owned(), text: text.to_owned(), module, ..Self::default() };
        Reader { source: &mut source, aliases: BTreeSet::new() }.visit_file(&parsed);
        source
    }

    /// The first folder, or the file where there is none.
    pub(super) fn folder(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or_default()
    }
}

/// All source files below `src`.
pub(super) fn all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, "rs", &mut paths);
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(&root).expect("below src").display().to_string();
        Source::parse(&name, &fs::read_to_string(path).expect("source"))
    };
    paths.iter().map(read).collect()
}

/// Every file with this extension below a folder.
pub(super) fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

struct Reader<'source> {
    source: &'source mut Source,
    /// Names that `use` brought into scope: a path that begins with one is known already.
    aliases: BTreeSet<String>,
}

/// A name that `use` brings into scope.
struct Import<'name> {
    alias: &'name str,
    is_exported: bool,
}

impl Reader<'_> {
    /// Notes a path as it stands in the source.
    fn path(&mut self, names: &[String], import: Option<Import<'_>>) {
        let absolute = match names.first().map(String::as_str) {
            Some("crate") => names[1..].to_vec(),
            Some("self") => [&self.source.module, &names[1..]].concat(),
            Some("super") => {
                let ups = names.iter().take_while(|name| *name == "super").count();
                let base = self.source.module.len().saturating_sub(ups);
                [&self.source.module[..base], &names[ups..]].concat()
            }
            Some(first) if names.len() > 1 => {
                if import.as_ref().is_none_or(|import| !import.is_exported) {
                    self.source.crates.insert(first.to_owned());
                }
                // A path into a submodule, unless it is another crate: the graph drops what it can't resolve.
                [&self.source.module, names].concat()
            }
            _ => return,
        };
        if let Some(Import { alias, .. }) = &import {
            self.source.imports.entry((*alias).to_owned()).or_default().push(absolute.clone());
        }
        // A file that re-exports something does not use it.
        if import.is_none_or(|import| !import.is_exported) {
            self.source.uses.insert(absolute);
        }
    }

    fn tree(&mut self, tree: &UseTree, before: &mut Vec<String>, exports: bool) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(&path.tree, before, exports);
                before.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(tree, before, exports);
                }
            }
            UseTree::Glob(_) => {
                before.push("*".to_owned());
                self.path(before, Some(Import { alias: "*", is_exported: exports }));
                before.pop();
            }
            UseTree::Name(name) => {
                self.leaf(&name.ident.to_string(), &name.ident.to_string(), before, exports);
            }
            UseTree::Rename(name) => {
                self.leaf(&name.ident.to_string(), &name.rename.to_string(), before, exports);
            }
        }
    }

    fn leaf(&mut self, name: &str, alias: &str, before: &mut Vec<String>, exports: bool) {
        let of_itself = name == "self";
        if !of_itself {
            before.push(name.to_owned());
        }
        self.aliases.insert(alias.to_owned());
        self.path(before, Some(Import { alias, is_exported: exports }));
        if !of_itself {
            before.pop();
        }
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
    })
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !matches!(item, Item::Mod(module) if is_test(&module.attrs)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let exports = !matches!(item.vis, Visibility::Inherited);
        self.tree(&item.tree, &mut Vec::new(), exports);
    }

    /// `pub(super)` uses nothing.
    fn visit_visibility(&mut self, _visibility: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if path.leading_colon.is_none() && !self.aliases.contains(&names[0]) {
            self.path(&names, None);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, used: &'ast Macro) {
        // Tokens that are not parsed: paths from the root are found all the same.
        let text = used.tokens.to_string().replace(' ', "");
        for (position, start) in text.match_indices("crate::") {
            let word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
            let rest: String = text[position + start.len()..].chars().take_while(|c| word(*c)).collect();
            self.source
                .uses
                .insert(rest.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect());
        }
        visit::visit_macro(self, used);
    }
}
