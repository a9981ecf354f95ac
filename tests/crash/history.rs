//! A job with the deaths that it has to bear.

use std::fmt::Debug;
use std::sync::Mutex;
use std::thread;

use crate::gate::{Answer, Trap};
use crate::life::Plan;
use crate::matrix::Setting;
use crate::parent::Ended;
use crate::world::World;

/// Where the lives of a job end, one behind the other.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) setting: Setting,
    pub(crate) deaths: Vec<Trap>,
}

impl History {
    /// Plays it until the job is done; says how many lives died where they were meant to.
    pub(crate) fn play(&self) -> usize {
        let mut world = World::new(self.setting);
        for (n, death) in self.deaths.iter().enumerate() {
            let ended = world.live(Plan::at(death.clone()), |_, _| Answer::Kill);
            if let Ended::Alone(ending) = ended {
                world.check_end(&ending);
                return n;
            }
        }
        world.finish();
        self.deaths.len()
    }
}

/// Plays many at a time: most of the time they wait for the disk.
pub(crate) fn in_parallel<T: Debug + Send>(histories: Vec<T>, play: impl Fn(&T) + Sync) {
    let n_threads = thread::available_parallelism().map_or(2, |n| 2 * n.get());
    let waiting = Mutex::new(histories);
    let next = || waiting.lock().expect("nothing panics under it").pop();
    thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                while let Some(history) = next() {
                    let story = Story(&history);
                    play(story.0);
                }
            });
        }
    });
}

/// Says what was played when it went wrong.
struct Story<'a, T: Debug>(&'a T);

impl<T: Debug> Drop for Story<'_, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("in {:?}", self.0);
        }
    }
}
