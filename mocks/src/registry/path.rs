//! What a path is for.

use std::str::FromStr;

use oci_spec::{
    distribution::{ErrorCode, Reference},
    image::{Digest, DigestAlgorithm},
};
use percent_encoding::percent_decode_str;

use super::refusal::{Answered, invalid, unknown};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `/v2/`: whether this is a registry, and who asks.
    Check,
    /// Something of a repository, `<namespace>/<image>`.
    Of(String, Part),
}

/// A part of a repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A blob, by digest.
    Blob(String),
    /// Uploads that may begin.
    Uploads,
    /// An upload under way.
    Upload(String),
    /// A manifest, by tag or digest.
    Manifest(Named),
    /// The list of tags.
    Tags,
}

/// How a manifest is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// By a tag.
    Tag(String),
    /// By its digest.
    Digest(String),
}

/// Reads a path.
pub(super) fn read(path: &str) -> Answered<Target> {
    let nothing = || unknown(ErrorCode::Unsupported, "the registry has no such path");
    let path = percent_decode_str(path).decode_utf8().map_err(|_| nothing())?;
    let rest = path.strip_prefix("/v2").ok_or_else(nothing)?;
    if matches!(rest, "" | "/") {
        return Ok(Target::Check);
    }
    let segments: Vec<&str> = rest.split('/').skip(1).collect();
    let (name, part) = match segments.as_slice() {
        [name @ .., "tags", "list"] => (name, Part::Tags),
        [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => (name, Part::Uploads),
        [name @ .., "blobs", "uploads", id] => (name, Part::Upload((*id).to_owned())),
        [name @ .., "blobs", digest] => (name, Part::Blob(self::digest(digest)?)),
        [name @ .., "manifests", reference] => (name, Part::Manifest(named(reference)?)),
        _ => return Err(nothing()),
    };
    Ok(Target::Of(repository(&name.join("/"))?, part))
}

/// A repository's name, as the specification allows it, with a namespace and an image.
pub(super) fn repository(name: &str) -> Answered<String> {
    let read = Reference::from_str(&format!("rg.scw.cloud/{name}"));
    let right = read.is_ok_and(|read| read.repository() == name && read.digest().is_none());
    if right && name.contains('/') {
        return Ok(name.to_owned());
    }
    let message = format!("{name} is not a repository: it must be <namespace>/<image> in lower case");
    Err(invalid(ErrorCode::NameInvalid, message))
}

/// A digest that blobs can be kept under.
pub(super) fn digest(text: &str) -> Answered<String> {
    match Digest::from_str(text) {
        Ok(digest) if *digest.algorithm() == DigestAlgorithm::Sha256 => Ok(text.to_owned()),
        Ok(digest) => {
            Err(invalid(ErrorCode::DigestInvalid, format!("{} is not supported, only sha256", digest.algorithm())))
        }
        Err(error) => Err(invalid(ErrorCode::DigestInvalid, format!("{text} is not a digest: {error}"))),
    }
}

fn named(reference: &str) -> Answered<Named> {
    if reference.contains(':') {
        return digest(reference).map(Named::Digest);
    }
    let read = Reference::from_str(&format!("rg.scw.cloud/n/i:{reference}"));
    if read.is_ok_and(|read| read.tag() == Some(reference) && read.digest().is_none()) {
        return Ok(Named::Tag(reference.to_owned()));
    }
    Err(invalid(ErrorCode::ManifestInvalid, format!("{reference} is neither a tag nor a digest")))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[rstest]
    #[case::check("/v2/", Target::Check)]
    #[case::check_without_slash("/v2", Target::Check)]
    #[case::tags("/v2/ns/app/tags/list", Target::Of("ns/app".into(), Part::Tags))]
    #[case::deep("/v2/ns/team/app/tags/list", Target::Of("ns/team/app".into(), Part::Tags))]
    #[case::an_image_called_tags("/v2/ns/tags/tags/list", Target::Of("ns/tags".into(), Part::Tags))]
    #[case::begin("/v2/ns/app/blobs/uploads/", Target::Of("ns/app".into(), Part::Uploads))]
    #[case::upload("/v2/ns/app/blobs/uploads/7", Target::Of("ns/app".into(), Part::Upload("7".into())))]
    #[case::tag("/v2/ns/app/manifests/v1.0_x", Target::Of("ns/app".into(), Part::Manifest(Named::Tag("v1.0_x".into()))))]
    fn a_path_is_for_something(#[case] path: &str, #[case] target: Target) {
        assert_eq!(read(path).unwrap(), target);
    }

    #[rstest]
    #[case::plain(DIGEST.to_owned())]
    #[case::encoded(DIGEST.replace(':', "%3A"))]
    fn a_digest_names_a_blob_or_a_manifest(#[case] digest: String) {
        let part = |path: String| match read(&path) {
            Ok(Target::Of(name, part)) if name == "ns/app" => part,
            other => panic!("{other:?}"),
        };
        assert_eq!(part(format!("/v2/ns/app/blobs/{digest}")), Part::Blob(DIGEST.into()));
        let named = Named::Digest(DIGEST.into());
        assert_eq!(part(format!("/v2/ns/app/manifests/{digest}")), Part::Manifest(named));
    }

    #[rstest]
    #[case::no_image("/v2/ns/tags/list")]
    #[case::capitals("/v2/ns/App/tags/list")]
    #[case::empty_part("/v2/ns//app/tags/list")]
    #[case::parent("/v2/ns/../app/tags/list")]
    #[case::a_tag_in_the_name("/v2/ns/app:v1/tags/list")]
    #[case::catalogue("/v2/_catalog")]
    #[case::short_digest("/v2/ns/app/blobs/sha256:abc")]
    #[case::capital_digest("/v2/ns/app/blobs/sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855")]
    #[case::no_digest("/v2/ns/app/blobs/latest")]
    #[case::a_tag_with_a_dot_first("/v2/ns/app/manifests/.x")]
    #[case::a_long_tag(&format!("/v2/ns/app/manifests/{}", "t".repeat(129)))]
    #[case::nul("/v2/ns/app%00/tags/list")]
    #[case::elsewhere("/")]
    fn other_paths_are_refused(#[case] path: &str) {
        assert!(read(path).is_err(), "{:?}", read(path));
    }
}
