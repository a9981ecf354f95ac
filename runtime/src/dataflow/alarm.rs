//! A timer of an operator, of which one runs at a time.

use std::time::Duration;

use timely::scheduling::Activator;

use crate::clock::Stopwatch;

/// Wakes an operator after a while.
///
/// An operator that waits is woken for other reasons as well, and each time asks to be woken again.
/// Were each request a timer of its own, and each timer the reason for the next request, timers would
/// grow in number as long as the job runs.
pub(crate) struct Alarm {
    operator: Activator,
    /// The timer that runs: since when, and for how long.
    running: Option<(Stopwatch, Duration)>,
}

impl Alarm {
    pub(crate) fn new(operator: Activator) -> Self {
        Self {
            operator,
            running: None,
        }
    }

    /// Wakes the operator after `delay` or before.
    pub(crate) fn set(&mut self, delay: Duration) {
        let left = self
            .running
            .as_ref()
            .and_then(|(watch, whole)| whole.checked_sub(watch.elapsed()));
        if left.is_some_and(|left| left > Duration::ZERO && left <= delay) {
            return;
        }
        // The watch first, or the timer could ring while the watch still says that it runs.
        self.running = Some((Stopwatch::start(), delay));
        self.operator.activate_after(delay);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

    use super::*;

    const AN_HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn requests_while_an_alarm_runs_add_no_timers_and_an_earlier_one_rings() {
        timely::execute_directly(|worker| {
            let runs = Rc::new(Cell::new(0));
            let counted = Rc::clone(&runs);
            worker.dataflow::<u64, _, _>(|scope| {
                let mut builder = OperatorBuilder::new("sleeper".to_owned(), scope);
                let (_output, _stream) = builder.new_output::<Vec<()>>();
                let mut alarm = Alarm::new(scope.activator_for(builder.operator_info().address));
                builder.build(move |capabilities| {
                    move |_| {
                        let _alive = &capabilities;
                        counted.set(counted.get() + 1);
                        if counted.get() == 1 {
                            alarm.set(AN_HOUR);
                            let first = alarm.running;
                            (0..100).for_each(|_| alarm.set(AN_HOUR));
                            assert_eq!(alarm.running, first, "another timer");
                            alarm.set(Duration::from_millis(1));
                        }
                    }
                });
            });
            while runs.get() < 2 {
                worker.step_or_park(Some(Duration::from_millis(100)));
            }
            for dataflow in worker.installed_dataflows() {
                worker.drop_dataflow(dataflow);
            }
        });
    }
}
