import os
import time

import requests

base = os.environ["BASE_URL"]
headers = {"Authorization": f"Bearer {os.environ['API_KEY']}"}
job = requests.post(
    f"{base}/v1/clip",
    headers=headers,
    json={"url": os.environ["SOURCE_URL"], "start": 1, "end": 3, "format": "mp4", "quality": "1080p"},
).json()

while True:
    r = requests.get(f"{base}/v1/clip/{job['job_id']}", headers=headers).json()
    if r["status"] == "complete":
        print(r["download_url"])
        break
    if r["status"] == "failed":
        raise SystemExit(r["error"])
    time.sleep(2)
