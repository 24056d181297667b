// Live updates of the operations console: the page is fetched every second and what has changed is replaced; charts are
// drawn from the history of the snapshot. Without this file the page loads itself again.
"use strict";

const INTERVAL = 1000;
// A poll every second, and one that may be lost.
const GONE_AFTER = 4000;
// Of charts, in seconds.
const WINDOW = 300;
const link = document.querySelector(".link");
const charts = document.querySelector(".charts");
const style = getComputedStyle(document.documentElement);
const colour = (name) => style.getPropertyValue(`--${name}`).trim();
const sum = (point, ...names) => names.reduce((total, name) => total + (point.attemptsPerS[name] ?? 0), 0);
const clock = (millis) => new Date(millis).toISOString().slice(11, 19);

const whole = (value) => Math.round(value).toLocaleString("en");
// As `latency` of src/domain/numbers.rs does.
function latency(millis) {
  const micros = Math.round(millis * 1000);
  const rounded = (unit) => Math.round(micros / unit);
  if (micros < 1000) return `${micros} µs`;
  if (rounded(100) < 100) return `${(rounded(100) / 10).toFixed(1)} ms`;
  if (rounded(1000) < 1000) return `${rounded(1000)} ms`;
  return rounded(1e5) < 100 ? `${(rounded(1e5) / 10).toFixed(1)} s` : `${whole(micros / 1e6)} s`;
}

// Each chart: how its values are shown, and its lines: label, colour, and value at a point of the history.
const CHARTS = {
  attempts: [whole,
    ["success", "good", (point) => sum(point, "SUCCESS")],
    ["refused", "accent", (point) => sum(point, "PURCHASED", "SOLD_OUT", "UPCOMING", "ENDED", "PAUSED")],
    ["503", "bad", (point) => sum(point, "NOT_READY", "UNKNOWN")],
  ],
  times: [latency,
    ["admission", "accent", (point) => point.admission.p95Ms],
    ["answer", "good", (point) => point.answer.p95Ms],
    ["success to row", "warn", (point) => point.recording.p95Ms],
  ],
  moving: [whole,
    ["in flight", "warn", (point) => point.inFlight],
    ["messages", "accent", (point) => point.queued],
  ],
};

let points = [];
let events = [];
let newsAt = performance.now();
const plots = new Map();

// Where nobody points, the legend has the latest values.
function showLatest(plot) {
  if (plot.cursor.left === undefined || plot.cursor.left < 0) plot.setLegend({ idx: points.length - 1 }, false);
}

function nearest(seconds) {
  const near = events.filter((event) => Math.abs(event.at / 1000 - seconds) < 3);
  return near.map((event) => `${clock(event.at)} ${event.title}`).join(" · ");
}

function drawEvents(plot) {
  const { ctx, bbox } = plot;
  ctx.save();
  for (const { at, severity } of events) {
    const x = Math.round(plot.valToPos(at / 1000, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = ctx.fillStyle = colour({ error: "bad", warning: "warn" }[severity] ?? "dim");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const size = 4 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x - size, bbox.top);
    ctx.lineTo(x + size, bbox.top);
    ctx.lineTo(x, bbox.top + 1.5 * size);
    ctx.fill();
  }
  ctx.restore();
}

function pointed(plot) {
  showLatest(plot);
  const [time, says] = [plot.cursor.idx === null ? undefined : plot.data[0][plot.cursor.idx], document.getElementById("pointed")];
  const isPointed = time !== undefined && plot.cursor.left >= 0;
  says.textContent = isPointed ? `${clock(time * 1000)} UTC ${nearest(plot.posToVal(plot.cursor.left, "x"))}` : "";
}

function options(id, width) {
  const [show, ...lines] = CHARTS[id];
  const axis = { stroke: colour("dim"), grid: { stroke: colour("rule"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  const value = (plot, raw) => (raw === null || raw === undefined ? "–" : show(raw));
  const series = lines.map(([label, name]) => ({ label, stroke: colour(name), width: 2, points: { show: false }, value }));
  return {
    width, height: 180, series: [{}, ...series],
    axes: [
      { ...axis, size: 30, values: (plot, times) => times.map((time) => clock(time * 1000).slice(0, 5)), space: 44 },
      { ...axis, size: 62, values: (plot, values) => values.map(show), space: 34 },
    ],
    cursor: { y: false, drag: { x: false, y: false }, sync: { key: "console" } },
    legend: { markers: { fill: (plot, line) => plot.series[line].stroke() } },
    hooks: { draw: [drawEvents], setCursor: [pointed] },
    scales: {
      x: { range: () => { const now = (points.at(-1)?.at ?? Date.now()) / 1000; return [now - WINDOW, now]; } },
      y: { range: (plot, low, high) => [0, Math.max((high ?? 0) * 1.1, show === latency ? 0.01 : 4)] },
    },
  };
}

function data(id) {
  const [, ...lines] = CHARTS[id];
  return [points.map((point) => point.at / 1000), ...lines.map(([, , value]) => points.map((point) => value(point) ?? null))];
}

function draw() {
  charts.hidden = false;
  for (const id of Object.keys(CHARTS)) {
    const box = document.getElementById(id);
    if (!plots.has(id)) plots.set(id, new uPlot(options(id, box.clientWidth), data(id), box));
    else plots.get(id).setData(data(id));
    showLatest(plots.get(id));
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

// Rows come, go and change places; what a person has opened stays open.
function placeRows(page) {
  const ids = (list) => [...list.querySelectorAll("details")].map((row) => row.id);
  const [shown, now] = [document, page].map((where) => where.getElementById("products"));
  const wanted = ids(now);
  if (wanted.join() === ids(shown).join()) return;
  shown.querySelectorAll("details").forEach((row) => wanted.includes(row.id) || row.remove());
  const focused = document.activeElement;
  for (const id of wanted) shown.append(document.getElementById(id) ?? now.querySelector(`#${CSS.escape(id)}`));
  if (shown.contains(focused)) focused.focus();
}

function replace(page) {
  placeRows(page);
  const selection = getSelection();
  const selected = !selection.isCollapsed;
  for (const now of page.querySelectorAll("[data-live]")) {
    const shown = document.getElementById(now.id);
    // A section with selected text stays, so that the text can be copied.
    if (selected && selection.containsNode(shown, true)) continue;
    if (shown.innerHTML !== now.innerHTML) put(shown, now);
    Object.assign(shown.dataset, now.dataset);
  }
  document.getElementById("main").dataset.read = page.getElementById("main").dataset.read;
}

async function poll() {
  try {
    const since = points.at(-1)?.at ?? 0;
    const [page, snapshot] = await Promise.all([
      fetched("/console").then((answer) => answer.text()),
      fetched(`/console/snapshot?since=${since}`).then((answer) => answer.json()),
    ]);
    replace(new DOMParser().parseFromString(page, "text/html"));
    newsAt = performance.now();
    points = points.concat(snapshot.history).filter((point) => point.at > snapshot.at - WINDOW * 1000);
    events = [...document.querySelectorAll(".events li")].map((item) => ({
      at: Date.parse(item.querySelector("time").dateTime), severity: item.dataset.severity,
      title: item.firstElementChild.nextElementSibling.textContent + item.firstElementChild.nextElementSibling.nextSibling.textContent,
    }));
    draw();
    link.textContent = "Live";
  } catch {
    link.textContent = "Connection lost, trying again…";
  }
}

// Figures without news are no longer true, however good they are.
function showAge() {
  const age = performance.now() - newsAt;
  const isGone = age >= GONE_AFTER;
  document.body.classList.toggle("gone", isGone);
  const says = document.getElementById("stale");
  says.hidden = !isGone;
  if (isGone) says.textContent = `No news for ${Math.floor(age / 1000)} s. Figures are from ${document.getElementById("main").dataset.read}`;
}

async function pollLoop() {
  if (!document.hidden) await poll();
  setTimeout(pollLoop, INTERVAL);
}

addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
setInterval(showAge, INTERVAL);
pollLoop();
