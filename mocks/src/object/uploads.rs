//! Lists of unfinished uploads and of their parts.

use s3s::{
    S3Request, S3Response, S3Result,
    dto::{
        ChecksumAlgorithm, ChecksumType, CommonPrefix, ETag, Initiator, ListMultipartUploadsInput,
        ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput, MultipartUpload, Part as Told, StorageClass,
    },
};

use super::{
    acl,
    auth::canonical,
    checksums::with_checksums,
    errors::invalid_argument,
    listing::{Names, given},
    multipart::find,
    records::{self, Bucket, END, PART, Part, UPLOAD, Upload, part_key, upload_key},
    service::Service,
};

/// The longest page.
const MOST: i32 = 1000;

fn most(asked: Option<i32>, what: &str) -> S3Result<usize> {
    let asked = asked.unwrap_or(MOST).min(MOST);
    usize::try_from(asked).map_err(|_| invalid_argument(format!("{what} must not be negative")))
}

fn initiator(project_id: &str) -> Initiator {
    Initiator { display_name: Some(canonical(project_id)), id: Some(canonical(project_id)) }
}

/// `GET <key>?uploadId`.
pub(super) fn parts(service: &Service, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
    let input = &request.input;
    let bucket = service.bucket(&request, &input.bucket)?;
    let most = most(input.max_parts, "max-parts")?;
    let marker = input.part_number_marker.unwrap_or_default();
    if marker < 0 {
        return Err(invalid_argument("part-number-marker must not be negative"));
    }
    let (upload, parts, more) = service.store.read(|tables| {
        let upload = find(tables, &input.bucket, &input.key, &input.upload_id)?;
        let under = format!("{}\0", upload.id);
        let after = part_key(&upload.id, marker);
        let mut found =
            tables.under(PART, &under, Some(&after)).filter_map(|(_, record)| records::read::<Part>(record));
        let page: Vec<Part> = found.by_ref().take(most).collect();
        let more = most > 0 && found.next().is_some();
        Ok::<_, s3s::S3Error>((upload, page, more))
    })?;
    let next = parts.last().map(|last| last.number).filter(|_| more);
    let told = |part: &Part| {
        with_checksums!(
            Told {
                e_tag: Some(ETag::Strong(part.content.etag.clone())),
                last_modified: Some(part.modified_at.into()),
                part_number: Some(part.number),
                size: i64::try_from(part.content.size).ok(),
                ..Default::default()
            },
            &part.content.checksums
        )
    };
    let class = upload.meta.storage_class.clone().unwrap_or_else(|| StorageClass::STANDARD.to_owned());
    Ok(S3Response::new(ListPartsOutput {
        bucket: Some(upload.bucket),
        checksum_type: upload.algorithm.as_ref().map(|_| kind(upload.full_object)),
        checksum_algorithm: upload.algorithm.map(|name| ChecksumAlgorithm::from(name.to_ascii_uppercase())),
        initiator: Some(initiator(&bucket.project_id)),
        is_truncated: Some(more),
        key: Some(upload.key),
        max_parts: i32::try_from(most).ok(),
        next_part_number_marker: next,
        owner: Some(acl::owner(&bucket.project_id)),
        part_number_marker: Some(marker),
        parts: Some(parts.iter().map(told).collect()),
        storage_class: Some(StorageClass::from(class)),
        upload_id: Some(upload.id),
        ..Default::default()
    }))
}

fn kind(full_object: bool) -> ChecksumType {
    ChecksumType::from_static(if full_object { ChecksumType::FULL_OBJECT } else { ChecksumType::COMPOSITE })
}

/// `GET /<bucket>?uploads`.
pub(super) fn uploads(
    service: &Service,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = &request.input;
    let bucket = service.bucket(&request, &input.bucket)?;
    let names = Names::new(input.encoding_type.as_ref())?;
    let most = most(input.max_uploads, "max-uploads")?;
    let prefix = given(input.prefix.as_ref()).unwrap_or_default();
    let delimiter = given(input.delimiter.as_ref());
    let after = given(input.key_marker.as_ref()).map(|key| match given(input.upload_id_marker.as_ref()) {
        Some(upload) => upload_key(&bucket.name, key, upload),
        None => upload_key(&bucket.name, key, &END.to_string()),
    });
    let under = format!("{}\0{prefix}", bucket.name);
    let mut output = ListMultipartUploadsOutput { is_truncated: Some(false), ..Default::default() };
    let (mut uploads, mut prefixes): (Vec<MultipartUpload>, Vec<String>) = (Vec::new(), Vec::new());
    service.store.read(|tables| {
        let found = tables.under(UPLOAD, &under, after.as_deref()).filter_map(|(_, record)| records::read(record));
        let mut last: Option<(String, String)> = None;
        for upload in found {
            let upload: Upload = upload;
            let common = delimiter.and_then(|delimiter| {
                let (first, _) = upload.key.strip_prefix(prefix)?.split_once(delimiter)?;
                Some(format!("{prefix}{first}{delimiter}"))
            });
            let known = common.as_ref().is_some_and(|common| {
                prefixes.last() == Some(common)
                    || input.key_marker.as_deref().is_some_and(|key| key.starts_with(common))
            });
            if known {
                continue;
            }
            if uploads.len() + prefixes.len() == most {
                output.is_truncated = Some(most > 0);
                break;
            }
            last = Some((upload.key.clone(), upload.id.clone()));
            match common {
                Some(common) => prefixes.push(common),
                None => uploads.push(told(upload, &bucket, &names)),
            }
        }
        if let Some((key, upload)) = last.filter(|_| output.is_truncated == Some(true)) {
            output.next_key_marker = Some(names.tell(&key));
            output.next_upload_id_marker = Some(upload);
        }
    });
    output.uploads = Some(uploads);
    output.common_prefixes =
        Some(prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(names.tell(prefix)) }).collect());
    output.bucket = Some(bucket.name.clone());
    output.delimiter = delimiter.map(|delimiter| names.tell(delimiter));
    output.encoding_type = input.encoding_type.clone();
    output.key_marker = Some(names.tell(input.key_marker.as_deref().unwrap_or_default()));
    output.max_uploads = i32::try_from(most).ok();
    output.prefix = Some(names.tell(prefix));
    output.upload_id_marker = Some(input.upload_id_marker.clone().unwrap_or_default());
    Ok(S3Response::new(output))
}

fn told(upload: Upload, bucket: &Bucket, names: &Names) -> MultipartUpload {
    let class = upload.meta.storage_class.clone().unwrap_or_else(|| StorageClass::STANDARD.to_owned());
    MultipartUpload {
        checksum_type: upload.algorithm.as_ref().map(|_| kind(upload.full_object)),
        checksum_algorithm: upload.algorithm.map(|name| ChecksumAlgorithm::from(name.to_ascii_uppercase())),
        initiated: Some(upload.initiated_at.into()),
        initiator: Some(initiator(&bucket.project_id)),
        key: Some(names.tell(&upload.key)),
        owner: Some(acl::owner(&bucket.project_id)),
        storage_class: Some(StorageClass::from(class)),
        upload_id: Some(upload.id),
    }
}
