// The page's state in the address: a link to it shows the same.

export function readState() {
  const found = new URLSearchParams(location.hash.slice(1));
  let sides = [];
  try {
    const given = JSON.parse(found.get("state") ?? "[]");
    sides = (Array.isArray(given) ? given : []).filter(isSide).slice(0, 2);
  } catch {
    // An address that was cut off: the page begins anew.
  }
  return { token: found.get("token"), sides };
}

function isSide(side) {
  const isObject = (one) => one !== null && typeof one === "object" && !Array.isArray(one);
  return isObject(side) && isObject(side.inputs) && isObject(side.interpreter);
}

export function writeState(sides) {
  const hash = sides.length ? `#state=${encodeURIComponent(JSON.stringify(sides))}` : "";
  history.replaceState(null, "", `${location.pathname}${hash}`);
}
