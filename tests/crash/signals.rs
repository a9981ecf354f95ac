//! Signals at named acts: of a run, a recovery, a restore and a migration, and around all of them.
//!
//! A child is a whole process with a command line, and the signal is a real one. It comes while the child waits at an act,
//! which goes on when the child has said that it is stopping: so it comes neither earlier nor later on any machine.

use std::collections::BTreeSet;
use std::env;
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;

use crate::gate::{Answer, FAIL, GO_ON, Outcome, Point, Side, Trap};
use crate::history::in_parallel;
use crate::life::{Entry, Plan, Policy, Restart, Version};
use crate::matrix::{Place, Setting, backends, policies_of};
use crate::named::behind_a_publication;
use crate::parent::Ended;
use crate::terminal::{Exit, Signal, Terminal};
use crate::world::World;

const STOPPING: &str = "stopping with a last checkpoint";

/// What the next life of the job finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    /// Nothing: it is the first.
    Run,
    /// A checkpoint that is complete, and of which nothing is committed.
    Recovery,
    /// The same in another place, and none in its own directory.
    Restore,
    /// The same, with state that another version has stored.
    Migration,
}

/// How signals follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Once,
    /// The second one comes when the first was understood.
    TwiceAtOnce,
    /// The second one comes so many points behind the first.
    TwiceBehind(u64),
}

const WAYS: [Way; 4] = [
    Way::Once,
    Way::TwiceAtOnce,
    Way::TwiceBehind(2),
    Way::TwiceBehind(9),
];

#[derive(Clone, Debug)]
struct Interruption {
    scene: Scene,
    setting: Setting,
    at: Point,
    times: u64,
    way: Way,
}

/// A world, and how the job is started there over and over.
fn prepare(scene: Scene, setting: Setting) -> (World, Entry) {
    let mut world = World::new(setting);
    if scene == Scene::Run {
        return (world, Entry::Main(Vec::new()));
    }
    let died = world.live(Plan::at(behind_a_publication()), |_, _| Answer::Kill);
    assert!(matches!(died, Ended::Killed), "it publishes four times");
    let mut own = Vec::new();
    match scene {
        Scene::Run | Scene::Recovery => {}
        Scene::Restore => {
            let from = world.move_checkpoints().display().to_string();
            own = vec!["--restore-from".to_owned(), from];
        }
        Scene::Migration => world.version = Version::Second,
    }
    (world, Entry::Main(own))
}

fn point(act: &str) -> Point {
    Point {
        side: Side::Before,
        act: act.to_owned(),
    }
}

/// Lets the job live to its end, undisturbed.
fn finish(world: &mut World, entry: Entry) -> Vec<(Point, u64)> {
    let exit = world.live_as(entry, Plan::default(), |_, trap| unreachable!("{trap:?}"));
    assert_eq!(exit.status.code(), Some(0), "{}", exit.log);
    let ending = exit.ending.expect("it says how it has ended");
    world.check_end(&ending);
    ending.passages
}

/// Disturbs a life, and lets the next one finish; says whether it has come to the place.
fn play(interruption: &Interruption) -> bool {
    let Interruption {
        scene,
        setting,
        at,
        times,
        way,
    } = interruption;
    let (mut world, entry) = prepare(*scene, *setting);
    let before = world.newest();
    let mut plan = Plan::at(Trap::Point(at.clone(), *times));
    if let Way::TwiceBehind(n) = way {
        plan.traps.push(Trap::Behind(*n));
    }
    let (first, second) = match at.act.len() % 2 {
        0 => (Signal::Int, Signal::Term),
        _ => (Signal::Term, Signal::Int),
    };
    let mut sent = 0;
    let exit = world.live_as(entry.clone(), plan, |terminal, _| {
        sent += 1;
        if sent == 2 {
            return terminal.send(second);
        }
        terminal.send(first);
        if is_outside(at) {
            return;
        }
        terminal.hear(STOPPING);
        if *way == Way::TwiceAtOnce {
            sent += 1;
            return terminal.send(second);
        }
        terminal.answer(GO_ON);
    });
    match (sent, at.act.as_str()) {
        (0, _) => assert_eq!(exit.status.code(), Some(0), "{}", exit.log),
        (_, "beginning") => assert_eq!(exit.status.signal(), Some(first.number())),
        (_, "end") | (2, _) => assert_eq!(exit.status.code(), Some(130), "{}", exit.log),
        _ => check_stopped(&world, at, before, &exit),
    }
    finish(&mut world, entry);
    sent > 0
}

/// Whether a signal there ends the process: nothing runs yet, or no more.
fn is_outside(at: &Point) -> bool {
    ["beginning", "end"].contains(&at.act.as_str())
}

fn check_stopped(world: &World, at: &Point, before: Option<u64>, exit: &Exit) {
    assert_eq!(exit.status.code(), Some(0), "{}", exit.log);
    let ending = exit.ending.as_ref().expect("it says how it has ended");
    match &ending.outcome {
        Outcome::Stopped if ending.checkpoints == 0 => {
            assert_eq!(ending.records, 0, "{}", exit.log);
            // What a restore has brought in before the signal is there to stay.
            assert!(world.newest() == before || before.is_none());
        }
        Outcome::Stopped => assert!(world.newest() > before, "a last checkpoint"),
        Outcome::Finished | Outcome::AlreadyFinished => world.check_end(ending),
        Outcome::Failed { kind, message } => panic!("{kind} at {at:?}: {message}"),
    }
}

/// The acts beside which nothing changes.
fn looks(scene: Scene) -> Vec<(Point, u64)> {
    let mut acts = vec![
        ("beginning", 1),
        ("list log", 1),
        ("first record", 1),
        ("barrier", 2),
        ("end", 1),
    ];
    if scene != Scene::Run {
        acts.push(("read state", 1));
    }
    if scene == Scene::Migration {
        acts.push(("migration", 1));
    }
    let looks = acts.into_iter();
    looks.map(|(act, times)| (point(act), times)).collect()
}

/// A signal beside every act of a scene, each under one of the policies and in one way, or under all and in all.
fn interruptions_of(scene: Scene, must_be_met: &[&str]) -> Vec<Interruption> {
    let all = env::var_os("FLOWDSL_CRASH_ALL").is_some();
    let mut interruptions = Vec::new();
    for backends in backends() {
        let policies: Vec<Setting> = policies_of(Place::Directory, backends).collect();
        for (n, setting) in policies.iter().enumerate() {
            let (mut world, entry) = prepare(scene, *setting);
            let passed = finish(&mut world, entry);
            let acts = passed.into_iter().filter(|(at, _)| at.side == Side::Before);
            let acts = acts.map(|(at, times)| (at, times.div_ceil(2)));
            for (at, times) in looks(scene).into_iter().chain(acts) {
                let turn = at.act.bytes().map(usize::from).sum::<usize>();
                let is_named = must_be_met.contains(&at.act.as_str());
                for (w, way) in WAYS.into_iter().enumerate() {
                    let is_its_turn = turn % policies.len() == n
                        && (way == Way::Once && is_named || turn % WAYS.len() == w);
                    if all || is_its_turn {
                        interruptions.push(Interruption {
                            scene,
                            setting: *setting,
                            at: at.clone(),
                            times,
                            way,
                        });
                    }
                }
            }
        }
    }
    interruptions
}

/// Signals beside every act of a scene.
fn check(scene: Scene, must_be_met: &[&str]) {
    let interruptions = interruptions_of(scene, must_be_met);
    eprintln!("{scene:?}: {} interruptions", interruptions.len());
    let met = Mutex::new(BTreeSet::new());
    in_parallel(interruptions, |interruption| {
        if play(interruption) {
            let mut met = met.lock().expect("no other panic");
            met.insert(interruption.at.act.clone());
        }
    });
    let met = met.into_inner().expect("no panic");
    for act in must_be_met {
        assert!(met.contains(*act), "no signal came at {act}: {met:?}");
    }
}

#[test]
fn a_signal_beside_any_act_of_a_run_stops_it_well() {
    check(
        Scene::Run,
        &[
            "beginning",
            "list log",
            "claim",
            "first record",
            "barrier",
            "sync state",
            "publish",
            "commit",
            "remove log",
            "remove state",
            "end",
        ],
    );
}

#[test]
fn a_signal_beside_any_act_of_a_recovery_stops_it_well() {
    check(Scene::Recovery, &["claim", "read state", "commit"]);
}

#[test]
fn a_signal_beside_any_act_of_a_restore_stops_it_well() {
    check(
        Scene::Restore,
        &["claim", "read state", "sync state", "publish", "commit"],
    );
}

#[test]
fn a_signal_beside_any_act_of_a_migration_stops_it_well() {
    check(Scene::Migration, &["read state", "migration", "publish"]);
}

/// A setting with other policies.
fn plain(change: impl FnOnce(&mut Policy)) -> Setting {
    let backends = backends().next().expect("memory is always there");
    let mut settings = policies_of(Place::Directory, backends);
    let mut setting = settings.next().expect("there are policies");
    change(&mut setting.policy);
    setting
}

fn stopped(exit: &Exit) {
    assert_eq!(exit.status.code(), Some(0), "{}", exit.log);
    let ending = exit.ending.as_ref().expect("it says how it has ended");
    assert_eq!(ending.outcome, Outcome::Stopped, "{}", exit.log);
}

#[test]
fn a_signal_while_a_recovery_verifies_ends_it_before_the_next_object() {
    let setting = plain(|_| ());
    for scene in [Scene::Recovery, Scene::Restore] {
        let (mut world, entry) = prepare(scene, setting);
        let before = world.newest();
        let at = |n| Trap::Point(point("read state"), n);
        let plan = Plan {
            traps: vec![at(1), at(2)],
            killed_behind: None,
        };
        let mut reads = 0;
        let exit = world.live_as(entry.clone(), plan, |terminal, _| {
            reads += 1;
            terminal.send(Signal::Int);
            terminal.hear(STOPPING);
            terminal.answer(GO_ON);
        });
        assert_eq!(reads, 1, "{}", exit.log);
        stopped(&exit);
        assert!(
            exit.log.contains("The same command goes on from here"),
            "{}",
            exit.log
        );
        assert_eq!(world.newest(), before, "nothing is published");
        finish(&mut world, entry);
    }
}

#[test]
fn a_signal_between_two_attempts_stops_the_job_without_another() {
    let setting = plain(|policy| {
        policy.tolerable_failures = 0;
        policy.restart = Restart::Late;
    });
    let (mut world, entry) = prepare(Scene::Run, setting);
    let plan = Plan::at(Trap::Point(point("sync state"), 3));
    let fail_and_stop = |terminal: &mut Terminal, _: &Trap| {
        terminal.answer(FAIL);
        terminal.hear("begins again from its last checkpoint");
        terminal.send(Signal::Term);
    };
    let exit = world.live_as(entry.clone(), plan, fail_and_stop);
    stopped(&exit);
    assert!(exit.log.contains(STOPPING), "{}", exit.log);
    finish(&mut world, entry);
}

#[test]
fn a_signal_in_the_second_run_of_a_process_is_the_first_one() {
    let (mut world, entry) = prepare(Scene::Run, plain(|_| ()));
    let plan = Plan::at(Trap::Point(point("publish"), 2));
    let exit = world.live_as(Entry::SecondMain, plan, |terminal, _| {
        terminal.send(Signal::Int);
        terminal.hear(STOPPING);
        terminal.answer(GO_ON);
    });
    stopped(&exit);
    finish(&mut world, entry);
}
