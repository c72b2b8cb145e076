const base = process.env.BASE_URL;
const response = await fetch(`${base}/v1/clip`, {
  method: "POST",
  headers: { "Authorization": `Bearer ${process.env.API_KEY}`, "Content-Type": "application/json" },
  body: JSON.stringify({ url: process.env.SOURCE_URL, start: 1, end: 3, format: "mp4", quality: "1080p" }),
});
const job = await response.json();

while (true) {
  const r = await fetch(`${base}/v1/clip/${job.job_id}`, {
    headers: { "Authorization": `Bearer ${process.env.API_KEY}` },
  }).then((r) => r.json());
  if (r.status === "complete") { console.log(r.download_url); break; }
  if (r.status === "failed") throw new Error(r.error);
  await new Promise((resolve) => setTimeout(resolve, 2000));
}
