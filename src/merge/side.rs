//! The tables that are merged together, and the leaves that both of them have.

use crate::merge::input::Input;
use crate::merge::union::Union;
use hashbrown::HashMap;
use std::ops::Range;

/// A table's files, and the columns of all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'a> {
    pub(super) inputs: &'a [Input],
    pub(super) union: &'a Union,
}

/// A leaf with which something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) side: usize,
    pub(super) leaf: usize,
    /// Of a leaf of the first side, the leaf of the second one that has the same path.
    pub(super) twin: Option<usize>,
}

/// Returns all leaves of the first side, and those of the second one that the first has not; the largest come
/// first.
pub(super) fn tasks(sides: &[Side<'_>]) -> Vec<Task> {
    let by_path = |side: &Side<'_>| -> HashMap<String, usize> {
        side.union.paths().iter().cloned().enumerate().map(|(leaf, path)| (path, leaf)).collect()
    };
    let (first, second) = (sides.first().map(by_path), sides.get(1).map(by_path));
    let mut tasks = Vec::new();
    for (side, Side { inputs, union }) in sides.iter().enumerate() {
        for leaf in union.heaviest_first(inputs) {
            let Some(path) = union.paths().get(leaf) else { continue };
            let has = |paths: &HashMap<String, usize>| paths.get(path).copied();
            match side {
                0 => tasks.push(Task { side, leaf, twin: second.as_ref().and_then(has) }),
                _ if first.as_ref().and_then(has).is_some() => {}
                _ => tasks.push(Task { side, leaf, twin: None }),
            }
        }
    }
    tasks
}

/// Returns whether a leaf and its twin are the same bytes in some rows of an input, and mean the same.
pub(super) fn is_same(sides: &[Side<'_>], task: Task, input: usize, rows: &Range<u64>) -> bool {
    let ([main, typed], Some(twin)) = (sides, task.twin) else { return false };
    let (Some((ours, leaf)), Some(theirs)) = (main.of(input, task.leaf), typed.of(input, twin))
    else {
        return false;
    };
    main.union.is_first(task.leaf) == typed.union.is_first(twin) && ours.is_same(leaf, theirs, rows)
}

impl<'a> Side<'a> {
    /// Returns how many bytes the files have: what is made of them has fewer, nearly always.
    pub(super) fn bytes(&self) -> usize {
        self.inputs.iter().map(Input::size).sum()
    }

    /// Returns an input, and the number that a leaf of the union has in it, if it has it.
    fn of(&self, input: usize, leaf: usize) -> Option<(&'a Input, usize)> {
        let input = self.inputs.get(input)?;
        Some((input, input.leaf(self.union.paths().get(leaf)?)?))
    }
}
