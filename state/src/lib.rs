//! Sovereign state: what a team needs around Pulumi's state in its own bucket.
//!
//! - [`lock`]: who may change a stack now, and who is next. A lease in PostgreSQL, with a rising fencing number.
//! - [`audit`]: who changed what, when, from which version of the state to which. Rows chained by hashes.
//! - [`bucket`]: the S3 client they share.
//! - [`checkpoint`]: the versions of a stack's state in the bucket: read, compared, checked, restored, kept elsewhere.
//! - [`database`]: where lock and trail are kept, how it is prepared and reached.
//! - [`gateway`]: the S3 endpoint that a run's writes go through. It holds the bucket's key and the lease.
//!
//! Nothing here starts Pulumi or knows of Scaleway's API: the harness does.

pub mod audit;
pub mod bucket;
pub mod checkpoint;
pub mod database;
pub mod gateway;
pub mod lock;
