//! An S3 server in the test's own process, with faults on the way to it.
//!
//! The server is `s3s-fs`, on a port that the system chooses. Between its socket and the service stands
//! the [`Wire`], which refuses requests, loses answers and hangs as it was told to.

mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use flowdsl::CheckpointLocation;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

pub use wire::{Fault, Operation, Wire};

/// The bucket that is there.
pub const BUCKET: &str = "bucket";
/// The key that is let in.
pub const ACCESS_KEY: &str = "AKIAFLOWDSL";
/// What it signs with; it may never be shown.
pub const SECRET_KEY: &str = "very-secret-key";

/// A running server; it ends when dropped.
#[derive(Debug)]
pub struct S3 {
    address: SocketAddr,
    root: TempDir,
    wire: Arc<Wire>,
    /// Always there until the drop.
    runtime: Option<Runtime>,
}

impl S3 {
    /// Starts a server with an empty bucket.
    ///
    /// # Panics
    ///
    /// If this machine gives neither a port nor a directory.
    pub fn start() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(root.path().join(BUCKET)).expect("a bucket is a directory");
        let files = s3s_fs::FileSystem::new(root.path()).expect("the directory is there");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let wire = Arc::new(Wire::new(service.build()));
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("threads");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port of the system's choice");
        let address = listener.local_addr().expect("it is bound");
        runtime.spawn(accept(listener, Arc::clone(&wire)));
        Self {
            address,
            root,
            wire,
            runtime: Some(runtime),
        }
    }

    /// What stands between the clients and the server.
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Where the server is.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A place in the bucket.
    pub fn location(&self, prefix: &str) -> CheckpointLocation {
        CheckpointLocation::from(format!("s3://{BUCKET}/{prefix}"))
            .with("aws_endpoint", self.endpoint())
            .with("aws_allow_http", "true")
            .with("aws_region", "us-east-1")
            .with("aws_access_key_id", ACCESS_KEY)
            .with("aws_secret_access_key", SECRET_KEY)
    }

    /// The parts of uploads that were neither completed nor aborted.
    ///
    /// # Panics
    ///
    /// If the directory cannot be read.
    pub fn unfinished_parts(&self) -> usize {
        std::fs::read_dir(self.root.path())
            .expect("the directory is there")
            .filter_map(Result::ok)
            .filter(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with(".upload") && name.contains("part")
            })
            .count()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, wire: Arc<Wire>) {
    while let Ok((socket, _)) = listener.accept().await {
        // Or answers in two packets wait for an acknowledgement that the client delays by 40 ms.
        let _ = socket.set_nodelay(true);
        let wire = Arc::clone(&wire);
        tokio::spawn(async move {
            let serve = service_fn(|request| Arc::clone(&wire).serve(request));
            // A connection ends with an error where the wire was told to cut it.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(socket), serve)
                .await;
        });
    }
}
