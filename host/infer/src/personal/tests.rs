use super::*;

#[test]
fn values_are_told_by_what_they_are() {
    for (wanted, texts) in [
        (Some(Look::Email), &["ada@example.com", "jürgen.k+x@post.example.co.uk"][..]),
        (Some(Look::Ip), &["192.0.2.7", "2001:db8::1"]),
        (Some(Look::Card), &["4111 1111 1111 1111", "5500005555555559"]),
        (Some(Look::Iban), &["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"]),
        (
            Some(Look::Phone),
            &[
                "+48 601 234 567",
                "+1 (555) 010-9999",
                "(555) 010-9999",
                "0171 1234500",
                "030/123 456-78",
                "0049 171 1234500",
            ],
        ),
        (Some(Look::UserAgent), &["Mozilla/5.0 (X11)"]),
        (
            Some(Look::Url),
            &[
                "https://shop.example/?token=1",
                "HTTP://a.example",
                "android-app://com.example/x",
                "/reset?key=1",
                "shop.example/a?b=c",
            ],
        ),
        (
            Some(Look::HoldsEmail),
            &[
                "write to ada@example.com, please",
                "/u/ada@example.com/x",
                "/u/ada%40example.com",
                "ada%252540example.com",
                "GET https://shop.example:443/a?email=a5%40example.com HTTP/1.1",
                r#"{"by": "ada\u0040example.com"}"#,
                "ada&#64;example.com",
                "ada&#x40;example.com",
                "[ada_@example.com]",
                "<ada@example.com>|x",
            ],
        ),
        (
            Some(Look::HoldsIp),
            &[
                "203.0.113.6:4005",
                "[2001:db8::6]:443",
                "203.0.113.6, 10.0.0.1",
                "from=203.0.113.6",
                "ip:2001:db8::6",
                "of 2001:db8::6: refused",
                "for=\"[2001:db8::6]\";proto=https",
                "203.0.113.6%3A4005",
                "203.0.113.0/24",
                "/u/203.0.113.6/x",
                "It was 203.0.113.6.",
                "fe80::1%eth0",
            ],
        ),
        (
            Some(Look::HoldsPhone),
            &[
                "tel:+48601234505",
                "tel:%2B48601234505",
                "call +48 601 234 505 now",
                "x=+1(555)010-9999",
                "+48601234505-20260105",
            ],
        ),
        (Some(Look::HoldsUrl), &["GET https://shop.example/a?key=1 HTTP/1.1"]),
        (Some(Look::Prose), &["the shoes that I got are too small"]),
        (
            None,
            &[
                "",
                "blue",
                "10",
                "4111111111111112",
                "DE00370400440532013000",
                "a@b",
                "1.5",
                "2026-01-05",
                "01-05-2026",
                "0-306-40615-2",
                "01711234500",
                "(12)",
                "/u/@ada.b/x",
                "100%40x",
                "std::fmt 1.2.3",
                "v1.2.3.4",
                "00:1a:2b:3c:4d:5e",
                "05/Jan/2026:10:00:00 +0100",
                "1e+12",
                "order+1234567",
                "/u/601234505/x",
                "a/ b?c=d",
                "/blog/what-is-it?",
            ],
        ),
    ] {
        for text in texts {
            assert_eq!(look(text), wanted, "{text}");
        }
    }
}

#[test]
fn names_are_read_word_by_word() {
    assert_eq!(words("userId"), ["user", "id"]);
    assert_eq!(words("User ID"), ["user", "id"]);
    assert_eq!(words("e-mail"), ["e", "mail"]);
    let by = |name: &str| by_name(&[name], false).map(|(treatment, _)| treatment);
    for (wanted, names) in [
        (
            Some(Treatment::Pseudonym),
            &[
                "email",
                "E-Mail",
                "customer_id",
                "userId",
                "Vorname",
                "first name",
                "phone",
                "street",
                "uid",
                "session_id",
                "MAC",
                "device_mac_address",
                "Straße",
                "Prénom",
                "téléphone",
                "domain_userid",
                "distinct_id",
                "Billing Name",
                "Account Holder",
                "Empfänger",
                "created_by",
                "Kundennummer",
                "cs(Cookie)",
            ][..],
        ),
        (
            Some(Treatment::Ip),
            &["ip", "client_ip", "ipAddress", "http_x_forwarded_for", "X-Forwarded-For"],
        ),
        (
            Some(Treatment::Remove),
            &[
                "dob",
                "Date de naissance",
                "latitude",
                "card_number",
                "password",
                "access_token",
                "Geburtstag",
                "jwt",
            ],
        ),
        (
            Some(Treatment::Clean),
            &["url", "referrer", "comment", "http_user_agent", "userAgent", "ua", "search"],
        ),
        (
            None,
            &[
                "name",
                "price",
                "email_count",
                "mobile_brand_name",
                "phone model",
                "order",
                "order_id",
                "country",
                "product_name",
                "Shipping Method Name",
                "nom",
                "first",
                "description",
                "page",
                "zip",
                "id",
            ],
        ),
    ] {
        for name in names {
            assert_eq!(by(name), wanted, "{name}");
        }
    }
    assert!(by_name(&["user", "name"], false).is_some());
    assert!(by_name(&["user", "id"], false).is_some());
    assert!(by_name(&["product", "name"], false).is_none());
    assert!(by_name(&["name"], true).is_some());
}

#[test]
fn what_counts_things_is_told_from_what_names_them() {
    for name in ["id", "order_id", "sku", "zip", "postal_code", "phone", "invoice number"] {
        assert!(is_identifier(name), "{name}");
    }
    for name in ["status_code", "number_of_items", "order", "quantity", "price", "year", "number"] {
        assert!(!is_identifier(name), "{name}");
    }
    assert!(is_version("app_version") && is_version("osVersion") && !is_version("conversion"));
    assert!(is_money("unit_price") && is_money("Total") && !is_money("discount_rate"));
    assert!(!is_money("total_item_quantity") && is_money("items_total"));
    assert!(
        is_moment("event_timestamp") && is_moment("createdAt") && !is_moment("response_time_ms")
    );
}

#[test]
fn keys_and_values_are_told_by_the_same() {
    for held in
        ["by:ada%40example.com", "203.0.113.6:4005", "tel:+48601234505", "https://a.b/+48601234505"]
    {
        assert!(is_in_key(held), "{held}");
    }
    assert!(!is_in_key("https://schema.example/name") && !is_in_key("of https://schema.example"));
    assert!(has_ip("https://shop.example/?ip=203.0.113.6") && !has_ip("https://shop.example/1.2"));
}
