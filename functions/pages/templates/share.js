// Copies links, counts a view, shows thumbnails to jump about by, and renews links that have expired. A page without
// this script plays and downloads all the same.
(() => {
  "use strict";
  const clip = document.body.dataset.clip;
  const media = document.querySelector("video, audio");
  const share = `/v1/share/${clip}`;
  // Not asked for anew more often than this, in ms: a file that cannot be played is not asked for for ever.
  const RENEW_PAUSE = 30000;
  // Older links, in ms, are renewed when the page is looked at again.
  const LINK_AGE = 3600000;

  let seen = false;
  const count = () => {
    if (seen) return;
    seen = true;
    fetch(`${share}/view`, { method: "POST", keepalive: true }).catch(() => {});
  };

  let renewed = 0;
  let fresh = Date.now();
  const links = async () => {
    const answer = await fetch(share);
    if (!answer.ok) throw new Error("gone");
    const found = await answer.json();
    fresh = Date.now();
    const download = document.getElementById("download");
    if (download) download.href = found.download_url;
    return found;
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && Date.now() - fresh > LINK_AGE) links().catch(() => {});
  });

  if (media) {
    let at = 0;
    let wanted = false;
    media.addEventListener("play", () => { wanted = true; count(); document.body.classList.add("playing"); });
    media.addEventListener("pause", () => {
      if (!media.error) wanted = false;
      document.body.classList.remove("playing");
    });
    media.addEventListener("timeupdate", () => { if (!media.error) at = media.currentTime; });
    media.addEventListener("seeking", () => { if (!media.error) at = media.currentTime; });
    media.addEventListener("error", async () => {
      if (Date.now() - renewed < RENEW_PAUSE) return;
      renewed = Date.now();
      const [place, play] = [at, wanted];
      try {
        media.src = (await links()).stream_url;
        media.currentTime = place;
        if (play) await media.play();
      } catch {
        const said = document.getElementById("said");
        if (said) said.textContent = "This clip can no longer be played. Reload the page to see why.";
      }
    });
  } else {
    count();
  }

  const said = document.getElementById("said");
  for (const button of document.querySelectorAll("[data-copy], [data-copy-from]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const from = button.dataset.copyFrom;
      try {
        await navigator.clipboard.writeText(from ? document.getElementById(from).value : button.dataset.copy);
        said.textContent = "Copied.";
      } catch {
        said.textContent = "Your browser does not let this page copy. Mark the text and copy it yourself.";
        if (from) document.getElementById(from).select();
      }
    });
  }

  // The thumbnails in a row, as the cues tell them: `0:00:01.000 --> 0:00:02.000`, then `x.jpg#xywh=160,0,160,90`.
  const seconds = (clock) => clock.trim().split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  const read = (text) => {
    const cues = [];
    for (const found of text.matchAll(/([\d:.]+) --> ([\d:.]+)[^\n]*\n[^\n]*#xywh=(\d+),(\d+),(\d+),(\d+)/g)) {
      const [x, y, width, height] = found.slice(3).map(Number);
      cues.push({ end: seconds(found[2]), x, y, width, height });
    }
    return cues;
  };

  const strip = document.querySelector(".strip");
  const tell = (time) => `${Math.floor(time / 60)}:${String(Math.floor(time % 60)).padStart(2, "0")}`;
  const show = async () => {
    const cues = read((await (await fetch(strip.dataset.cues)).text()).replace(/\r/g, ""));
    const picture = new Image();
    picture.src = strip.dataset.sprite;
    await picture.decode();
    if (!cues.length || !media.duration) return;
    strip.hidden = false;
    const [canvas, mark, input] = strip.children;
    input.max = media.duration;
    const draw = () => {
      const scale = window.devicePixelRatio || 1;
      canvas.width = strip.clientWidth * scale;
      canvas.height = strip.clientHeight * scale;
      const across = canvas.height * cues[0].width / cues[0].height;
      const number = Math.max(1, Math.round(canvas.width / across));
      const step = canvas.width / number;
      // Each place shows as much of its thumbnail as has its shape, so that none is stretched.
      const part = Math.min(1, step / across);
      const context = canvas.getContext("2d");
      for (let place = 0; place < number; place++) {
        const time = (place + 0.5) / number * media.duration;
        const cue = cues.find((one) => time < one.end) || cues[cues.length - 1];
        context.drawImage(picture, cue.x + cue.width * (1 - part) / 2, cue.y, cue.width * part, cue.height,
          place * step, 0, step, canvas.height);
      }
    };
    const follow = () => {
      mark.style.left = `${100 * media.currentTime / media.duration}%`;
      input.value = media.currentTime;
      input.setAttribute("aria-valuetext", `${tell(media.currentTime)} of ${tell(media.duration)}`);
    };
    input.addEventListener("input", () => { media.currentTime = Number(input.value); });
    for (const event of ["timeupdate", "seeking", "seeked"]) media.addEventListener(event, follow);
    new ResizeObserver(draw).observe(strip);
    draw();
    follow();
  };
  if (strip && media) {
    const begin = () => show().catch(() => {});
    if (media.readyState > 0) begin();
    else media.addEventListener("loadedmetadata", begin, { once: true });
  }
})();
