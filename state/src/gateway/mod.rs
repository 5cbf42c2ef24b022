//! The S3 endpoint that a run's writes go through.
