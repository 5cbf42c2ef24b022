//! The few XML documents of S3 that are read here.

use roxmltree::{Document, Node};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{ETag, Listed, Rule, Version};

/// Reads a document.
pub(crate) fn parse(text: &str) -> Result<Document<'_>, String> {
    Document::parse(text).map_err(|error| error.to_string())
}

/// The text of a child by its name, whatever its namespace; empty where it is not there.
pub(crate) fn child<'a>(node: Node<'a, '_>, name: &str) -> &'a str {
    children(node, name).next().and_then(|child| child.text()).unwrap_or_default()
}

fn children<'a, 'd>(node: Node<'a, 'd>, name: &str) -> impl Iterator<Item = Node<'a, 'd>> {
    let name = name.to_owned();
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

fn moment(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|error| format!("{text:?} is no time: {error}"))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("{text:?} is no number"))
}

/// Code and message of an error document; empty texts where it is none.
pub(super) fn error(text: &str) -> (String, String) {
    parse(text).map_or_else(
        |_| (String::new(), String::new()),
        |document| {
            let root = document.root_element();
            (child(root, "Code").to_owned(), child(root, "Message").to_owned())
        },
    )
}

/// A page of a list: what is in it, and where the next begins.
pub(super) fn listing(text: &str) -> Result<(Vec<Listed>, Option<String>), String> {
    let document = parse(text)?;
    let root = document.root_element();
    let all = children(root, "Contents")
        .map(|node| {
            Ok(Listed {
                key: child(node, "Key").to_owned(),
                bytes: number(child(node, "Size"))?,
                etag: ETag::new(child(node, "ETag")),
                modified: moment(child(node, "LastModified"))?,
            })
        })
        .collect::<Result<_, String>>()?;
    let more = child(root, "IsTruncated") == "true";
    Ok((all, more.then(|| child(root, "NextContinuationToken").to_owned())))
}

/// The key and version that a page begins after.
pub(super) type Marker = (String, String);

/// A page of versions, and where the next begins.
pub(super) fn versions(text: &str) -> Result<(Vec<Version>, Option<Marker>), String> {
    let document = parse(text)?;
    let root = document.root_element();
    let all = root
        .children()
        .filter(Node::is_element)
        .filter_map(|node| match node.tag_name().name() {
            "Version" => Some((node, false)),
            "DeleteMarker" => Some((node, true)),
            _ => None,
        })
        .map(|(node, deleted)| {
            let owner = children(node, "Owner").next();
            let owner = owner.map(|owner| [child(owner, "DisplayName"), child(owner, "ID")]);
            Ok(Version {
                key: child(node, "Key").to_owned(),
                id: child(node, "VersionId").to_owned(),
                latest: child(node, "IsLatest") == "true",
                deleted,
                etag: (!deleted).then(|| ETag::new(child(node, "ETag"))),
                bytes: if deleted { 0 } else { number(child(node, "Size"))? },
                modified: moment(child(node, "LastModified"))?,
                owner: owner.into_iter().flatten().find(|text| !text.is_empty()).map(str::to_owned),
            })
        })
        .collect::<Result<_, String>>()?;
    let more = child(root, "IsTruncated") == "true";
    let next = || (child(root, "NextKeyMarker").to_owned(), child(root, "NextVersionIdMarker").to_owned());
    Ok((all, more.then(next)))
}

/// The rules of a lifecycle.
pub(super) fn rules(text: &str) -> Result<Vec<Rule>, String> {
    let document = parse(text)?;
    children(document.root_element(), "Rule")
        .map(|node| {
            let days = |parent: &str, name: &str| {
                let parent = children(node, parent).next();
                let text = parent.map(|parent| child(parent, name)).unwrap_or_default();
                if text.is_empty() { Ok(None) } else { number::<u32>(text).map(Some) }
            };
            let filter = children(node, "Filter").next();
            let both = filter.and_then(|filter| children(filter, "And").next());
            let prefix = [Some(node), filter, both].into_iter().flatten().map(|node| child(node, "Prefix"));
            Ok(Rule {
                id: child(node, "ID").to_owned(),
                enabled: child(node, "Status") == "Enabled",
                prefix: prefix.into_iter().find(|text| !text.is_empty()).unwrap_or_default().to_owned(),
                days: days("Expiration", "Days")?,
                old_versions_days: days("NoncurrentVersionExpiration", "NoncurrentDays")?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_delete_markers_are_read_with_their_owners() {
        let text = r#"<?xml version="1.0"?><ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>v1</NextVersionIdMarker>
            <DeleteMarker><Key>k</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest>
              <LastModified>2026-01-02T03:04:05.678Z</LastModified></DeleteMarker>
            <Version><Key>k</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest><ETag>"e1"</ETag><Size>7</Size>
              <LastModified>2026-01-02T03:04:04Z</LastModified><Owner><ID>o:o</ID><DisplayName></DisplayName></Owner></Version>
            </ListVersionsResult>"#;
        let (all, next) = versions(text).unwrap();
        assert_eq!(next, Some(("k".to_owned(), "v1".to_owned())));
        assert!(all[0].deleted && all[0].latest && all[0].etag.is_none());
        assert_eq!((all[1].bytes, all[1].owner.as_deref()), (7, Some("o:o")));
    }

    #[test]
    fn a_lifecycle_tells_when_what_expires() {
        let text = "<Configuration><Rule><ID>old</ID><Status>Enabled</Status><Filter><Prefix>.pulumi/</Prefix></Filter>
            <NoncurrentVersionExpiration><NoncurrentDays>30</NoncurrentDays></NoncurrentVersionExpiration></Rule></Configuration>";
        let rules = rules(text).unwrap();
        assert_eq!(rules.len(), 1);
        assert_eq!((rules[0].prefix.as_str(), rules[0].days, rules[0].old_versions_days), (".pulumi/", None, Some(30)));
    }

    #[test]
    fn what_is_no_listing_is_an_error_and_no_empty_list() {
        assert!(listing("<html>").is_err());
        assert!(listing("<L><Contents><Key>k</Key><Size>many</Size></Contents></L>").is_err());
    }
}
