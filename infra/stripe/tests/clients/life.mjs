// The same shop with Stripe's client for Node: what the client makes of answers, errors and signatures.

import assert from "node:assert/strict";
import { createServer } from "node:http";

import Stripe from "stripe";

const { BASE_URL, API_KEY, VERSION } = process.env;
const SECRET = "whsec_from_node";
const { hostname, port } = new URL(BASE_URL);
const options = { host: hostname, port, protocol: "http", apiVersion: VERSION, maxNetworkRetries: 0 };
const stripe = new Stripe(API_KEY, options);

const control = async (path, body) => {
  const answer = await fetch(`${BASE_URL}/_local/stripe/${path}`, { method: "POST", body: JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
};
const fillIn = (url, number) =>
  fetch(url, {
    method: "POST",
    redirect: "manual",
    body: new URLSearchParams({ number, expiry: "12/34", cvc: "123", email: "node@b.example" }),
  });

const kinds = [];
const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts).toString();
  const signature = request.headers["stripe-signature"];
  kinds.push(stripe.webhooks.constructEvent(body, signature, SECRET).type);
  assert.throws(() => stripe.webhooks.constructEvent(`${body} `, signature, SECRET));
  assert.throws(() => stripe.webhooks.constructEvent(body, signature, "whsec_other"));
  // What the client itself would have signed.
  const timestamp = Number(signature.match(/t=(\d+)/)[1]);
  assert.equal(stripe.webhooks.generateTestHeaderString({ payload: body, secret: SECRET, timestamp }), signature);
  response.end();
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
await control("webhook", { url: `http://127.0.0.1:${server.address().port}/`, secret: SECRET });

// Somebody who is no customer yet subscribes.
const price = await stripe.prices.create({
  currency: "usd",
  unit_amount: 900,
  recurring: { interval: "month" },
  product_data: { name: "Starter" },
});
const session = await stripe.checkout.sessions.create({
  mode: "subscription",
  success_url: "http://shop.example/{CHECKOUT_SESSION_ID}",
  line_items: [{ price: price.id, quantity: 2 }],
});
assert.equal((await fillIn(session.url, "4000000000000002")).status, 402);
const done = await fillIn(session.url, "5555 5555 5555 4444");
assert.equal(done.headers.get("location"), `http://shop.example/${session.id}`);
const complete = await stripe.checkout.sessions.retrieve(session.id, { expand: ["subscription", "customer"] });
assert.equal(complete.customer.email, "node@b.example");
assert.equal(complete.subscription.items.data[0].quantity, 2);
await control("clock", { advance: 70 * 24 * 3600 });
const totals = [];
for await (const invoice of stripe.invoices.list({ subscription: complete.subscription.id, limit: 1 })) {
  totals.push(invoice.total);
}
assert.deepEqual(totals, [1800, 1800, 1800]);
assert.equal((await stripe.subscriptions.cancel(complete.subscription.id)).status, "canceled");

// The saved card, and one that wants to be asked.
const customer = complete.customer.id;
const [card] = (await stripe.customers.listPaymentMethods(customer)).data;
const pay = (method, key) =>
  stripe.paymentIntents.create(
    { amount: 2500, currency: "usd", customer, payment_method: method, off_session: true, confirm: true },
    { idempotencyKey: key },
  );
const paid = await pay(card.id, "one");
assert.equal(paid.status, "succeeded");
assert.equal((await pay(card.id, "one")).id, paid.id);
await assert.rejects(pay("pm_card_visa", "one"), { type: "StripeIdempotencyError" });
const strict = await control("cards", { number: "4000002760003184", customer });
await assert.rejects(pay(strict.id, "two"), (error) => {
  assert.ok(error instanceof Stripe.errors.StripeCardError);
  assert.equal(error.code, "authentication_required");
  assert.equal(error.payment_intent.status, "requires_payment_method");
  return true;
});
await assert.rejects(stripe.customers.retrieve("cus_nobody"), { statusCode: 404, code: "resource_missing" });
await assert.rejects(new Stripe("sk_test_wrong", options).customers.list(), { type: "StripeAuthenticationError" });

// A connection that breaks after the charge: the client's own retry finds it done.
await control("faults", { path: "/v1/payment_intents", when: "after", answer: "none" });
const retrying = new Stripe(API_KEY, { ...options, maxNetworkRetries: 2 });
const again = await retrying.paymentIntents.create({
  amount: 700,
  currency: "usd",
  customer,
  payment_method: card.id,
  off_session: true,
  confirm: true,
});
const charges = await stripe.charges.list({ customer, limit: 100 });
assert.equal(charges.data.filter((charge) => charge.amount === 700).length, 1);
assert.equal((await stripe.refunds.create({ payment_intent: again.id })).status, "succeeded");

const happened = (await stripe.events.list({ limit: 100 })).data.length;
for (let tries = 0; kinds.length < happened && tries < 400; tries += 1) {
  await new Promise((resolve) => setTimeout(resolve, 25));
}
assert.equal(kinds.length, happened);
assert.ok(kinds.includes("checkout.session.completed") && kinds.includes("customer.subscription.deleted"));
console.log(JSON.stringify({ events: kinds.length }));
server.close();
server.closeAllConnections();
