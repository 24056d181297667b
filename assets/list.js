// The list of products: countdowns, and what has changed. Without this file the list is as it was when it was loaded.
"use strict";

const REFRESH_MS = 10_000;
const TIMEOUT_MS = 5000;
const loadedAt = Date.now();
let due = false;

function tick() {
  for (const shown of document.querySelectorAll(".countdown")) {
    const { until, now } = shown.dataset;
    const at = shown.at ?? loadedAt;
    const left = until - now - (Date.now() - at);
    put(shown, duration(left));
    due ||= left <= 0;
  }
}

// Tiles and their pictures stay, so that focus does.
async function refresh() {
  due = false;
  const answer = await fetch(location.href, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!answer.ok) return;
  const [shown, now] = [document, new DOMParser().parseFromString(await answer.text(), "text/html")].map((page) => page.querySelector("#groups"));
  if (!shown || !now) return;
  const at = Date.now();
  const tiles = (groups) => [...groups.querySelectorAll("h2, .tile a")].map((one) => one.getAttribute("href") ?? one.textContent).join(" ");
  now.querySelectorAll("time").forEach((element) => showTime(element));
  now.querySelectorAll(".countdown").forEach((element) => (element.at = at));
  if (tiles(shown) !== tiles(now)) return shown.replaceChildren(...now.children);
  const after = [...now.querySelectorAll(".tile")];
  [...shown.querySelectorAll(".tile")].forEach((tile, index) => {
    const fresh = after[index];
    for (const name of fresh.getAttributeNames()) tile.setAttribute(name, fresh.getAttribute(name));
    for (const name of tile.getAttributeNames()) if (!fresh.hasAttribute(name)) tile.removeAttribute(name);
    put(tile.querySelector(".badge"), fresh.querySelector(".badge").textContent);
    tile.querySelector(".facts").replaceChildren(...fresh.querySelector(".facts").childNodes);
  });
}

async function refreshLoop() {
  const pause = REFRESH_MS * (1 + Math.random() / 4);
  const began = Date.now();
  while (Date.now() - began < pause && !(due && Date.now() - began > 1000)) await new Promise((end) => setTimeout(end, 250));
  // A list that can't be loaded stays as it is.
  if (!document.hidden) await refresh().catch(() => {});
  refreshLoop();
}

setInterval(tick, 250);
tick();
refreshLoop();
