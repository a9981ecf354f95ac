//! Deaths at named points: beside each act that changes a file or an object, of a run and of a recovery.

use std::collections::BTreeSet;
use std::env;
use std::sync::Mutex;

use crate::gate::{Answer, Point, Side, Trap};
use crate::history::{History, in_parallel};
use crate::life::{Backend, Plan};
use crate::matrix::{Place, Setting, backends, policies_of};
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

/// Where a life dies whose recovery is then disturbed: its checkpoint is complete, and nothing of it is
/// committed.
fn behind_a_publication() -> Trap {
    let point = Point {
        side: Side::After,
        act: "publish".to_owned(),
    };
    Trap::Point(point, 4)
}

/// Kills the job at every point that it passes behind the `former` deaths, each under one of the
/// policies, or under all; hands over the points at which a child has died.
fn check(place: Place, backend: Backend, former: &[Trap], often: u64) -> BTreeSet<Point> {
    let all = env::var_os("FLOWDSL_CRASH_ALL").is_some();
    let policies: Vec<Setting> = policies_of(place, backend).collect();
    let mut histories = Vec::new();
    for (at, setting) in policies.iter().enumerate() {
        let deaths = passed(*setting, former)
            .into_iter()
            .flat_map(|(point, times)| deaths_at(point, times, often))
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
        "{place:?}, {backend:?}: {n_histories} histories, deaths at {} points",
        died_at.len()
    );
    died_at
}

/// How often an undisturbed life passes each point, behind the `former` deaths. Where checkpoints are in
/// an object store, what output does on the disk is left to those where they are in a directory.
fn passed(setting: Setting, former: &[Trap]) -> Vec<(Point, u64)> {
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

/// The first time that a life passes a point, and a later one.
fn deaths_at(point: Point, times: u64, often: u64) -> Vec<Trap> {
    let mut deaths = vec![Trap::Point(point.clone(), 1)];
    if times >= often {
        // The number of times is not the same in every run, but no run has far fewer.
        deaths.push(Trap::Point(point, times * 2 / 3));
    }
    deaths
}

/// The policy under which a death is tried: the same for the same point in every run.
fn turn_of(death: &Trap, n_policies: usize) -> usize {
    let Trap::Point(point, times) = death else {
        return 0;
    };
    let letters = point.act.bytes().map(usize::from).sum::<usize>();
    (letters + point.side as usize + usize::from(*times > 1)) % n_policies
}

fn assert_died_around(acts: &[&str], died_at: &BTreeSet<Point>) {
    for act in acts {
        for side in [Side::Before, Side::After] {
            let act = (*act).to_owned();
            let point = Point { side, act };
            assert!(died_at.contains(&point), "nobody died at {point:?}");
        }
    }
}

fn check_run(place: Place) {
    for backend in backends() {
        let died_at = check(place, backend, &[], OFTEN);
        assert_died_around(&ACTS, &died_at);
        if place == Place::Directory {
            assert_died_around(&ACTS_IN_A_DIRECTORY, &died_at);
        }
    }
}

#[test]
fn a_death_beside_any_act_of_a_run_loses_nothing_and_doubles_nothing() {
    check_run(Place::Directory);
}

#[test]
fn a_death_beside_any_act_of_a_recovery_loses_nothing_and_doubles_nothing() {
    for backend in backends() {
        let former = [behind_a_publication()];
        let died_at = check(Place::Directory, backend, &former, u64::MAX);
        assert_died_around(&["claim", "commit", "cut staging"], &died_at);
    }
}

#[cfg(feature = "object-store")]
#[test]
fn a_death_beside_any_act_on_an_object_store_loses_nothing_and_doubles_nothing() {
    check_run(Place::Bucket);
}
