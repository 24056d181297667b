// Looks every second whether a pending purchase is confirmed. Without this file the page refreshes itself.
"use strict";

const receipt = document.querySelector("[data-receipt]");
const state = receipt.querySelector(".state");
const note = receipt.querySelector(".note");

async function look() {
  try {
    const answer = await fetch(location.href, { headers: { accept: "application/json" } });
    const now = await answer.json();
    if (now.state) {
      state.dataset.state = now.state;
      state.textContent = now.word;
      note.textContent = now.note;
    }
  } catch {
    // The next look may be luckier.
  }
  if (state.dataset.state === "PENDING") setTimeout(look, 1000);
}

if (state.dataset.state === "PENDING") setTimeout(look, 500);
