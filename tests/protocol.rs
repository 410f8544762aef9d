//! The commit protocol as a model, explored state by state: what no test of examples can try.
//!
//! Two writers convert the same source into one lake, and there is no lease: each may be as stale as it
//! likes. A request arrives at any time after it was sent, once more if its answer was lost, and also when
//! its writer is long dead. Writers have settings; one with other settings gives up what it finds begun.
//! In every state that can be reached, a committed unit has its file, and no object is in two of them.
//!
//! The model follows `src/pipeline/{plan,abandon,finish}.rs`: intents in order before data, manifests
//! put if-absent by number, a barrier before anything that might still be committed is removed, and
//! identities that name the last barrier. Without either of the last two, the model finds the loss.

use std::collections::{BTreeMap, BTreeSet, HashSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Unit {
    number: u8,
    settings: u8,
    barrier: Option<u8>,
    object: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Manifest {
    Of(Unit),
    /// Of one run of one writer: two that are equal would each take the other's for its own.
    Barrier(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Request {
    PutIntent(Unit),
    PutFile(Unit),
    PutManifest(u8, Manifest),
    RemoveFile(Unit),
    RemoveIntent(Unit),
}

type Manifests = BTreeMap<u8, Manifest>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Lake {
    manifests: Manifests,
    intents: BTreeSet<Unit>,
    files: BTreeSet<Unit>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum At {
    Off,
    /// It has read the manifests.
    Read(Manifests),
    /// What is left to do; the first is on its way.
    Doing(Vec<Request>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Writer {
    settings: u8,
    runs: u8,
    retries: u8,
    at: At,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    lake: Lake,
    writers: [Writer; 2],
    /// Requests that nobody waits for any more, and that may still arrive.
    late: BTreeSet<Request>,
    /// Objects of the source, as bits.
    source: u8,
}

/// Which rules hold.
#[derive(Clone, Copy)]
struct Rules {
    has_barriers: bool,
    names_barriers: bool,
}

const ALL: Rules = Rules { has_barriers: true, names_barriers: true };
const OBJECTS: u8 = 2;

impl Lake {
    /// Does what a request asks; returns whether its sender may go on.
    fn take(&mut self, request: Request) -> bool {
        match request {
            Request::PutIntent(unit) => drop(self.intents.insert(unit)),
            Request::PutFile(unit) => drop(self.files.insert(unit)),
            Request::RemoveFile(unit) => drop(self.files.remove(&unit)),
            Request::RemoveIntent(unit) => drop(self.intents.remove(&unit)),
            Request::PutManifest(number, manifest) => {
                return *self.manifests.entry(number).or_insert(manifest) == manifest;
            }
        }
        true
    }

    fn committed(&self) -> impl Iterator<Item = &Unit> {
        self.manifests.values().filter_map(|manifest| match manifest {
            Manifest::Of(unit) => Some(unit),
            Manifest::Barrier(_) => None,
        })
    }

    fn problem(&self) -> Option<String> {
        let mut objects = HashSet::new();
        for unit in self.committed() {
            if !self.files.contains(unit) {
                return Some(format!("lost: {unit:?}"));
            }
            if !objects.insert(unit.object) {
                return Some(format!("doubled: {unit:?}"));
            }
        }
        None
    }
}

/// Everything that a run does, decided from what it has read.
fn decide(
    settings: u8,
    run: u8,
    manifests: &Manifests,
    intents: &BTreeSet<Unit>,
    source: u8,
    rules: Rules,
) -> Vec<Request> {
    let mut next = manifests.keys().next_back().map_or(0, |number| number + 1);
    let mut barrier = None;
    let mut known = 0;
    for (number, manifest) in manifests {
        match manifest {
            Manifest::Barrier(_) if rules.names_barriers => barrier = Some(*number),
            Manifest::Barrier(_) => {}
            Manifest::Of(unit) => known |= 1 << unit.object,
        }
    }
    let (mut dead, mut todo, mut resumed) = (Vec::new(), Vec::new(), Vec::new());
    let mut needs_barrier = false;
    for unit in intents {
        let is_committed = manifests.get(&unit.number) == Some(&Manifest::Of(*unit));
        let follows = unit.number == next + resumed.len() as u8;
        let is_mine = unit.settings == settings && unit.barrier == barrier;
        let is_new = known & (1 << unit.object) == 0
            && resumed.iter().all(|earlier: &Unit| earlier.object != unit.object);
        if is_committed {
            todo.push(Request::RemoveIntent(*unit));
        } else if unit.number >= next && follows && is_mine && is_new {
            resumed.push(*unit);
        } else {
            // One cut after a barrier that this run has not seen is not dead: what was read is old.
            needs_barrier |= unit.number >= next && unit.barrier >= barrier;
            dead.push(*unit);
        }
    }
    if needs_barrier {
        dead.append(&mut resumed);
        if rules.has_barriers {
            todo.push(Request::PutManifest(next, Manifest::Barrier(run)));
            barrier = rules.names_barriers.then_some(next).or(barrier);
            next += 1;
        }
    }
    todo.extend(dead.iter().map(|unit| Request::RemoveFile(*unit)));
    todo.extend(dead.iter().map(|unit| Request::RemoveIntent(*unit)));
    let mut units = resumed.clone();
    for object in (0..OBJECTS).filter(|object| source & !known & (1 << object) != 0) {
        if resumed.iter().all(|unit| unit.object != object) {
            let number = next + units.len() as u8;
            units.push(Unit { number, settings, barrier, object });
        }
    }
    todo.extend(units[resumed.len()..].iter().map(|unit| Request::PutIntent(*unit)));
    todo.extend(units.iter().map(|unit| Request::PutFile(*unit)));
    for unit in units {
        todo.push(Request::PutManifest(unit.number, Manifest::Of(unit)));
        todo.push(Request::RemoveIntent(unit));
    }
    todo
}

impl State {
    /// Two writers with their settings and runs; the source has so many of its objects.
    fn new(writers: [(u8, u8); 2], objects: u8) -> Self {
        let writer = |(settings, runs)| Writer { settings, runs, retries: 1, at: At::Off };
        Self {
            lake: Lake::default(),
            writers: writers.map(writer),
            late: BTreeSet::new(),
            source: (1 << objects) - 1,
        }
    }

    /// Every state that comes next.
    fn next(&self, rules: Rules) -> Vec<Self> {
        let mut out = Vec::new();
        if self.source != (1 << OBJECTS) - 1 {
            out.push(Self { source: (self.source << 1) | 1, ..self.clone() });
        }
        for request in &self.late {
            let mut state = self.clone();
            state.late.remove(request);
            state.lake.take(*request);
            out.push(state);
        }
        for index in 0..self.writers.len() {
            self.steps_of(index, rules, &mut out);
        }
        out
    }

    fn steps_of(&self, index: usize, rules: Rules, out: &mut Vec<Self>) {
        let writer = &self.writers[index];
        let mut go = |at: At, change: &dyn Fn(&mut Self)| {
            let mut state = self.clone();
            state.writers[index].at = at;
            change(&mut state);
            out.push(state);
        };
        match &writer.at {
            At::Off if writer.runs > 0 => {
                go(At::Read(self.lake.manifests.clone()), &|state| state.writers[index].runs -= 1);
            }
            At::Off => {}
            At::Read(manifests) => {
                let (settings, intents) = (writer.settings, &self.lake.intents);
                let run = index as u8 * 16 + writer.runs;
                let todo = decide(settings, run, manifests, intents, self.source, rules);
                let at = if todo.is_empty() { At::Off } else { At::Doing(todo) };
                go(at, &|_| {});
            }
            At::Doing(todo) => {
                let (request, rest) = (todo[0], todo[1..].to_vec());
                let mut lake = self.lake.clone();
                let goes_on = lake.take(request) && !rest.is_empty();
                let at = if goes_on { At::Doing(rest) } else { At::Off };
                go(at, &|state| state.lake = lake.clone());
                // It dies, and what it has sent may still arrive.
                go(At::Off, &|state| {
                    state.late.insert(request);
                });
                // It takes the request for lost and sends it again.
                if writer.retries > 0 {
                    go(writer.at.clone(), &|state| {
                        state.writers[index].retries -= 1;
                        state.late.insert(request);
                    });
                }
            }
        }
    }
}

/// Looks at every state with at most `late` requests on their way; returns how many there are, or the
/// first that is wrong.
fn explore(start: State, late: usize, rules: Rules) -> Result<usize, String> {
    let mut seen = HashSet::from([start.clone()]);
    let mut waiting = vec![start];
    while let Some(state) = waiting.pop() {
        if let Some(problem) = state.lake.problem() {
            return Err(format!("{problem} in {state:?}"));
        }
        for next in state.next(rules) {
            if next.late.len() <= late && seen.insert(next.clone()) {
                waiting.push(next);
            }
        }
    }
    Ok(seen.len())
}

#[test]
fn no_interleaving_of_two_writers_loses_or_doubles_an_object() {
    // With the variable, some millions of states and minutes of an optimized build.
    let mut worlds = vec![([(0, 1), (1, 1)], 2, 1), ([(0, 1), (0, 2)], 1, 1)];
    if std::env::var_os("TRAILMILL_ALL_STATES").is_some() {
        worlds.extend([
            ([(0, 1), (1, 2)], 2, 1),
            ([(0, 2), (1, 1)], 1, 1),
            ([(0, 2), (1, 2)], 1, 2),
        ]);
    }
    for (writers, objects, late) in worlds {
        let states = explore(State::new(writers, objects), late, ALL).unwrap();
        assert!(states > 1000, "{states} states: too few to mean anything");
        eprintln!("{writers:?}: {states} states");
    }
}

#[test]
fn without_barriers_a_clean_up_that_comes_late_loses_what_was_committed() {
    let rules = Rules { has_barriers: false, ..ALL };

    let err = explore(State::new([(0, 1), (1, 1)], 2), 1, rules).unwrap_err();

    assert!(err.starts_with("lost"), "{err}");
}

#[test]
fn without_barriers_in_names_a_removal_that_comes_late_hits_a_later_unit() {
    let rules = Rules { names_barriers: false, ..ALL };

    let err = explore(State::new([(0, 2), (1, 1)], 2), 1, rules).unwrap_err();

    assert!(err.starts_with("lost"), "{err}");
}
