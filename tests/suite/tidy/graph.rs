//! Which file uses which, and the circles in that.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Names, Source};

/// Files (or folders), each with those that it uses, and a name by which it does.
pub(super) type Graph = BTreeMap<String, BTreeMap<String, String>>;

struct Index<'source>(BTreeMap<&'source [String], &'source Source>);

impl<'source> Index<'source> {
    /// The file in which the thing of this path is defined: imports and re-exports are followed.
    fn defining(&self, path: &[String], depth: usize) -> Option<&'source Source> {
        let split = (0..=path.len()).rev().find(|length| self.0.contains_key(&path[..*length]))?;
        let file = self.0[&path[..split]];
        let Some(name) = path.get(split).filter(|_| depth < 10) else { return Some(file) };
        let follow = |exported: &Names| {
            let target = [&exported[..], &path[split + 1..]].concat();
            self.defining(&target, depth + 1).filter(|found| !std::ptr::eq(*found, file))
        };
        let named = file.imports.get(name).into_iter().flatten().find_map(follow);
        named.or(Some(file))
    }
}

/// Which file uses which. A file that only declares or re-exports another one does not use it.
pub(super) fn of_files(sources: &[Source]) -> Graph {
    let index = Index(sources.iter().map(|source| (&source.module[..], source)).collect());
    let mut graph = Graph::new();
    for source in sources.iter().filter(|source| !source.module.is_empty()) {
        let used = graph.entry(source.path.clone()).or_default();
        for path in &source.uses {
            let found = index.defining(path, 0);
            let found = found.filter(|found| !found.module.is_empty() && found.path != source.path);
            used.extend(found.map(|found| (found.path.clone(), path.join("::"))));
        }
    }
    graph
}

/// The same by folder.
pub(super) fn of_folders(files: &Graph) -> Graph {
    let folder = |path: &str| path.split(['/', '.']).next().unwrap_or_default().to_owned();
    let mut graph = Graph::new();
    for (file, used) in files {
        let own = folder(file);
        let used = used.iter().map(|(path, name)| (folder(path), name.clone()));
        graph.entry(own.clone()).or_default().extend(used.filter(|(used, _)| *used != own));
    }
    graph
}

/// Groups of files (or folders) that use each other in a circle, however long.
pub(super) fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let reachable = |from: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(node) = next.pop() {
            for used in graph.get(node).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(used.clone()) {
                    next.push(used);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<_, _> = graph.keys().map(|node| (node.clone(), reachable(node))).collect();
    let mut circles = BTreeSet::new();
    for (node, ahead) in &reached {
        let with = |other: &&String| reached.get(*other).is_some_and(|back| back.contains(node));
        let circle: Vec<_> = ahead.iter().filter(with).cloned().collect();
        if !circle.is_empty() {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

/// The arrows of a circle, one a line.
pub(super) fn arrows(graph: &Graph, circle: &[String]) -> String {
    let mut lines = Vec::new();
    for from in circle {
        for (to, name) in graph.get(from).into_iter().flatten().filter(|(to, _)| circle.contains(to)) {
            lines.push(format!("    {from} → {to} by {name}"));
        }
    }
    lines.join("\n")
}
