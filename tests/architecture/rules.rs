//! The rules, as functions from a source tree to what breaks them.

use std::collections::{BTreeMap, BTreeSet};

use crate::paths::{Kind, Path, paths};
use crate::table::{CRATES_WITH_OTHER_NAMES, Layer, STD_FOR_SANS_IO, UNSAFE_ALLOWED};
use crate::tokens::{Token, tokens, without_tests};

/// A source file below `src/`.
pub(crate) struct Source {
    /// Relative to `src/`, such as `turn/mod.rs`.
    pub(crate) file: String,
    /// Its module below the crate, such as `["turn"]`.
    pub(crate) module: Vec<String>,
    /// All its tokens.
    tokens: Vec<Token>,
    /// Those that are compiled outside tests.
    code: Vec<Token>,
    /// The paths in `code`.
    paths: Vec<Path>,
}

impl Source {
    pub(crate) fn new(file: &str, text: &str) -> Self {
        let stem = file.strip_suffix(".rs").unwrap_or(file);
        let stem = stem.strip_suffix("/mod").unwrap_or(stem);
        let module = match stem {
            "lib" | "main" => Vec::new(),
            stem => stem.split('/').map(str::to_owned).collect(),
        };
        let tokens = tokens(text);
        let code = without_tests(&tokens);
        let paths = paths(&code);
        Self {
            file: file.to_owned(),
            module,
            tokens,
            code,
            paths,
        }
    }

    fn layer(&self) -> Option<&str> {
        self.module.first().map(String::as_str)
    }

    fn at(&self, line: usize, what: &str) -> String {
        format!("src/{}:{line}: {what}", self.file)
    }

    /// The names of `mod x;` and `mod x { … }`.
    fn child_modules(&self) -> BTreeSet<&str> {
        let pairs = self.code.windows(2);
        let of_mod = pairs.filter(|pair| pair[0].is("mod") && pair[1].is_name());
        of_mod.map(|pair| pair[1].text.as_str()).collect()
    }
}

/// All that breaks a rule in this tree. `manifest` is the text of `Cargo.toml`.
pub(crate) fn violations(table: &[Layer], sources: &[Source], manifest: &str) -> Vec<String> {
    let crates = dependencies(manifest);
    let mut found = table_is_one_way(table);
    found.extend(layers_are_known(table, sources));
    for source in sources {
        let layer = table
            .iter()
            .find(|layer| Some(layer.name) == source.layer());
        if let Some(layer) = layer {
            found.extend(imports_are_allowed(layer, source));
            if layer.crates.is_some() {
                found.extend(sans_io_holds(layer, source, &crates));
            }
        }
        found.extend(main_only_calls_the_cli(source));
        found.extend(no_unwrap(source));
        found.extend(no_unsafe(source));
    }
    found.extend(no_file_rings(sources));
    found
}

/// The names by which code calls the packages that `Cargo.toml` depends on.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let manifest: toml::Table = manifest.parse().expect("Cargo.toml is TOML");
    let section = manifest.get("dependencies").and_then(toml::Value::as_table);
    let names = section.into_iter().flat_map(toml::Table::keys);
    names
        .map(|name| {
            let other = CRATES_WITH_OTHER_NAMES
                .iter()
                .find(|(package, _)| package == name);
            other.map_or_else(|| name.replace('-', "_"), |(_, name)| (*name).to_owned())
        })
        .collect()
}

/// The table itself: an import goes to a lower level, so there is no ring in it.
fn table_is_one_way(table: &[Layer]) -> Vec<String> {
    let level = |name: &str| {
        table
            .iter()
            .find(|layer| layer.name == name)
            .map(|layer| layer.level)
    };
    let mut found = Vec::new();
    for layer in table {
        for import in layer.may_import {
            match level(import) {
                None => found.push(format!(
                    "table: {} may import {import}, which is no layer",
                    layer.name
                )),
                Some(level) if level >= layer.level => {
                    found.push(format!(
                        "table: {} may import {import}, which is not below it",
                        layer.name
                    ));
                }
                Some(_) => {}
            }
        }
    }
    found
}

/// Each folder of `src/` is in the table and in `lib.rs`, and `lib.rs` re-exports nothing.
fn layers_are_known(table: &[Layer], sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    let root = sources.iter().find(|source| source.file == "lib.rs");
    let declared = root.map(Source::child_modules).unwrap_or_default();
    let present: BTreeSet<&str> = sources.iter().filter_map(Source::layer).collect();
    for name in present {
        if !table.iter().any(|layer| layer.name == name) {
            found.push(format!("src/{name}: not in the table of layers"));
        }
        if !declared.contains(name) {
            found.push(format!("src/{name}: not declared in src/lib.rs"));
        }
    }
    for path in root.into_iter().flat_map(|root| &root.paths) {
        if path.kind == Kind::Reexport {
            let what = format!("re-export of {} at the crate root", path.text());
            found.push(format!("src/lib.rs:{}: {what}", path.line));
        }
    }
    found
}

fn imports_are_allowed(layer: &Layer, source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for path in &source.paths {
        let absolute = absolute(source, path);
        let Some(target) = absolute.as_ref().and_then(|absolute| absolute.first()) else {
            continue;
        };
        if target != layer.name && !layer.may_import.contains(&target.as_str()) {
            let what = format!("{} may not import crate::{target}", layer.name);
            found.push(source.at(path.line, &what));
        }
    }
    found
}

/// A path below the crate, without `crate`, `self` and `super`; `None` if it leads elsewhere.
fn absolute(source: &Source, path: &Path) -> Option<Vec<String>> {
    let mut base = source.module.clone();
    let mut rest = path.segments.as_slice();
    match path.root() {
        "crate" => {
            base.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|segment| segment == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        child if source.child_modules().contains(child) => {}
        _ => return None,
    }
    base.extend_from_slice(rest);
    Some(base)
}

/// What a layer without input and output may not touch.
fn sans_io_holds(layer: &Layer, source: &Source, crates: &BTreeSet<String>) -> Vec<String> {
    let allowed = layer.crates.unwrap_or_default();
    let mut found = Vec::new();
    for path in &source.paths {
        let root = path.root();
        let text = path.text();
        if matches!(root, "std" | "core" | "alloc") {
            if !std_is_allowed(&path.segments[1..].join("::")) {
                let what = format!("{} is sans-IO and may not use {text}", layer.name);
                found.push(source.at(path.line, &what));
            }
        } else if is_foreign(source, path, crates) && !allowed.contains(&root) {
            let what = format!("{} may not use the crate {root}", layer.name);
            found.push(source.at(path.line, &what));
        }
    }
    for token in &source.code {
        if ["async", "await", "println", "eprintln", "print", "eprint"]
            .contains(&token.text.as_str())
        {
            let what = format!("{} is sans-IO and may not use {}", layer.name, token.text);
            found.push(source.at(token.line, &what));
        }
    }
    if source.module.len() == 1 && !source.code.is_empty() {
        found.extend(lints_are_denied(source));
    }
    found
}

/// Whether a path leads into another crate: a dependency's name anywhere, and in a `use` any
/// module-like name that this file does not declare.
fn is_foreign(source: &Source, path: &Path, crates: &BTreeSet<String>) -> bool {
    let root = path.root();
    if matches!(root, "crate" | "self" | "super" | "Self") || source.child_modules().contains(root)
    {
        return false;
    }
    let looks_like_a_crate = root.starts_with(|c: char| c.is_lowercase());
    crates.contains(root) || (path.kind != Kind::Inline && looks_like_a_crate)
}

fn std_is_allowed(path: &str) -> bool {
    STD_FOR_SANS_IO.iter().any(|allowed| {
        let rest = path.strip_prefix(allowed);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    })
}

fn lints_are_denied(source: &Source) -> Vec<String> {
    let denied: BTreeSet<&str> = source
        .code
        .iter()
        .skip_while(|token| !token.is("deny"))
        .take_while(|token| !token.is(")"))
        .map(|token| token.text.as_str())
        .collect();
    ["disallowed_methods", "disallowed_types"]
        .into_iter()
        .filter(|lint| !denied.contains(lint))
        .map(|lint| source.at(1, &format!("must have #![deny(clippy::{lint})]")))
        .collect()
}

fn main_only_calls_the_cli(source: &Source) -> Vec<String> {
    if source.file != "main.rs" {
        return Vec::new();
    }
    let beyond =
        |path: &&Path| path.root() == "peerage" && path.segments.get(1).is_none_or(|s| s != "cli");
    let found = source.paths.iter().filter(beyond);
    found
        .map(|path| source.at(path.line, "main.rs only calls the cli"))
        .collect()
}

fn no_unwrap(source: &Source) -> Vec<String> {
    let triples = source.code.windows(2);
    triples
        .filter(|pair| (pair[0].is(".") || pair[0].is(":")) && pair[1].is("unwrap"))
        .map(|pair| {
            source.at(
                pair[1].line,
                "unwrap outside tests; say by expect why it cannot fail",
            )
        })
        .collect()
}

fn no_unsafe(source: &Source) -> Vec<String> {
    if source
        .layer()
        .is_some_and(|layer| UNSAFE_ALLOWED.contains(&layer))
    {
        return Vec::new();
    }
    let tokens = source.tokens.iter().filter(|token| token.is("unsafe"));
    tokens
        .map(|token| source.at(token.line, "unsafe outside net"))
        .collect()
}

/// Files that need each other are one file in two pieces.
fn no_file_rings(sources: &[Source]) -> Vec<String> {
    let graph: BTreeMap<String, BTreeSet<String>> = sources
        .iter()
        .filter(|source| !source.module.is_empty())
        .map(|source| (source.module.join("::"), neighbours(source, sources)))
        .collect();
    let mut done = BTreeSet::new();
    let mut found = Vec::new();
    for start in graph.keys() {
        let mut way = Vec::new();
        walk(start, &graph, &mut way, &mut done, &mut found);
    }
    found
}

fn walk(
    module: &str,
    graph: &BTreeMap<String, BTreeSet<String>>,
    way: &mut Vec<String>,
    done: &mut BTreeSet<String>,
    found: &mut Vec<String>,
) {
    if let Some(at) = way.iter().position(|passed| passed == module) {
        found.push(format!(
            "ring among files: {} -> {module}",
            way[at..].join(" -> ")
        ));
        return;
    }
    if done.contains(module) {
        return;
    }
    way.push(module.to_owned());
    for next in graph.get(module).into_iter().flatten() {
        walk(next, graph, way, done, found);
    }
    way.pop();
    done.insert(module.to_owned());
}

/// The modules whose items a file uses. A re-export is a table of contents, not a use.
fn neighbours(source: &Source, sources: &[Source]) -> BTreeSet<String> {
    source
        .paths
        .iter()
        .filter(|path| path.kind != Kind::Reexport)
        .filter_map(|path| absolute(source, path))
        .filter_map(|path| owner(&path, sources, 0))
        .filter(|owner| *owner != source.module)
        .map(|owner| owner.join("::"))
        .collect()
}

/// The file that holds what a path means: re-exports are followed to where the item is.
fn owner(path: &[String], sources: &[Source], depth: usize) -> Option<Vec<String>> {
    let holder = sources
        .iter()
        .filter(|source| !source.module.is_empty() && path.starts_with(&source.module))
        .max_by_key(|source| source.module.len())?;
    let item = path.get(holder.module.len());
    let exported = holder.paths.iter().find(|export| {
        export.kind == Kind::Reexport
            && item.is_some_and(|item| export.segments.last() == Some(item))
    });
    match exported.and_then(|export| absolute(holder, export)) {
        Some(target) if depth < 8 => owner(&target, sources, depth + 1),
        _ => Some(holder.module.clone()),
    }
}
