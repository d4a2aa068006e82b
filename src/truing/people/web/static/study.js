// Counts down how long a question may still take. Without it the page says how long it was when it was
// sent; either way the server's clock decides. Measured from when the page came, not by the time of day.
"use strict";

const timer = document.getElementById("timer");
const left = Number(timer.dataset.left);
const SPOKEN_SECONDS = 30;

function shown(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")} left`;
}

function tick() {
  const rest = left - performance.now() / 1000;
  if (rest <= 0) {
    location.reload(); // the server says that time is up
    return;
  }
  timer.textContent = shown(rest);
  timer.classList.toggle("trouble", rest < SPOKEN_SECONDS);
  setTimeout(tick, 1000);
}

tick();
