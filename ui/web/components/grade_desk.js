// The grader's desk: choosing happens here, at once; the server hears of it when a grade is stored.
// data: {html, item, mode, turns, questions: [{name, values, keys}], answers: {target: {name: value}}, response, edit}
// response: the words that may be written anew, null where there are none; edit: what was written so far, or null
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".sx-live");
  if (root.__version !== data.version) {
    root.__version = data.version;
    root.innerHTML = data.html;
    root.__desk = desk(root, data);
    if (root.__desk) root.__desk.draw();
  }
  if (root.__desk) root.__desk.send = (body) => setTriggerValue("act", JSON.stringify(body));
  root.onclick = (event) => {
    const el = event.target.closest("[data-do],[data-go]");
    if (el && root.__desk) {
      event.preventDefault();
      root.__desk.act(el.dataset.do, el.dataset.value);
    } else if (root.__desk) {
      root.__desk.clicked(event);
    }
  };
  root.onchange = (event) => event.target.matches("input[type=radio]") && root.__desk && root.__desk.picked(event.target);
  const old = document.__sxDeskKeys;
  if (old) document.removeEventListener("keydown", old);
  const keys = (event) => {
    if (!root.isConnected) return document.removeEventListener("keydown", keys);
    if (root.__desk) root.__desk.key(event);
  };
  document.__sxDeskKeys = keys;
  document.addEventListener("keydown", keys);
  return () => document.removeEventListener("keydown", keys);
}

function desk(root, data) {
  if (!data.item) return null;
  const one = (query) => root.querySelector(query);
  const sets = [...root.querySelectorAll("fieldset[data-name]")];
  const note = one("input[data-note]");
  const box = one("[data-edit-box]");
  const area = one("textarea[data-edit]");
  const before = (data.response || "").replace(/\r\n?/g, "\n"); // as a text area holds it
  const answers = JSON.parse(JSON.stringify(data.answers || {}));
  const began = performance.now();
  let units = data.mode === "turn" ? Array.from({ length: data.turns }, (_, at) => `turn:${at}`) : [""];
  if (data.mode === "span") units.push(...Object.keys(answers).filter((target) => target).sort());
  let unit = Math.max(0, units.findIndex((target) => !complete(target)));
  let row = 0;
  let busy = false;

  function complete(target) {
    return data.questions.every((question) => (answers[target] || {})[question.name] !== undefined);
  }
  function started(target) {
    return Object.keys(answers[target] || {}).length > 0;
  }
  function text(query, words) {
    const el = one(query);
    if (el) el.textContent = words;
  }
  function draw() {
    const held = answers[units[unit]] || {};
    sets.forEach((set, at) => {
      set.classList.toggle("on", at === row);
      set.querySelectorAll("input").forEach((input) => (input.checked = String(held[set.dataset.name]) === input.value));
    });
    const turns = [...root.querySelectorAll(".sx-desk-sample .sx-turns")][0];
    if (data.mode === "turn" && turns) {
      [...turns.children].forEach((el, at) => {
        el.classList.toggle("sx-at", at === unit);
        el.dataset.turn = at;
        el.dataset.graded = complete(`turn:${at}`) ? "graded" : started(`turn:${at}`) ? "half" : "";
      });
      text("[data-unit]", `Turn ${unit + 1} of ${units.length}`);
    }
    if (data.mode === "span") {
      text("[data-unit]", units[unit] ? `Stretch ${units[unit].slice(5)}` : "The whole sample");
      const list = one("[data-spans]");
      list.replaceChildren(...units.map((target, at) => chip(target, at)));
      paint();
    }
    root.querySelectorAll("[data-do=put]").forEach((el) => el.classList.toggle("ready", missing() === null));
  }
  function chip(target, at) {
    const el = document.createElement("button");
    el.type = "button";
    el.className = "sx-chip" + (at === unit ? " accent" : "");
    el.dataset.do = "unit";
    el.dataset.value = at;
    el.textContent = target ? target.slice(5) : "whole";
    if (started(target)) el.textContent += " ✓";
    return el;
  }
  // -- stretches of the text: offsets count characters, as the catalog does, not UTF-16 units
  function place(node, offset) {
    const range = document.createRange();
    range.selectNodeContents(one("[data-span-text]"));
    range.setEnd(node, offset);
    return [...range.toString()].length;
  }
  function mark() {
    const doc = one("[data-span-text]");
    const selection = window.getSelection();
    if (!doc || !selection.rangeCount || selection.isCollapsed) return say("Select a stretch of the text first, then press m.");
    const range = selection.getRangeAt(0);
    if (!doc.contains(range.startContainer) || !doc.contains(range.endContainer))
      return say("The selection reaches outside the text.");
    const target = `span:${place(range.startContainer, range.startOffset)}-${place(range.endContainer, range.endOffset)}`;
    if (!units.includes(target)) units.push(target);
    unit = units.indexOf(target);
    row = 0;
    selection.removeAllRanges();
    say("");
    draw();
  }
  function paint() {
    if (!CSS.highlights || typeof Highlight === "undefined") return;
    const doc = one("[data-span-text]");
    const node = doc && doc.firstChild;
    if (!node) return;
    const letters = [...node.data];
    const unitsTo = (at) => letters.slice(0, at).join("").length;
    const ranges = units.filter((target) => target).map((target) => {
      const [from, to] = target.slice(5).split("-").map(Number);
      const range = document.createRange();
      range.setStart(node, unitsTo(from));
      range.setEnd(node, unitsTo(Math.min(to, letters.length)));
      return range;
    });
    CSS.highlights.set("sx-span", new Highlight(...ranges));
  }
  // -- choosing
  function choose(name, value) {
    const target = units[unit];
    answers[target] = { ...(answers[target] || {}), [name]: value };
    say("");
  }
  function picked(input) {
    row = sets.findIndex((set) => set.dataset.name === input.name);
    choose(input.name, input.value);
    draw();
  }
  function onward() {
    if (row < sets.length - 1) row += 1;
    sets[row].scrollIntoView({ block: "nearest" });
  }
  function step(by) {
    const question = data.questions[row];
    const at = question.values.indexOf((answers[units[unit]] || {})[question.name]);
    const to = Math.min(Math.max(at + by, 0), question.values.length - 1);
    choose(question.name, question.values[to]);
    draw();
  }
  function turnTo(by) {
    if (units.length < 2) return;
    unit = Math.min(Math.max(unit + by, 0), units.length - 1);
    row = 0;
    draw();
    const at = root.querySelector(".sx-at");
    if (at) at.scrollIntoView({ block: "nearest" });
  }
  // -- a better response
  function editing(on, focus) {
    if (!area) return;
    box.hidden = !on;
    root.querySelectorAll("[data-do=edit]").forEach((el) => el.setAttribute("aria-expanded", String(on)));
    if (on && focus) {
      area.focus({ preventScroll: true });
      box.scrollIntoView({ block: "nearest" });
    }
  }
  function unedit() {
    area.value = before;
    editing(false);
    const el = one("[data-do=edit]");
    if (el) el.focus();
  }
  function edited() {
    return area && !box.hidden && area.value !== before ? area.value : null;
  }
  // -- what is missing, in words; null when the grade is whole
  function missing() {
    const lacking = (target) => {
      const question = data.questions.find((q) => (answers[target] || {})[q.name] === undefined);
      return question ? question.name : null;
    };
    if (data.mode === "turn") {
      const half = units.find((target) => started(target) && !complete(target));
      if (half) return [half, lacking(half)];
      return units.some(started) ? null : ["", "a turn"];
    }
    const name = lacking("");
    return name ? ["", name] : null;
  }
  function put() {
    const gap = missing();
    if (gap) {
      unit = Math.max(0, units.indexOf(gap[0]));
      row = Math.max(0, data.questions.findIndex((question) => question.name === gap[1]));
      draw();
      return say(gap[1] === "a turn" ? "Grade one turn at least." : `${gap[1].replaceAll("_", " ")} is not chosen yet.`);
    }
    const edit = edited();
    if (edit !== null && !edit.trim()) {
      editing(true, true);
      return say("The edit is empty: write the response, or keep the original.");
    }
    const values = {};
    for (const [target, held] of Object.entries(answers)) {
      if (!Object.keys(held).length) continue;
      if (target === "") Object.assign(values, held);
      else values[target] = held;
    }
    const body = { do: "put", values, seconds: (performance.now() - began) / 1000 };
    ask(edit === null ? body : { ...body, edit });
  }
  function ask(body) {
    if (busy) return;
    busy = true;
    window.__sxDesk = { asked: performance.now() };
    one(".sx-desk").classList.add("sx-busy");
    self.send({ ...body, item: data.item, note: note ? note.value : "" });
    setTimeout(() => {
      busy = false;
      const el = root.querySelector(".sx-busy");
      if (el) el.classList.remove("sx-busy");
    }, 4000);
  }
  function say(words) {
    text("[data-say]", words);
  }
  function act(what, value) {
    if (what === "put") put();
    else if (what === "mark") mark();
    else if (what === "edit") editing(box.hidden, true);
    else if (what === "unedit") unedit();
    else if (what === "unit") ((unit = Number(value)), (row = 0), draw());
    else if (what === "skip" || what === "undo") ask({ do: what });
  }
  function clicked(event) {
    const turn = event.target.closest(".sx-turn[data-turn]");
    if (turn && data.mode === "turn" && window.getSelection().isCollapsed) {
      unit = Number(turn.dataset.turn);
      row = 0;
      draw();
    }
  }
  function key(event) {
    if (area && event.target === area) {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) (event.preventDefault(), put());
      if (event.key === "Escape") area.blur();
      return;
    }
    if (event.metaKey || event.ctrlKey || event.altKey) return;
    const el = event.target;
    if (el === note) {
      if (event.key === "Enter") (event.preventDefault(), put());
      if (event.key === "Escape") note.blur();
      return;
    }
    const typing = el.closest && el.closest("textarea, select, [contenteditable=true], [role=combobox], input:not([type=radio])");
    if (typing || (el.closest && el.closest("[role=dialog]"))) return;
    if (event.key === "Enter" && el.closest && el.closest("a, button, summary")) return;
    const question = data.questions[row];
    const at = question.keys.findIndex((keys) => keys.includes(event.key.toLowerCase()));
    if (event.key.length === 1 && at >= 0) {
      choose(question.name, question.values[at]);
      onward();
      draw();
    } else if (event.key === "Enter") put();
    else if (event.key === "s") ask({ do: "skip" });
    else if (event.key === "u") ask({ do: "undo" });
    else if (event.key === "m" && data.mode === "span") mark();
    else if (event.key === "n" && note) note.focus();
    else if (event.key === "e" && area) editing(true, true);
    else if (event.key === "ArrowDown") (row = Math.min(row + 1, sets.length - 1)), onwardTo();
    else if (event.key === "ArrowUp") (row = Math.max(row - 1, 0)), onwardTo();
    else if (event.key === "ArrowRight") units.length > 1 ? turnTo(1) : step(1);
    else if (event.key === "ArrowLeft") units.length > 1 ? turnTo(-1) : step(-1);
    else if (event.key === ".") step(1);
    else if (event.key === ",") step(-1);
    else return;
    event.preventDefault();
  }
  function onwardTo() {
    sets[row].scrollIntoView({ block: "nearest" });
    draw();
  }
  const self = { send: () => {}, act, clicked, draw, key, picked };
  if (area) {
    area.value = data.edit === null ? before : data.edit;
    editing(data.edit !== null, false);
  }
  if (data.focus) say(data.focus);
  return self;
}
