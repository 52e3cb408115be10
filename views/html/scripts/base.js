// Elements, text that is safe to show, and what all parts of the page share.

// Format characters reorder or hide text; joiners are part of how Persian, Hindi and emoji are
// written, and lines and tabs are the text's own.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;
const KEPT = "\n\t\u200c\u200d";

function visible(text) {
  return String(text).replace(UNSAFE, (one) => {
    if (KEPT.includes(one)) return one;
    const code = one.codePointAt(0).toString(16);
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
  });
}

// A long word would make a name, not a text, unreadable.
function brief(text, most = 60) {
  const letters = Array.from(visible(text).trim());
  return letters.length <= most ? letters.join("") : `${letters.slice(0, most - 1).join("")}…`;
}

// An element; text is always text. Keys with a capital letter are properties, others attributes.
function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((one) => one !== null && one !== undefined && one !== ""));
  return made;
}

let lastId = 0;
const freshId = (prefix) => `${prefix}-${++lastId}`;

// An element that can be opened, and is filled when it is opened first.
function later(title, fill, open = false) {
  const body = el("div", { class: "body" });
  const made = el("details", { open }, el("summary", {}, title), body);
  let filled = false;
  const update = () => {
    if (!made.open) return;
    body.replaceChildren(fill());
    filled = true;
  };
  made.addEventListener("toggle", () => filled || update());
  if (open) update();
  made.refresh = () => {
    filled = false;
    update();
  };
  return made;
}

// A control with its label.
function labelled(text, control, hint = null) {
  const id = control.id || freshId("control");
  control.id = id;
  return el("span", { class: "control", title: hint }, el("label", { for: id }, text), control);
}

function select(values, chosen, onchange) {
  const made = el("select", { onchange: () => onchange(made.value) });
  for (const [value, text] of values) made.append(el("option", { value }, visible(text)));
  made.value = chosen;
  return made;
}

// Arrow keys move among some elements, of which one can be reached by Tab.
function roving(container, items, { onmove = null, vertical = true } = {}) {
  const own = () => (typeof items === "function" ? items() : items);
  const go = (target, event) => {
    if (!target) return;
    for (const one of container.querySelectorAll('[tabindex="0"]')) one.tabIndex = -1;
    target.tabIndex = 0;
    target.focus();
    if (onmove) onmove(target, event);
  };
  container.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const all = own();
    const at = all.indexOf(event.target);
    if (at < 0) return;
    const backwards = getComputedStyle(container).direction === "rtl";
    let to = null;
    if (event.key === "ArrowRight") to = at + (backwards ? -1 : 1);
    else if (event.key === "ArrowLeft") to = at + (backwards ? 1 : -1);
    else if (event.key === "ArrowDown" && vertical) to = at + 1;
    else if (event.key === "ArrowUp" && vertical) to = at - 1;
    else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = all.length - 1;
    if (to === null) return;
    event.preventDefault();
    go(all[Math.max(0, Math.min(all.length - 1, to))], event);
  });
}
