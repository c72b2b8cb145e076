# 1. Check current balance
curl $BASE_URL/v1/balance \
  -H "Authorization: Bearer $API_KEY"

# 2. List saved cards
curl $BASE_URL/v1/cards \
  -H "Authorization: Bearer $API_KEY"

# 3. Reload $25 with saved card
curl -X POST $BASE_URL/v1/reload \
  -H "Authorization: Bearer $API_KEY" \
  -H "Content-Type: application/json" \
  -d '{"amount": 2500}'

# → {"success":true,"balance":29.90,...}
