//! Lists of objects.

use aws_sdk_s3::{Client, types::EncodingType};
use rstest::rstest;

use crate::fixture::{Fixture, code, refused};

async fn filled(keys: &[&str]) -> (Fixture, Client) {
    let fixture = Fixture::new().await;
    let client = fixture.with_bucket("box").await;
    for key in keys {
        client.put_object().bucket("box").key(*key).send().await.unwrap();
    }
    (fixture, client)
}

#[rstest]
#[case::everything("", None, &["a", "b/1", "b/2", "b/c/3", "d"], &[])]
#[case::folders("", Some("/"), &["a", "d"], &["b/"])]
#[case::inside("b/", Some("/"), &["b/1", "b/2"], &["b/c/"])]
#[case::half_a_name("b", Some("/"), &[], &["b/"])]
#[case::a_longer_delimiter("", Some("/c/"), &["a", "b/1", "b/2", "d"], &["b/c/"])]
#[case::nothing("z", None, &[], &[])]
#[tokio::test]
async fn objects_are_listed_by_prefix_and_delimiter(
    #[case] prefix: &str,
    #[case] delimiter: Option<&str>,
    #[case] keys: &[&str],
    #[case] prefixes: &[&str],
) {
    let (_fixture, client) = filled(&["a", "b/1", "b/2", "b/c/3", "d"]).await;
    for size in [1, 2, 1000] {
        let (mut found, mut common, mut token) = (Vec::new(), Vec::new(), None);
        loop {
            let list = client.list_objects_v2().bucket("box").prefix(prefix).set_delimiter(delimiter.map(Into::into));
            let page = list.max_keys(size).set_continuation_token(token).send().await.unwrap();
            assert_eq!(page.key_count(), Some((page.contents().len() + page.common_prefixes().len()) as i32));
            found.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
            common.extend(page.common_prefixes().iter().filter_map(|prefix| prefix.prefix().map(str::to_owned)));
            token = page.next_continuation_token().map(str::to_owned);
            assert_eq!(page.is_truncated(), Some(token.is_some()));
            if token.is_none() {
                break;
            }
        }
        assert_eq!(
            (found, common),
            (
                keys.iter().map(|key| key.to_string()).collect(),
                prefixes.iter().map(|prefix| prefix.to_string()).collect()
            )
        );
    }
}

#[tokio::test]
async fn version_one_goes_on_at_the_marker() {
    let (_fixture, client) = filled(&["a", "b/1", "b/2", "c"]).await;
    let page = client.list_objects().bucket("box").delimiter("/").max_keys(2).send().await.unwrap();
    assert_eq!((page.contents().len(), page.common_prefixes().len(), page.next_marker()), (1, 1, Some("b/")));
    let rest = client.list_objects().bucket("box").delimiter("/").marker("b/").send().await.unwrap();
    assert_eq!(rest.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>(), ["c"]);
    let after = client.list_objects_v2().bucket("box").start_after("b/1").send().await.unwrap();
    assert_eq!(after.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>(), ["b/2", "c"]);
}

#[tokio::test]
async fn names_are_told_url_encoded_when_asked() {
    let (_fixture, client) = filled(&["a b+c/é&<"]).await;
    let plain = client.list_objects_v2().bucket("box").send().await.unwrap();
    assert_eq!(plain.contents()[0].key(), Some("a b+c/é&<"));
    let encoded = client.list_objects_v2().bucket("box").encoding_type(EncodingType::Url).send().await.unwrap();
    assert_eq!(encoded.contents()[0].key(), Some("a%20b%2Bc/%C3%A9%26%3C"));
}

#[tokio::test]
async fn odd_pages_are_empty_or_refused() {
    let (_fixture, client) = filled(&["a", "b"]).await;
    let none = client.list_objects_v2().bucket("box").max_keys(0).send().await.unwrap();
    assert_eq!((none.contents().len(), none.is_truncated()), (0, Some(false)));
    let negative = client.list_objects_v2().bucket("box").max_keys(-1).send().await;
    assert_eq!(refused(negative), code("InvalidArgument", 400));
    let token = client.list_objects_v2().bucket("box").continuation_token("§").send().await;
    assert_eq!(refused(token), code("InvalidArgument", 400));
}

#[tokio::test]
async fn keys_around_the_last_character_are_listed_once() {
    let (_fixture, client) = filled(&["a/1", "a/\u{10ffff}x", "a/\u{10ffff}y", "b"]).await;
    let mut prefixes = 0;
    let mut token = None;
    loop {
        let page = client.list_objects_v2().bucket("box").delimiter("/").max_keys(1).set_continuation_token(token);
        let page = page.send().await.unwrap();
        prefixes += page.common_prefixes().len();
        token = page.next_continuation_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(prefixes, 1);
}
