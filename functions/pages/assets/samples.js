// The request as code, in six languages; the key is left to whoever runs it.

/** @typedef {{ base: string, path: string, body: Record<string, unknown> }} Ask */

const KEY = 'sk_live_...';

/** JSON that is Python as well, but for these words. @param {unknown} value */
const python = (value) => JSON.stringify(value, null, 4).replace(/\btrue\b/g, 'True').replace(/\bfalse\b/g, 'False').replace(/\n/g, '\n    ');

/** @param {string} text */
const quoted = (text) => `'${text.replace(/'/g, `'\\''`)}'`;

/** @param {Record<string, unknown>} body @param {string} arrow @param {string} pad */
const pairs = (body, arrow, pad) =>
  Object.entries(body).map(([name, value]) => `${pad}${JSON.stringify(name)}${arrow}${literal(value)}`).join(',\n');

/** A literal of Ruby and PHP: `$`, `#{` and `\` mean something in their double quotes. @param {unknown} value */
const literal = (value) =>
  typeof value === 'string' ? `'${value.replace(/\\/g, '\\\\').replace(/'/g, `\\'`)}'` : JSON.stringify(value);

/** @type {Record<string, (ask: Ask) => string>} */
export const SAMPLES = {
  python: ({ base, path, body }) => `import requests, time

base = ${JSON.stringify(base)}
headers = {"Authorization": "Bearer ${KEY}"}
job = requests.post(
    base + "${path}",
    headers=headers,
    json=${python(body)},
).json()

while True:
    r = requests.get(f"{base}/v1/clip/{job['job_id']}", headers=headers).json()
    if r["status"] in ("complete", "failed", "cancelled"):
        print(r.get("download_url") or r.get("error"))
        break
    time.sleep(2)
`,
  javascript: ({ base, path, body }) => `const base = ${JSON.stringify(base)};
const headers = { "Authorization": "Bearer ${KEY}", "Content-Type": "application/json" };
const job = await fetch(base + "${path}", {
  method: "POST",
  headers,
  body: JSON.stringify(${JSON.stringify(body, null, 2).replace(/\n/g, '\n  ')}),
}).then((r) => r.json());

while (true) {
  const r = await fetch(\`\${base}/v1/clip/\${job.job_id}\`, { headers }).then((r) => r.json());
  if (["complete", "failed", "cancelled"].includes(r.status)) {
    console.log(r.download_url ?? r.error);
    break;
  }
  await new Promise((done) => setTimeout(done, 2000));
}
`,
  curl: ({ base, path, body }) => `BASE=${quoted(base)}
JOB_ID=$(curl -s "$BASE${path}" \\
  -H "Authorization: Bearer ${KEY}" \\
  -H "Content-Type: application/json" \\
  -d ${quoted(JSON.stringify(body))} | grep -o '"job_id":"[^"]*"' | cut -d'"' -f4)

while true; do
  ANSWER=$(curl -s "$BASE/v1/clip/$JOB_ID" -H "Authorization: Bearer ${KEY}")
  echo "$ANSWER" | grep -qE '"status":"(complete|failed|cancelled)"' && break
  sleep 2
done
echo "$ANSWER"
`,
  go: ({ base, path, body }) => `package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const base = ${JSON.stringify(base)}

func call(method, path string, body []byte) map[string]any {
	req, err := http.NewRequest(method, base+path, bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer ${KEY}")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	json.NewDecoder(resp.Body).Decode(&answer)
	return answer
}

func main() {
	body, _ := json.Marshal(map[string]any{
${pairs(body, ': ', '\t\t').replace(/: '((?:[^'\\]|\\.)*)'/g, (_, text) => `: ${JSON.stringify(text.replace(/\\(.)/g, '$1'))}`)},
	})
	job := call("POST", "${path}", body)
	for {
		r := call("GET", fmt.Sprint("/v1/clip/", job["job_id"]), nil)
		if r["status"] == "complete" {
			fmt.Println(r["download_url"])
			return
		}
		if r["status"] == "failed" || r["status"] == "cancelled" {
			fmt.Println(r["error"])
			return
		}
		time.Sleep(2 * time.Second)
	}
}
`,
  ruby: ({ base, path, body }) => `require "net/http"
require "json"

base = ${literal(base)}
headers = { "Authorization" => "Bearer ${KEY}", "Content-Type" => "application/json" }
ask = {
${pairs(body, ' => ', '  ')}
}
job = JSON.parse(Net::HTTP.post(URI(base + "${path}"), ask.to_json, headers).body)

loop do
  r = JSON.parse(Net::HTTP.get(URI("#{base}/v1/clip/#{job["job_id"]}"), headers))
  if %w[complete failed cancelled].include?(r["status"])
    puts r["download_url"] || r["error"]
    break
  end
  sleep 2
end
`,
  php: ({ base, path, body }) => `<?php
$base = ${literal(base)};

function call($method, $url, $body = null) {
    return json_decode(file_get_contents($url, false, stream_context_create(["http" => [
        "method" => $method,
        "header" => "Authorization: Bearer ${KEY}\\r\\nContent-Type: application/json",
        "content" => $body ? json_encode($body) : "",
        "ignore_errors" => true,
    ]])), true);
}

$job = call("POST", $base . "${path}", [
${pairs(body, ' => ', '    ')}
]);
do {
    sleep(2);
    $r = call("GET", $base . "/v1/clip/" . $job["job_id"]);
} while (!in_array($r["status"], ["complete", "failed", "cancelled"]));
echo $r["download_url"] ?? $r["error"], "\\n";
`,
};
