//! The list of a repository's tags.

use axum::body::Body;
use http::{Response, StatusCode, header};
use oci_spec::distribution::{ErrorCode, TagListBuilder};

use super::{
    door::{Visit, answer},
    records,
    refusal::{Answered, Refused, invalid, unknown},
};

/// `GET …/tags/list`: in order, `n` of them after `last`.
pub(super) fn list(visit: &Visit<'_>) -> Answered<Response<Body>> {
    let repository = &visit.repository;
    let most = match visit.query("n") {
        None => None,
        Some(text) => {
            let wrong = |_| invalid(ErrorCode::Unsupported, format!("n must be a number, not {text}"));
            Some(text.parse::<usize>().map_err(wrong)?)
        }
    };
    let after = visit.query("last").unwrap_or_default();
    let (names, more) = visit.registry.store.read(|tables| {
        let (id, _) = records::image(tables, &repository.namespace, &repository.image)
            .ok_or_else(|| unknown(ErrorCode::NameUnknown, format!("nothing was pushed to {}", repository.name)))?;
        let tags = records::tags(tables, id);
        let mut names = tags.keys().filter(|name| **name > after).map(|name| (*name).to_owned());
        let page: Vec<String> = names.by_ref().take(most.unwrap_or(usize::MAX)).collect();
        Ok::<_, Refused>((page, names.next().is_some()))
    })?;
    let next = names.last().filter(|_| more).map(|last| {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("n", &names.len().to_string())
            .append_pair("last", last)
            .finish();
        format!("</v2/{}/tags/list?{query}>; rel=\"next\"", repository.name)
    });
    let list = TagListBuilder::default().name(repository.name.as_str()).tags(names).build();
    let list = list.map_err(|error| Refused::failed(&error))?;
    let body = serde_json::to_vec(&list).map_err(|error| Refused::failed(&error))?;
    let mut response =
        answer(StatusCode::OK, [(header::CONTENT_TYPE, "application/json".to_owned())], Body::from(body));
    if let Some(next) = next.and_then(|next| next.parse().ok()) {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}
