// Follows a sale: by the event stream where the browser has a connection for it, else by polling. The page itself is never
// loaded again, so that nothing that was typed or answered is lost.
"use strict";

// A browser opens six HTTP/1.1 connections to a host, for all its tabs together. Streams leave some for buying.
const STREAMS_MAX = 3;
// The server sends something every 5 s. A stream that says nothing at first is held back by a proxy.
const FIRST_EVENT_MS = 4000;
const SILENCE_MS = 12_000;
const STREAM_RETRY_MS = 30_000;
const POLL_MS = 2000;
const SPREAD_MS = 500;
const POLL_TIMEOUT_MS = 5000;
const BACKOFF_MAX = 5;

// The right to hold one of the streams of this browser: a function that gives it back, or null. Where the browser has no
// locks (plain HTTP), only hidden tabs go without a stream.
async function streamSlot() {
  if (!navigator.locks) return () => {};
  for (let number = 1; number <= STREAMS_MAX; number += 1) {
    const release = await new Promise((settle) => {
      const held = (lock) => (lock ? new Promise((end) => settle(end)) : settle(null));
      navigator.locks.request(`stream-${number}`, { ifAvailable: true }, held).catch(() => settle(() => {}));
    });
    if (release) return release;
  }
  return null;
}

// Calls `heard` with each state of the sale, and `say` with LIVE or POLLING, or with RECONNECTING, LATE or REFUSED and the
// status of the answer. A hidden tab follows nothing.
function follow({ events, url, heard, say }) {
  let source = null;
  let release = null;
  let polling = false;
  let failures = 0;
  let visit = 0; // counts the times the page was shown
  const timers = {};

  const later = (name, action, millis) => {
    clearTimeout(timers[name]);
    timers[name] = setTimeout(action, millis);
  };

  function closeStream() {
    clearTimeout(timers.silence);
    source?.close();
    release?.();
    source = release = null;
  }

  function stopPolling() {
    clearTimeout(timers.poll);
    polling = false;
  }

  async function openStream() {
    const shown = visit;
    const slot = await streamSlot();
    if (shown !== visit || source) return slot?.();
    later("retry", openStream, STREAM_RETRY_MS * (1 + Math.random()));
    if (!slot) return startPolling();
    release = slot;
    source = new EventSource(events);
    const alive = () => {
      clearTimeout(timers.retry);
      later("silence", fallBack, SILENCE_MS);
      stopPolling();
      say("LIVE");
    };
    const opened = source;
    const of = (action) => (event) => opened === source && action(event);
    source.addEventListener("sale", of((event) => {
      alive();
      heard(JSON.parse(event.data));
    }));
    source.addEventListener("heartbeat", of(alive));
    source.addEventListener("error", of(fallBack));
    later("silence", fallBack, FIRST_EVENT_MS);
  }

  function fallBack() {
    closeStream();
    later("retry", openStream, STREAM_RETRY_MS * (1 + Math.random()));
    startPolling();
  }

  function startPolling() {
    if (polling) return;
    polling = true;
    failures = 0;
    const shown = visit;
    // All streams of a server end at once when it does.
    later("poll", () => poll(shown), SPREAD_MS * Math.random());
  }

  async function poll(shown) {
    let state = null;
    let trouble = "RECONNECTING";
    let status;
    try {
      const answer = await fetch(url, { headers: { accept: "application/json" }, signal: AbortSignal.timeout(POLL_TIMEOUT_MS) });
      if (answer.ok) state = await answer.json();
      else [trouble, status] = ["REFUSED", answer.status];
    } catch (error) {
      if (error.name === "TimeoutError") trouble = "LATE";
    }
    if (!polling || shown !== visit) return;
    // The stream is tried as soon as the server is there again, and not only after the usual pause.
    if (state && failures > 0) later("retry", openStream, POLL_MS * Math.random());
    failures = state ? 0 : failures + 1;
    say(state ? "POLLING" : trouble, status);
    if (state) heard(state);
    const pause = POLL_MS * Math.min(1 + failures, BACKOFF_MAX);
    later("poll", () => poll(shown), pause * (1 + Math.random() / 4));
  }

  function shownOrHidden() {
    visit += 1;
    closeStream();
    stopPolling();
    clearTimeout(timers.retry);
    if (!document.hidden) openStream();
  }

  document.addEventListener("visibilitychange", shownOrHidden);
  shownOrHidden();
  // Polls at once, if that is how the sale is followed.
  return { refresh: () => polling && poll(visit) };
}
