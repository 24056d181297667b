// Makes a product page live: stock and phase as they change, a countdown by the server's clock, buying without a page
// load. Without this file everything works by forms and page loads.
"use strict";

const drop = document.querySelector("[data-product]");
const find = (selector) => drop.querySelector(selector);
const [badge, clock, stock, said, link] = [".badge", ".clock", ".stock", ".said", ".link"].map((selector) => document.querySelector(selector));
const form = find("form.buy");
const button = form.querySelector("button");
const words = JSON.parse(find("[data-words]").dataset.words);
const number = new Intl.NumberFormat(document.documentElement.lang);

let sale = { ...drop.dataset };
let offset = 0; // server's clock minus this device's
let buying = false;

const until = (at) => Number(at) - (Date.now() + offset);

function spell(millis) {
  const seconds = Math.max(0, Math.ceil(millis / 1000));
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  const two = (value) => String(value).padStart(2, "0");
  return (days > 0 ? `${days} d ` : "") + `${two(hours)}:${two(minutes)}:${two(seconds % 60)}`;
}

function show() {
  drop.dataset.phase = sale.phase;
  badge.textContent = words[sale.phase];
  button.disabled = buying || sale.phase !== "ACTIVE";
  button.textContent = buying ? words.BUYING : words[`BUTTON_${sale.phase}`] ?? words.BUTTON_ACTIVE;
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
  const [text, at] = opens ? [words.OPENS_IN, opens] : closes ? [words.ENDS_IN, closes] : ["", 0];
  clock.firstElementChild.textContent = text;
  clock.querySelector("b").textContent = at ? spell(until(at)) : "";
}

function say(text, mood, href, label) {
  said.dataset.mood = mood;
  said.textContent = text;
  if (href) {
    const anchor = document.createElement("a");
    Object.assign(anchor, { href, textContent: label });
    said.append(" ", anchor);
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
    const { text, mood, receipt } = await answer.json();
    say(text, mood, receipt, words.RECEIPT);
  } catch {
    say(words.LOST, "bad");
  }
  buying = false;
  show();
});

const events = new EventSource(`/products/${drop.dataset.product}/events`);
events.addEventListener("sale", (event) => {
  sale = { ...sale, ...JSON.parse(event.data) };
  offset = sale.now - Date.now();
  show();
});
events.addEventListener("open", () => (link.textContent = words.LIVE));
events.addEventListener("error", () => (link.textContent = words.RECONNECTING));
// A browser gives up for good after some errors.
setInterval(() => events.readyState === EventSource.CLOSED && location.reload(), 5000);
setInterval(tick, 250);
show();
