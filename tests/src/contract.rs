//! The routes as the OpenAPI document has them, so that no test keeps a list of its own that grows old.

use serde_json::Value;

/// One operation of the document.
#[derive(Clone, Debug)]
pub struct Route {
    /// In capitals.
    pub method: String,
    /// The path's template, such as `/v1/subjects/{s}`.
    pub path: String,
    /// Its `operationId`.
    pub operation: String,
    /// Names of its parameters in the path.
    pub path_parameters: Vec<String>,
    /// Names of its parameters in the query.
    pub query_parameters: Vec<String>,
    /// The media types of its body; none where it has none.
    pub bodies: Vec<String>,
    /// Whether it is served to somebody without a bearer.
    pub public: bool,
}

impl Route {
    /// The path with each parameter replaced by what `with` says.
    #[must_use]
    pub fn at(&self, with: impl Fn(&str) -> String) -> String {
        let mut path = self.path.clone();
        for name in &self.path_parameters {
            path = path.replace(&format!("{{{name}}}"), &with(name));
        }
        path
    }

    /// Whether the path has this parameter.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.path_parameters.iter().any(|known| known == name)
    }

    /// Whether it promises to change nothing.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        ["GET", "HEAD", "OPTIONS"].contains(&&*self.method)
    }
}

/// Every route that the server documents, which are all that it serves.
///
/// # Panics
///
/// If the document is not what the server's own tests hold it to.
#[must_use]
pub fn routes() -> Vec<Route> {
    let document = serde_json::to_value(vault_server::openapi()).expect("JSON");
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let named = |place: &str| {
                let all = operation["parameters"].as_array().into_iter().flatten();
                let here = all.filter(|parameter| parameter["in"] == place);
                here.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned))
                    .collect()
            };
            let content = operation["requestBody"]["content"].as_object();
            let nothing = |way: &Value| way.as_object().is_some_and(serde_json::Map::is_empty);
            routes.push(Route {
                method: method.to_uppercase(),
                path: path.clone(),
                operation: operation["operationId"].as_str().expect("an id").to_owned(),
                path_parameters: named("path"),
                query_parameters: named("query"),
                bodies: content.map_or_else(Vec::new, |types| types.keys().cloned().collect()),
                public: operation["security"]
                    .as_array()
                    .is_some_and(|ways| ways.iter().any(nothing)),
            });
        }
    }
    routes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_read_with_its_parameters_and_who_may_call() {
        let routes = routes();
        let of = |operation: &str| routes.iter().find(|one| one.operation == operation);
        let record = of("patch_record").expect("a route");
        assert_eq!((&*record.method, record.public), ("PATCH", false));
        assert_eq!(record.path_parameters, ["s", "c", "r"]);
        assert_eq!(record.at(str::to_uppercase), "/v1/subjects/S/records/C/R");
        assert!(record.bodies.contains(&"application/json".to_owned()));
        assert!(of("healthz").expect("a route").public);
        assert!(of("read_records").expect("a route").query_parameters.len() == 5);
        assert!(routes.len() > 50);
    }
}
