//! Which host is whose.

use std::{fmt, net::IpAddr};

/// The domains that are Scaleway's. A name under one of them never leaves this
/// machine, so a mistake here cannot reach a real, billed account.
pub(crate) const SCALEWAY_DOMAINS: [&str; 3] = ["scaleway.com", "scw.cloud", "scaleway.ai"];

/// A region of Scaleway's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Region {
    /// Paris.
    FrPar,
    /// Amsterdam.
    NlAms,
    /// Warsaw.
    PlWaw,
    /// Milan.
    ItMil,
}

impl Region {
    /// Every region.
    pub const ALL: [Self; 4] = [Self::FrPar, Self::NlAms, Self::PlWaw, Self::ItMil];

    /// The region as host names and request paths write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FrPar => "fr-par",
            Self::NlAms => "nl-ams",
            Self::PlWaw => "pl-waw",
            Self::ItMil => "it-mil",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|region| region.as_str() == name)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a host name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// `api.scaleway.com`: the API of every product.
    Api,
    /// `s3.<region>.scw.cloud`, or a bucket's own name under it.
    ObjectStorage {
        /// The region in the name.
        region: Region,
        /// The bucket of a virtual-host name; it may contain dots.
        bucket: Option<String>,
    },
    /// `rg.<region>.scw.cloud`: the container registry.
    ContainerRegistry {
        /// The region in the name.
        region: Region,
    },
    /// A name below `functions.fnc.<region>.scw.cloud`: a container.
    Container {
        /// The region in the name.
        region: Region,
    },
    /// A name of a user's own that leads to a container.
    Domain,
    /// A Scaleway name with nothing behind it yet.
    Unclaimed,
    /// Somebody else's name, or an address.
    Foreign,
}

impl Service {
    /// Finds whose host this is. The name may carry a port, capitals, or the dot of an absolute name.
    pub fn of(host: &str) -> Self {
        let host = name(host);
        if host == "api.scaleway.com" {
            return Self::Api;
        }
        if let Some(service) = object_storage(&host).or_else(|| container_registry(&host)).or_else(|| container(&host))
        {
            return service;
        }
        let scaleway = SCALEWAY_DOMAINS
            .iter()
            .any(|domain| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
        if scaleway { Self::Unclaimed } else { Self::Foreign }
    }
}

/// The bare name of a host: lower-case, without port, brackets or final dot.
pub(super) fn name(host: &str) -> String {
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        // More than one colon is a bare IPv6 address, which has no port.
        None => match host.split_once(':') {
            Some((name, port)) if !port.contains(':') => name,
            _ => host,
        },
    };
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Whether this name, as [`name`] gives it, is this machine's own.
pub(super) fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

fn object_storage(host: &str) -> Option<Service> {
    let (rest, region) = host.strip_suffix(".scw.cloud")?.rsplit_once('.')?;
    let region = Region::named(region)?;
    let bucket = match rest {
        "s3" => None,
        _ => Some(rest.strip_suffix(".s3").filter(|bucket| !bucket.is_empty())?.to_owned()),
    };
    Some(Service::ObjectStorage { region, bucket })
}

fn container_registry(host: &str) -> Option<Service> {
    let region = Region::named(host.strip_suffix(".scw.cloud")?.strip_prefix("rg.")?)?;
    Some(Service::ContainerRegistry { region })
}

fn container(host: &str) -> Option<Service> {
    let (rest, region) = host.strip_suffix(".scw.cloud")?.rsplit_once('.')?;
    let name = rest.strip_suffix(".functions.fnc")?;
    let region = Region::named(region)?;
    (!name.is_empty() && !name.contains('.')).then_some(Service::Container { region })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn storage(region: Region, bucket: Option<&str>) -> Service {
        Service::ObjectStorage { region, bucket: bucket.map(str::to_owned) }
    }

    #[rstest]
    #[case::the_api("api.scaleway.com", Service::Api)]
    #[case::a_port("api.scaleway.com:443", Service::Api)]
    #[case::capitals("API.Scaleway.COM", Service::Api)]
    #[case::an_absolute_name("api.scaleway.com.", Service::Api)]
    #[case::storage("s3.fr-par.scw.cloud", storage(Region::FrPar, None))]
    #[case::amsterdam("s3.nl-ams.scw.cloud:443", storage(Region::NlAms, None))]
    #[case::warsaw("s3.pl-waw.scw.cloud", storage(Region::PlWaw, None))]
    #[case::milan("s3.it-mil.scw.cloud", storage(Region::ItMil, None))]
    #[case::a_bucket("photos.s3.fr-par.scw.cloud", storage(Region::FrPar, Some("photos")))]
    #[case::a_bucket_with_dots("a.b.c.s3.nl-ams.scw.cloud", storage(Region::NlAms, Some("a.b.c")))]
    #[case::a_bucket_called_s3("s3.s3.fr-par.scw.cloud", storage(Region::FrPar, Some("s3")))]
    #[case::a_bucket_like_a_host(
        "s3.fr-par.scw.cloud.s3.fr-par.scw.cloud",
        storage(Region::FrPar, Some("s3.fr-par.scw.cloud"))
    )]
    #[case::no_bucket_before_the_dot(".s3.fr-par.scw.cloud", Service::Unclaimed)]
    #[case::no_such_region("s3.us-east.scw.cloud", Service::Unclaimed)]
    #[case::no_region("s3.scw.cloud", Service::Unclaimed)]
    #[case::a_bucket_website("site.s3-website.fr-par.scw.cloud", Service::Unclaimed)]
    #[case::not_quite_storage("xs3.fr-par.scw.cloud", Service::Unclaimed)]
    #[case::the_registry("rg.fr-par.scw.cloud", Service::ContainerRegistry { region: Region::FrPar })]
    #[case::no_registry_below_it("ns.rg.fr-par.scw.cloud", Service::Unclaimed)]
    #[case::no_such_registry("rg.us-east.scw.cloud", Service::Unclaimed)]
    #[case::a_container("demo1a2b-app.functions.fnc.fr-par.scw.cloud", Service::Container { region: Region::FrPar })]
    #[case::below_a_container("x.demo1a2b-app.functions.fnc.fr-par.scw.cloud", Service::Unclaimed)]
    #[case::cockpit("1a2b.metrics.cockpit.fr-par.scw.cloud", Service::Unclaimed)]
    #[case::the_console("console.scaleway.com", Service::Unclaimed)]
    #[case::inference("api.scaleway.ai", Service::Unclaimed)]
    #[case::the_bare_domain("scw.cloud", Service::Unclaimed)]
    #[case::below_the_api("x.api.scaleway.com", Service::Unclaimed)]
    #[case::a_lookalike("notscaleway.com", Service::Foreign)]
    #[case::a_longer_domain("api.scaleway.com.example.org", Service::Foreign)]
    #[case::somebody_else("example.org:443", Service::Foreign)]
    #[case::an_address("127.0.0.1:8080", Service::Foreign)]
    #[case::a_v6_address("[::1]:443", Service::Foreign)]
    #[case::nothing("", Service::Foreign)]
    fn each_host_has_an_owner(#[case] host: &str, #[case] owner: Service) {
        assert_eq!(Service::of(host), owner);
    }

    #[rstest]
    #[case::v4("127.0.0.1:80", true)]
    #[case::all_of_127("127.8.8.8", true)]
    #[case::v6("[::1]:443", true)]
    #[case::bare_v6("::1", true)]
    #[case::mapped("[::ffff:127.0.0.1]:443", true)]
    #[case::by_name("LocalHost:3000", true)]
    #[case::below_localhost("db.localhost", true)]
    #[case::a_lookalike("localhost.example.org", false)]
    #[case::elsewhere("192.0.2.1", false)]
    fn loopback_is_recognised(#[case] host: &str, #[case] expected: bool) {
        assert_eq!(is_loopback(&name(host)), expected);
    }
}
