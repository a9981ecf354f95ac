//! The parent's end of a process that a user has started: it gets signals, and says what it does on standard error.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use crate::gate::{Ending, Said, Trap};
use crate::life::Life;
use crate::parent::{PATIENCE, Start, listen};

/// How such a process has ended.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) status: ExitStatus,
    /// What it said of its run, if that did not fail.
    pub(crate) ending: Option<Ending>,
    /// All of standard error.
    pub(crate) log: String,
}

/// Such a process.
#[derive(Debug)]
pub(crate) struct Terminal {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    log: String,
}

/// A signal by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Int,
    Term,
}

impl Signal {
    pub(crate) const fn number(self) -> i32 {
        match self {
            Self::Int => 2,
            Self::Term => 15,
        }
    }
}

impl Terminal {
    /// Sends a signal.
    pub(crate) fn send(&self, signal: Signal) {
        let script = format!("kill -{} {}", signal.number(), self.child.id());
        let sent = Command::new("sh").args(["-c", &script]).status();
        assert!(
            sent.expect("there is a shell").success(),
            "{signal:?} could not be sent"
        );
    }

    /// Waits until it says this.
    pub(crate) fn hear(&mut self, text: &str) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|e| panic!("nobody said `{text}` ({e}): {}", self.log));
            self.log.push_str(&line);
            self.log.push('\n');
            if line.contains(text) {
                return;
            }
        }
    }

    /// Answers what it has asked.
    pub(crate) fn answer(&mut self, answer: &str) {
        writeln!(self.stdin, "{answer}").expect("it waits for an answer");
    }
}

impl Start {
    /// Lets a process live to its exit; whoever attends to it answers what it asks.
    ///
    /// # Panics
    ///
    /// If it hangs.
    pub(crate) fn live_at_terminal(
        &self,
        life: &Life,
        mut attend: impl FnMut(&mut Terminal, &Trap),
    ) -> Exit {
        let mut command = self.command(life);
        let command = command.env_remove("RUST_LOG").stderr(Stdio::piped());
        let mut child = command.spawn().expect("a child can be started");
        let said = listen(&mut child);
        let stderr = child.stderr.take().expect("it was asked for");
        let (sender, lines) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(stderr).lines().map_while(Result::ok);
            lines.for_each(|line| drop(sender.send(line)));
        });
        let mut terminal = Terminal {
            stdin: child.stdin.take().expect("it was asked for"),
            child,
            lines,
            log: String::new(),
        };
        let mut ending = None;
        loop {
            match said.recv_timeout(PATIENCE) {
                Ok(Said::Asks(trap)) => attend(&mut terminal, &trap),
                Ok(Said::Ended(said)) => ending = Some(said),
                Ok(Said::Passes) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = terminal.child.kill();
                    panic!("a child hangs: {life:?}\n{}", terminal.log)
                }
            }
        }
        let status = terminal.child.wait().expect("it was started here");
        let Terminal { lines, mut log, .. } = terminal;
        for line in lines {
            log.push_str(&line);
            log.push('\n');
        }
        Exit {
            status,
            ending,
            log,
        }
    }
}
