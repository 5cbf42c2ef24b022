//! Uploads of blobs: whole, in chunks that can be resumed, or by mounting what another repository has.
//!
//! Each chunk is kept as it comes, so an upload survives a restart of the cloud.

use axum::body::Body;
use futures::StreamExt as _;
use http::{HeaderName, Response, StatusCode, header};
use oci_spec::distribution::ErrorCode;

use super::{
    access,
    door::{DIGEST, Visit, answer},
    path,
    records::{self, BLOB, Blob, UPLOAD, Upload},
    refusal::{Answered, Refused, invalid, refuse, unknown},
};
use crate::kernel::{Access, BlobWriter, Record};

/// What an upload is called in answers.
const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// `POST …/blobs/uploads/`: mounts, takes a blob whole, or begins an upload.
pub(super) async fn begin(visit: &Visit<'_>, body: Body) -> Answered<Response<Body>> {
    if let Some(digest) = visit.query("mount") {
        let digest = path::digest(digest)?;
        if mount(visit, &digest)? {
            return Ok(made(visit, &digest));
        }
    } else if let Some(digest) = visit.query("digest") {
        let digest = path::digest(digest)?;
        let (blob, broken) = take(visit, body).await?;
        if broken {
            return Err(invalid(ErrorCode::SizeInvalid, "the blob ended early; send it again"));
        }
        return keep(visit, None, &digest, blob);
    }
    let id = visit.registry.store.write::<_, Refused>(|tx| {
        visit.repository.still_there(tx.tables())?;
        let id = tx.ids().uuid();
        tx.put(UPLOAD, &visit.repository.key(&id), Record::of(&Upload::default()));
        Ok(id)
    })?;
    Ok(told(visit, StatusCode::ACCEPTED, &id, &Upload::default()))
}

/// `GET` of an upload: how far it is.
pub(super) fn status(visit: &Visit<'_>, id: &str) -> Answered<Response<Body>> {
    Ok(told(visit, StatusCode::NO_CONTENT, id, &find(visit, id)?))
}

/// `PATCH` of an upload: the next chunk. What came of a chunk that broke off is kept.
pub(super) async fn append(visit: &Visit<'_>, id: &str, body: Body) -> Answered<Response<Body>> {
    let upload = find(visit, id)?;
    let expected = in_order(visit, id, &upload)?;
    let (blob, broken) = take(visit, body).await?;
    let length = blob.size;
    let mut grown = upload.clone();
    if length > 0 {
        grown.pieces.push(blob);
        visit.registry.store.write::<_, Refused>(|tx| {
            visit.repository.still_there(tx.tables())?;
            let key = visit.repository.key(id);
            let now: Upload = records::read(tx.tables(), UPLOAD, &key).ok_or_else(|| gone(id))?;
            if now.size() != upload.size() {
                return Err(out_of_order(visit, id, &now));
            }
            tx.put(UPLOAD, &key, Record::of(&grown));
            Ok(())
        })?;
    }
    if broken || expected.is_some_and(|expected| expected != length) {
        let message = "the chunk ended early; ask the upload how far it is, and go on from there";
        return Err(invalid(ErrorCode::SizeInvalid, message));
    }
    Ok(told(visit, StatusCode::ACCEPTED, id, &grown))
}

/// `PUT` of an upload: perhaps a last chunk, and then the digest of all.
pub(super) async fn finish(visit: &Visit<'_>, id: &str, body: Body) -> Answered<Response<Body>> {
    let upload = find(visit, id)?;
    let Some(digest) = visit.query("digest") else {
        return Err(invalid(ErrorCode::DigestInvalid, "finishing an upload needs the digest of the blob"));
    };
    let digest = path::digest(digest)?;
    let expected = in_order(visit, id, &upload)?;
    let (last, broken) = take(visit, body).await?;
    if broken || expected.is_some_and(|expected| expected != last.size) {
        return Err(invalid(ErrorCode::SizeInvalid, "the last chunk ended early; send it again"));
    }
    let before = upload.size();
    let mut pieces = upload.pieces;
    if last.size > 0 || pieces.is_empty() {
        pieces.push(last);
    }
    let whole = join(visit, pieces).await?;
    keep(visit, Some((id, before)), &digest, whole)
}

/// `DELETE` of an upload: gives it up.
pub(super) fn cancel(visit: &Visit<'_>, id: &str) -> Answered<Response<Body>> {
    find(visit, id)?;
    visit.registry.store.write::<_, Refused>(|tx| {
        tx.remove(UPLOAD, &visit.repository.key(id));
        Ok(())
    })?;
    Ok(answer(StatusCode::NO_CONTENT, [], Body::empty()))
}

/// Gives the repository a blob that another one has, if there is one from which the visitor may pull.
fn mount(visit: &Visit<'_>, digest: &str) -> Answered<bool> {
    let Some(from) = visit.query("from") else { return Ok(false) };
    let Ok(from) = path::repository(from) else { return Ok(false) };
    visit.registry.store.write(|tx| {
        visit.repository.still_there(tx.tables())?;
        let source = access::enter(visit.registry, tx.tables(), visit.region, &from, &visit.visitor, Access::Read);
        let blob = source.ok().and_then(|source| records::read::<Blob>(tx.tables(), BLOB, &source.key(digest)));
        let Some(blob) = blob else { return Ok(false) };
        tx.put(BLOB, &visit.repository.key(digest), Record::of(&blob));
        Ok(true)
    })
}

fn find(visit: &Visit<'_>, id: &str) -> Answered<Upload> {
    let key = visit.repository.key(id);
    visit.registry.store.read(|tables| records::read(tables, UPLOAD, &key)).ok_or_else(|| gone(id))
}

fn gone(id: &str) -> Refused {
    unknown(ErrorCode::BlobUploadUnknown, format!("there is no upload {id}: it was finished or given up"))
}

/// Refuses a chunk that does not begin where the upload ends. Returns how long it says it is.
fn in_order(visit: &Visit<'_>, id: &str, upload: &Upload) -> Answered<Option<u64>> {
    let Some(range) = visit.header(header::CONTENT_RANGE) else { return Ok(None) };
    let bounds = range.trim_start_matches("bytes ").split_once('-');
    let bounds = bounds
        .and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.split('/').next()?.parse::<u64>().ok()?)));
    match bounds {
        Some((first, last)) if last >= first && first == upload.size() => Ok((last - first).checked_add(1)),
        Some((first, last)) if last >= first => Err(out_of_order(visit, id, upload)),
        _ => Err(invalid(ErrorCode::BlobUploadInvalid, format!("{range} is not a range of bytes such as 0-1023"))),
    }
}

fn out_of_order(visit: &Visit<'_>, id: &str, upload: &Upload) -> Refused {
    let message = format!("the chunk does not begin at {}, where the upload ends", upload.size());
    refuse(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::BlobUploadInvalid, message)
        .with(header::RANGE, so_far(upload))
        .with(header::LOCATION, location(visit, id))
        .with(UPLOAD_ID, id)
}

/// Takes in the bytes of a request. The second value tells whether they broke off.
async fn take(visit: &Visit<'_>, body: Body) -> Answered<(Blob, bool)> {
    let mut writer = visit.registry.blobs.writer()?;
    let mut bytes = body.into_data_stream();
    while let Some(chunk) = bytes.next().await {
        let Ok(chunk) = chunk else { return Ok((done(writer)?, true)) };
        writer.write(&chunk)?;
    }
    Ok((done(writer)?, false))
}

fn done(writer: BlobWriter) -> Answered<Blob> {
    let (content, size) = writer.finish()?;
    Ok(Blob { content, size })
}

/// One blob of several: a single one is the whole already.
async fn join(visit: &Visit<'_>, pieces: Vec<Blob>) -> Answered<Blob> {
    if let [whole] = pieces.as_slice() {
        return Ok(whole.clone());
    }
    let mut writer = visit.registry.blobs.writer()?;
    for piece in &pieces {
        let mut bytes = visit.registry.blobs.read(&piece.content, 0..piece.size).await?;
        while let Some(chunk) = bytes.next().await {
            writer.write(&chunk.map_err(|error| Refused::failed(&error))?)?;
        }
    }
    done(writer)
}

/// Keeps a blob under its digest, in the place of the upload it came by.
fn keep(visit: &Visit<'_>, upload: Option<(&str, u64)>, digest: &str, blob: Blob) -> Answered<Response<Body>> {
    let computed = format!("sha256:{}", blob.content.as_str());
    visit.registry.store.write::<_, Refused>(|tx| {
        visit.repository.still_there(tx.tables())?;
        if let Some((id, size)) = upload {
            let key = visit.repository.key(id);
            let now: Upload = records::read(tx.tables(), UPLOAD, &key).ok_or_else(|| gone(id))?;
            if now.size() != size {
                return Err(out_of_order(visit, id, &now));
            }
            tx.remove(UPLOAD, &key);
        }
        if computed == digest {
            tx.put(BLOB, &visit.repository.key(digest), Record::of(&blob));
        }
        Ok(())
    })?;
    if computed != digest {
        let message = format!("the bytes sent have the digest {computed}, not {digest}; upload the blob again");
        return Err(invalid(ErrorCode::DigestInvalid, message));
    }
    Ok(made(visit, digest))
}

fn made(visit: &Visit<'_>, digest: &str) -> Response<Body> {
    let location = format!("/v2/{}/blobs/{digest}", visit.repository.name);
    answer(StatusCode::CREATED, [(header::LOCATION, location), (DIGEST, digest.to_owned())], Body::empty())
}

fn told(visit: &Visit<'_>, status: StatusCode, id: &str, upload: &Upload) -> Response<Body> {
    let headers =
        [(header::LOCATION, location(visit, id)), (header::RANGE, so_far(upload)), (UPLOAD_ID, id.to_owned())];
    answer(status, headers, Body::empty())
}

fn location(visit: &Visit<'_>, id: &str) -> String {
    format!("/v2/{}/blobs/uploads/{id}", visit.repository.name)
}

/// How far an upload is; nothing at all is told as `0-0` (specification).
fn so_far(upload: &Upload) -> String {
    format!("0-{}", upload.size().saturating_sub(1))
}
