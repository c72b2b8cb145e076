"""A shop's whole life with Stripe's own client: a customer, Checkout, a saved card, payments, refunds, disputes, a
subscription over fourteen months. Every answer and every event is checked against Stripe's OpenAPI."""

import http.client
import http.server
import json
import os
import threading
import time
import urllib.parse

import stripe

import openapi

BASE, KEY, SECRET = os.environ["BASE_URL"], os.environ["API_KEY"], "whsec_from_python"
VERSION = os.environ["VERSION"]
assert VERSION == openapi.VERSION, f"answers are of {VERSION}, the description is of {openapi.VERSION}"
DAY = 24 * 3600
checked = {"answers": 0, "events": 0}


class Checked(stripe.RequestsClient):
    """Stripe's transport; what comes is checked before the client sees it."""

    def request(self, method, url, headers, post_data=None, **more):
        body, status, answered = super().request(method, url, headers, post_data, **more)
        openapi.answer(method, urllib.parse.urlparse(url).path, status, json.loads(body))
        assert answered["Request-Id"].startswith("req_") and answered["Stripe-Version"] == VERSION
        checked["answers"] += 1
        return body, status, answered


client = stripe.StripeClient(
    KEY, base_addresses={"api": BASE}, stripe_version=VERSION, http_client=Checked(), max_network_retries=0
).v1


def plain(method, path, body="", kind="application/x-www-form-urlencoded"):
    """A request without Stripe's client: status, place to go on to, text."""
    connection = http.client.HTTPConnection(urllib.parse.urlparse(BASE).netloc)
    connection.request(method, path.removeprefix(BASE), body, {"content-type": kind})
    answer = connection.getresponse()
    return answer.status, answer.getheader("location"), answer.read().decode()


def fill_in(url, number):
    assert plain("GET", url)[0] == 200
    return plain("POST", url, urllib.parse.urlencode({"number": number, "expiry": "12 / 34", "cvc": "123", "name": "A B"}))


def control(path, **body):
    status, _, text = plain("POST", f"/_local/stripe/{path}", json.dumps(body), "application/json")
    assert status == 200, text
    return json.loads(text)


def refused(code, call):
    try:
        call()
    except stripe.StripeError as error:
        assert error.code == code, error
        return error
    raise AssertionError(f"{code} was expected")


# Events, taken as a shop takes them.
events = []


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            event = stripe.Webhook.construct_event(body, self.headers["stripe-signature"], SECRET)
            openapi.event(json.loads(body))
            checked["events"] += 1
            events.append((event.type, json.loads(body)["data"]["object"]))
            self.send_response(200)
        except Exception as error:  # Seen by the test at its end.
            events.append(("wrong", repr(error)))
            self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()
control("webhook", url=f"http://127.0.0.1:{receiver.server_port}/", secret=SECRET)

# A customer pays on the Checkout page, after a card that had too little, and the card is kept.
customer = client.customers.create({"email": "shop@b.example", "metadata": {"account": "acc_1"}})
assert client.customers.list({"email": "shop@b.example"}).data[0].id == customer.id
client.customers.update(customer.id, {"name": "A B", "address": {"country": "US", "line1": "1 Street"}})
session = client.checkout.sessions.create({
    "mode": "payment",
    "customer": customer.id,
    "success_url": "http://shop.example/?session={CHECKOUT_SESSION_ID}",
    "cancel_url": "http://shop.example/",
    "line_items": [{
        "quantity": 1,
        "price_data": {"currency": "usd", "unit_amount": 2500, "product_data": {"name": "Deposit"}},
    }],
    "payment_intent_data": {"setup_future_usage": "off_session", "metadata": {"deposit": "dep_1"}},
})
status, _, text = fill_in(session.url, "4000000000009995")
assert status == 402 and "insufficient funds" in text
status, place, _ = fill_in(session.url, "4242424242424242")
assert (status, place) == (303, f"http://shop.example/?session={session.id}")
session = client.checkout.sessions.retrieve(
    session.id, {"expand": ["payment_intent.latest_charge.balance_transaction", "line_items", "customer"]}
)
assert (session.status, session.payment_status, session.amount_total) == ("complete", "paid", 2500)
charge = session.payment_intent.latest_charge
assert charge.balance_transaction.fee == 103 and plain("GET", charge.receipt_url)[0] == 200
assert session.line_items.data[0].amount_total == 2500
assert client.checkout.sessions.line_items.list(session.id).data[0].description == "Deposit"
assert client.payment_intents.search({"query": "metadata['deposit']:'dep_1'"}).data[0].id == session.payment_intent.id
(card,) = client.customers.payment_methods.list(customer.id, {"type": "card"}).data
assert (card.card.last4, card.card.exp_month, card.card.exp_year) == ("4242", 12, 2034)
client.customers.update(customer.id, {"invoice_settings": {"default_payment_method": card.id}})

# It is charged while nobody is there; twice under one key is once.
pay = {
    "amount": 2500, "currency": "usd", "customer": customer.id, "payment_method": card.id,
    "off_session": True, "confirm": True, "expand": ["latest_charge", "payment_method"],
}
first = client.payment_intents.create(pay, {"idempotency_key": "reload-1"})
again = client.payment_intents.create(pay, {"idempotency_key": "reload-1"})
assert first.id == again.id and first.status == "succeeded"
assert again.last_response.headers["Idempotent-Replayed"] == "true"
try:
    client.payment_intents.create({**pay, "amount": 2600}, {"idempotency_key": "reload-1"})
    raise AssertionError("other parameters were taken under one key")
except stripe.IdempotencyError as error:
    assert error.http_status == 400

# Cards that fail, each in its way.
for number, code, decline in [
    ("4000000000000002", "card_declined", "generic_decline"),
    ("4000000000009995", "card_declined", "insufficient_funds"),
    ("4000000000000069", "expired_card", "expired_card"),
    ("4000000000000127", "incorrect_cvc", "incorrect_cvc"),
    ("4000000000000341", "card_declined", "generic_decline"),
    ("4000002760003184", "authentication_required", "authentication_required"),
]:
    other = control("cards", number=number, customer=customer.id)
    openapi.named("payment_method", other)
    error = refused(code, lambda: client.payment_intents.create({**pay, "payment_method": other["id"]}))
    assert isinstance(error, stripe.CardError) and error.http_status == 402
    assert error.error.decline_code == decline
    assert error.error.payment_intent.status == "requires_payment_method"
    client.payment_methods.detach(other["id"])
refused("card_declined", lambda: client.payment_methods.attach("pm_card_visa_chargeDeclined", {"customer": customer.id}))

# Somebody is asked who it is.
asked = client.payment_intents.create({
    "amount": 900, "currency": "usd", "customer": customer.id, "payment_method": "pm_card_authenticationRequired",
    "confirm": True, "return_url": "http://shop.example/back",
})
assert asked.status == "requires_action" and asked.next_action.type == "redirect_to_url"
status, place, _ = plain("POST", asked.next_action.redirect_to_url.url, "result=complete")
assert status == 303 and place.startswith(f"http://shop.example/back?payment_intent={asked.id}&")
assert client.payment_intents.retrieve(asked.id).status == "succeeded"
unpaid = client.payment_intents.create({"amount": 500, "currency": "usd"})
refused("payment_intent_unexpected_state", lambda: client.payment_intents.confirm(unpaid.id))
assert client.payment_intents.cancel(unpaid.id).status == "canceled"

# A card is saved without paying: on the page, and by a SetupIntent.
session = client.checkout.sessions.create(
    {"mode": "setup", "currency": "usd", "customer": customer.id, "success_url": "http://shop.example/saved"}
)
_, question, _ = fill_in(session.url, "4000002500003155")
plain("POST", question, "result=complete")
saved = client.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent.payment_method"]}).setup_intent
assert saved.status == "succeeded" and saved.payment_method.customer == customer.id
assert client.payment_intents.create({**pay, "payment_method": saved.payment_method.id}).status == "succeeded"
made = client.setup_intents.create({"customer": customer.id, "payment_method": "pm_card_mastercard", "confirm": True})
assert made.status == "succeeded" and client.setup_intents.list({"customer": customer.id}).data[0].id == made.id
error = refused("card_declined", lambda: client.setup_intents.create({
    "customer": customer.id, "payment_method": "pm_card_visa_chargeDeclined", "confirm": True,
}))
assert error.error.setup_intent.last_setup_error.decline_code == "generic_decline"
left = client.checkout.sessions.create(
    {"mode": "setup", "currency": "usd", "customer": customer.id, "success_url": "http://shop.example/saved"}
)
assert client.checkout.sessions.expire(left.id).status == "expired"

# Money goes back.
part = client.refunds.create({"payment_intent": first.id, "amount": 1000, "reason": "requested_by_customer"})
assert part.status == "succeeded"
refused(None, lambda: client.refunds.create({"payment_intent": first.id, "amount": 1501}))
client.refunds.create({"charge": first.latest_charge.id, "metadata": {"why": "all"}})
refused("charge_already_refunded", lambda: client.refunds.create({"payment_intent": first.id}))
assert [refund.amount for refund in client.refunds.list({"payment_intent": first.id}).data] == [1500, 1000]
assert client.charges.retrieve(first.latest_charge.id, {"expand": ["refunds", "customer"]}).refunded

# Two disputes: one is lost, one is won.
for outcome in ("lost", "won"):
    intent = client.payment_intents.create({
        **pay, "payment_method": control("cards", number="4000000000000259", customer=customer.id)["id"]
    })
    (dispute,) = client.disputes.list({"payment_intent": intent.id}).data
    assert dispute.status == "needs_response" and dispute.amount == 2500
    refused("charge_disputed", lambda: client.refunds.create({"payment_intent": intent.id}))
    control(f"disputes/{dispute.id}", status=outcome)
    assert client.disputes.retrieve(dispute.id, {"expand": ["charge"]}).status == outcome

# A subscription over fourteen months, with a renewal that fails and is tried again.
product = client.products.create({"name": "Pro"})
price = client.prices.create({
    "product": product.id, "currency": "usd", "unit_amount": 1900, "recurring": {"interval": "month"}, "lookup_key": "pro",
})
assert client.prices.list({"lookup_keys": ["pro"]}).data[0].id == price.id
session = client.checkout.sessions.create({
    "mode": "subscription", "customer": customer.id, "success_url": "http://shop.example/",
    "line_items": [{"price": price.id, "quantity": 1}], "subscription_data": {"metadata": {"account": "acc_1"}},
})
assert fill_in(session.url, "4242424242424242")[0] == 303
session = client.checkout.sessions.retrieve(session.id, {"expand": ["subscription.latest_invoice", "invoice.payments"]})
subscription = session.subscription
assert subscription.status == "active" and session.invoice.status == "paid"
assert session.invoice.payments.data[0].payment.type == "payment_intent"


def current():
    return client.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice", "default_payment_method"]})


def next_month():
    ends = current()["items"].data[0].current_period_end
    now = json.loads(plain("GET", "/_local/stripe/clock")[2])["now"]
    control("clock", advance=ends - now)


for month in range(1, 15):
    if month == 6:
        control(f"cards/{subscription.default_payment_method}", number="4000000000009995")
    next_month()
    if month == 6:
        assert current().status == "past_due" and current().latest_invoice.next_payment_attempt
        control(f"cards/{subscription.default_payment_method}", number="4242424242424242")
        control("clock", advance=3 * DAY)
        assert (current().status, current().latest_invoice.attempt_count) == ("active", 2)
invoices = list(client.invoices.list({"subscription": subscription.id, "limit": 4}).auto_paging_iter())
assert [invoice.status for invoice in invoices] == ["paid"] * 15
assert invoices[0].parent.subscription_details.metadata["account"] == "acc_1"
assert client.invoices.line_items.list(invoices[0].id).data[0].pricing.price_details.price == price.id
payment = client.invoice_payments.list({"invoice": invoices[0].id}).data[0]
intent = client.payment_intents.retrieve(payment.payment.payment_intent)
assert intent.amount == 1900 and intent.customer == customer.id
client.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
next_month()
assert current().status == "canceled"
assert [each.id for each in client.subscriptions.list({"customer": customer.id, "status": "all"}).data] == [subscription.id]

# The books: what was charged, less what went back, is what the balance has.
charged = sum(each.amount - each.amount_refunded for each in client.charges.list({"limit": 100}).data if each.paid)
lost = sum(each.amount for each in client.disputes.list().data if each.status == "lost")
booked = list(client.balance_transactions.list({"limit": 100}).auto_paging_iter())
assert sum(each.amount for each in booked) == charged - lost
assert all(each.net == each.amount - each.fee for each in booked)

# Asked wrongly.
refused("parameter_unknown", lambda: client.customers.create({"nonsense": "1"}))
assert refused("resource_missing", lambda: client.customers.retrieve("cus_nobody")).http_status == 404
try:
    stripe.StripeClient("sk_test_wrong", base_addresses={"api": BASE}, http_client=Checked(), stripe_version=VERSION).v1.customers.list()
    raise AssertionError("a wrong key was taken")
except stripe.AuthenticationError as error:
    assert error.http_status == 401

client.customers.delete(customer.id)
assert client.customers.retrieve(customer.id).deleted

# Every event has come, or comes.
listed = [event.id for event in client.events.list({"limit": 100}).auto_paging_iter()]
for _ in range(400):
    if len(events) >= len(listed):
        break
    time.sleep(0.025)
kinds = [kind for kind, _ in events]
assert len(kinds) == len(listed), f"{len(listed)} events happened, {len(kinds)} came"
assert "wrong" not in kinds, [thing for kind, thing in events if kind == "wrong"][:3]
for kind, count in [
    ("checkout.session.completed", 3), ("checkout.session.expired", 1), ("invoice.paid", 15),
    ("invoice.payment_failed", 1), ("customer.subscription.deleted", 1), ("charge.dispute.created", 2),
    ("charge.dispute.closed", 2), ("charge.refunded", 2), ("customer.deleted", 1),
]:
    assert kinds.count(kind) == count, f"{kinds.count(kind)} of {kind}"
for kind in ("payment_method.attached", "payment_method.detached", "payment_intent.payment_failed", "setup_intent.succeeded"):
    assert kind in kinds, kind
print(json.dumps(checked))
