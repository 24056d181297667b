// Live updates of a product page: stock and phase as they change, a countdown by the server's clock, buying without a
// page load. Without this file everything works by forms and page loads.
"use strict";

const page = document.querySelector("[data-product]");
const find = (selector) => page.querySelector(selector);
const [badge, clock, stock, notice, link] = [".badge", ".clock", ".stock", ".notice", ".link"].map((selector) => document.querySelector(selector));
const form = find("form.buy");
const button = form.querySelector("button");
const texts = JSON.parse(find("[data-texts]").dataset.texts);
const number = new Intl.NumberFormat(document.documentElement.lang);

let sale = { ...page.dataset };
let offset = 0; // server's clock minus this device's
let buying = false;

const until = (at) => Number(at) - (Date.now() + offset);

function duration(millis) {
  const seconds = Math.max(0, Math.ceil(millis / 1000));
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  const two = (value) => String(value).padStart(2, "0");
  return (days > 0 ? `${days} d ` : "") + `${two(hours)}:${two(minutes)}:${two(seconds % 60)}`;
}

function show() {
  page.dataset.phase = sale.phase;
  badge.textContent = texts[sale.phase];
  button.disabled = buying || sale.phase !== "ACTIVE";
  button.textContent = buying ? texts.BUYING : texts[`BUTTON_${sale.phase}`] ?? texts.BUTTON_ACTIVE;
  if (sale.stock !== undefined && sale.stock !== "") {
    const meter = stock.querySelector("meter");
    if (sale.total) {
      meter.max = Number(sale.total);
      stock.querySelector("span").textContent = number.format(sale.total);
    }
    meter.value = Number(sale.stock);
    stock.querySelector("b").textContent = number.format(sale.stock);
  }
  tick();
}

function tick() {
  const opens = sale.phase === "UPCOMING" && sale.opensAt;
  const closes = ["ACTIVE", "PAUSED"].includes(sale.phase) && sale.closesAt;
  const [text, at] = opens ? [texts.OPENS_IN, opens] : closes ? [texts.ENDS_IN, closes] : ["", 0];
  clock.firstElementChild.textContent = text;
  clock.querySelector("b").textContent = at ? duration(until(at)) : "";
}

function showNotice(text, severity, href, label) {
  notice.dataset.severity = severity;
  notice.textContent = text;
  if (href) {
    const anchor = document.createElement("a");
    Object.assign(anchor, { href, textContent: label });
    notice.append(" ", anchor);
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (buying) return;
  buying = true;
  show();
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { accept: "application/json" },
      body: new URLSearchParams(new FormData(form)),
    });
    const { text, severity, receipt } = await answer.json();
    showNotice(text, severity, receipt, texts.RECEIPT);
  } catch {
    showNotice(texts.LOST, "error");
  }
  buying = false;
  show();
});

const events = new EventSource(`/products/${page.dataset.product}/events`);
events.addEventListener("sale", (event) => {
  sale = { ...sale, ...JSON.parse(event.data) };
  offset = sale.now - Date.now();
  show();
});
events.addEventListener("open", () => (link.textContent = texts.LIVE));
events.addEventListener("error", () => (link.textContent = texts.RECONNECTING));
// After some errors a browser closes the event stream and does not reconnect.
setInterval(() => events.readyState === EventSource.CLOSED && location.reload(), 5000);
setInterval(tick, 250);
show();
