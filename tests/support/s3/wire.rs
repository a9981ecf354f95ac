//! The way between the clients and the server, with faults by script and by seed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, Response, Uri};
use s3s::service::S3Service;
use s3s::{Body, HttpError, HttpResponse};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// A put with `If-None-Match: *`.
    Create,
    /// A put without.
    Put,
    /// The begin of an upload in parts.
    BeginUpload,
    /// A part of one.
    Part,
    /// Its end.
    Complete,
    /// Its abort.
    Abort,
    /// A read of an object, or of a range.
    Get,
    /// A list of keys.
    List,
    /// A deletion of one or many.
    Delete,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused with this status, and has no effect.
    Refuse(u16),
    /// The connection is cut before it has an effect.
    Cut,
    /// It takes effect, and the connection is cut before the answer.
    LoseAnswer,
    /// It takes effect, and the answer never comes.
    Hang,
    /// It takes effect and is answered late.
    Slow,
}

/// The way to the server.
pub struct Wire {
    service: S3Service,
    plan: Mutex<Plan>,
    took_effect: Condvar,
    /// `s3s-fs` looks first and writes then: here nobody else does in between.
    creates: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Plan {
    /// For the next requests of an operation, in this order.
    script: Vec<(Operation, Fault)>,
    random: Option<Random>,
    ignores_conditions: bool,
    /// What happens between the effect of the next create and its answer, which says that it failed.
    meanwhile: Option<Meanwhile>,
    begun: BTreeMap<Operation, u64>,
    effects: BTreeMap<Operation, u64>,
    uploads: Traffic,
    most: Traffic,
}

type Meanwhile = Box<dyn FnOnce() + Send>;

/// Objects and parts that are on their way to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Traffic {
    requests: usize,
    bytes: usize,
}

struct Random {
    state: u64,
    percent: u64,
}

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn fault(&mut self) -> Option<Fault> {
        let faults = [
            Fault::Refuse(503),
            Fault::Refuse(500),
            // The client does not repeat what it sent wrongly.
            Fault::Refuse(400),
            Fault::Cut,
            Fault::LoseAnswer,
            Fault::Slow,
        ];
        let is_faulty = self.next(100) < self.percent;
        is_faulty.then(|| faults[self.next(faults.len() as u64) as usize])
    }
}

impl Wire {
    pub(super) fn new(service: S3Service) -> Self {
        Self {
            service,
            plan: Mutex::default(),
            took_effect: Condvar::new(),
            creates: tokio::sync::Mutex::new(()),
        }
    }

    /// Puts a fault behind those that the script has for this operation.
    pub fn next(&self, operation: Operation, fault: Fault) {
        self.plan().script.push((operation, fault));
    }

    /// From now on so many of 100 requests meet a fault, by this seed. Requests of different threads
    /// come in any order: a seed says how often and which, not where.
    pub fn fail_at_random(&self, seed: u64, percent: u64) {
        println!("faults by seed {seed}");
        self.plan().random = Some(Random {
            state: seed,
            percent,
        });
    }

    /// Plans no more faults.
    pub fn heal(&self) {
        let mut plan = self.plan();
        plan.random = None;
        plan.script.clear();
    }

    /// From now on the server is one that writes over what is there, whatever `If-None-Match` says.
    pub fn ignore_conditions(&self) {
        self.plan().ignores_conditions = true;
    }

    /// The next create takes effect and is answered with 500, and before that answer this happens.
    pub fn fail_the_next_create_behind(&self, meanwhile: impl FnOnce() + Send + 'static) {
        self.plan().meanwhile = Some(Box::new(meanwhile));
    }

    /// How many requests of this kind have begun.
    pub fn begun(&self, operation: Operation) -> u64 {
        self.plan().begun.get(&operation).copied().unwrap_or(0)
    }

    /// How many requests of each kind have begun.
    pub fn begun_of_each(&self) -> BTreeMap<Operation, u64> {
        self.plan().begun.clone()
    }

    /// Waits until so many requests of this kind have taken effect.
    pub fn wait_for_effects(&self, operation: Operation, count: u64) {
        let mut plan = self.plan();
        while plan.effects.get(&operation).copied().unwrap_or(0) < count {
            plan = self
                .took_effect
                .wait(plan)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The most requests and the most bytes of objects that were on their way to the server at a time.
    pub fn most_on_the_way(&self) -> (usize, usize) {
        let most = self.plan().most;
        (most.requests, most.bytes)
    }

    pub(super) async fn serve(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let operation = operation_of(&head.method, &head.uri, &head.headers);
        let (fault, _travelling) = self.begin(operation, &head.headers);
        let body: Bytes = body
            .collect()
            .await
            .map_err(|e| HttpError::new(Box::new(e)))?
            .to_bytes();
        match fault {
            Some(Fault::Refuse(status)) => return Ok(refusal(status)),
            Some(Fault::Cut) => return Err(cut()),
            Some(Fault::Slow) => tokio::time::sleep(Duration::from_millis(20)).await,
            Some(Fault::LoseAnswer | Fault::Hang) | None => {}
        }
        let response = {
            let _alone = match operation {
                Operation::Create => Some(self.creates.lock().await),
                _ => None,
            };
            let request = Request::from_parts(head, Body::from(body));
            self.service.call(request).await?
        };
        *self.plan().effects.entry(operation).or_default() += 1;
        self.took_effect.notify_all();
        let meanwhile = match operation {
            Operation::Create => self.plan().meanwhile.take(),
            _ => None,
        };
        if let Some(meanwhile) = meanwhile {
            // It may wait for other requests, which this thread serves.
            let _ = tokio::task::spawn_blocking(meanwhile).await;
            return Ok(refusal(500));
        }
        if self.plan().ignores_conditions && response.status() == 412 {
            return Ok(written_over());
        }
        match fault {
            Some(Fault::LoseAnswer) => Err(cut()),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Refuse(_) | Fault::Cut | Fault::Slow) | None => Ok(response),
        }
    }

    fn begin(&self, operation: Operation, headers: &HeaderMap) -> (Option<Fault>, Travelling<'_>) {
        let mut plan = self.plan();
        *plan.begun.entry(operation).or_default() += 1;
        let moves = match operation {
            Operation::Create | Operation::Put | Operation::Part => Traffic {
                requests: 1,
                bytes: content_length(headers),
            },
            _ => Traffic::default(),
        };
        plan.uploads.requests += moves.requests;
        plan.uploads.bytes += moves.bytes;
        plan.most.requests = plan.most.requests.max(plan.uploads.requests);
        plan.most.bytes = plan.most.bytes.max(plan.uploads.bytes);
        let scripted = plan.script.iter().position(|(of, _)| *of == operation);
        let fault = match scripted {
            Some(at) => Some(plan.script.remove(at).1),
            None => plan.random.as_mut().and_then(Random::fault),
        };
        let travelling = Travelling { wire: self, moves };
        (fault, travelling)
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

struct Travelling<'a> {
    wire: &'a Wire,
    moves: Traffic,
}

impl Drop for Travelling<'_> {
    fn drop(&mut self) {
        let mut plan = self.wire.plan();
        plan.uploads.requests -= self.moves.requests;
        plan.uploads.bytes -= self.moves.bytes;
    }
}

fn operation_of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Operation {
    let query = uri.query().unwrap_or_default();
    let has = |name: &str| {
        query
            .split('&')
            .any(|pair| pair.split('=').next() == Some(name))
    };
    match (method.as_str(), has("uploadId")) {
        ("PUT", true) => Operation::Part,
        ("POST", true) => Operation::Complete,
        ("DELETE", true) => Operation::Abort,
        ("POST", false) if has("uploads") => Operation::BeginUpload,
        ("PUT", false) if headers.contains_key("if-none-match") => Operation::Create,
        ("PUT", false) => Operation::Put,
        ("GET", _) if has("list-type") => Operation::List,
        ("GET" | "HEAD", _) => Operation::Get,
        _ => Operation::Delete,
    }
}

fn content_length(headers: &HeaderMap) -> usize {
    let value = headers.get("content-length");
    let len = value.and_then(|value| value.to_str().ok()?.parse().ok());
    len.unwrap_or(0)
}

fn refusal(status: u16) -> HttpResponse {
    let code = match status {
        501 => "NotImplemented",
        503 => "SlowDown",
        400 => "RequestTimeout",
        403 => "AccessDenied",
        409 => "ConditionalRequestConflict",
        _ => "InternalError",
    };
    let document =
        format!("<Error><Code>{code}</Code><Message>a fault of the test</Message></Error>");
    Response::builder()
        .status(status)
        .body(Body::from(document))
        .expect("a status of the test")
}

/// What a server says that does not know the condition.
fn written_over() -> HttpResponse {
    Response::builder()
        .header("etag", "\"another\"")
        .body(Body::empty())
        .expect("an answer of the test")
}

fn cut() -> HttpError {
    HttpError::new("the connection is cut".into())
}
