// A product page: stock and phase as they change, a countdown by the server's clock, buying without a page load. What is
// shown follows from the attributes of the page's element (assets/shop.css). Without this file everything works by forms
// and page loads.
"use strict";

const BUY_TIMEOUT_MS = 15_000;
const SLOW_MS = 4000;
const OPENING_SPREAD_MS = 300;
const USER_LENGTH_MAX = 128;
// Shares of the stock at which what is left is announced to screen readers, and the least time between two announcements.
const ANNOUNCED = [0.5, 0.25, 0.1, 0.05, 0.01];
const ANNOUNCE_MS = 10_000;

const page = document.querySelector("[data-product]");
const find = (selector) => page.querySelector(selector);
const form = find("form.buy");
const field = form.elements.userId;
const button = find(".bar button");
const texts = JSON.parse(find("[data-texts]").dataset.texts);
const number = new Intl.NumberFormat(page.dataset.locale);

let sale = { ...page.dataset };
let offset = Number(sale.now) - Date.now(); // server's clock minus this device's
let buying = false;
let opened; // the opening that has been seen to come

function mark(name, is) {
  if (is) page.dataset[name] ??= "";
  else delete page.dataset[name];
}

const label = () => (buying ? texts.BUYING : "unsettled" in page.dataset ? texts.RETRY : texts[`BUTTON_${sale.phase}`]);

function show() {
  if (page.dataset.phase !== sale.phase) page.dataset.phase = sale.phase;
  mark("buying", buying);
  put(find(".badge"), texts[sale.phase]);
  put(find(".over h2"), texts[`OVER_${sale.phase}`]);
  put(find(".waiting b"), texts[`WAITING_${sale.phase}`]);
  put(button, label());
  button.disabled = !buying && sale.phase !== "ACTIVE" && !("unsettled" in page.dataset);
  button.setAttribute("aria-disabled", buying);
  showStock();
  showTimes();
  tick();
}

function showStock() {
  if (!sale.stock && sale.stock !== 0) return;
  const [left, total] = [Number(sale.stock), Number(sale.total)];
  find(".level rect").setAttribute("width", Math.round((1000 * left) / total));
  for (const shown of page.querySelectorAll(".stock p, .bar .left")) {
    put(shown.querySelector("b"), number.format(left));
    put(shown.querySelector("span"), number.format(total));
  }
  mark("low", sale.phase === "ACTIVE" && left <= Math.ceil(total / 10));
  announce(left, total);
}

const step = (left, total) => ANNOUNCED.filter((share) => left <= total * share).length;
let announced = step(Number(sale.stock), Number(sale.total));
let announcing;
let announcedAt = -Infinity;

// What is left changes many times a second in a busy sale.
function announce(left, total) {
  if (sale.phase !== "ACTIVE" || step(left, total) === announced || announcing) return;
  announcing = setTimeout(() => {
    announcing = undefined;
    if (sale.phase !== "ACTIVE") return;
    const [left, total] = [Number(sale.stock), Number(sale.total)];
    announced = step(left, total);
    announcedAt = performance.now();
    put(find(".news"), `${number.format(left)} of ${number.format(total)} left`);
  }, announcedAt + ANNOUNCE_MS - performance.now());
}

function showTimes() {
  for (const [selector, at] of [[".opening", sale.opensAt], [".ends", sale.closesAt]]) {
    page.querySelector(selector).hidden = !at;
    if (at) showTime(find(`${selector} time`), at);
  }
}

function tick() {
  for (const [selector, at] of [[".opening", sale.opensAt], [".ends", sale.closesAt]]) {
    if (at) put(find(`${selector} .countdown`), duration(at - (Date.now() + offset)));
  }
  if (sale.phase === "UPCOMING" && sale.opensAt !== opened && sale.opensAt <= Date.now() + offset) {
    opened = sale.opensAt;
    setTimeout(feed.refresh, OPENING_SPREAD_MS * Math.random());
  }
}

function showNotice(text, severity) {
  const notice = find(".notice");
  notice.dataset.severity = severity;
  put(notice, text);
}

function showFieldError(text) {
  put(find("#wrong"), text);
  if (!text) return field.removeAttribute("aria-invalid");
  field.setAttribute("aria-invalid", "true");
  field.focus();
}

function showBought({ title, number: unit, of, user, receipt }) {
  put(find(".bought h2"), title);
  put(find(".number b"), unit);
  put(find(".number span"), of);
  put(find(".who"), user);
  find(".bought .button").href = receipt;
  mark("bought", true);
  // The address may have named another user.
  history.replaceState(null, "", page.dataset.url);
  find(".bought").focus();
}

// The server's own check, without its round trip.
function fieldError(user) {
  if (user === "") return texts.FIELD_EMPTY;
  if (user.length > USER_LENGTH_MAX) return texts.FIELD_LONG;
  return /^[!-~]+$/.test(user) ? "" : texts.FIELD_SIGNS;
}

// A reply of the shop, or a problem of it; else the answer of a proxy in front of it, which may have passed the attempt on.
async function replyOf(answer) {
  const body = await answer.json().catch(() => ({}));
  if (body.kind) return body;
  if (body.detail) return { kind: "notice", severity: "error", text: body.detail, unsettled: false };
  const isRefused = answer.status >= 400 && answer.status < 500;
  const text = texts[`HTTP_${answer.status}`] ?? (answer.status > 500 ? texts.HTTP_UNREACHABLE : texts.HTTP_OTHER);
  return { kind: "notice", severity: "error", text: text.replace("{status}", answer.status), unsettled: !isRefused };
}

async function attempt() {
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { accept: "application/json" },
      body: new URLSearchParams(new FormData(form)),
      signal: AbortSignal.timeout(BUY_TIMEOUT_MS),
    });
    return await replyOf(answer);
  } catch (error) {
    const text = error.name === "TimeoutError" ? texts.TIMEOUT : texts.LOST;
    return { kind: "notice", severity: "error", text, unsettled: true };
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (buying) return;
  const wrong = fieldError(field.value.trim());
  showFieldError(wrong);
  showNotice("", "info");
  if (wrong) return;
  buying = true;
  show();
  const slow = setTimeout(() => showNotice(texts.SLOW, "warning"), SLOW_MS);
  const reply = await attempt();
  clearTimeout(slow);
  buying = false;
  showNotice(reply.kind === "notice" ? reply.text : "", reply.severity ?? "info");
  mark("unsettled", reply.unsettled === true);
  show();
  if (reply.kind === "field") showFieldError(reply.text);
  if (reply.kind === "bought") showBought(reply);
});

field.addEventListener("input", () => {
  if (!fieldError(field.value.trim())) showFieldError("");
});

const feed = follow({
  events: page.dataset.events,
  url: page.dataset.url,
  heard(state) {
    sale = { ...sale, ...state };
    offset = sale.now - Date.now();
    show();
  },
  say: (key, status) => put(document.querySelector(".link"), texts[key].replace("{status}", status)),
});
setInterval(tick, 250);
show();
