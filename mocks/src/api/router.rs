//! From a method and a path to a declared route.

use std::collections::HashMap;

use http::Method;
use percent_encoding::percent_decode_str;

use crate::kernel::{Catalogue, Reason, Refusal, Resource, Route};

/// All routes of a catalogue.
pub(super) struct Router {
    methods: HashMap<&'static str, matchit::Router<usize>>,
    routes: Vec<(&'static str, Route, Vec<&'static str>)>,
}

/// A route that matches a request.
pub(super) struct Matched<'a> {
    pub(super) resource: &'a Resource,
    pub(super) route: Route,
    pub(super) params: Vec<(String, String)>,
}

impl Router {
    pub(super) fn new(catalogue: &Catalogue) -> Result<Self, String> {
        let mut router = Self { methods: HashMap::new(), routes: Vec::new() };
        for resource in catalogue.resources() {
            for route in resource.all_routes() {
                let (pattern, names) = anonymous(route.path);
                let number = router.routes.len();
                let tree = router.methods.entry(route.method).or_default();
                tree.insert(pattern, number).map_err(|error| format!("{} {}: {error}", route.method, route.path))?;
                router.routes.push((resource.kind, route, names));
            }
        }
        Ok(router)
    }

    /// The route of this method and path, if there is one.
    pub(super) fn find<'a>(
        &self,
        catalogue: &'a Catalogue,
        method: &Method,
        path: &str,
    ) -> Result<Option<Matched<'a>>, Refusal> {
        let found = self.methods.get(method.as_str()).and_then(|tree| tree.at(path).ok());
        let Some(found) = found else { return Ok(None) };
        let (kind, route, names) = &self.routes[*found.value];
        let Some(resource) = catalogue.get(kind) else {
            return Ok(None);
        };
        let mut params = Vec::with_capacity(names.len());
        for (name, (_, value)) in names.iter().zip(found.params.iter()) {
            let value = percent_decode_str(value).decode_utf8().ok();
            // A key in the store is joined with slashes, so no part of it may have one.
            match value.filter(|value| !value.is_empty() && !value.contains(['/', '\0'])) {
                Some(value) => params.push(((*name).to_owned(), value.into_owned())),
                None => {
                    return Err(Refusal::argument(*name, Reason::Format, "is not a valid identifier"));
                }
            }
        }
        Ok(Some(Matched { resource, route: *route, params }))
    }
}

/// The path with its parameters numbered, since two routes may name the same place differently.
fn anonymous(path: &'static str) -> (String, Vec<&'static str>) {
    let (mut pattern, mut names) = (String::new(), Vec::new());
    for segment in path.split('/').skip(1) {
        pattern.push('/');
        match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => {
                pattern.push_str(&format!("{{p{}}}", names.len()));
                names.push(name);
            }
            None => pattern.push_str(segment),
        }
    }
    (pattern, names)
}
