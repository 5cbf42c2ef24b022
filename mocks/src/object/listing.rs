//! Lists of objects and versions: scans in key order, a page at a time.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::{
    S3Request, S3Response, S3Result,
    dto::{
        CommonPrefix, DeleteMarkerEntry, ETag, EncodingType, ListObjectVersionsInput, ListObjectVersionsOutput,
        ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, Object, ObjectStorageClass,
        ObjectVersion, ObjectVersionStorageClass,
    },
};

use super::{
    acl,
    errors::invalid_argument,
    records::{self, Bucket, END, VERSION, Version, parse_version_key},
    service::Service,
    version::checked_id,
};
use crate::kernel::{Record, Tables};

/// The longest page.
const MOST: i32 = 1000;

/// What stays as it is in names that are told URL-encoded.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/').remove(b'*');

/// One line of a page.
enum Line<'a> {
    /// A version; whether it is its key's newest.
    Version { key: String, record: &'a Arc<Record>, latest: bool },
    /// Everything below a common prefix.
    Prefix(String),
}

/// What a scan looks for.
struct Scan<'a> {
    bucket: &'a str,
    prefix: &'a str,
    delimiter: Option<&'a str>,
    /// Where it begins, exclusive: a key of the store.
    after: Option<String>,
    /// The object whose versions the beginning is among.
    resumed: Option<&'a str>,
    /// The common prefix the last page ended with.
    told: Option<&'a str>,
    /// Whether all versions count, or only newest ones that are no delete markers.
    versions: bool,
}

impl<'a> Scan<'a> {
    /// A scan for what comes after a marker of the last page: an object's key or a common prefix.
    fn after_key(&mut self, marker: Option<&'a str>) {
        let Some(marker) = marker.filter(|marker| !marker.is_empty()) else { return };
        let is_prefix = self.delimiter.is_some_and(|delimiter| {
            let below = marker.strip_prefix(self.prefix);
            below.and_then(|below| below.split_once(delimiter)).is_some_and(|(_, rest)| rest.is_empty())
        });
        let bucket = self.bucket;
        self.told = Some(marker).filter(|_| is_prefix);
        self.after =
            Some(if is_prefix { format!("{bucket}\0{marker}{END}") } else { format!("{bucket}\0{marker}\0{END}") });
    }

    /// The next lines, and whether there are more.
    fn page<'t>(self, tables: &'t Tables, most: usize) -> (Vec<Line<'t>>, bool) {
        let mut lines: Vec<Line<'t>> = Vec::new();
        if most == 0 {
            return (lines, false);
        }
        let under = format!("{}\0{}", self.bucket, self.prefix);
        let mut after = self.after.clone();
        let mut last_key = self.resumed.map(str::to_owned);
        'seek: loop {
            let from = after.take();
            for (place, record) in tables.under(VERSION, &under, from.as_deref()) {
                let Some((key, _)) = parse_version_key(place) else { continue };
                let latest = last_key.as_deref() != Some(key);
                if latest {
                    last_key = Some(key.to_owned());
                } else if !self.versions {
                    continue;
                }
                if !self.versions && is_marker(record) {
                    continue;
                }
                let common = self.common_prefix(key);
                // Keys that begin with a prefix and then the very last character sort after the jump.
                let told = |line: Option<&Line<'_>>| match (line, &common) {
                    (_, None) => false,
                    (Some(Line::Prefix(last)), Some(common)) => last == common,
                    (_, Some(common)) => self.told == Some(common.as_str()),
                };
                if told(lines.last()) {
                    continue;
                }
                if lines.len() == most {
                    return (lines, true);
                }
                match common {
                    Some(common) => {
                        after = Some(format!("{}\0{common}{END}", self.bucket));
                        lines.push(Line::Prefix(common));
                        continue 'seek;
                    }
                    None => lines.push(Line::Version { key: key.to_owned(), record, latest }),
                }
            }
            return (lines, false);
        }
    }

    fn common_prefix(&self, key: &str) -> Option<String> {
        let delimiter = self.delimiter?;
        let (first, _) = key.strip_prefix(self.prefix)?.split_once(delimiter)?;
        Some(format!("{}{first}{delimiter}", self.prefix))
    }
}

fn is_marker(record: &Record) -> bool {
    record.body.get("delete_marker").is_some_and(|marker| marker == true)
}

/// How names are told.
pub(super) struct Names {
    encoding: Option<EncodingType>,
}

impl Names {
    pub(super) fn new(encoding: Option<&EncodingType>) -> S3Result<Self> {
        match encoding.map(EncodingType::as_str) {
            None => Ok(Self { encoding: None }),
            Some(EncodingType::URL) => Ok(Self { encoding: encoding.cloned() }),
            Some(_) => Err(invalid_argument("Invalid Encoding Method specified in Request")),
        }
    }

    pub(super) fn tell(&self, name: &str) -> String {
        if self.encoding.is_some() { utf8_percent_encode(name, PLAIN).to_string() } else { name.to_owned() }
    }

    fn prefixes(&self, prefixes: Vec<String>) -> Option<Vec<CommonPrefix>> {
        Some(prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(self.tell(prefix)) }).collect())
    }
}

fn most(asked: Option<i32>) -> S3Result<i32> {
    match asked.unwrap_or(MOST) {
        negative if negative < 0 => {
            Err(invalid_argument("Argument maxKeys must be an integer between 0 and 2147483647"))
        }
        asked => Ok(asked.min(MOST)),
    }
}

pub(super) fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

struct Page {
    objects: Vec<Version>,
    prefixes: Vec<String>,
    truncated: bool,
    /// The key or common prefix the page ended with.
    last: Option<String>,
}

fn objects(
    service: &Service,
    bucket: &Bucket,
    prefix: Option<&String>,
    delimiter: Option<&String>,
    after: Option<&str>,
    most: i32,
) -> Page {
    let mut scan = Scan {
        bucket: &bucket.name,
        prefix: given(prefix).unwrap_or_default(),
        delimiter: given(delimiter),
        after: None,
        resumed: None,
        told: None,
        versions: false,
    };
    scan.after_key(after);
    service.store.read(|tables| {
        let (lines, truncated) = scan.page(tables, usize::try_from(most).unwrap_or_default());
        let last = lines.last().map(|line| match line {
            Line::Version { key, .. } => key.clone(),
            Line::Prefix(prefix) => prefix.clone(),
        });
        let mut page = Page { objects: Vec::new(), prefixes: Vec::new(), truncated, last };
        for line in lines {
            match line {
                Line::Version { record, .. } => page.objects.extend(records::read::<Version>(record)),
                Line::Prefix(prefix) => page.prefixes.push(prefix),
            }
        }
        page
    })
}

fn object(version: &Version, bucket: &Bucket, names: &Names, with_owner: bool) -> Object {
    let content = &version.content;
    let class = version.meta.storage_class.clone().unwrap_or_else(|| ObjectStorageClass::STANDARD.to_owned());
    Object {
        checksum_algorithm: Some(content.checksums.algorithms()).filter(|names| !names.is_empty()),
        checksum_type: content.checksums.kind(),
        e_tag: Some(ETag::Strong(content.etag.clone())),
        key: Some(names.tell(&version.key)),
        last_modified: Some(version.modified_at.into()),
        owner: with_owner.then(|| acl::owner(&bucket.project_id)),
        restore_status: None,
        size: i64::try_from(content.size).ok(),
        storage_class: Some(ObjectStorageClass::from(class)),
    }
}

/// `GET /<bucket>`.
pub(super) fn v1(service: &Service, request: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = &request.input;
    let bucket = service.bucket(&request, &input.bucket)?;
    let (most, names) = (most(input.max_keys)?, Names::new(input.encoding_type.as_ref())?);
    let page =
        objects(service, &bucket, input.prefix.as_ref(), input.delimiter.as_ref(), input.marker.as_deref(), most);
    let next = page.last.filter(|_| page.truncated);
    let contents = page.objects.iter().map(|version| object(version, &bucket, &names, true)).collect();
    Ok(S3Response::new(ListObjectsOutput {
        name: Some(bucket.name.clone()),
        prefix: Some(names.tell(input.prefix.as_deref().unwrap_or_default())),
        marker: Some(names.tell(input.marker.as_deref().unwrap_or_default())),
        max_keys: Some(most),
        is_truncated: Some(page.truncated),
        contents: Some(contents),
        common_prefixes: names.prefixes(page.prefixes),
        delimiter: given(input.delimiter.as_ref()).map(|delimiter| names.tell(delimiter)),
        next_marker: next.map(|next| names.tell(&next)),
        encoding_type: names.encoding.clone(),
        request_charged: None,
    }))
}

/// `GET /<bucket>?list-type=2`.
pub(super) fn v2(
    service: &Service,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = &request.input;
    let bucket = service.bucket(&request, &input.bucket)?;
    let (most, names) = (most(input.max_keys)?, Names::new(input.encoding_type.as_ref())?);
    let token = input.continuation_token.as_deref().map(read_token).transpose()?;
    let after = token.as_deref().or(input.start_after.as_deref());
    let page = objects(service, &bucket, input.prefix.as_ref(), input.delimiter.as_ref(), after, most);
    let next = page.last.filter(|_| page.truncated);
    let with_owner = input.fetch_owner == Some(true);
    let contents: Vec<_> = page.objects.iter().map(|version| object(version, &bucket, &names, with_owner)).collect();
    let key_count = i32::try_from(contents.len() + page.prefixes.len()).ok();
    Ok(S3Response::new(ListObjectsV2Output {
        name: Some(bucket.name.clone()),
        prefix: Some(names.tell(input.prefix.as_deref().unwrap_or_default())),
        max_keys: Some(most),
        key_count,
        continuation_token: input.continuation_token.clone(),
        is_truncated: Some(page.truncated),
        next_continuation_token: next.map(|next| BASE64_URL_SAFE_NO_PAD.encode(next)),
        contents: Some(contents),
        common_prefixes: names.prefixes(page.prefixes),
        delimiter: given(input.delimiter.as_ref()).map(|delimiter| names.tell(delimiter)),
        encoding_type: names.encoding.clone(),
        start_after: input.start_after.as_deref().map(|start| names.tell(start)),
        request_charged: None,
    }))
}

fn read_token(token: &str) -> S3Result<String> {
    let key = BASE64_URL_SAFE_NO_PAD.decode(token).ok().and_then(|key| String::from_utf8(key).ok());
    key.ok_or_else(|| invalid_argument("The continuation token provided is incorrect"))
}

/// `GET /<bucket>?versions`.
pub(super) fn versions(
    service: &Service,
    request: S3Request<ListObjectVersionsInput>,
) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let input = &request.input;
    let bucket = service.bucket(&request, &input.bucket)?;
    let (most, names) = (most(input.max_keys)?, Names::new(input.encoding_type.as_ref())?);
    let id = checked_id(given(input.version_id_marker.as_ref()))?;
    let key_marker = given(input.key_marker.as_ref());
    if id.is_some() && key_marker.is_none() {
        return Err(invalid_argument("A version-id marker cannot be specified without a key marker."));
    }
    let mut scan = Scan {
        bucket: &bucket.name,
        prefix: given(input.prefix.as_ref()).unwrap_or_default(),
        delimiter: given(input.delimiter.as_ref()),
        after: None,
        resumed: None,
        told: None,
        versions: true,
    };
    scan.after_key(key_marker);
    let mut output = service.store.read(|tables| {
        if let (Some(id), Some(key)) = (id, key_marker) {
            let at = id.parse().ok().or_else(|| Some(records::version(tables, &bucket.name, key, id)?.stamp));
            if let Some(stamp) = at {
                scan.after = Some(records::version_key(&bucket.name, key, stamp));
                // A resumed object's next version is not its newest, unless nothing newer is left.
                let newest = records::newest(tables, &bucket.name, key);
                scan.resumed = Some(key).filter(|_| newest.is_some_and(|newest| newest.stamp >= stamp));
            }
        }
        let (lines, truncated) = scan.page(tables, usize::try_from(most).unwrap_or_default());
        tell_versions(&lines, truncated, &bucket, &names)
    });
    output.name = Some(bucket.name.clone());
    output.max_keys = Some(most);
    output.encoding_type = names.encoding.clone();
    output.prefix = Some(names.tell(input.prefix.as_deref().unwrap_or_default()));
    output.delimiter = given(input.delimiter.as_ref()).map(|delimiter| names.tell(delimiter));
    output.key_marker = Some(names.tell(input.key_marker.as_deref().unwrap_or_default()));
    output.version_id_marker = Some(input.version_id_marker.clone().unwrap_or_default());
    Ok(S3Response::new(output))
}

fn tell_versions(lines: &[Line<'_>], truncated: bool, bucket: &Bucket, names: &Names) -> ListObjectVersionsOutput {
    let mut output = ListObjectVersionsOutput { is_truncated: Some(truncated), ..Default::default() };
    let (mut versions, mut markers, mut prefixes) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        let (record, latest) = match line {
            Line::Prefix(prefix) => {
                (output.next_key_marker, output.next_version_id_marker) = (Some(names.tell(prefix)), None);
                prefixes.push(prefix.clone());
                continue;
            }
            Line::Version { record, latest, .. } => (record, *latest),
        };
        let Some(version) = records::read::<Version>(record) else { continue };
        output.next_key_marker = Some(names.tell(&version.key));
        output.next_version_id_marker = Some(version.version_id.clone());
        let owner = Some(acl::owner(&bucket.project_id));
        let (key, version_id) = (Some(names.tell(&version.key)), Some(version.version_id.clone()));
        if version.delete_marker {
            let last_modified = Some(version.modified_at.into());
            markers.push(DeleteMarkerEntry { is_latest: Some(latest), key, last_modified, owner, version_id });
            continue;
        }
        let told = object(&version, bucket, names, true);
        versions.push(ObjectVersion {
            checksum_algorithm: told.checksum_algorithm,
            checksum_type: told.checksum_type,
            e_tag: told.e_tag,
            is_latest: Some(latest),
            key,
            last_modified: told.last_modified,
            owner,
            restore_status: None,
            size: told.size,
            storage_class: told.storage_class.map(|class| ObjectVersionStorageClass::from(class.as_str().to_owned())),
            version_id,
        });
    }
    if !truncated {
        (output.next_key_marker, output.next_version_id_marker) = (None, None);
    }
    output.versions = Some(versions);
    output.delete_markers = Some(markers);
    output.common_prefixes = names.prefixes(prefixes);
    output
}
