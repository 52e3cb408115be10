// What has a score of its own: a token's piece of the text, a word, or a sentence.

const SPECIAL = 1;
const UNKNOWN = 2;
const ABSENT = 3;
const KINDS = ["text", "special", "unknown", "absent"];

// The parts of a text at a level: units with tokens, and strings between them. Neighbouring pieces
// of one word or sentence are one unit, with what stands between them.
function partsOf(layout, level) {
  layout.parts ??= {};
  if (layout.parts[level]) return layout.parts[level];
  const group = new Map();
  if (level !== "token") {
    layout[level].forEach((tokens, n) => tokens.forEach((token) => group.set(token, n)));
  }
  const parts = [];
  let between = "";
  let last = null;
  for (const [text, tokens, kind] of layout.pieces) {
    if (!tokens.length) {
      between += text;
      continue;
    }
    const own = group.get(tokens[0]);
    if (last && own !== undefined && last.group === own) {
      last.text += between + text;
      for (const token of tokens) if (!last.tokens.includes(token)) last.tokens.push(token);
      between = "";
      continue;
    }
    if (between) parts.push(between);
    between = "";
    last = { text, tokens: [...tokens], kind, group: own };
    parts.push(last);
  }
  if (between) parts.push(between);
  layout.parts[level] = parts;
  return parts;
}

const unitsOf = (layout, level) => partsOf(layout, level).filter((one) => typeof one !== "string");

const isHidden = (unit, settings) => !settings.special && (unit.kind === SPECIAL || unit.kind === ABSENT);

// A unit's name where it stands alone.
function nameOf(unit, most = 60) {
  const name = brief(unit.text, most);
  if (name) return name;
  return unit.text ? JSON.stringify(visible(unit.text)) : "∅";
}

const unitScore = (unit, scores) => unit.tokens.reduce((total, n) => total + (scores[n] ?? 0), 0);
