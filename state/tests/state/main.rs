//! State in buckets: the local cloud's, and MinIO's where there is one.

mod bucket;
mod checkpoint;
mod fencing;
mod fixture;
mod gateway;
mod pulumi;
