//! Where a plugin's fuel goes, by function. One call is made again and again, and each time it ends after a
//! little more fuel: where it was then is a sample. Nothing is sampled by a clock, so a profile is the same each
//! time and on every machine.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::stage::StageWorker;
use clickmill_core::batch::Batch;

/// What stands for a call that was in no function of the guest.
const OUTSIDE: &str = "(host)";

/// Where the fuel of a call goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Rows of the call.
    pub rows: usize,
    /// The fuel that it takes.
    pub fuel: u64,
    /// The fuel between two samples.
    pub step: u64,
    /// Where it was at each, the outermost function first.
    samples: Vec<Vec<String>>,
}

/// What a function takes of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionShare {
    /// Its name; its number where the component has no names.
    pub function: String,
    /// The share that it takes itself, from 0 to 1.
    pub own: f64,
    /// The same with all that it calls.
    pub all: f64,
}

impl Profile {
    /// Takes so many samples of a call for a batch.
    pub(super) fn of(worker: &StageWorker, batch: &Batch, samples: u64) -> Self {
        let (fuel, _) = worker.probe(batch, None);
        let step = (fuel / samples.max(1)).max(1);
        let at = (0..).map(|sample| sample * step + step / 2).take_while(|at| *at < fuel);
        let samples = at.filter_map(|at| worker.probe(batch, Some(at)).1);
        let samples = samples.map(|mut stack| {
            stack.reverse();
            if stack.is_empty() { vec![OUTSIDE.to_owned()] } else { stack }
        });
        Self { rows: batch.rows(), fuel, step, samples: samples.collect() }
    }

    /// What each function takes, those first that take most themselves.
    pub fn functions(&self) -> Vec<FunctionShare> {
        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for stack in &self.samples {
            for function in stack.iter().map(String::as_str).collect::<BTreeSet<_>>() {
                counts.entry(function).or_default().1 += 1;
            }
            if let Some(innermost) = stack.last() {
                counts.entry(innermost).or_default().0 += 1;
            }
        }
        let share = |count: usize| count as f64 / self.samples.len().max(1) as f64;
        let mut functions: Vec<FunctionShare> = counts
            .into_iter()
            .map(|(function, (own, all))| FunctionShare {
                function: function.to_owned(),
                own: share(own),
                all: share(all),
            })
            .collect();
        functions.sort_by(|a, b| b.own.total_cmp(&a.own).then(b.all.total_cmp(&a.all)));
        functions
    }

    /// The profile as a `.cpuprofile`, the format of Chrome's and Node's profilers, with a microsecond for each
    /// unit of fuel.
    pub fn cpuprofile(&self) -> String {
        let mut nodes = vec![Node { name: "(root)", ..Node::default() }];
        let mut samples = Vec::with_capacity(self.samples.len());
        for stack in &self.samples {
            let mut at = 0;
            for name in stack {
                at = match nodes[at].children.get(name.as_str()) {
                    Some(child) => *child,
                    None => {
                        let child = nodes.len();
                        nodes[at].children.insert(name, child);
                        nodes.push(Node { name, ..Node::default() });
                        child
                    }
                };
            }
            nodes[at].hits += 1;
            samples.push(id(at));
        }
        let deltas = vec![self.step; samples.len()];
        let nodes: Vec<Json> = nodes.iter().enumerate().map(|(at, node)| node.told(at)).collect();
        json!({
            "nodes": nodes,
            "startTime": 0,
            "endTime": self.step * samples.len() as u64,
            "samples": samples,
            "timeDeltas": deltas,
        })
        .to_string()
    }
}

/// A function where it was called.
#[derive(Default)]
struct Node<'a> {
    name: &'a str,
    hits: usize,
    children: BTreeMap<&'a str, usize>,
}

impl Node<'_> {
    fn told(&self, at: usize) -> Json {
        json!({
            "id": id(at),
            "callFrame": {
                "functionName": self.name, "scriptId": "0", "url": "", "lineNumber": -1, "columnNumber": -1,
            },
            "hitCount": self.hits,
            "children": self.children.values().map(|child| id(*child)).collect::<Vec<_>>(),
        })
    }
}

/// Nodes count from 1.
fn id(at: usize) -> usize {
    at + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_a_tree_whose_times_are_fuel() {
        let stack = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let samples = vec![
            stack(&["process", "row"]),
            stack(&["process", "row", "text"]),
            stack(&["process"]),
            stack(&["process", "row", "row"]),
        ];
        let profile = Profile { rows: 1, fuel: 42, step: 10, samples };
        let share =
            |function: &str, own, all| FunctionShare { function: function.to_owned(), own, all };
        let wanted =
            [share("row", 0.5, 0.75), share("process", 0.25, 1.0), share("text", 0.25, 0.25)];
        assert_eq!(profile.functions(), wanted);
        let told: Json = serde_json::from_str(&profile.cpuprofile()).expect("JSON");
        let name = |id: &Json| {
            let nodes = told["nodes"].as_array().expect("a list").iter();
            let node = nodes.clone().find(|node| node["id"] == *id).expect("a node");
            node["callFrame"]["functionName"].as_str().expect("a name")
        };
        let samples = told["samples"].as_array().expect("a list");
        assert_eq!(samples.iter().map(name).collect::<Vec<_>>(), ["row", "text", "process", "row"]);
        assert_eq!(told["nodes"].as_array().map(Vec::len), Some(5));
        assert_eq!(told["nodes"][0]["children"], json!([2]));
        assert_eq!((&told["timeDeltas"], &told["endTime"]), (&json!([10, 10, 10, 10]), &json!(40)));
    }
}
