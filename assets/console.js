// Live updates of the operations console: the page is fetched every second and its changed sections are replaced; charts
// are drawn from the history of the snapshot. Without this file the page reloads itself.
"use strict";

const INTERVAL = 1000;
const link = document.querySelector(".link");
const charts = document.querySelector(".charts");
const style = getComputedStyle(document.documentElement);
const colour = (name) => style.getPropertyValue(`--${name}`).trim();
const sum = (point, ...names) => names.reduce((total, name) => total + (point.attemptsPerS[name] ?? 0), 0);

// Each line: label, colour, and its value at a point of the history.
const CHARTS = {
  attempts: [
    ["success", "good", (point) => sum(point, "SUCCESS")],
    ["refused", "accent", (point) => sum(point, "PURCHASED", "SOLD_OUT", "UPCOMING", "ENDED", "PAUSED")],
    ["503", "bad", (point) => sum(point, "NOT_READY", "UNKNOWN")],
  ],
  times: [
    ["admission", "accent", (point) => point.admission.p95Ms],
    ["answer", "good", (point) => point.answer.p95Ms],
    ["success to row", "warn", (point) => point.recording.p95Ms],
  ],
  moving: [
    ["in flight", "warn", (point) => point.inFlight],
    ["messages", "accent", (point) => point.queued],
  ],
};

let points = [];
const plots = new Map();

function options(id, width) {
  const clock = (plot, times) => times.map((time) => new Date(time * 1000).toISOString().slice(11, 19));
  const axis = { stroke: colour("dim"), grid: { stroke: colour("rule"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  const lines = CHARTS[id].map(([label, name]) => ({ label, stroke: colour(name), width: 2, points: { show: false } }));
  return {
    width, height: 170, series: [{}, ...lines], axes: [{ ...axis, values: clock, space: 70 }, { ...axis, size: 56 }], cursor: { show: false },
    legend: { live: false, markers: { fill: (plot, line) => plot.series[line].stroke() } }, scales: { y: { range: (plot, low, high) => [0, Math.max(high ?? 0, 1)] } },
  };
}

function data(id) {
  return [points.map((point) => point.at / 1000), ...CHARTS[id].map(([, , value]) => points.map((point) => value(point) ?? null))];
}

function draw() {
  charts.hidden = false;
  for (const id of Object.keys(CHARTS)) {
    const box = document.getElementById(id);
    if (!plots.has(id)) plots.set(id, new uPlot(options(id, box.clientWidth), data(id), box));
    else plots.get(id).setData(data(id));
  }
}

function redraw() {
  plots.forEach((plot) => plot.destroy());
  plots.clear();
  draw();
}

async function fetched(url) {
  const answer = await fetch(url, { signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(answer.status);
  return answer;
}

// Screen readers announce a status when its text changes, so the element itself must stay.
function put(shown, now) {
  const [before, after] = [shown, now].map((section) => section.querySelector("[role=status]"));
  if (before && after) {
    if (before.textContent !== after.textContent) before.textContent = after.textContent;
    for (const old of [...shown.children]) if (old !== before) old.remove();
    for (const one of [...now.children]) if (one !== after) shown.append(one);
  } else {
    shown.innerHTML = now.innerHTML;
  }
}

function replace(page) {
  const selection = getSelection();
  const selected = !selection.isCollapsed;
  for (const now of page.querySelectorAll("[data-live]")) {
    const shown = document.getElementById(now.id);
    // A section with selected text stays, so that the text can be copied.
    if (selected && selection.containsNode(shown, true)) continue;
    if (shown.innerHTML !== now.innerHTML) put(shown, now);
    Object.assign(shown.dataset, now.dataset);
  }
}

async function poll() {
  try {
    const since = points.at(-1)?.at ?? 0;
    const [page, snapshot] = await Promise.all([
      fetched("/console").then((answer) => answer.text()),
      fetched(`/console/snapshot?since=${since}`).then((answer) => answer.json()),
    ]);
    replace(new DOMParser().parseFromString(page, "text/html"));
    points = points.concat(snapshot.history).slice(-300);
    draw();
    link.textContent = "Live";
  } catch {
    link.textContent = "Connection lost, trying again…";
  }
}

async function pollLoop() {
  if (!document.hidden) await poll();
  setTimeout(pollLoop, INTERVAL);
}

addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
pollLoop();
