// Requests to this server, and to no other. The token, if there is one, came with the address.

const STORED = "allennlp-explore-token";

export function keepToken(token) {
  sessionStorage.setItem(STORED, token);
}

function headers(more = {}) {
  const token = sessionStorage.getItem(STORED);
  return token ? { Authorization: `Bearer ${token}`, ...more } : more;
}

async function failure(response) {
  try {
    const told = await response.json();
    return new Error(told.error || `the server answered ${response.status}`);
  } catch {
    return new Error(`the server answered ${response.status}`);
  }
}

async function answered(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the server does not answer; is it still running?");
  }
  if (!response.ok) throw await failure(response);
  return response;
}

export async function get(path) {
  return (await answered(path, { headers: headers() })).json();
}

export async function post(path, body, signal) {
  const options = {
    method: "POST",
    headers: headers({ "Content-Type": "application/json" }),
    body: JSON.stringify(body),
    signal,
  };
  return (await answered(path, options)).json();
}

// The result of a request that sends events; `progress` is called with the name and the data of each.
export async function stream(path, body, signal, progress) {
  const response = await answered(path, {
    method: "POST",
    headers: headers({ "Content-Type": "application/json", Accept: "text/event-stream" }),
    body: JSON.stringify(body),
    signal,
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("the server stopped in the middle of the answer");
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const name = /^event: (.*)$/m.exec(part)?.[1];
      const data = JSON.parse(/^data: (.*)$/m.exec(part)?.[1] ?? "null");
      if (name === "result") return data;
      if (name === "error") throw new Error(data.error);
      progress(name, data);
    }
  }
}
