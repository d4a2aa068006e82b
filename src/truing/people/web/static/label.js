// What a task's page does by itself: keeps what is typed, sends it, listens to keys, lets answers be
// dragged. Without it the page still works as a plain form.
"use strict";

const form = document.getElementById("judgement");
const notice = document.getElementById("saved");
const keysBox = document.getElementById("keys");
const AUTOSAVE_MS = 1200;
const RETRY_MS = 5000;

const remembered = {
  get(key) { try { return localStorage.getItem(key); } catch { return null; } },
  set(key, value) { try { localStorage.setItem(key, value); } catch { /* full, or not allowed */ } },
  remove(key) { try { localStorage.removeItem(key); } catch { /* not allowed */ } },
};

function say(text, trouble = false) {
  notice.textContent = text;
  notice.classList.toggle("trouble", trouble);
}

// ---- time with the page in view -----------------------------------------------------------------
let seen = 0;
let since = document.hidden ? null : performance.now();
document.addEventListener("visibilitychange", () => {
  if (document.hidden && since !== null) { seen += performance.now() - since; since = null; }
  if (!document.hidden && since === null) since = performance.now();
});
function seconds() { return ((seen + (since === null ? 0 : performance.now() - since)) / 1000).toFixed(1); }

// ---- keeping and sending ------------------------------------------------------------------------
const key = form && `truing-draft-${form.dataset.assignment}`;
let timer = null;
let sending = false;
let unsaved = false; // whether something was typed that neither the server nor this browser has
let signedOut = false; // since then nothing is sent by itself: it would be refused again and again

function fields() {
  form.elements.seconds.value = seconds();
  return new URLSearchParams(new FormData(form));
}

function keepHere() {
  const kept = fields();
  for (const name of ["csrf", "submission", "kind", "seconds"]) kept.delete(name);
  remembered.set(key, kept.toString());
}

async function post(path, body) {
  const request = { method: "POST", body, headers: { Accept: "application/json" } };
  // An idle connection may be closed in the very moment of sending. What was received nevertheless is
  // not counted twice: the form names its submission.
  const response = await fetch(path, request).catch(() => fetch(path, request));
  if (response.ok) return response.status === 204 ? {} : response.json();
  const answer = await response.json().catch(() => ({}));
  const error = new Error(answer.problem || `The server answered ${response.status}.`);
  error.retry = response.status === 503 || response.status === 429;
  error.signedOut = response.status === 401 || response.status === 403;
  error.gone = response.status === 404;
  throw error;
}

async function autosave() {
  timer = null;
  if (sending) return;
  try {
    await post(form.action.replace(/judgement$/, "draft"), fields());
    remembered.remove(key);
    unsaved = timer !== null; // typed since
    if (!sending) say("Draft saved");
  } catch (error) {
    keepHere();
    if (sending) return;
    const lost = error instanceof TypeError;
    signedOut = Boolean(error.signedOut);
    say(`${lost ? "The server doesn't answer." : why(error)} What you typed is kept in this browser.`, true);
    if (lost || error.retry) timer = setTimeout(autosave, RETRY_MS);
  }
}

// Of a task that was taken away while somebody was at it.
function why(error) {
  return error.gone ? "This task is no longer there for you. “Truing labels” at the top leads on." : error.message;
}

// Whoever leaves, or is called away on a phone, doesn't wait for the next draft to be saved.
function leaving() {
  if (unsaved) keepHere();
}

function changed() {
  unsaved = true;
  clearTimeout(timer);
  if (signedOut) { keepHere(); return; }
  timer = setTimeout(autosave, AUTOSAVE_MS);
}

async function send(path) {
  if (sending) return;
  sending = true;
  clearTimeout(timer);
  say("Saving …");
  try {
    const answer = await post(path, fields());
    remembered.remove(key);
    window.removeEventListener("pagehide", leaving);
    document.removeEventListener("visibilitychange", leaving);
    location.assign(answer.next);
  } catch (error) {
    sending = false;
    keepHere();
    const lost = error instanceof TypeError;
    const reason = lost ? "The server doesn't answer, so this isn't saved." : why(error);
    const again = lost || error.retry ? " What you typed is kept here; try again in a moment." : "";
    say(reason + (error.gone ? " What you typed is kept in this browser." : again), true);
  }
}

function restore() {
  const kept = remembered.get(key);
  if (kept === null) return;
  const values = new URLSearchParams(kept);
  for (const field of form.elements) {
    if (!field.name || field.type === "hidden") continue;
    if (field.type === "radio" || field.type === "checkbox") field.checked = values.getAll(field.name).includes(field.value);
    else field.value = values.get(field.name) ?? "";
  }
  say("What you had typed is back");
  changed();
}

// ---- ranking ------------------------------------------------------------------------------------
const list = document.querySelector(".ranking");

function items() { return [...list.querySelectorAll(".ranked")]; }
function rankOf(item) { return item.querySelector("select"); }

function renumber() {
  items().forEach((item, place) => { rankOf(item).value = String(place + 1); });
  changed();
}

function sortByRank() {
  const focused = document.activeElement;
  const order = items().map((item, place) => [Number(rankOf(item).value) || 99, place, item]);
  order.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  list.append(...order.map(([, , item]) => item));
  focused.focus();
}

function move(item, step) {
  const all = items();
  const target = all[all.indexOf(item) + step];
  if (!target) return;
  if (step < 0) target.before(item); else target.after(item);
  renumber();
  item.querySelector(".handle").focus();
  say(`Rank ${rankOf(item).value} of ${all.length}`);
}

function drag(handle) {
  const item = handle.closest(".ranked");
  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    item.classList.add("lifted");
    event.preventDefault();
    handle.focus();
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    for (const other of items()) {
      const box = other.getBoundingClientRect();
      if (other === item || event.clientY < box.top || event.clientY > box.bottom) continue;
      const own = item.getBoundingClientRect();
      // Only past the middle, so that two answers of unlike height don't change places back and forth.
      if (own.top > box.top && event.clientY < box.top + box.height / 2) other.before(item);
      else if (own.top < box.top && event.clientY > box.top + box.height / 2) other.after(item);
      handle.setPointerCapture(event.pointerId);
      break;
    }
  });
  const drop = () => {
    if (!item.classList.contains("lifted")) return;
    item.classList.remove("lifted");
    renumber();
  };
  handle.addEventListener("pointerup", drop);
  handle.addEventListener("pointercancel", drop);
}

// ---- keys ---------------------------------------------------------------------------------------
function cycle(name) {
  const box = document.querySelector(`[data-cycle="${name}"]`);
  if (!box) return false;
  const choices = [...box.querySelectorAll("input")];
  const next = choices[(choices.findIndex((choice) => choice.checked) + 1) % choices.length];
  next.checked = true;
  next.focus();
  changed();
  return true;
}

function press(name) {
  const target = document.querySelector(`[data-key="${CSS.escape(name)}"]`);
  if (!target) return false;
  target.focus();
  target.click();
  if (target.matches("summary")) target.parentElement.querySelector("textarea, select")?.focus();
  return true;
}

function rankKey(event, item) {
  if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    move(item, event.key === "ArrowUp" ? -1 : 1);
    return true;
  }
  const rank = rankOf(item);
  if (!/^[1-7]$/.test(event.key) || !rank.querySelector(`option:nth-child(${Number(event.key) + 1})`)) return false;
  rank.value = event.key;
  sortByRank();
  changed();
  return true;
}

function onKey(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit(document.getElementById("send"));
    return;
  }
  const field = event.target;
  const writing = field.matches("textarea, select, input:not([type=radio]):not([type=checkbox])");
  if (writing && !(field.matches("select") && event.altKey)) return;
  const item = field.closest?.(".ranked");
  if (item && keysBox.checked && rankKey(event, item)) { event.preventDefault(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || !keysBox.checked || event.key.length !== 1) return;
  const name = event.key.toLowerCase();
  if (cycle(name) || press(name)) event.preventDefault();
}

// ---- cards and raw text -------------------------------------------------------------------------
// A card is chosen by a tap anywhere on it, but not where somebody follows a link or marks words.
function choosable(card) {
  card.classList.add("pick");
  card.addEventListener("click", (event) => {
    if (event.target.closest("a") || String(getSelection())) return;
    form.querySelector(`[name="preferred"][value="${card.dataset.choose}"]`).checked = true;
    changed();
  });
}

const raw = document.getElementById("raw");
if (raw) {
  raw.checked = remembered.get("truing-raw") === "on";
  raw.addEventListener("change", () => remembered.set("truing-raw", raw.checked ? "on" : "off"));
}

// ---- beginning ----------------------------------------------------------------------------------
const guidelines = document.querySelector("aside details");
if (guidelines && matchMedia("(max-width: 900px)").matches) guidelines.open = false;

if (form) {
  form.addEventListener("input", changed);
  window.addEventListener("pagehide", leaving);
  document.addEventListener("visibilitychange", leaving);
  // Gone back to, as some browsers keep it: it may have been judged since, and its submission is used.
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(event.submitter?.getAttribute("formaction") || form.action);
  });
  document.addEventListener("keydown", onKey);
  keysBox.checked = remembered.get("truing-keys") !== "off";
  keysBox.addEventListener("change", () => remembered.set("truing-keys", keysBox.checked ? "on" : "off"));
  document.querySelectorAll("[data-choose]").forEach(choosable);
  restore();
  if (list) {
    list.querySelectorAll(".handle").forEach(drag);
    list.addEventListener("change", sortByRank);
    if (items().some((item) => rankOf(item).value)) sortByRank();
  }
}
