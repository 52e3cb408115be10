// Matrices: a table while it is small enough, else a picture that tells its cells.

const MOST_CELLS = 6000;

// rows, columns: names; value(row, column): a number, or null where there is none;
// scale: of full colour; format: of a number; onpick(column): a column's name was picked.
function grid({ name, rows, columns, value, scale, format, contrast, corner, tip, onpick = null }) {
  const settings = { name, rows, columns, value, scale, format, contrast, corner, tip, onpick };
  return rows.length * columns.length <= MOST_CELLS ? tableOf(settings) : pictureOf(settings);
}

function tableOf({ name, rows, columns, value, scale, format, contrast, corner, tip, onpick }) {
  const heads = columns.map((column, n) => {
    const head = el("th", { scope: "col", dir: "auto" });
    head.append(onpick ? el("button", { type: "button", onclick: () => onpick(n) }, column) : column);
    return head;
  });
  const body = rows.map((row, r) =>
    el(
      "tr",
      {},
      el("th", { scope: "row", dir: "auto" }, row),
      columns.map((_, c) => {
        const number = value(r, c);
        const cell = el("td", {}, number === null ? "" : format(number));
        cell.dataset.cell = `${r},${c}`;
        if (number !== null && scale) paint(cell, number / scale, contrast);
        return cell;
      }),
    ),
  );
  const table = el(
    "table",
    { class: "grid" },
    el("caption", {}, name),
    el("thead", {}, el("tr", {}, el("th", { scope: "col", class: "corner" }, corner), heads)),
    el("tbody", {}, body),
  );
  table.addEventListener("mouseover", (event) => {
    const cell = event.target.closest("[data-cell]");
    if (!cell) return;
    const [r, c] = cell.dataset.cell.split(",").map(Number);
    const number = value(r, c);
    if (number !== null) tip.show(cell, [`${rows[r]} → ${columns[c]}`, String(number)]);
  });
  table.addEventListener("mouseleave", () => tip.hide());
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, table);
}

function pictureOf({ name, rows, columns, value, scale, format, contrast, tip }) {
  const side = Math.max(2, Math.min(12, Math.floor(1200 / Math.max(rows.length, columns.length))));
  const canvas = el("canvas", {
    width: columns.length * side,
    height: rows.length * side,
    tabindex: "0",
    role: "img",
    "aria-label": `${name}: ${rows.length} rows, ${columns.length} columns. Arrow keys tell cells.`,
  });
  const told = el("p", { class: "small", "aria-live": "polite" }, "Point at a cell, or use the arrow keys.");
  const pen = canvas.getContext("2d");
  for (let r = 0; r < rows.length; r += 1) {
    for (let c = 0; c < columns.length; c += 1) {
      const number = value(r, c);
      const found = number === null || !scale ? null : colours(number / scale, contrast);
      if (!found) continue;
      pen.fillStyle = found.back;
      pen.fillRect(c * side, r * side, side, side);
    }
  }
  const at = [0, 0];
  const tell = () => {
    const number = value(...at);
    const shown = number === null ? "no score" : format(number);
    told.textContent = `${rows[at[0]]} (${at[0] + 1}) → ${columns[at[1]]} (${at[1] + 1}): ${shown}`;
  };
  const clamp = (number, most) => Math.max(0, Math.min(most - 1, number));
  canvas.addEventListener("mousemove", (event) => {
    const box = canvas.getBoundingClientRect();
    at[0] = clamp(Math.floor(((event.clientY - box.top) / box.height) * rows.length), rows.length);
    at[1] = clamp(Math.floor(((event.clientX - box.left) / box.width) * columns.length), columns.length);
    tell();
  });
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    at[0] = clamp(at[0] + step[0], rows.length);
    at[1] = clamp(at[1] + step[1], columns.length);
    tell();
  });
  tip.hide();
  return el(
    "div",
    {},
    told,
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, canvas),
  );
}
