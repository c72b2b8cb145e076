#!/usr/bin/env bash
JOB=$(curl -s -X POST "$BASE_URL/v1/clip" \
  -H "Authorization: Bearer $API_KEY" \
  -H "Content-Type: application/json" \
  -d '{ "url": "'"$SOURCE_URL"'", "start": 1, "end": 3, "format": "mp4", "quality": "1080p" }')
JOB_ID=$(echo $JOB | grep -o '"job_id":"[^"]*"' | cut -d'"' -f4)

while true; do
  sleep 2
  STATUS=$(curl -s "$BASE_URL/v1/clip/$JOB_ID" -H "Authorization: Bearer $API_KEY")
  echo $STATUS | grep -q '"complete"' && break
  echo $STATUS | grep -q '"failed"' && exit 1
done
echo $STATUS
