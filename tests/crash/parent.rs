//! The parent's end of a child: starts it, answers it, kills it.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::child::{LIFE, TEST};
use crate::gate::{Answer, Ending, FAIL, GO_ON, SAYS, STOP, Said, Trap};
use crate::life::Life;

/// How long a child may say nothing before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

const SIGKILL: i32 = 9;

/// How a life has ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Killed,
    /// By itself.
    Alone(Box<Ending>),
}

/// How children are started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start {
    /// A program that starts the child, with its arguments.
    pub(crate) through: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
}

impl Start {
    pub(crate) fn command(&self, life: &Life) -> Command {
        let exe = env::current_exe().expect("this test is a program");
        let mut command = match self.through.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(exe);
                command
            }
            None => Command::new(exe),
        };
        let life = serde_json::to_string(life).expect("a life has a form in JSON");
        command
            .args(["--exact", TEST, "--nocapture"])
            .envs(self.environment.iter().cloned())
            .env(LIFE, life)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        command
    }

    /// Lets a child live, and answers what it asks.
    ///
    /// # Panics
    ///
    /// If it hangs, or ends neither as it was told to nor with an ending.
    pub(crate) fn live(&self, life: &Life, answer: impl FnMut(&Child, &Trap) -> Answer) -> Ended {
        let log = tempfile::tempfile().expect("a temporary file");
        let stderr = log.try_clone().expect("a second handle of a file");
        let mut child = self
            .command(life)
            .stderr(stderr)
            .spawn()
            .expect("a child can be started");
        let said = listen(&mut child);
        let attended = attend(&mut child, life, &said, answer);
        // One that has hung up, or hangs.
        let _ = child.kill();
        let status = child.wait().expect("it was started here");
        match attended {
            Some(Ended::Killed) if status.signal() == Some(SIGKILL) => Ended::Killed,
            Some(Ended::Alone(ending)) => Ended::Alone(ending),
            _ => panic!("a child ended with {status}: {life:?}\n{}", text_of(log)),
        }
    }
}

/// Hands over what a child says, until it is gone.
pub(crate) fn listen(child: &mut Child) -> Receiver<Said> {
    let stdout = child.stdout.take().expect("it was asked for");
    let (sender, said) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // What the test harness says may stand in front.
            if let Some((_, said)) = line.split_once(SAYS) {
                let said = serde_json::from_str(said).expect("a child keeps the protocol");
                if sender.send(said).is_err() {
                    break;
                }
            }
        }
    });
    said
}

/// Answers a child until it has ended or has to be killed; `None` if it hangs or goes without a word.
fn attend(
    child: &mut Child,
    life: &Life,
    said: &Receiver<Said>,
    mut answer: impl FnMut(&Child, &Trap) -> Answer,
) -> Option<Ended> {
    let mut stdin = child.stdin.take().expect("it was asked for");
    let mut passed = 0;
    loop {
        match said.recv_timeout(PATIENCE).ok()? {
            Said::Ended(ending) => return Some(Ended::Alone(Box::new(ending))),
            Said::Passes => {
                passed += 1;
                if life.plan.killed_behind == Some(passed) {
                    let _ = child.kill();
                    return Some(Ended::Killed);
                }
            }
            Said::Asks(trap) => {
                let answer = match answer(child, &trap) {
                    Answer::Kill => {
                        let _ = child.kill();
                        return Some(Ended::Killed);
                    }
                    Answer::GoOn => GO_ON,
                    Answer::Stop => STOP,
                    Answer::Fail => FAIL,
                };
                writeln!(stdin, "{answer}").ok()?;
            }
        }
    }
}

fn text_of(mut log: File) -> String {
    let mut text = String::new();
    let read = log.rewind().and_then(|()| log.read_to_string(&mut text));
    read.map_or_else(|e| format!("its log cannot be read: {e}"), |_| text)
}
