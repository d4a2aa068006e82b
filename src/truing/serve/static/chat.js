// The chat page: sends what is typed, shows answers as they are written, sends judgements. All that
// comes from people or from the model is put in as text; HTML is only what the server made of finished
// answers, with a short list of tags.
"use strict";

const form = document.getElementById("ask");
const question = document.getElementById("question");
const talk = document.getElementById("talk");
const trouble = document.getElementById("trouble");
const said = document.getElementById("said");
const sendButton = document.getElementById("send");
const stopButton = document.getElementById("stop");
const compare = document.getElementById("compare");
const consent = document.getElementById("consent");
const blind = form.dataset.blind === "yes"; // two models answer, always both

const remembered = {
  get(key) { try { return localStorage.getItem(key); } catch { return null; } },
  set(key, value) { try { localStorage.setItem(key, value); } catch { /* full, or not allowed */ } },
};

function random() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

let user = remembered.get("truing-user");
if (!/^page-[a-f]{16}$/.test(user || "")) {
  // Letters alone: a row of digits might be taken for a phone number.
  user = `page-${random().slice(0, 16).replace(/\d/g, (digit) => "abcdefabcd"[digit])}`;
  remembered.set("truing-user", user);
}

let messages = [];
let running = null; // what stops the answer that is being written
let undecided = null; // puts off the next question until one of two answers is chosen

function make(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function atBottom() { return innerHeight + scrollY >= document.body.scrollHeight - 120; }

function show(role, title, text, parent = talk) {
  document.getElementById("start").hidden = true;
  const box = make("article", `message ${role}`);
  const body = make("p", "text", text);
  box.append(make("h3", "", title), body);
  parent.append(box);
  return { box, body };
}

// ---- talking to the server -----------------------------------------------------------------------
async function post(path, document_, signal) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      body: JSON.stringify(document_),
      headers: { "Content-Type": "application/json", "X-CSRF": form.dataset.csrf },
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server doesn't answer. Your message is still here; try again in a moment.");
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  throw new Error(answer.error?.message || `The server answered ${response.status}.`);
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("The answer broke off. Your message is still here; try again in a moment.");
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      if (part === "data: [DONE]") return;
      const event = JSON.parse(part.slice("data: ".length));
      if (event.error) throw new Error(event.error.message);
      yield event;
    }
  }
}

// ---- judging -------------------------------------------------------------------------------------
function judging(parent, label, choices, send) {
  const row = make("div", "judge");
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", label);
  const note = make("span");
  note.setAttribute("role", "status");
  const buttons = choices.map(([value, text, name]) => {
    const button = make("button", "", text);
    button.type = "button";
    if (name) button.setAttribute("aria-label", name);
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", async () => {
      note.textContent = "";
      try {
        note.textContent = await send(value);
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      } catch (error) { note.textContent = error.message; }
    });
    return button;
  });
  row.append(...buttons, note);
  parent.append(row);
  return row;
}

function thumbs(box, receipt) {
  const row = judging(box, "Is this answer good?", [["up", "Good", "Good answer"], ["down", "Bad", "Bad answer"]], async (thumb) => {
    await post("/page/thumbs", { user, answer: receipt, thumb, submission: random() });
    return "Thank you.";
  });
  for (const [place, turn] of ["up", "down"].entries()) row.children[place].prepend(make("span", `thumb ${turn}`));
}

function choose(group, answers, receipts) {
  let chosen = null; // the turn with which the conversation goes on
  const choices = [["first", "A is better"], ["tie", "Equally good"], ["second", "B is better"]];
  undecided = judging(group, "Which answer is better?", choices, async (preferred) => {
    const content = answers[preferred === "second" ? 1 : 0];
    if (chosen) chosen.content = content;
    else {
      chosen = { role: "assistant", content };
      messages.push(chosen);
      undecided = null;
      question.focus();
    }
    if (receipts) await post("/page/picks", { user, first: receipts[0], second: receipts[1], preferred, submission: random() });
    return receipts ? "Thank you." : `${blind ? "Not counted. " : ""}The conversation goes on with it.`;
  });
}

// ---- asking --------------------------------------------------------------------------------------
function busy(is) {
  sendButton.disabled = is;
  stopButton.hidden = !is;
}

async function receive(response, shown, answers) {
  let receipts = null;
  for await (const event of events(response)) {
    if ("kept" in event) { receipts = event.kept; continue; }
    for (const choice of event.choices) {
      const piece = choice.delta.content || "";
      const follow = atBottom();
      answers[choice.index] += piece;
      shown[choice.index].body.textContent = answers[choice.index];
      if (choice.finish_reason) shown[choice.index].box.classList.remove("writing");
      if (follow) scrollTo(0, document.body.scrollHeight);
    }
  }
  return receipts;
}

async function draw(shown, answers) {
  try {
    const { html } = await (await post("/page/markdown", { texts: answers })).json();
    for (const [place, { body }] of shown.entries()) {
      if (!html[place]) continue;
      const drawn = make("div", "markdown");
      drawn.innerHTML = html[place];
      body.before(drawn);
      body.classList.add("raw");
    }
  } catch { /* the raw text stands */ }
}

async function send() {
  const text = question.value.trim();
  if (!text || running) return;
  if (undecided) {
    trouble.textContent = "First choose which answer is better.";
    undecided.querySelector("button").focus();
    return;
  }
  trouble.textContent = "";
  const two = blind || compare.checked;
  const asked = show("user", "You", text);
  const group = make("div", two ? "choosing" : "");
  const pair = make("div", two ? "pair" : "");
  group.append(pair);
  talk.append(group);
  const titles = two ? ["Answer A", "Answer B"] : ["Answer"];
  const shown = titles.map((title) => show(two ? "bot answer-card writing" : "bot writing", title, "", pair));
  const answers = titles.map(() => "");
  messages.push({ role: "user", content: text });
  question.value = "";
  running = new AbortController();
  busy(true);
  scrollTo(0, document.body.scrollHeight);
  try {
    const body = { user, messages, compare: two, consent: Boolean(consent?.checked) };
    const receipts = await receive(await post("/page/answers", body, running.signal), shown, answers);
    if (two && answers[0] !== answers[1]) choose(group, answers, receipts?.[0] && receipts[1] ? receipts : null);
    else messages.push({ role: "assistant", content: answers[0] });
    if (two && answers[0] === answers[1]) group.append(make("p", "how", "Both answers are the same."));
    if (receipts?.[0] && !two) thumbs(shown[0].box, receipts[0]);
    said.textContent = answers.join(" — ");
  } catch (error) {
    const stopped = error.name === "AbortError";
    if (stopped && answers[0] && !two) messages.push({ role: "assistant", content: answers[0] });
    else {
      messages.pop();
      asked.box.remove();
      group.remove();
      question.value = text;
    }
    if (!stopped) trouble.textContent = error.message;
  } finally {
    for (const each of shown) each.box.classList.remove("writing");
    if (group.isConnected) await draw(shown, answers);
    running = null;
    busy(false);
    (undecided?.querySelector("button") || question).focus();
    if (atBottom()) scrollTo(0, document.body.scrollHeight);
  }
}

// ---- beginning -----------------------------------------------------------------------------------
form.addEventListener("submit", (event) => { event.preventDefault(); send(); });
question.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
stopButton.addEventListener("click", () => running?.abort());
document.getElementById("new").addEventListener("click", () => {
  running?.abort();
  messages = [];
  undecided = null;
  trouble.textContent = "";
  for (const element of [...talk.children]) if (element.id !== "start") element.remove();
  document.getElementById("start").hidden = false;
  question.focus();
});
const raw = document.getElementById("raw");
raw.checked = remembered.get("truing-raw") === "on";
raw.addEventListener("change", () => remembered.set("truing-raw", raw.checked ? "on" : "off"));
if (consent) {
  document.getElementById("user").textContent = user;
  consent.checked = remembered.get("truing-consent") === "yes";
  consent.addEventListener("change", () => remembered.set("truing-consent", consent.checked ? "yes" : "no"));
}
question.focus();
