// Polls the state of a pending purchase once a second. Without this file the page loads itself again.
"use strict";

const receipt = document.querySelector("[data-receipt]");
const state = receipt.querySelector(".state");
const note = receipt.querySelector(".note");

async function poll() {
  try {
    const answer = await fetch(location.href, { headers: { accept: "application/json" }, signal: AbortSignal.timeout(5000) });
    const now = await answer.json();
    if (now.state) {
      state.dataset.state = now.state;
      put(state, now.word);
      put(note, now.note);
    }
  } catch {
    // Polled again below.
  }
  if (state.dataset.state === "PENDING") setTimeout(poll, 1000);
}

if (state.dataset.state === "PENDING") setTimeout(poll, 500);
