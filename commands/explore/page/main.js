// The page: one side, or two beside each other.

import { get, keepToken } from "./api.js";
import { Side } from "./side.js";
import { readState, writeState } from "./state.js";
import { shownTogether } from "./view.js";

const at = (id) => document.getElementById(id);
const [sides, compare, both, notice] = ["sides", "compare", "run-both", "notice"].map(at);
const shown = [];
let served = null;

const page = {
  changed: () => {},
  done: () => {
    writeState(shown.map((side) => side.tryRead()));
    together();
  },
  // A changed text stands beside the one that it was made of.
  takes: (side, inputs) => {
    open([side, { ...side.tryRead(), inputs }]);
    shown[1].run();
  },
};

let latest = 0;

async function together() {
  const number = (latest += 1);
  const place = at("together");
  place.hidden = true;
  if (shown.length !== 2) return;
  let view = null;
  try {
    view = await shownTogether(shown);
  } catch (error) {
    view = [error.message];
  }
  if (number !== latest || !view) return;
  place.replaceChildren(...view);
  place.hidden = false;
}

// Shows sides: those that are there already stay as they are, others are made of their states.
function open(some) {
  shown.filter((side) => !some.includes(side)).forEach((side) => side.stop());
  const made = some.map((one) => (one instanceof Side ? one : new Side(served, one, page)));
  shown.splice(0, shown.length, ...made);
  sides.replaceChildren(...made.map((side) => side.element));
  made.forEach((side, index) => side.named("AB"[index]));
  sides.classList.toggle("two", made.length === 2);
  compare.setAttribute("aria-pressed", String(made.length === 2));
  compare.textContent = made.length === 2 ? "One side only" : "Compare";
  both.hidden = made.length !== 2;
  page.done();
}

compare.addEventListener("click", () => {
  const [first] = shown;
  open(shown.length === 2 ? [first] : [first, first.tryRead()]);
});
both.addEventListener("click", () => shown.forEach((side) => side.run()));

let begun = 0;

async function begin() {
  const number = (begun += 1);
  const state = readState();
  if (state.token) keepToken(state.token);
  writeState(state.sides);
  try {
    const [models, methods] = await Promise.all([get("/models"), get("/methods")]);
    served = { ...models, ...methods };
  } catch (error) {
    notice.textContent = error.message;
    notice.hidden = false;
    return;
  }
  // Another link came meanwhile.
  if (number !== begun) return;
  compare.disabled = false;
  open(state.sides.length ? state.sides : [null]);
  if (state.sides.length) shown.forEach((side) => side.waits());
}
// A link that is pasted into an open page; what the page itself writes there is no such event.
window.addEventListener("hashchange", begin);
begin();
