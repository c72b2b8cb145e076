# Check balance, list cards, then reload
import os
import requests

base = os.environ["BASE_URL"]
headers = {"Authorization": "Bearer " + os.environ["API_KEY"]}

# 1. Check current balance
bal = requests.get(f"{base}/v1/balance", headers=headers).json()
print(f"Balance: ${bal['balance']:.2f}")

# 2. List saved cards
cards = requests.get(f"{base}/v1/cards", headers=headers).json()
for c in cards["cards"]:
    print(f"  {c['brand']} ****{c['last4']}")

# 3. Reload $25 with saved card
reload = requests.post(f"{base}/v1/reload",
    headers=headers,
    json={"amount": 2500}  # cents
).json()

print(f"New balance: ${reload['balance']:.2f}")
# → New balance: $29.90
