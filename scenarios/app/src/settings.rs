//! What the environment says.

use url::Url;

/// The settings, by the names of the stack's contract.
pub(crate) struct Settings {
    /// `PORT`, as Serverless Containers sets it; 8080 without it.
    pub(crate) port: u16,
    pub(crate) database_host: String,
    pub(crate) database_port: u16,
    pub(crate) database_name: String,
    pub(crate) database_user: String,
    pub(crate) database_password: String,
    /// What the server's certificate has to be signed with, in PEM.
    pub(crate) database_certificate: String,
    pub(crate) bucket: String,
    pub(crate) bucket_endpoint: Url,
    pub(crate) bucket_region: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

impl Settings {
    /// Reads them all.
    ///
    /// # Errors
    /// Everything that is missing or cannot be read, at once; values of secrets are never told.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut wrong = Vec::new();
        let mut text = |name: &str| {
            variable(name).filter(|value| !value.is_empty()).unwrap_or_else(|| {
                wrong.push(format!("{name} is not set"));
                String::new()
            })
        };
        let [host, port, name, user] =
            ["DATABASE_HOST", "DATABASE_PORT", "DATABASE_NAME", "DATABASE_USER"].map(&mut text);
        let [password, certificate] = ["DATABASE_PASSWORD", "DATABASE_CA_CERTIFICATE"].map(&mut text);
        let [bucket, endpoint, region] = ["ASSETS_BUCKET", "ASSETS_ENDPOINT", "ASSETS_REGION"].map(&mut text);
        let [access_key, secret_key] = ["ACCESS_KEY", "SECRET_KEY"].map(&mut text);
        let mut number = |name: &str, value: String| {
            value.parse::<u16>().unwrap_or_else(|_| {
                wrong.push(format!("{name} is no port: {value}"));
                0
            })
        };
        let listen = number("PORT", variable("PORT").unwrap_or_else(|| "8080".into()));
        let database_port = if port.is_empty() { 0 } else { number("DATABASE_PORT", port) };
        let endpoint = Url::parse(&endpoint);
        if endpoint.is_err() {
            wrong.push("ASSETS_ENDPOINT is no address".into());
        }
        let (true, Ok(bucket_endpoint)) = (wrong.is_empty(), endpoint) else { return Err(wrong.join("; ")) };
        Ok(Self {
            port: listen,
            database_host: host,
            database_port,
            database_name: name,
            database_user: user,
            database_password: password,
            database_certificate: certificate,
            bucket,
            bucket_endpoint,
            bucket_region: region,
            access_key,
            secret_key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_told_at_once() {
        let told = Settings::read(|name| match name {
            "DATABASE_PORT" => Some("many".into()),
            "PORT" | "SECRET_KEY" => None,
            _ => Some("x".into()),
        });
        let why = told.err().unwrap_or_default();
        assert_eq!(why, "SECRET_KEY is not set; DATABASE_PORT is no port: many; ASSETS_ENDPOINT is no address");
    }
}
