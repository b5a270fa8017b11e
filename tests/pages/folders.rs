//! Reads the sources of the three packages: the files of a folder import each other without circles, and the file that
//! stands for a folder only lists what the folder has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Item, UseTree, Visibility};

use crate::repository::{files, root};

/// Sources of the three packages.
const PACKAGES: [&str; 3] = ["src", "harness/src", "cli/src"];

/// The files that may take part in every circle of their folder, with the reason. One a folder.
const HUBS: [(&str, &str); 3] = [
    (
        "harness/src/scenario/fault",
        "what a file and code say of a fault is in one file, so that a new fault is written down in four",
    ),
    (
        "harness/src/sim/world",
        "what the world does is written as its methods, each beside the state that it changes",
    ),
    (
        "harness/src/stage/fault",
        "what a component has of faults, and what they do to it, is in one file, for the same reason",
    ),
];

/// The files that stand for a folder and define something all the same.
const OWNERS_WITH_LOGIC: [&str; 2] = [
    "harness/src/report/finding.rs",
    "harness/src/report/timeline.rs",
];

/// A `use` of one name, or of all names of a module (`*`).
struct Import {
    path: Vec<String>,
    name: String,
    public: bool,
}

/// A source file, and what is read out of it.
#[derive(Default)]
struct Source {
    /// The file, below the root of the repository.
    file: PathBuf,
    /// Whether it stands for a folder: a `mod.rs`, or `name.rs` beside the folder `name`.
    owner: bool,
    /// The names that it defines.
    defines: BTreeSet<String>,
    imports: Vec<Import>,
    /// The other paths in its code.
    paths: Vec<Vec<String>>,
    /// Number of items that do not belong into a file that stands for a folder.
    logic: usize,
    /// How many modules within the file are around the code that is read.
    depth: usize,
}

/// The sources of one package, each under the path of its module.
type Package = BTreeMap<Vec<String>, Source>;

fn package(sources: &str) -> Package {
    let folder = root().join(sources);
    let mut found = Vec::new();
    files(&folder, ".rs", &mut found);
    let mut package: Package = found
        .iter()
        .map(|file| {
            let below = file.strip_prefix(&folder).unwrap().with_extension("");
            let mut module: Vec<String> = below
                .iter()
                .map(|part| part.to_string_lossy().into_owned())
                .collect();
            if ["mod", "lib", "main"].contains(&module.last().unwrap().as_str()) {
                module.pop();
            }
            (module, Source::read(file))
        })
        .collect();
    let folders: BTreeSet<Vec<String>> = package
        .keys()
        .filter_map(|module| Some(module.split_last()?.1.to_vec()))
        .collect();
    for (module, source) in &mut package {
        source.owner = folders.contains(module);
    }
    package
}

impl Source {
    fn read(file: &Path) -> Source {
        let text = fs::read_to_string(file).unwrap();
        let parsed =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut source = Source {
            file: file.strip_prefix(root()).unwrap().to_owned(),
            ..Source::default()
        };
        source.visit_file(&parsed);
        for item in parsed
            .items
            .iter()
            .filter(|item| !is_test(attributes(item)))
        {
            source.defines.extend(defined(item));
            let bare = match item {
                Item::Use(_) => true,
                Item::Mod(module) => module.content.is_none(),
                _ => false,
            };
            source.logic += usize::from(!bare);
        }
        source
    }

    fn import(&mut self, tree: &UseTree, mut path: Vec<String>, public: bool) {
        let name = match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                return self.import(&part.tree, path, public);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, path.clone(), public);
                }
                return;
            }
            UseTree::Name(name) if name.ident == "self" => path.last().cloned().unwrap_or_default(),
            UseTree::Name(name) => {
                path.push(name.ident.to_string());
                name.ident.to_string()
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    path.push(rename.ident.to_string());
                }
                rename.rename.to_string()
            }
            UseTree::Glob(_) => "*".to_owned(),
        };
        if let Some(path) = self.below(path) {
            self.imports.push(Import { path, name, public });
        }
    }

    /// Returns a path as the file's own module has it; `None` if it does not leave a module within the file.
    fn below(&self, mut path: Vec<String>) -> Option<Vec<String>> {
        let up = path.iter().take_while(|part| *part == "super").count();
        if self.depth == 0 || path.first()? == "crate" {
            return Some(path);
        }
        (up >= self.depth).then(|| {
            path.drain(..self.depth);
            if up == self.depth {
                path.insert(0, "self".to_owned());
            }
            path
        })
    }
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let public = !matches!(item.vis, Visibility::Inherited);
        self.import(&item.tree, Vec::new(), public);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.depth += 1;
        visit::visit_item_mod(self, module);
        self.depth -= 1;
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|part| part.ident.to_string());
        let path_below = self.below(names.collect());
        self.paths.extend(path_below);
        visit::visit_path(self, path);
    }

    /// What a macro is given is text to `syn`. Its paths are looked for in that.
    fn visit_macro(&mut self, given: &'ast syn::Macro) {
        let text = given.tokens.to_string().replace(" :: ", "::");
        let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        let paths = words.filter(|word| word.contains("::"));
        for path in paths {
            let path_below = self.below(path.split("::").map(str::to_owned).collect());
            self.paths.extend(path_below);
        }
        visit::visit_macro(self, given);
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}

fn attributes(item: &Item) -> &[syn::Attribute] {
    match item {
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns whether an item belongs to the file's own tests.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}

/// Returns the names that an item defines. A macro may define several.
fn defined(item: &Item) -> Vec<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        Item::Macro(item) => match &item.ident {
            Some(name) => name,
            None => {
                let text = item.mac.tokens.to_string();
                let words: Vec<&str> = text.split_whitespace().collect();
                let pairs = words.windows(2);
                let named = pairs.filter(|pair| ["enum", "struct", "fn"].contains(&pair[0]));
                return named.map(|pair| pair[1].to_owned()).collect();
            }
        },
        _ => return Vec::new(),
    };
    vec![name.to_string()]
}

/// Returns the module in whose file the name at the end of `path` is defined, as read from `module`; `None` if that is
/// in another package.
fn resolve(package: &Package, module: &[String], path: &[String]) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    let (mut at, mut rest) = match first.as_str() {
        "crate" => (Vec::new(), rest),
        "self" => (module.to_vec(), rest),
        "super" => (module.split_last()?.1.to_vec(), rest),
        _ => {
            let known = child(package, module, first).or_else(|| {
                let mut imports = package[module].imports.iter();
                let import = imports.find(|import| import.name == *first)?;
                let from =
                    (import.path != path).then(|| resolve(package, module, &import.path))??;
                (from.last() == import.path.last()).then_some(from)
            });
            (known?, rest)
        }
    };
    while let Some((next, after)) = rest.split_first() {
        if next == "super" {
            at.pop()?;
        } else if let Some(module) = child(package, &at, next) {
            at = module;
        } else if package[&at].defines.contains(next) {
            break;
        } else {
            let imports = &package[&at].imports;
            let named = imports.iter().filter(|import| import.name == *next);
            let named = named.map(|import| import.path.clone());
            let globs = imports.iter().filter(|import| import.name == "*");
            let globs = globs.map(|import| [&import.path[..], std::slice::from_ref(next)].concat());
            let mut elsewhere = named.chain(globs).filter(|path| path.len() > 1);
            return elsewhere
                .find_map(|path| resolve(package, &at, &path))
                .or(Some(at));
        }
        rest = after;
    }
    Some(at)
}

fn child(package: &Package, module: &[String], name: &str) -> Option<Vec<String>> {
    let child = [module, &[name.to_owned()]].concat();
    package.contains_key(&child).then_some(child)
}

/// For each folder, what each of its files and folders imports from which other one.
type Folders = BTreeMap<Vec<String>, Uses>;

fn folders(package: &Package) -> Folders {
    let mut folders = Folders::new();
    for (module, source) in package {
        let imports = source.imports.iter();
        // What only says what its folder has passes names on, which is no use of them.
        let imports =
            imports.filter(|import| !(source.owner && import.public && source.logic == 0));
        let paths = imports.map(|import| &import.path);
        for path in paths.chain(source.paths.iter().filter(|path| path.len() > 1)) {
            let Some(target) = resolve(package, module, path) else {
                continue;
            };
            for depth in 0..=module.len().min(target.len()) {
                if module[..depth] != target[..depth] {
                    break;
                }
                let unit = |of: &[String]| of.get(depth).map_or("mod", |unit| unit).to_owned();
                let (from, to) = (unit(module), unit(&target));
                if from != to {
                    let folder = folders.entry(module[..depth].to_vec()).or_default();
                    let uses = folder.entry(from).or_default();
                    uses.entry(to)
                        .or_default()
                        .insert(path.last().unwrap().clone());
                }
            }
        }
    }
    folders
}

/// What each file imports from which other one.
type Uses = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// Returns the shortest way from a file back to itself.
fn circle(uses: &Uses, start: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in &ways {
            for next in uses.get(way.last()?).into_iter().flat_map(BTreeMap::keys) {
                if next == start {
                    return Some(way.clone());
                }
                if seen.insert(next.clone()) {
                    longer.push([&way[..], std::slice::from_ref(next)].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

/// Returns the files that use a file and are used by it, around however many corners.
fn companions(uses: &Uses, start: &str) -> BTreeSet<String> {
    let reached = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut open = vec![from.to_owned()];
        while let Some(at) = open.pop() {
            for next in uses.get(&at).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        seen
    };
    let from = reached(start);
    from.into_iter()
        .filter(|other| reached(other).contains(start))
        .collect()
}

/// Returns the number of files in a folder's largest circle, and of one that is short the files and what they use.
fn largest_circle(uses: &Uses) -> (usize, String) {
    let mut largest = BTreeSet::new();
    let mut shortest: Option<Vec<String>> = None;
    for start in uses.keys() {
        let Some(way) = circle(uses, start) else {
            continue;
        };
        if shortest
            .as_ref()
            .is_none_or(|known| way.len() < known.len())
        {
            shortest = Some(way);
        }
        let found = companions(uses, start);
        if found.len() > largest.len() {
            largest = found;
        }
    }
    let way = shortest.unwrap_or_default();
    let steps = way
        .iter()
        .zip(way.iter().cycle().skip(1))
        .map(|(from, to)| {
            let names: Vec<&str> = uses[from][to].iter().map(String::as_str).collect();
            format!("`{from}` uses {} of `{to}`", names.join(", "))
        });
    (largest.len(), steps.collect::<Vec<_>>().join(", and "))
}

#[test]
fn files_of_a_folder_import_each_other_without_circles() {
    let mut to_do = Vec::new();
    let mut hubs: BTreeMap<String, String> = HUBS
        .into_iter()
        .map(|(hub, _)| {
            let (folder, file) = hub.rsplit_once('/').expect("a folder and a file");
            (folder.to_owned(), file.to_owned())
        })
        .collect();
    for sources in PACKAGES {
        for (module, mut uses) in folders(&package(sources)) {
            let folder = [&[sources.to_owned()], &module[..]].concat().join("/");
            let hub = hubs.remove(&folder);
            if let Some(hub) = hub {
                if largest_circle(&uses).0 == 0 {
                    to_do.push(format!("{folder}: has no circle, so list no hub"));
                }
                uses.remove(&hub);
            }
            let (found, circle) = largest_circle(&uses);
            if found > 0 {
                to_do.push(format!(
                    "{folder}: {found} files use each other in circles; move what two of them share to a file of its own: {circle}"
                ));
            }
        }
    }
    to_do.extend(hubs.keys().map(|folder| format!("{folder}: list no hub")));
    assert!(to_do.is_empty(), "\n{}", to_do.join("\n"));
}

#[test]
fn files_that_stand_for_a_folder_only_list_what_it_has() {
    let mut to_do = Vec::new();
    let mut known = BTreeSet::from(OWNERS_WITH_LOGIC);
    for (module, source) in PACKAGES.into_iter().flat_map(package) {
        // The root of a package is a file with code of its own: the command, or the page of the library.
        let stands_for_folder =
            source.file.ends_with("mod.rs") || source.owner && !module.is_empty();
        let file = source.file.to_string_lossy();
        if stands_for_folder && source.logic > 0 && !known.remove(&*file) {
            to_do.push(format!(
                "{file}: move what it defines ({} items) to files that are named by what they are, and re-export it",
                source.logic
            ));
        }
    }
    to_do.extend(
        known
            .iter()
            .map(|file| format!("{file}: list it no longer")),
    );
    assert!(to_do.is_empty(), "\n{}", to_do.join("\n"));
}
