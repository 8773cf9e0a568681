use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

#[test]
fn credentials_are_shown_to_servers_of_the_same_domain_only() {
    for (registry, server, wanted) in [
        ("https://a.example/", "https://a.example/token", true),
        ("https://registry-1.docker.io/", "https://auth.docker.io/token", true),
        ("https://registry.gitlab.com/", "https://gitlab.com/jwt/auth", true),
        ("https://a.example/", "https://evil.example/token", false),
        ("https://europe-docker.pkg.dev/", "https://europe-docker.pkg.dev/v2/token", true),
        ("https://a.co.uk/", "https://a.co.uk.evil.example/", false),
        ("https://a.example.org/", "https://xa.example.org/", true),
        ("https://a.example.org/", "https://example.org.evil/", false),
        ("https://a.example.org/", "https://a.example.org:8443/", false),
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5000/token", true),
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5001/token", false),
        ("https://192.0.2.1/", "https://192.0.2.2/", false),
    ] {
        assert_eq!(may_know(&url(registry), &url(server)), wanted, "{registry} {server}");
    }
}

#[test]
fn a_registry_leads_nowhere_without_tls_and_not_to_this_machine() {
    let far: Reference = "oci://registry.example/mask:1".parse().unwrap();
    let here: Reference = "oci://localhost:5000/mask:1".parse().unwrap();
    for (of, to, wanted) in [
        (&far, "https://storage.example/x?sig=1", true),
        (&far, "/v2/other", true),
        (&far, "http://registry.example/x", false),
        (&far, "http://localhost:5000/x", false),
        (&far, "https://localhost/x", false),
        (&far, "https://[::1]/x", false),
        (&far, "https://user:secret@storage.example/x", false),
        (&far, "file:///etc/passwd", false),
        (&far, "ftp://storage.example/x", false),
        (&here, "http://localhost:5001/x", true),
        (&here, "https://storage.example/x", true),
        (&here, "http://storage.example/x", false),
    ] {
        assert_eq!(leads(of, &base(of).unwrap(), to).is_ok(), wanted, "{of} {to}");
    }
}
