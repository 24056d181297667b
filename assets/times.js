// Times in the reader's own time zone, and countdowns. Without this file times are shown in UTC.
"use strict";

const language = document.documentElement.lang;
const zoned = new Intl.DateTimeFormat(navigator.languages.find((one) => one.split("-")[0] === language) ?? language, {
  weekday: "long", day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
});

// Screen readers announce a live region when its text is set, also to the same text.
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// `at`: milliseconds since 1970; without it, the time that the element already has.
function showTime(element, at = Date.parse(element.dateTime)) {
  const instant = new Date(Number(at));
  element.dateTime = instant.toISOString().replace(".000Z", "Z");
  put(element, zoned.format(instant));
}

// With so many days, nobody counts seconds.
const DAYS_MAX = 100;

function duration(millis) {
  const seconds = Math.max(0, Math.ceil(millis / 1000));
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days >= DAYS_MAX) return `${days} d`;
  const two = (value) => String(value).padStart(2, "0");
  return (days > 0 ? `${days} d ` : "") + `${two(hours)}:${two(minutes)}:${two(seconds % 60)}`;
}

document.querySelectorAll("time[datetime]").forEach((element) => showTime(element));
