//! Who may change a stack now, and who is next: a lease in PostgreSQL.
//!
//! ```no_run
//! # use stackproof_state::{database::{Database, Trust}, lock::{Lock, Owner, StackKey, Wait}};
//! # async fn example(owner: Owner) -> Result<(), Box<dyn std::error::Error>> {
//! let database = Database::new("postgres://deployer@db.example.com/locks", None, Trust::System)?;
//! let stack = StackKey::new("s3://state?endpoint=s3.fr-par.scw.cloud", "shop", "prod")?;
//! let lock = Lock::new(&database, stack);
//! let lease = lock.acquire(owner, Wait::No, None, |place| eprintln!("{} in the queue", place.position)).await?;
//! for left in lease.abandoned() {
//!     // Remove the lock file `left.grant.lock_file`, stamp the checkpoint, look for pending operations; then:
//!     lease.clean(left.grant.fence).await?;
//! }
//! let guard = lease.guard(); // for the gateway: `guard.is_valid()` before each write
//! lease.release().await?;
//! # drop(guard); Ok(()) }
//! ```
//!
//! It rests on a database that keeps what it has committed. One that fails over to a standby that lacks the last commits
//! may give a fencing number twice: then only the bucket, whose checkpoint was stamped, still refuses the older holder.
//! Whoever may deploy may also break leases and give a wrong name; the audit trail records the database's user as well.
//!
//! - [`protocol`] is the whole of it without a database: what each step does. [`record`] has its values.
//! - [`Lock`] asks, [`Lease`] is what one gets, [`Guard`] is what the gateway looks at, [`Refused`] is why not.

mod client;
mod key;
mod lease;
mod postgres;
pub mod protocol;
pub mod record;
mod refused;

pub use client::{Hold, Lock, Place, Timing, Wait};
pub use key::{KeyError, StackKey, canonical_backend};
pub use lease::{Guard, Lease, LeaseError};
pub use record::{Abandoned, Grant, Kind, Owner, Status};
pub use refused::{Held, Refused};
