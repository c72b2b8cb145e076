//! What is asked wrongly, and lists.

use serde_json::json;

use crate::http::{KEY, Local, id, send, text};

#[tokio::test]
async fn only_who_has_the_key_is_answered() {
    let local = Local::start().await;
    let at = local.stripe.address();
    let basic = |user: &str| {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:")))
    };
    for (header, status) in [
        (String::new(), 401),
        ("Bearer sk_test_other".to_owned(), 401),
        (basic("sk_test_other"), 401),
        (basic(KEY), 200),
        (format!("bearer {KEY}"), 200),
    ] {
        let answer = send(at, "GET", "/v1/customers", "", &[("authorization", &header)]).await.unwrap();
        assert_eq!(answer.status, status, "{header}: {}", answer.text);
        if status == 401 {
            assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
            assert!(!answer.text.contains("sk_test_other"), "a key is not told back");
        }
    }
}

#[tokio::test]
async fn versions_are_echoed_and_requests_have_ids() {
    let local = Local::start().await;
    let version = [("stripe-version", "2020-08-27")];
    let first = local.call_with("GET", "/v1/customers", "", &version).await.unwrap();
    let second = local.call("GET", "/v1/customers", "").await;
    assert_eq!(first.header("stripe-version"), "2020-08-27");
    assert_eq!(second.header("stripe-version"), stripe::VERSION);
    assert!(first.header("request-id").starts_with("req_"));
    assert_ne!(first.header("request-id"), second.header("request-id"));
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let local = Local::start().await;
    let customer = local.customer().await;
    for (method, path, body, status, code, param) in [
        ("GET", "/v1/customers/cus_x", "", 404, "resource_missing", "id"),
        ("GET", "/v1/nothing", "", 404, "invalid_request_error", ""),
        ("GET", "/v1/customers?limit=0", "", 400, "parameter_invalid_integer", "limit"),
        ("GET", "/v1/customers?starting_after=cus_x", "", 400, "resource_missing", "starting_after"),
        ("POST", "/v1/customers", "nam=x", 400, "parameter_unknown", "nam"),
        ("POST", "/v1/customers", "email=x", 400, "email_invalid", "email"),
        ("POST", "/v1/payment_intents", "currency=usd", 400, "parameter_missing", "amount"),
        (
            "POST",
            "/v1/payment_intents",
            "amount=25.5&currency=usd",
            400,
            "parameter_invalid_integer",
            "amount",
        ),
        ("POST", "/v1/payment_intents", "amount=49&currency=usd", 400, "amount_too_small", "amount"),
        ("POST", "/v1/payment_intents", "amount=-1&currency=usd", 400, "parameter_invalid_integer", "amount"),
        (
            "POST",
            "/v1/payment_intents",
            "amount=500&currency=usd&customer=cus_x",
            400,
            "resource_missing",
            "customer",
        ),
        (
            "POST",
            "/v1/payment_intents",
            "amount=500&currency=usd&off_session=true",
            400,
            "invalid_request_error",
            "off_session",
        ),
        ("POST", "/v1/refunds", "charge=ch_x", 400, "resource_missing", "charge"),
        ("POST", "/v1/checkout/sessions", "success_url=http://x", 400, "parameter_missing", "mode"),
        (
            "POST",
            "/v1/checkout/sessions",
            "mode=payment&success_url=nonsense",
            400,
            "url_invalid",
            "success_url",
        ),
        (
            "POST",
            "/v1/checkout/sessions",
            "mode=payment&success_url=http://x",
            400,
            "parameter_missing",
            "line_items",
        ),
        (
            "POST",
            "/v1/payment_methods",
            "type=card&card[number]=4242424242424241&card[exp_month]=1&card[exp_year]=2034",
            402,
            "incorrect_number",
            "number",
        ),
    ] {
        let answer = local.call(method, path, body).await;
        assert_eq!(answer.error(), (status, code.to_owned()), "{method} {path} {body}: {}", answer.text);
        assert_eq!(answer.json()["error"]["param"].as_str().unwrap_or_default(), param, "{path} {body}");
    }
    let path = format!("/v1/customers/{customer}?expand[]=nothing");
    assert_eq!(local.call("GET", &path, "").await.status, 400);
}

#[tokio::test]
async fn lists_are_read_in_pages_both_ways() {
    let local = Local::start().await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(id(&local
            .post("/v1/customers", &format!("email={number}@b.example&metadata[n]={number}"))
            .await));
    }
    made.reverse();
    let ids = |page: &serde_json::Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(id).collect()
    };
    let first = local.get("/v1/customers?limit=2").await;
    assert_eq!((ids(&first), &first["has_more"]), (made[..2].to_vec(), &json!(true)));
    let last = local.get(&format!("/v1/customers?limit=3&starting_after={}", made[1])).await;
    assert_eq!((ids(&last), &last["has_more"]), (made[2..].to_vec(), &json!(false)));
    let back = local.get(&format!("/v1/customers?limit=2&ending_before={}", made[3])).await;
    assert_eq!((ids(&back), &back["has_more"]), (made[1..3].to_vec(), &json!(true)));
    let one = local.get("/v1/customers?email=3@b.example").await;
    assert_eq!(ids(&one), made[1..2]);
    let found = local.get("/v1/customers/search?query=metadata%5B'n'%5D:'4'").await;
    assert_eq!(ids(&found), made[..1]);
    let none = local.get("/v1/customers?created[lt]=1000").await;
    assert_eq!((ids(&none), text(&none["url"])), (Vec::new(), "/v1/customers".to_owned()));
}

#[tokio::test]
async fn a_deleted_customer_is_gone_with_its_cards_and_can_still_be_told() {
    let local = Local::start().await;
    let customer = local.customer().await;
    let card = local.card(&customer, "4242424242424242").await;
    let path = format!("/v1/customers/{customer}");
    assert_eq!(local.call("DELETE", &path, "").await.ok()["deleted"], true);
    assert_eq!(local.get(&path).await["deleted"], true);
    assert_eq!(local.get("/v1/customers").await["data"], json!([]));
    assert_eq!(local.call("POST", &path, "name=x").await.status, 404);
    assert_eq!(local.get(&format!("/v1/payment_methods/{card}")).await["customer"], json!(null));
    assert_eq!(local.charge(&customer, &card, 500).await.status, 400);
    let events = local.events().await;
    assert_eq!(
        events,
        ["customer.created", "payment_method.attached", "payment_method.detached", "customer.deleted"]
    );
}
