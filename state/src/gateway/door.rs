//! Through here every request goes: who sent it, what it is, whether it may, and what became of it.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use time::OffsetDateTime;
use tokio::{sync::Mutex, sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Failing, Superseded,
    asked::{Asked, Operation},
    fence::{Fence, Sent},
    log::{Book, Record},
    permission::{Lost, Permission, held, while_held},
    refusal::{Refusal, document, escaped},
    server::Answer,
    signature,
};
use crate::{
    bucket::{Ask, Bucket, ETag, Error, Key},
    checkpoint::{Part, Stack},
};

/// The largest content of one request that is taken, in MiB: it is kept in memory until it is known to be what
/// was signed, and the lease to be held. Pulumi sends what is larger than 5 MiB in parts.
const MOST: usize = 64;

/// How long the bucket may take to begin its answer to a read.
const READ_WITHIN: Duration = Duration::from_secs(120);

/// How long the bucket may take for its whole answer to a write. Pulumi tries again.
const WRITTEN_WITHIN: Duration = Duration::from_secs(120);

/// How long the client may take to send a content.
const CONTENT_WITHIN: Duration = Duration::from_secs(120);

/// How often a write of a checkpoint is sent: once more when it turned out that an earlier one did arrive.
const TRIES: usize = 2;

pub(super) struct Door {
    pub(super) bucket: Bucket,
    pub(super) key: Key,
    pub(super) stacks: Vec<Stack>,
    pub(super) permission: Arc<dyn Permission>,
    pub(super) fence: Mutex<Fence>,
    pub(super) superseded: watch::Sender<Option<Superseded>>,
    pub(super) failing: watch::Sender<Option<Failing>>,
    /// The lock file that the run's Pulumi has put there and not taken away again.
    pub(super) lock_file: watch::Sender<Option<Uuid>>,
    pub(super) book: Arc<Book>,
    pub(super) stop: CancellationToken,
}

/// A whole answer of the bucket.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    fn etag(&self, operation: Operation) -> Option<ETag> {
        if operation == Operation::CompleteMultipartUpload {
            let text = std::str::from_utf8(&self.body).ok()?;
            let document = crate::bucket::parse(text).ok()?;
            let etag = crate::bucket::child(document.root_element(), "ETag");
            return (!etag.is_empty()).then(|| ETag::new(etag));
        }
        signature::header(&self.headers, "etag").map(ETag::new)
    }

    /// Whether it was done. A completion or copy may fail after its head was sent.
    fn is_done(&self) -> bool {
        let text = std::str::from_utf8(&self.body).unwrap_or_default();
        let error =
            crate::bucket::parse(text).is_ok_and(|document| document.root_element().tag_name().name() == "Error");
        self.status.is_success() && !error
    }

    fn answer(self) -> Answer {
        let mut response = Response::new(Full::new(self.body).map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// Writes a request down when its answer is through, or given up.
struct Tally {
    record: Option<Record>,
    book: Arc<Book>,
}

impl Drop for Tally {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            self.book.write(record);
        }
    }
}

impl Door {
    /// Answers a request.
    pub(super) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let begun = Instant::now();
        let mut record = Record {
            at: OffsetDateTime::now_utc(),
            method: request.method().to_string(),
            operation: "unknown",
            key: String::new(),
            status: 0,
            refused: None,
            write: false,
            condition: None,
            received: 0,
            answered: 0,
            took: Duration::ZERO,
        };
        let outcome = self.pass(request, &mut record).await;
        record.took = begun.elapsed();
        let answer = outcome.unwrap_or_else(|refusal| {
            if let Refusal::Superseded(key) = &refusal {
                self.superseded(key);
            }
            record.refused = Some(refusal.name());
            tracing::info!(operation = record.operation, key = record.key, %refusal, "not let through");
            refusal.answer()
        });
        record.status = answer.status().as_u16();
        self.note_lock_file(&record, answer.status());
        tracing::debug!(
            operation = record.operation,
            key = record.key,
            status = record.status,
            received = record.received,
            took = ?record.took,
            "state gateway"
        );
        let mut tally = Tally { record: Some(record), book: Arc::clone(&self.book) };
        answer.map(|body| {
            let counted = body.map_frame(move |frame| {
                if let (Some(bytes), Some(record)) = (frame.data_ref(), &mut tally.record) {
                    record.answered += bytes.len() as u64;
                }
                frame
            });
            counted.boxed_unsync()
        })
    }

    fn note_lock_file(&self, record: &Record, status: StatusCode) {
        let file = record.key.strip_prefix(".pulumi/locks/").and_then(|rest| rest.rsplit('/').next());
        let Some(file) = file.and_then(|file| file.strip_suffix(".json")?.parse().ok()) else { return };
        if record.refused.is_some() || !status.is_success() {
            return;
        }
        let operation = |is: Operation| record.operation == is.name();
        if operation(Operation::PutObject) {
            self.lock_file.send_replace(Some(file));
        } else if operation(Operation::DeleteObject) {
            self.lock_file.send_if_modified(|known| known.take_if(|known| *known == file).is_some());
        }
    }

    fn superseded(&self, key: &str) {
        self.superseded.send_if_modified(|known| {
            let first = known.is_none();
            if first {
                tracing::warn!(key, "somebody else changed the state during this run: it does not write any more");
                *known = Some(Superseded { key: key.to_owned(), seen: OffsetDateTime::now_utc() });
            }
            first
        });
    }

    async fn pass(&self, request: Request<Incoming>, record: &mut Record) -> Result<Answer, Refusal> {
        let (parts, body) = request.into_parts();
        let signed = signature::check(&self.key, &parts)?;
        let asked = Asked::read(&parts, &self.bucket)?;
        (record.operation, record.write) = (asked.operation.name(), asked.operation.writes());
        record.key.clone_from(&asked.key);
        let part = self.stacks.iter().find_map(|stack| stack.part(&asked.key));
        if asked.operation.writes() {
            self.may_write(&asked, part)?;
        }
        let body = whole(body).await?;
        record.received = body.len() as u64;
        let (content, trailers) = signed.content(&self.key, body)?;
        let ask = asked.forwarded(&parts, &self.bucket, content, trailers)?;
        let fenced = part == Some(Part::Checkpoint);
        match asked.operation {
            Operation::GetObject | Operation::HeadObject if fenced && !names_version(&parts) => {
                let mut fence = self.fence.lock().await;
                let response = self.read(&ask).await?;
                let seen = match response.status() {
                    StatusCode::NOT_FOUND => Some(None),
                    status if status.is_success() => Some(signature::header(response.headers(), "etag").map(ETag::new)),
                    _ => None,
                };
                // Reading is free, also of what somebody else wrote.
                if let Some(etag) = seen
                    && let Err(Refusal::Superseded(key)) = fence.saw(&self.bucket, &asked.key, etag.as_ref()).await
                {
                    self.superseded(&key);
                }
                Ok(streamed(response))
            }
            operation if !operation.writes() => Ok(streamed(self.read(&ask).await?)),
            Operation::PutObject | Operation::CompleteMultipartUpload if fenced => {
                self.write_checkpoint(&asked, &ask, record).await
            }
            Operation::DeleteObject if fenced => self.delete_checkpoint(&asked, &ask, record).await,
            Operation::CopyObject if fenced => Err(Refusal::NotForwarded("a copy onto a checkpoint".to_owned())),
            _ => match while_held(&*self.permission, self.exchange(&ask)).await {
                Ok(reply) => Ok(reply?.answer()),
                Err(Lost) => Err(Refusal::LeaseLost),
            },
        }
    }

    /// Whether a write may be begun at all.
    fn may_write(&self, asked: &Asked, part: Option<Part>) -> Result<(), Refusal> {
        if part.is_none() && asked.key != ".pulumi/meta.yaml" {
            let held = self.stacks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(Refusal::OutsideStack { held, key: asked.key.clone() });
        }
        self.still_ours()
    }

    /// Whether this run may write now.
    fn still_ours(&self) -> Result<(), Refusal> {
        if let Some(superseded) = &*self.superseded.borrow() {
            return Err(Refusal::Superseded(superseded.key.clone()));
        }
        if held(&*self.permission) { Ok(()) } else { Err(Refusal::LeaseLost) }
    }

    async fn read(&self, ask: &Ask) -> Result<reqwest::Response, Refusal> {
        let answer = tokio::time::timeout(READ_WITHIN, self.bucket.send(ask, None));
        tokio::select! {
            () = self.stop.cancelled() => Err(Refusal::Unreachable("this run has ended".to_owned())),
            answer = answer => match answer {
                Ok(answer) => answer.map_err(|error| Refusal::Unreachable(error.to_string())),
                Err(_) => Err(Refusal::Unreachable(format!("the bucket did not answer within {} s", READ_WITHIN.as_secs()))),
            }
        }
    }

    /// Sends a request and takes the whole answer: those to writes are small.
    async fn exchange(&self, ask: &Ask) -> Result<Reply, Refusal> {
        let unreachable = |error: Error| Refusal::Unreachable(error.to_string());
        let response = self.bucket.send(ask, Some(WRITTEN_WITHIN)).await.map_err(unreachable)?;
        let (status, headers) = (response.status(), passed(response.headers()));
        let body = response
            .bytes()
            .await
            .map_err(|error| Refusal::Unreachable(format!("the bucket's answer broke off: {}", error.without_url())))?;
        Ok(Reply { status, headers, body })
    }

    /// Writes a checkpoint, and notes whether the bucket takes them.
    async fn write_checkpoint(&self, asked: &Asked, ask: &Ask, record: &mut Record) -> Result<Answer, Refusal> {
        let written = self.write_if_ours(asked, ask, record).await;
        let failed = match &written {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some((answer.status().to_string(), matches!(answer.status().as_u16(), 401 | 403))),
            Err(Refusal::Unreachable(why)) => Some((why.clone(), false)),
            // That is no matter of the bucket's.
            Err(_) => return written,
        };
        self.failing.send_if_modified(|known| match failed {
            None => known.take().is_some(),
            Some((why, for_good)) if known.as_ref().is_none_or(|known| for_good && !known.for_good) => {
                *known = Some(Failing { since: std::time::Instant::now(), why, for_good });
                true
            }
            Some(_) => false,
        });
        written
    }

    /// Writes a checkpoint, if it is still what this run knows it to be.
    async fn write_if_ours(&self, asked: &Asked, ask: &Ask, record: &mut Record) -> Result<Answer, Refusal> {
        let sent = match asked.operation {
            Operation::CompleteMultipartUpload => Sent::parts(&ask.body),
            _ => Some(Sent::content(&ask.body)),
        };
        let sent = sent.ok_or_else(|| Refusal::NotUnderstood("it does not list its parts".to_owned()))?;
        let mut fence = self.fence.lock().await;
        for _ in 0..TRIES {
            self.still_ours()?;
            let condition = fence.condition(&asked.key);
            record.condition = condition.header().map(|(name, _)| name);
            let conditional = ask.clone().when(&condition);
            let reply = match while_held(&*self.permission, self.exchange(&conditional)).await {
                Err(Lost) => {
                    fence.unsure(&asked.key, sent);
                    return Err(Refusal::LeaseLost);
                }
                Ok(Err(refusal)) => {
                    fence.unsure(&asked.key, sent);
                    return Err(refusal);
                }
                Ok(Ok(reply)) => reply,
            };
            if reply.is_done() {
                let etag = match reply.etag(asked.operation) {
                    Some(etag) => Some(etag),
                    None => {
                        fence.unsure(&asked.key, sent);
                        fence.look(&self.bucket, &asked.key).await?;
                        fence.known(&asked.key).cloned()
                    }
                };
                fence.wrote(&asked.key, etag);
                return Ok(reply.answer());
            }
            let changed = reply.status == StatusCode::PRECONDITION_FAILED || reply.status == StatusCode::NOT_FOUND;
            if !changed {
                if reply.status.is_server_error() || reply.status.is_success() {
                    fence.unsure(&asked.key, sent);
                }
                return Ok(reply.answer());
            }
            // Either somebody else wrote, or an answer to an earlier write of this run was lost.
            match fence.look(&self.bucket, &asked.key).await? {
                Some(arrived) if arrived == sent => return Ok(self.written(asked, fence.known(&asked.key))),
                None if reply.status == StatusCode::NOT_FOUND => return Ok(reply.answer()),
                _ => {}
            }
        }
        Err(Refusal::Unreachable("the bucket refuses to replace what it says is there".to_owned()))
    }

    /// The answer to a write that arrived when it was sent before.
    fn written(&self, asked: &Asked, etag: Option<&ETag>) -> Answer {
        let etag = etag.map(ETag::quoted).unwrap_or_default();
        let body = match asked.operation {
            Operation::CompleteMultipartUpload => format!(
                "<CompleteMultipartUploadResult><Bucket>{}</Bucket><Key>{}</Key><ETag>{}</ETag></CompleteMultipartUploadResult>",
                escaped(self.bucket.name()),
                escaped(&format!("{}{}", self.bucket.prefix(), asked.key)),
                escaped(&etag),
            ),
            _ => String::new(),
        };
        let mut answer = document(StatusCode::OK, body);
        if let Ok(value) = HeaderValue::from_str(&etag) {
            answer.headers_mut().insert(header::ETAG, value);
        }
        answer
    }

    /// Deletes a checkpoint, if it is still what this run knows it to be. S3 servers do not agree on conditions of
    /// deletions, so it is looked at just before; a bucket with versioning can bring it back.
    async fn delete_checkpoint(&self, asked: &Asked, ask: &Ask, record: &mut Record) -> Result<Answer, Refusal> {
        let mut fence = self.fence.lock().await;
        let seen = self.bucket.head(&asked.key).await.map_err(|error| Refusal::Unreachable(error.to_string()))?;
        fence.saw(&self.bucket, &asked.key, seen.map(|head| head.etag).as_ref()).await?;
        self.still_ours()?;
        record.condition = Some("looked at before");
        match while_held(&*self.permission, self.exchange(ask)).await {
            Ok(Ok(reply)) => {
                if reply.status.is_success() || reply.status == StatusCode::NOT_FOUND {
                    fence.wrote(&asked.key, None);
                } else if reply.status.is_server_error() {
                    fence.unsure(&asked.key, Sent::Nothing);
                }
                Ok(reply.answer())
            }
            Ok(Err(refusal)) => {
                fence.unsure(&asked.key, Sent::Nothing);
                Err(refusal)
            }
            Err(Lost) => {
                fence.unsure(&asked.key, Sent::Nothing);
                Err(Refusal::LeaseLost)
            }
        }
    }
}

fn names_version(parts: &Parts) -> bool {
    parts.uri.query().unwrap_or_default().split('&').any(|pair| pair.starts_with("versionId="))
}

/// The whole content of a request.
async fn whole(body: Incoming) -> Result<Bytes, Refusal> {
    let collected = tokio::time::timeout(CONTENT_WITHIN, async {
        let mut body = std::pin::pin!(Limited::new(body, MOST << 20));
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                if error.is::<http_body_util::LengthLimitError>() {
                    Refusal::TooLarge(MOST)
                } else {
                    Refusal::NotUnderstood(format!("its content broke off: {error}"))
                }
            })?;
            if let Some(bytes) = frame.data_ref() {
                whole.extend_from_slice(bytes);
            }
        }
        Ok(whole.freeze())
    });
    collected.await.unwrap_or_else(|_| Err(Refusal::NotUnderstood("its content did not come".to_owned())))
}

/// The headers of an answer that are not about the connection it came on.
fn passed(headers: &HeaderMap) -> HeaderMap {
    let of_connection = [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::TRAILER];
    let mut kept = headers.clone();
    for name in of_connection {
        kept.remove(name);
    }
    kept.remove("keep-alive");
    kept
}

/// An answer that is passed on as it comes.
fn streamed(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status(), passed(response.headers()));
    let body = StreamBody::new(response.bytes_stream().map_ok(Frame::data));
    let mut answer = Response::new(http_body_util::BodyExt::boxed_unsync(body));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
}
