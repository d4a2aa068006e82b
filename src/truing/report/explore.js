// What a page does beyond being read: tables are sorted, answers searched and filtered, figures and
// questions explained on a card. Without it everything is there, folded, and hints are plain titles.
"use strict";

(() => {
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const plain = (text) => text.normalize("NFKC").toLowerCase().replace(/\s+/gu, " ").trim();

  // ---- tables are sorted by their heads -----------------------------------------------------------
  const UNITS = { s: 1, min: 60, h: 3600, B: 1, kB: 1e3, MB: 1e6, GB: 1e9 };
  const SIGNS = ["✗", "○", "~", "●", "✓"];
  const FIGURE = /^([+-]?\d[\d\u202f]*(?:\.\d+)?)(?:\s?(s|min|h|B|kB|MB|GB))?(?![\w.-])\s*/u;

  // A cell's place: a number ("3 min 05 s" in seconds), else its text; null where it holds nothing.
  function keyOf(cell) {
    const text = cell ? cell.textContent.trim().replaceAll("−", "-").replace(/^[▲▼]\s*/u, "") : "";
    if (!text || text.startsWith("–")) return null;
    if (SIGNS.includes(text[0])) return SIGNS.indexOf(text[0]);
    let rest = text, sum = null;
    for (let m; (m = FIGURE.exec(rest)); rest = rest.slice(m[0].length)) {
      sum = (sum ?? 0) + Number(m[1].replaceAll("\u202f", "")) * (UNITS[m[2]] ?? 1);
      if (!m[2]) break;
    }
    return sum ?? text;
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), undefined, { numeric: true });
  }

  function sortBy(table, column, direction) {
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("total"));
      const last = [...body.rows].filter((row) => row.classList.contains("total"));
      const places = rows.map((row) => ({
        row,
        first: Number(row.dataset.place),
        key: direction ? keyOf(row.cells[column]) : null,
      }));
      places.sort((a, b) => {
        if (a.key === null || b.key === null) {
          return (a.key === null) - (b.key === null) || a.first - b.first;
        }
        return direction * compare(a.key, b.key) || a.first - b.first;
      });
      body.append(...places.map((each) => each.row), ...last);
    }
  }

  // The lowest head of each column: heads may span rows and columns.
  function headsOf(table) {
    const heads = [], rows = [...table.tHead.rows], taken = rows.map(() => []);
    rows.forEach((row, y) => {
      let x = 0;
      for (const cell of row.cells) {
        while (taken[y][x]) x += 1;
        for (let dy = 0; dy < cell.rowSpan && y + dy < rows.length; dy += 1) {
          for (let dx = 0; dx < cell.colSpan; dx += 1) taken[y + dy][x + dx] = cell;
        }
      }
    });
    taken.at(-1).forEach((cell, x) => { heads[x] = cell; });
    return heads;
  }

  function sortable(table) {
    for (const body of table.tBodies) {
      [...body.rows].forEach((row, place) => { row.dataset.place = place; });
    }
    const heads = headsOf(table);
    heads.forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const order = head.getAttribute("aria-sort");
        const direction = order === "ascending" ? -1 : order === "descending" ? 0 : 1;
        for (const each of heads) each.removeAttribute("aria-sort");
        if (direction) head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
        sortBy(table, column, direction);
        table.dispatchEvent(new Event("sorted"));
      });
    });
  }

  // ---- answers are searched and filtered ----------------------------------------------------------
  const STEP = 25, UNFOLDED = 10; // rows shown at once, and those that a search opens

  function differs(marks) {
    return new Set([...marks].filter((mark) => mark !== " " && mark !== "?")).size > 1;
  }

  // `marks` has a sign for each column, the reference's first: + - y n ~ ? or a space.
  function hasOutcome(marks, wanted, place) {
    const places = place === null ? [...marks].map((_, each) => each) : [place];
    const [before, after] = { gained: ["-", "+"], lost: ["+", "-"] }[wanted] ?? ["", wanted];
    return places.some((each) => marks[each] === after && (!before || marks[0] === before));
  }

  function explore(box) {
    const table = box.querySelector("table"), body = table.tBodies[0];
    const columns = table.tHead.rows[0].cells.length - 3;
    const abreast = body.rows[0].dataset.o.length === columns;
    const controls = new Map(all("[data-filter]", box).map((each) => [each.dataset.filter, each]));
    const value = (name) => controls.get(name)?.value ?? "";
    const column = controls.get("column");
    const texts = new WeakMap();
    let limit = STEP;

    function textOf(row) {
      if (!texts.has(row)) {
        const parts = all("summary, .references, q, small, td", row).map((each) => each.textContent);
        texts.set(row, plain(parts.join(" ")));
      }
      return texts.get(row);
    }

    function wanted() {
      return {
        words: plain(value("words")).split(" ").filter(Boolean),
        evaluation: value("evaluation"),
        category: value("category"),
        outcome: value("outcome"),
        place: column?.value ? column.selectedIndex - 1 : null,
        differ: controls.get("differ")?.checked ?? false,
      };
    }

    function matches(row, want) {
      const marks = row.dataset.o;
      if (want.differ && !differs(marks)) return false;
      if (want.place !== null && marks[want.place] === " ") return false;
      if (want.outcome && !hasOutcome(marks, want.outcome, want.place)) return false;
      if (want.evaluation && row.cells[1].firstChild.textContent !== want.evaluation) return false;
      if (want.category && row.cells[2].textContent !== want.category) return false;
      return want.words.every((word) => textOf(row).includes(word));
    }

    // Rows with the very words in a row are shown before those that have them here and there.
    function phraseFirst(rows, words) {
      const phrase = words.join(" ");
      const has = words.length > 1 ? rows.filter((row) => textOf(row).includes(phrase)) : [];
      return has.length ? [...new Set([...has, ...rows])] : rows;
    }

    function tally(rows) {
      if (!abreast) return;
      const cells = [...table.tFoot.rows[0].cells].slice(3);
      cells.forEach((cell, place) => {
        const marks = rows.map((row) => row.dataset.o[place]);
        const good = marks.filter((mark) => mark === "+").length;
        cell.textContent = `${good} of ${good + marks.filter((mark) => mark === "-").length}`;
      });
    }

    function show() {
      const want = wanted();
      const rows = [...body.rows], matching = rows.filter((row) => matches(row, want));
      const first = phraseFirst(matching, want.words);
      const open = new Set(first.slice(0, limit));
      const unfolded = new Set(want.words.length ? first.slice(0, UNFOLDED) : []);
      for (const row of rows) {
        row.hidden = !open.has(row);
        unfold(row, unfolded.has(row));
      }
      tally(matching);
      box.querySelector("[data-count]").textContent =
        `${matching.length} of ${rows.length} match` +
        (matching.length > limit ? `; the first ${limit} are shown` : "");
      box.querySelector("[data-more]").parentElement.hidden = matching.length <= limit;
      const phrase = want.words.join(" ");
      highlight(unfolded, first[0] && textOf(first[0]).includes(phrase) ? [phrase] : want.words);
    }

    function again() { limit = STEP; show(); }

    for (const control of controls.values()) control.addEventListener("input", again);
    table.addEventListener("sorted", again);
    box.querySelector("[data-more]").addEventListener("click", () => { limit += 4 * STEP; show(); });
    box.querySelector("[data-clear]").addEventListener("click", () => {
      for (const each of controls.values()) {
        if (each.type === "checkbox") each.checked = false; else each.value = "";
      }
      again();
    });
    box.querySelector(".filters").hidden = false;
    box.open = true;
    show();
    readAhead([...body.rows]);

    // So that the first search is as fast as the next.
    function readAhead(rows) {
      for (const row of rows.splice(0, 50)) textOf(row);
      if (rows.length) setTimeout(readAhead, 0, rows);
    }
  }

  // While words are searched for, the answers that have them lie open.
  function unfold(row, open) {
    const details = row.querySelector("details");
    if (open && !details.open) { details.open = true; details.dataset.unfolded = ""; }
    if (!open && "unfolded" in details.dataset) { details.open = false; delete details.dataset.unfolded; }
  }

  // Marked by the browser, so that no text is taken apart; older browsers show no marks.
  function highlight(rows, words) {
    if (!("highlights" in CSS)) return;
    const ranges = [];
    for (const row of rows) {
      for (const each of all("summary, q, .references span", row)) {
        const walker = document.createTreeWalker(each, NodeFilter.SHOW_TEXT);
        for (let node; (node = walker.nextNode());) {
          const text = node.data.toLowerCase();
          if (text.length !== node.data.length) continue;
          for (const word of words.filter((each) => each.length > 1)) {
            for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
              const range = new Range();
              range.setStart(node, at);
              range.setEnd(node, at + word.length);
              ranges.push(range);
            }
          }
        }
      }
    }
    CSS.highlights.set("searched", new Highlight(...ranges));
  }

  // ---- cards ---------------------------------------------------------------------------------------
  const LINES = 8, CHARACTERS = 180;
  const card = document.createElement("div");

  function short(text) {
    return text.length > CHARACTERS ? `${text.slice(0, CHARACTERS)}…` : text;
  }

  // The first line is what the card is about; of a question, the rest are the answers to it.
  function linesOf(element) {
    if (element.dataset.card) return element.dataset.card.split("\n");
    const answers = all("dl > div", element.parentElement).map((each) => {
      const name = each.querySelector("dt").firstChild.textContent.trim();
      const sign = each.querySelector("dt b").firstChild.textContent;
      return `${sign} ${name}: ${short(each.querySelector("dd").firstChild?.textContent ?? "")}`;
    });
    const more = answers.length > LINES ? [`and ${answers.length - LINES} more`] : [];
    return [short(element.textContent), ...answers.slice(0, LINES), ...more];
  }

  function hasCard(element) {
    return element.dataset.card || (element.matches(".given summary") && !element.parentElement.open);
  }

  function place(box) {
    const { width, height } = card.getBoundingClientRect();
    const below = box.bottom + 8 + height <= innerHeight;
    card.style.left = `${Math.max(8, Math.min(box.left, innerWidth - width - 8))}px`;
    card.style.top = `${below ? box.bottom + 8 : Math.max(8, box.top - height - 8)}px`;
  }

  let about = null; // the element that the card is over
  let pointer = ""; // where the pointer was

  function hide() {
    card.hidden = true;
    about?.removeAttribute("aria-describedby");
    about = null;
  }

  // What has the focus, or still lies below the pointer, keeps its card while the page scrolls.
  function follow() {
    if (about && (about === document.activeElement || about.matches(":hover"))) {
      place(about.getBoundingClientRect());
    } else hide();
  }

  function showCard(event) {
    if (event.type === "pointerover") {
      const here = `${event.clientX} ${event.clientY}`;
      const still = here === pointer; // the page moved below it
      pointer = here;
      if (still && about && about === document.activeElement) return;
    }
    const element = event.target.closest?.("[data-card], .given summary");
    if (!element || !hasCard(element)) { hide(); return; }
    hide();
    card.replaceChildren(...linesOf(element).map((line, at) => {
      const part = document.createElement(at ? "p" : "b");
      part.textContent = line;
      return part;
    }));
    card.hidden = false;
    about = element;
    about.setAttribute("aria-describedby", "card");
    place(about.getBoundingClientRect());
  }

  // A hint becomes a card. In each figure and table one hint can be reached by Tab, the others by arrows.
  function cards() {
    card.id = "card";
    card.setAttribute("role", "tooltip");
    card.hidden = true;
    document.body.append(card);
    for (const element of all("main [title]")) {
      element.dataset.card = element.title;
      element.removeAttribute("title");
    }
    for (const title of all("svg .mark > title")) {
      const mark = title.parentElement;
      mark.dataset.card = title.textContent;
      mark.setAttribute("role", "img");
      mark.setAttribute("aria-label", title.textContent);
      mark.closest("svg").setAttribute("role", "group");
      title.remove();
    }
    for (const group of all("main svg, main table")) {
      all("[data-card]", group).forEach((each, at) => { each.tabIndex = at ? -1 : 0; });
      group.addEventListener("keydown", walk);
    }
    for (const kind of ["pointerover", "focusin"]) document.addEventListener(kind, showCard);
    for (const kind of ["focusout", "click"]) document.addEventListener(kind, hide);
    addEventListener("scroll", follow, { passive: true });
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  }

  function walk(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step || !event.target.dataset?.card) return;
    const each = all("[data-card]", event.currentTarget);
    const next = each[each.indexOf(event.target) + step];
    if (!next) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  for (const table of all("table[data-sortable]")) sortable(table);
  for (const box of all("[data-explore]")) explore(box);
  cards();
})();
