//! A job that is asked to stop beside each act that changes a file, of a run and of a recovery: it stops well, and the
//! next run goes on.
//!
//! It is asked by its handle; processes that get signals are in [`signals`](crate::signals).

use crate::gate::{Answer, Outcome, Side, Trap};
use crate::history::{History, in_parallel};
use crate::life::Plan;
use crate::matrix::{Place, Setting, backends, policies_of};
use crate::named::{behind_a_publication, passed, turn_of};
use crate::parent::Ended;
use crate::world::World;

/// Stops the job at the last point of the history, behind the deaths before it.
fn stop(history: &History) {
    let mut world = World::new(history.setting);
    let (last, former) = history
        .deaths
        .split_last()
        .expect("there is a point to stop at");
    for death in former {
        let died = world.live(Plan::at(death.clone()), |_, _| Answer::Kill);
        assert!(matches!(died, Ended::Killed), "it passes {death:?}");
    }
    let ended = world.live(Plan::at(last.clone()), |_, _| Answer::Stop);
    let Ended::Alone(ending) = ended else {
        unreachable!("nobody killed it")
    };
    match ending.outcome {
        Outcome::Stopped => drop(world.finish()),
        // It had read everything by then, or never came to that point.
        Outcome::Finished | Outcome::AlreadyFinished => world.check_end(&ending),
        Outcome::Failed { kind, message } => panic!("{kind}: {message}"),
    }
}

fn check(former: &[Trap]) {
    for backends in backends() {
        let policies: Vec<Setting> = policies_of(Place::Directory, backends).collect();
        let mut histories = Vec::new();
        for (at, setting) in policies.iter().enumerate() {
            let points = passed(*setting, former).into_iter();
            let stops = points
                .filter(|(point, _)| point.side == Side::Before)
                .map(|(point, times)| Trap::Point(point, times.div_ceil(2)))
                .filter(|stop| turn_of(stop, policies.len()) == at);
            histories.extend(stops.map(|stop| History {
                setting: *setting,
                deaths: former.iter().cloned().chain([stop]).collect(),
            }));
        }
        eprintln!("{backends:?}: {} stops", histories.len());
        in_parallel(histories, stop);
    }
}

#[test]
fn a_stop_beside_any_act_of_a_run_loses_nothing_and_doubles_nothing() {
    check(&[]);
}

#[test]
fn a_stop_beside_any_act_of_a_recovery_loses_nothing_and_doubles_nothing() {
    check(&[behind_a_publication()]);
}
