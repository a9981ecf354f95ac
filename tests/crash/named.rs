//! Deaths at named points: beside each act that changes a file or an object, of a run and of a recovery.

use std::collections::BTreeSet;
use std::env;
use std::sync::Mutex;

use crate::gate::{Answer, Point, Side, Trap};
use crate::history::{History, in_parallel};
use crate::life::{Backend, Plan};
use crate::matrix::{Backends, Place, Setting, backends, policies_of};
use crate::parent::Ended;
use crate::world::World;

/// The acts that a job cannot do without; others are found as they come.
const ACTS: [&str; 5] = ["claim", "publish", "commit", "remove log", "remove state"];

/// Those of a directory beside them: one for each way in which bytes and names become durable.
const ACTS_IN_A_DIRECTORY: [&str; 8] = [
    "sync tmp",
    "sync state",
    "sync staging",
    "sync owner",
    "sync names of log",
    "sync names of state",
    "sync names of staging",
    "sync names of output",
];

/// All that is done to objects in a store.
const ACTS_ON_OBJECTS: [&str; 5] = [
    "claim",
    "publish",
    "write state",
    "remove log",
    "remove state",
];

/// An act that is done this often is disturbed late, too.
const OFTEN: u64 = 4;

/// How many deaths there are beside an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// Before the first time, and within it: behind an act is before the next.
    Brief,
    /// On each side of the first time, and of a later one. So is everything with `FLOWDSL_CRASH_ALL`.
    Full,
}

/// Where a life dies whose recovery is then disturbed: its checkpoint is complete, and nothing of it is
/// committed.
pub(crate) fn behind_a_publication() -> Trap {
    let point = Point {
        side: Side::After,
        act: "publish".to_owned(),
    };
    Trap::Point(point, 4)
}

/// Kills the job at every point that it passes behind the `former` deaths, each under one of the
/// policies, or under all; hands over the points at which a child has died.
fn check(place: Place, backends: Backends, former: &[Trap], extent: Extent) -> BTreeSet<Point> {
    let all = env::var_os("FLOWDSL_CRASH_ALL").is_some();
    let extent = if all { Extent::Full } else { extent };
    let policies: Vec<Setting> = policies_of(place, backends).collect();
    let mut histories = Vec::new();
    for (at, setting) in policies.iter().enumerate() {
        let deaths = passed(*setting, former)
            .into_iter()
            .flat_map(|(point, times)| deaths_at(point, times, extent))
            .filter(|death| all || turn_of(death, policies.len()) == at);
        histories.extend(deaths.map(|death| History {
            setting: *setting,
            deaths: former.iter().cloned().chain([death]).collect(),
        }));
    }
    let n_histories = histories.len();
    let died_at = Mutex::new(BTreeSet::new());
    in_parallel(histories, |history| {
        let died = history.play();
        if let (Some(Trap::Point(point, _)), true) =
            (history.deaths.last(), died == history.deaths.len())
        {
            let mut died_at = died_at.lock().expect("no other panic");
            died_at.insert(point.clone());
        }
    });
    let died_at = died_at.into_inner().expect("no panic");
    eprintln!(
        "{place:?}, {backends:?}: {n_histories} histories, deaths at {} points",
        died_at.len()
    );
    died_at
}

/// How often an undisturbed life passes each point, behind the `former` deaths. Where checkpoints are in
/// an object store, what output does on the disk is left to those where they are in a directory.
pub(crate) fn passed(setting: Setting, former: &[Trap]) -> Vec<(Point, u64)> {
    let mut world = World::new(setting);
    for death in former {
        let plan = Plan::at(death.clone());
        let died = world.live(plan, |_, _| Answer::Kill);
        assert!(matches!(died, Ended::Killed), "it passes {death:?}");
    }
    let mut passages = world.finish().passages;
    if setting.place != Place::Directory {
        passages
            .retain(|(point, _)| ACTS_ON_OBJECTS.contains(&&*point.act) || point.act == "commit");
    }
    passages
}

/// The deaths at a point that a life passes so many times.
fn deaths_at(point: Point, times: u64, extent: Extent) -> Vec<Trap> {
    let first = Trap::Point(point.clone(), 1);
    match extent {
        Extent::Brief if point.side == Side::After => Vec::new(),
        Extent::Full if times >= OFTEN => {
            // The number of times is not the same in every run, but no run has far fewer.
            vec![first, Trap::Point(point, times * 2 / 3)]
        }
        Extent::Brief | Extent::Full => vec![first],
    }
}

/// The policy under which a death is tried: the same for the same point in every run.
pub(crate) fn turn_of(death: &Trap, n_policies: usize) -> usize {
    let Trap::Point(point, times) = death else {
        return 0;
    };
    let letters = point.act.bytes().map(usize::from).sum::<usize>();
    (letters + point.side as usize + usize::from(*times > 1)) % n_policies
}

fn assert_died_around(acts: &[&str], extent: Extent, died_at: &BTreeSet<Point>) {
    let sides: &[Side] = match extent {
        Extent::Brief => &[Side::Before],
        Extent::Full => &[Side::Before, Side::After],
    };
    for act in acts {
        for side in sides {
            let (side, act) = (*side, (*act).to_owned());
            let point = Point { side, act };
            assert!(died_at.contains(&point), "nobody died at {point:?}");
        }
    }
}

fn check_run(place: Place) {
    for backends in backends() {
        // Another backend changes where state comes from, and not what is done with it.
        let extent = match backends {
            [Backend::Memory] => Extent::Full,
            _ => Extent::Brief,
        };
        let died_at = check(place, backends, &[], extent);
        assert_died_around(&ACTS, extent, &died_at);
        if place == Place::Directory {
            assert_died_around(&ACTS_IN_A_DIRECTORY, extent, &died_at);
        }
    }
}

#[test]
fn a_death_beside_any_act_of_a_run_loses_nothing_and_doubles_nothing() {
    check_run(Place::Directory);
}

#[test]
fn a_death_beside_any_act_of_a_recovery_loses_nothing_and_doubles_nothing() {
    for backends in backends() {
        let former = [behind_a_publication()];
        let died_at = check(Place::Directory, backends, &former, Extent::Brief);
        let acts = ["claim", "commit", "cut staging"];
        assert_died_around(&acts, Extent::Brief, &died_at);
    }
}

#[cfg(feature = "object-store")]
#[test]
fn a_death_beside_any_act_on_an_object_store_loses_nothing_and_doubles_nothing() {
    check_run(Place::Bucket);
}
